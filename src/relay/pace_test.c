/* SPDX-License-Identifier: Apache-2.0 */
/* pace_test.c - limits are kept in every minute, answers cut them, time gives them back, memos carry them over. */
#include "relay/pace.h"

#include "relay/site.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEC = 1000, MINUTE = 60 * SEC, HOUR = 60 * MINUTE, START = 5000000 };

static struct answer
answer(enum answer_action action, int64_t ms)
{
	return (struct answer){ .action = action, .ms = ms };
}

static struct pace
pace_of(uint32_t connections, uint32_t rate)
{
	struct pace p;
	pace_init(&p, &(struct pace_limits){ connections, 0, rate }, START);
	return p;
}

/* As many as it lets go, from `from` up to `to`. Asserts that no minute has more than `most`. */
static unsigned
send_all(struct pace *p, int64_t from, int64_t to, unsigned most)
{
	static int64_t at[100000];
	unsigned n = 0;
	for (int64_t now = from; now < to;) {
		int64_t wait = pace_wait(p, now);
		if (wait) {
			now += wait;
			continue;
		}
		assert_true(n < COUNT_OF(at));
		at[n++] = now;
		pace_begin(p, now);
		if (n > most)
			assert_true(at[n - 1] - at[n - 1 - most] >= MINUTE);
		now += p->rate ? 0 : 100;
	}
	return n;
}

static void
rate_is_kept(void **state)
{
	(void)state;
	static const uint32_t rates[] = { 1, 7, 60, 600, 59999 };
	for (size_t i = 0; i < COUNT_OF(rates); i++) {
		struct pace p = pace_of(5, rates[i]);
		unsigned n = send_all(&p, START, START + MINUTE, rates[i]);
		assert_in_range(n, rates[i] / 2, rates[i]); /* whole milliseconds between messages */
	}
	struct pace p = pace_of(5, 600);
	assert_int_equal(send_all(&p, START, START + 10 * MINUTE, 600), 6000);
}

/* Idle time is not saved up. */
static void
no_burst_after_silence(void **state)
{
	(void)state;
	struct pace p = pace_of(5, 60);
	send_all(&p, START, START + MINUTE, 60);
	assert_in_range(send_all(&p, START + HOUR, START + HOUR + 10 * SEC, 60), 10, 11);
}

static void
cuts(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		enum answer_action action;
		int64_t ms;
		uint32_t connections, rate;
		int64_t wait;
	} rows[] = {
		{ "nothing", ANSWER_NONE, 0, 20, 600, 0 },
		{ "only this recipient", ANSWER_RECIPIENT, 0, 20, 600, 0 },
		{ "half the connections", ANSWER_CONNECTIONS, 0, 10, 600, 0 },
		{ "half the rate", ANSWER_SLOW, 0, 20, 300, 200 },
		{ "nothing for an hour, then slowly", ANSWER_SUSPEND, HOUR, 10, 300, HOUR },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pace p = pace_of(20, 600);
		struct answer a = answer(rows[i].action, rows[i].ms);
		assert_int_equal(pace_cut(&p, &a, S("4xx why"), 20, START), rows[i].action > ANSWER_RECIPIENT);
		assert_int_equal(p.connections, rows[i].connections);
		assert_int_equal(p.rate, rows[i].rate);
		assert_int_equal(pace_wait(&p, START), rows[i].wait);
		assert_int_equal(pace_at_rest(&p, START), rows[i].action <= ANSWER_RECIPIENT);
	}
}

/* Twenty connections hear the same at the same moment: one cut. */
static void
one_cut_for_one_moment(void **state)
{
	(void)state;
	struct pace p = pace_of(20, 0);
	struct answer a = answer(ANSWER_CONNECTIONS, 0);
	for (int64_t i = 0; i < 20; i++)
		pace_cut(&p, &a, S("421 too many connections"), 13, START + i * 100);
	assert_int_equal(p.connections, 13);               /* that is how many it serves */
	struct answer stop = answer(ANSWER_SUSPEND, HOUR); /* but what says more counts */
	assert_true(pace_cut(&p, &stop, S("421 blocked"), 13, START + 2 * SEC));
	assert_int_equal(pace_wait(&p, START + 2 * SEC), HOUR);
	for (int64_t i = 1; i < 20; i++) /* never below one */
		pace_cut(&p, &a, S("421 too many connections"), 0, START + i * 10 * SEC);
	assert_int_equal(p.connections, 1);
}

static void
comes_back(void **state)
{
	(void)state;
	struct pace p = pace_of(20, 600);
	struct answer a = answer(ANSWER_SUSPEND, 10 * MINUTE);
	pace_cut(&p, &a, S("421 x"), 20, START);
	assert_int_equal(pace_wait(&p, START + 10 * MINUTE - 1), 1);
	assert_int_equal(pace_wait(&p, START + 10 * MINUTE), 0);
	assert_int_equal(p.rate, 360); /* the first step comes with the end of it */
	assert_int_equal(p.connections, 11);
	pace_wait(&p, START + 12 * MINUTE);
	assert_int_equal(p.rate, 480);
	assert_int_equal(p.connections, 13);
	pace_wait(&p, START + 14 * MINUTE - 1);
	assert_false(pace_at_rest(&p, START + 14 * MINUTE - 1));
	assert_true(p.why[0]);
	pace_wait(&p, START + 14 * MINUTE);
	assert_int_equal(p.rate, 600);
	assert_true(pace_at_rest(&p, START + 19 * MINUTE)); /* ten connections, one a minute */
	assert_int_equal(p.connections, 20);
	assert_string_equal(p.why, "");
}

/* Without a limit: half of what was sent of late, then up to twice of that, then free again. */
static void
a_rate_is_found(void **state)
{
	(void)state;
	struct pace p = pace_of(20, 0);
	assert_int_equal(send_all(&p, START, START + 2 * MINUTE, 601), 1200);
	struct answer a = answer(ANSWER_SLOW, 0);
	pace_cut(&p, &a, S("421 rate limited"), 20, START + 2 * MINUTE);
	assert_int_equal(p.rate, 300);
	assert_false(pace_at_rest(&p, START + 9 * MINUTE));
	assert_true(pace_at_rest(&p, START + 12 * MINUTE));
	assert_int_equal(p.rate, 0);
	assert_true(pace_cut(&p, &a, S("421 x"), 20, START + HOUR)); /* from next to nothing to one a minute */
	assert_int_equal(p.rate, 1);
}

/* A site that takes 120 a minute and says so when it gets more: it gets about that. */
static void
finds_what_is_taken(void **state)
{
	(void)state;
	struct pace p = pace_of(20, 0);
	struct answer a = answer(ANSWER_SLOW, 0);
	static int64_t at[100000];
	unsigned n = 0, taken = 0, refused = 0;
	for (int64_t now = START; now < START + 2 * HOUR; now += MAX(pace_wait(&p, now), (int64_t)50)) {
		if (pace_wait(&p, now))
			continue;
		pace_begin(&p, now);
		if (n >= 120 && now - at[n - 120] < MINUTE) {
			refused++;
			pace_cut(&p, &a, S("451 rate limited"), 20, now);
		} else {
			at[n++] = now;
			taken++;
		}
	}
	assert_in_range(taken, 120 * 120 / 2, 120 * 120);
	assert_in_range(refused, 1, taken / 20);
}

static void
limits_change(void **state)
{
	(void)state;
	struct pace p = pace_of(20, 0);
	pace_limit(&p, &(struct pace_limits){ 5, 10, 60 });
	assert_int_equal(p.connections, 5);
	assert_int_equal(p.rate, 60);
	struct answer a = answer(ANSWER_SUSPEND, HOUR);
	pace_cut(&p, &a, S("421 x"), 20, START);
	pace_limit(&p, &(struct pace_limits){ 50, 10, 600 });
	assert_int_equal(p.connections, 2);
	assert_int_equal(p.rate, 30);
	assert_int_equal(pace_wait(&p, START), HOUR);
}

static void
memos(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 0);
	struct pace p = pace_of(20, 600), q = pace_of(20, 600);
	struct answer stop = answer(ANSWER_SUSPEND, HOUR);
	pace_cut(&p, &stop, S("421 4.7.0 why=\"rate=1\" \r\nlater"), 20, START);
	const int64_t ahead = 1700000000000, other = ahead - 3 * HOUR; /* another start of the machine */
	pace_from_memo(&q, pace_memo(&a, &p, ahead), other);
	assert_int_equal(q.connections, p.connections);
	assert_int_equal(q.rate, 300);
	assert_int_equal(pace_wait(&q, START + 3 * HOUR), HOUR);
	assert_string_equal(q.why, p.why);
	static const char *const bad[] = { "",
		                               "connections",
		                               "connections=",
		                               "connections=0 why=x",
		                               "=",
		                               "why=x",
		                               "connections=99999999999999999999 why=x",
		                               "rate=5",
		                               "connections=1 rate=99999999999 why=x" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		q = pace_of(20, 600);
		pace_from_memo(&q, slice_text(bad[i]), other);
		assert_true(pace_at_rest(&q, START));
	}
	struct tally s = { 5, 6, 7, 8 }, t = { .accepted = 1 };
	tally_from_memo(&t, tally_memo(&a, &s));
	assert_int_equal(t.accepted, 6);
	assert_int_equal(t.deferred, 6);
	assert_int_equal(t.refused, 7);
	assert_int_equal(t.complained, 8);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_is_kept),
		cmocka_unit_test(no_burst_after_silence),
		cmocka_unit_test(cuts),
		cmocka_unit_test(one_cut_for_one_moment),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(a_rate_is_found),
		cmocka_unit_test(finds_what_is_taken),
		cmocka_unit_test(limits_change),
		cmocka_unit_test(memos),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
