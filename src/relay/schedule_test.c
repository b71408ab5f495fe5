/* SPDX-License-Identifier: Apache-2.0 */
/* schedule_test.c - a table of tries, and whole lives of messages played through. */
#include "relay/schedule.h"

#include "store/rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
static const int64_t waits[] = { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR };
static const struct schedule standard = { waits, COUNT_OF(waits), 4 * HOUR, 5 * DAY };

static void
single_tries(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		uint32_t tries;
		int64_t age;
		bool told, give_up, tell;
		int64_t wait;
	} rows[] = {
		{ "the first failure waits five minutes", 1, 2, false, false, false, 5 * MINUTE },
		{ "the second waits ten", 2, 5 * MINUTE, false, false, false, 10 * MINUTE },
		{ "the last wait repeats", 50, 2 * DAY, true, false, false, 4 * HOUR },
		{ "after four hours the sender is told", 6, 4 * HOUR, false, false, true, 2 * HOUR },
		{ "a wait does not reach past the moment of telling", 6, 3 * HOUR, false, false, false, HOUR },
		{ "the last try is at the end of the lifetime", 30, 5 * DAY - HOUR, true, false, false, HOUR },
		{ "after five days it is given up", 31, 5 * DAY, true, true, false, 0 },
		{ "a clock that was set back makes it young again", 3, -10 * DAY, false, false, false, 20 * MINUTE },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t now = 1700000000;
		struct decision d = schedule_after_try(&standard, rows[i].tries, now - rows[i].age, now, rows[i].told);
		if (d.give_up != rows[i].give_up || d.tell_delayed != rows[i].tell ||
		    (!d.give_up && d.due - now != rows[i].wait))
			fail_msg("%s: give_up=%d tell=%d wait=%lld", rows[i].what, d.give_up, d.tell_delayed,
			         (long long)(d.due - now));
	}
}

static void
whole_life(void **state)
{
	(void)state;
	int64_t born = 1700000000, now = born;
	unsigned tries = 0, told = 0;
	for (;;) {
		struct decision d = schedule_after_try(&standard, ++tries, born, now, told > 0);
		assert_true(tries < 100);
		if (d.give_up)
			break;
		if (d.tell_delayed) {
			assert_int_equal(now - born, 4 * HOUR); /* to the second */
			told++;
		}
		assert_true(d.due > now);
		assert_true(d.due <= born + standard.lifetime_sec);
		now = d.due;
	}
	assert_int_equal(now - born, 5 * DAY);
	assert_int_equal(told, 1);
	assert_in_range(tries, 30, 45);
}

/* RFC 2852 4.1.3 */
static void
deadlines(void **state)
{
	(void)state;
	struct deadline_asked back = { BY_RETURN, 1000, false }, tell = { BY_NOTIFY | BY_TRACE, 1000, false };
	struct decision d = { .due = 5000 };
	schedule_by(&d, &back, 900); /* looked at when the time is over, and not tried after */
	assert_true(d.due == 1000 && !d.give_up && !schedule_expired(&back, 999) && schedule_expired(&back, 1000));
	schedule_by(&d, &back, 1000);
	assert_true(d.give_up && d.expired && !d.tell_late);
	d = (struct decision){ .due = 5000 };
	schedule_by(&d, &tell, 900);
	assert_true(d.due == 1000 && !d.tell_late && !schedule_expired(&tell, 2000));
	d = (struct decision){ .due = 5000 };
	schedule_by(&d, &tell, 1000); /* it goes on, and the sender hears once */
	assert_true(d.tell_late && !d.give_up && d.due == 5000);
	tell.told = true;
	d.tell_late = false;
	schedule_by(&d, &tell, 1001);
	assert_false(d.tell_late);
	struct deadline_asked none = { BY_NONE, 0, false };
	schedule_by(&d, &none, 1001);
	assert_true(!d.tell_late && d.due == 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(single_tries), cmocka_unit_test(whole_life),
		                                cmocka_unit_test(deadlines) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
