/* SPDX-License-Identifier: Apache-2.0 */
/* keys_test.c - keys sort by the values in them, and a prefix ends where it should. */
#include "store/keys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
numbers_sort_by_value(void **state)
{
	static const uint64_t rising[] = { 0, 1, 255, 256, 65535, 1ull << 32, UINT64_MAX };
	for (size_t i = 1; i < COUNT_OF(rising); i++) {
		struct key a = key1('o', rising[i - 1]), b = key1('o', rising[i]);
		assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
		a = key2('m', 7, rising[i - 1]), b = key2('m', 7, rising[i]);
		assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
	}
	struct key a = key_message(7, 2, UINT32_MAX), b = key_message(7, 3, 1);
	assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
	assert_int_equal(a.len, 21);
}

static void
pieces_stand_in_order(void **state)
{
	struct key k;
	key_begin(&k, 'a');
	key_bytes(&k, S("example.test"));
	key_nul(&k);
	key_bytes(&k, S("alice"));
	assert_true(slice_equal(key_slice(&k), S("aexample.test\0alice")));
}

static void
a_prefix_ends_after_its_last_key(void **state)
{
	struct key k = key1('n', 0x01ff), end = k;
	key_after_prefix(&end);
	assert_true(slice_equal(key_slice(&end), S("n\0\0\0\0\0\0\x02")));
	key_bytes(&k, S("\xff\xff\xff"));
	assert_true(slice_compare(key_slice(&k), key_slice(&end)) < 0);

	end = key1('n', UINT64_MAX);
	key_after_prefix(&end);
	assert_true(slice_equal(key_slice(&end), S("o")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_sort_by_value),
		cmocka_unit_test(pieces_stand_in_order),
		cmocka_unit_test(a_prefix_ends_after_its_last_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
