/* SPDX-License-Identifier: Apache-2.0 */
/* arena_test.c - what is allocated is zeroed, aligned and apart; clearing keeps one small block. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
allocating(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	static const size_t sizes[] = { 1, 0, 16, 17, 4000, 5000, 100, 100000, 3 };
	unsigned char *at[COUNT_OF(sizes)];
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(sizes); i++) {
			at[i] = arena_alloc(&a, sizes[i]);
			assert_int_equal((uintptr_t)at[i] % 16, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(at[i][k], 0);
			memset(at[i], (int)i + 1, sizes[i]);
		}
		for (size_t i = 0; i < COUNT_OF(sizes); i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(at[i][k], i + 1);
		arena_clear(&a);
		assert_int_equal(a.bytes, 0);
	}
	arena_release(&a);
	assert_null(a.blocks);
}

static void
clearing_keeps_a_small_block(void **state)
{
	struct arena a;
	arena_init(&a, 1 << 20);
	void *first = arena_alloc(&a, 10);
	for (int i = 0; i < 1000; i++)
		(void)arena_alloc(&a, 100);
	arena_clear(&a);
	assert_ptr_equal(arena_alloc(&a, 10), first);
	arena_release(&a);
	(void)arena_alloc(&a, 500000);
	arena_clear(&a);
	assert_null(a.blocks); /* a large one goes back */
	arena_release(&a);
}

static void
texts(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	struct slice s = slice_keep(&a, S("a\0b"));
	assert_true(slice_equal(s, S("a\0b")));
	assert_int_equal(s.at[3], '\0');
	assert_int_equal(slice_keep(&a, SLICE_NONE).len, 0);
	assert_string_equal(slice_keep_text(&a, S("abc")), "abc");
	assert_true(slice_equal(arena_join(&a, S("ab"), S("cd")), S("abcd")));
	assert_true(slice_equal(arena_join(&a, SLICE_NONE, SLICE_NONE), S("")));
	s = arena_printf(&a, "%s-%d", "x", 42);
	assert_true(slice_equal(s, S("x-42")));
	assert_int_equal(s.at[s.len], '\0');
	assert_int_equal(arena_printf(&a, "%5000d", 1).len, 5000);
	uint64_t *numbers = ARENA_ARRAY(&a, uint64_t, 10);
	assert_true(numbers[9] == 0);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocating),
		cmocka_unit_test(clearing_keeps_a_small_block),
		cmocka_unit_test(texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
