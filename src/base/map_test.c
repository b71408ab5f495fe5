/* SPDX-License-Identifier: Apache-2.0 */
/* map_test.c - the map against a plain array, with keys that collide. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KEYS = 500, STEPS = 200000 };

/* Small keys, keys that differ only in high bits, and the extremes. */
static uint64_t
key_of(unsigned i)
{
	return i % 3 == 0 ? i : i % 3 == 1 ? (uint64_t)i << 44 : UINT64_MAX - i;
}

static void
the_same_as_an_array(void **state)
{
	static int values[KEYS];
	void *wanted[KEYS] = { NULL };
	struct map m = { 0 };
	size_t count = 0;
	uint32_t r = 7;
	for (int step = 0; step < STEPS; step++) {
		r = r * 1664525 + 1013904223;
		unsigned i = (r >> 8) % KEYS;
		bool grow = (step / 20000) % 2 == 0; /* fills for a while, empties for a while */
		void *old;
		if (step % 5000 == 0)
			map_reserve(&m, step % 10000 ? 0 : count + 400);
		if ((r >> 28) < (grow ? 10u : 5u)) {
			old = map_set(&m, key_of(i), &values[(r >> 4) % KEYS]);
			count += wanted[i] == NULL;
			assert_ptr_equal(old, wanted[i]);
			wanted[i] = &values[(r >> 4) % KEYS];
		} else {
			old = map_remove(&m, key_of(i));
			count -= wanted[i] != NULL;
			assert_ptr_equal(old, wanted[i]);
			wanted[i] = NULL;
		}
		assert_int_equal(m.count, count);
		unsigned other = (r >> 16) % KEYS;
		assert_ptr_equal(map_get(&m, key_of(other)), wanted[other]);
	}
	size_t seen = 0;
	uint64_t key;
	void *value;
	for (size_t at = 0; map_each(&m, &at, &key, &value); seen++)
		assert_ptr_equal(map_get(&m, key), value);
	assert_int_equal(seen, count);
	for (unsigned i = 0; i < KEYS; i++)
		assert_ptr_equal(map_get(&m, key_of(i)), wanted[i]);
	map_release(&m);
	assert_null(map_get(&m, 1));
}

static void
an_empty_map(void **state)
{
	struct map m = { 0 };
	size_t at = 0;
	uint64_t key;
	void *value;
	assert_null(map_get(&m, 0));
	assert_null(map_remove(&m, 0));
	assert_false(map_each(&m, &at, &key, &value));
	map_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_as_an_array), cmocka_unit_test(an_empty_map) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
