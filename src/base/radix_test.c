/* SPDX-License-Identifier: Apache-2.0 */
/* radix_test.c - the order is that of the numbers, and among equals that of the list. */
#include "base/radix.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/random.h"

enum { MAX = 1000 };

static void
test_order(void **state)
{
	static struct radix list[MAX], spare[MAX];
	static char items[MAX];
	for (int round = 0; round < 500; round++) {
		size_t n = (size_t)(random_u64() % (MAX + 1));
		uint64_t mask = random_u64() & random_u64(), base = random_u64();
		for (size_t i = 0; i < n; i++)
			list[i] = (struct radix){ round % 2 ? random_u64() & mask : base + random_u64() % 3, &items[i] };
		radix_sort(list, spare, n);
		for (size_t i = 1; i < n; i++)
			assert_true(list[i - 1].number < list[i].number ||
			            (list[i - 1].number == list[i].number && list[i - 1].item < list[i].item));
	}
	assert_true(radix_of_signed(-1) < radix_of_signed(0) && radix_of_signed(INT64_MIN) < radix_of_signed(-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
