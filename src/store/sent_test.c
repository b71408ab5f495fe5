/* SPDX-License-Identifier: Apache-2.0 */
/* sent_test.c - counts by the hour, limits and when they go on, breakers. */
#include "store/sent.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define H(n) ((int64_t)(n)*3600)

static void
add(struct sent *s, int64_t now, uint32_t messages, uint32_t recipients, uint32_t first, uint32_t failed)
{
	sent_advance(s, now);
	sent_add(s, (const uint32_t[SENT_COUNTS]){ messages, recipients, first, first, failed });
}

static void
hours(void **state)
{
	struct sent s = { 0 }, again;
	struct arena a;
	arena_init(&a, 0);
	for (int i = 0; i < 30; i++)
		add(&s, H(480000 + i), 1, 10, 0, 0);
	assert_int_equal(sent_sum(&s, SENT_MESSAGES, 1), 1);
	assert_int_equal(sent_sum(&s, SENT_RECIPIENTS, SENT_HOURS), 240);
	sent_take(sent_put(&s, &a), &again);
	assert_memory_equal(&s, &again, sizeof s);
	add(&s, H(480029 - 3), 1, 0, 0, 0); /* the clock went back a little */
	assert_int_equal(sent_sum(&s, SENT_MESSAGES, 1), 2);
	sent_advance(&s, H(480029 + 10));
	assert_int_equal(sent_sum(&s, SENT_MESSAGES, SENT_HOURS), 15);
	sent_advance(&s, H(480100));
	assert_int_equal(sent_sum(&s, SENT_MESSAGES, SENT_HOURS), 0);
	add(&s, H(100), 1, 1, 1, 1); /* it was days ahead */
	assert_int_equal(s.hour, 100);
	sent_take(S("short"), &s);
	assert_int_equal(s.hour, 0);
	s.of[0][SENT_MESSAGES] = UINT32_MAX;
	add(&s, 0, 1, 0, 0, 0);
	assert_int_equal(sent_sum(&s, SENT_MESSAGES, SENT_HOURS), UINT32_MAX);
	arena_release(&a);
}

static void
limits(void **state)
{
	static const struct {
		const char *what, *limits;
		uint32_t messages, recipients, first; /* more */
		enum send_limit says;
		int64_t until;
	} rows[] = {
		/* sent: hour 0: 5 messages to 50, 20 new; hour 10: 3 messages to 30 */
		{ "no limits", "", 100, 1000, 1000, SEND_LIMITS, 0 },
		{ "none of its own", "messages-per-hour=0", 100, 1000, 1000, SEND_LIMITS, 0 },
		{ "the hour has room for one", "messages-per-hour=4", 1, 1, 0, SEND_LIMITS, 0 },
		{ "the hour is full until the next", "messages-per-hour=3", 1, 1, 0, LIMIT_MESSAGES_HOUR, H(1011) },
		{ "the day is full until hour 0 is over", "messages-per-day=8", 1, 1, 0, LIMIT_MESSAGES_DAY, H(1024) },
		{ "and until hour 10 is over", "messages-per-day=3", 1, 1, 0, LIMIT_MESSAGES_DAY, H(1034) },
		{ "recipients of a day", "recipients-per-day=90", 1, 11, 0, LIMIT_RECIPIENTS_DAY, H(1024) },
		{ "exactly as many", "recipients-per-day=90", 1, 10, 0, SEND_LIMITS, 0 },
		{ "more than can ever be", "recipients-per-day=90", 1, 91, 0, LIMIT_RECIPIENTS_DAY, 0 },
		{ "the later one counts", "messages-per-hour=3 messages-per-day=8", 1, 1, 0, LIMIT_MESSAGES_DAY, H(1024) },
		{ "new recipients", "first-time-per-day=20", 1, 1, 1, LIMIT_FIRST_DAY, H(1024) },
		{ "known ones go on", "first-time-per-day=20", 1, 1, 0, SEND_LIMITS, 0 },
	};
	struct sent s = { 0 };
	add(&s, H(1000), 5, 50, 20, 0);
	add(&s, H(1010) + 60, 3, 30, 0, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct send_limits l;
		int64_t until;
		assert_true(send_limits_take(slice_text(rows[i].limits), &l));
		for (size_t k = 0; k < SEND_LIMITS; k++)
			l.max[k] = l.max[k] == SEND_LIMIT_DEFAULT ? 0 : l.max[k];
		uint32_t more[SENT_COUNTS] = { rows[i].messages, rows[i].recipients, rows[i].first, rows[i].first };
		if (sent_check(&s, &l, more, &until) != rows[i].says || until != rows[i].until)
			fail_msg("%s: until %lld", rows[i].what, (long long)until);
	}
}

static void
breakers(void **state)
{
	static const struct {
		const char *what;
		uint32_t recipients, first, failed, max_first, percent;
		enum send_limit says;
	} rows[] = {
		{ "none is set", 1000, 1000, 1000, 0, 0, SEND_LIMITS },
		{ "as many new ones as may be", 100, 100, 0, 100, 0, SEND_LIMITS },
		{ "one more", 101, 101, 0, 100, 0, BREAKER_FIRST_HOUR },
		{ "few bounces say nothing", 19, 0, 19, 0, 10, SEND_LIMITS },
		{ "many do", 20, 0, 20, 0, 10, BREAKER_FAILED_PERCENT },
		{ "a tenth is not more than a tenth", 1000, 0, 100, 0, 10, SEND_LIMITS },
		{ "more than a tenth", 1000, 0, 101, 0, 10, BREAKER_FAILED_PERCENT },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sent s = { 0 };
		struct send_limits l = {
			.max = { [BREAKER_FIRST_HOUR] = rows[i].max_first, [BREAKER_FAILED_PERCENT] = rows[i].percent }
		};
		add(&s, H(1000), 1, rows[i].recipients, rows[i].first, rows[i].failed);
		if (sent_breaker(&s, &l) != rows[i].says)
			fail_msg("%s", rows[i].what);
	}
}

static void
words(void **state)
{
	struct send_limits l, again;
	struct arena a;
	arena_init(&a, 0);
	assert_false(send_limits_take(S("messages-per-hour"), &l));
	assert_false(send_limits_take(S("messages-per-hour=x"), &l));
	assert_false(send_limits_take(S("messages-per-year=1"), &l));
	assert_true(send_limits_take(S("first-time-per-day=7 messages-per-hour=0"), &l));
	struct slice text = send_limits_put(&l, &a);
	assert_true(slice_equal(text, S("messages-per-hour=0 first-time-per-day=7")));
	assert_true(send_limits_take(text, &again));
	assert_memory_equal(l.max, again.max, sizeof l.max);
	assert_true(send_limits_take(S("plan=small first-time-per-day=9"), &l) && slice_equal(l.plan, S("small")));
	assert_true(slice_equal(send_limits_put(&l, &a), S("plan=small first-time-per-day=9")));
	send_limits_under(&l, &again);
	assert_int_equal(l.max[LIMIT_FIRST_DAY], 9);
	assert_int_equal(l.max[LIMIT_MESSAGES_HOUR], 0);
	assert_true(l.max[LIMIT_DISTINCT_DAY] == SEND_LIMIT_DEFAULT);
	assert_false(send_limits_take(S("plan= first-time-per-day=9"), &l));
	assert_false(send_limits_take(S("plan=a/b"), &l));
	arena_release(&a);
}

/* They come days after what they are about, and are compared with all of the week. */
static void
complaints(void **state)
{
	struct send_limits l = { .max = { [BREAKER_COMPLAINTS] = 5 } };
	struct sent s = { 0 }, again;
	struct arena a;
	arena_init(&a, 0);
	add(&s, H(24 * 20000), 1, 1000, 0, 0);
	for (int i = 1; i <= 6; i++) {
		sent_advance(&s, H(24 * (20000 + 3)));
		sent_add(&s, (const uint32_t[SENT_COUNTS]){ [SENT_COMPLAINTS] = 1 });
		sent_take(sent_put(&s, &a), &again);
		assert_memory_equal(&s, &again, sizeof s);
		assert_int_equal(sent_breaker(&s, &l), i == 6 ? BREAKER_COMPLAINTS : SEND_LIMITS);
	}
	sent_advance(&s, H(24 * (20000 + 7))); /* the mail is forgotten before the complaints */
	assert_int_equal(sent_breaker(&s, &l), BREAKER_COMPLAINTS);
	sent_advance(&s, H(24 * (20000 + 10)));
	assert_int_equal(sent_breaker(&s, &l), SEND_LIMITS);
	s = (struct sent){ 0 };
	sent_advance(&s, H(24 * 20000));
	sent_add(&s, (const uint32_t[SENT_COUNTS]){ [SENT_COMPLAINTS] = SENT_COMPLAINTS_MIN - 1 });
	assert_int_equal(sent_breaker(&s, &l), SEND_LIMITS); /* so few say nothing */
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hours), cmocka_unit_test(complaints), cmocka_unit_test(limits),
		                                cmocka_unit_test(breakers), cmocka_unit_test(words) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
