/* SPDX-License-Identifier: Apache-2.0 */
/* rest_test.c - memory is given back after work, once, and not in the middle of it. malloc_trim is ours here. */
#include "role/running.h"

#include "task/loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned trims;

int malloc_trim(size_t pad);

int
malloc_trim(size_t pad)
{
	trims++;
	return 0;
}

static bool
never(void *arg)
{
	return false;
}

static void
nothing(struct later *l)
{
}

static void
work(unsigned turns)
{
	struct later l = { .fn = nothing };
	for (unsigned i = 0; i < turns; i++) {
		loop_later(&l);
		loop_turn(0);
	}
}

static void
rests_once_after_work(void **state)
{
	loop_sim_start(1000000);
	rest_watch();
	loop_run_until(never, NULL, 11000);
	assert_int_equal(trims, 1); /* what the start took */
	loop_run_until(never, NULL, 60000);
	assert_int_equal(trims, 1); /* nothing happened */
	work(1000);
	loop_run_until(never, NULL, 10000);
	assert_int_equal(trims, 1); /* too much happened */
	loop_run_until(never, NULL, 10000);
	assert_int_equal(trims, 2);
	loop_reset();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rests_once_after_work) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
