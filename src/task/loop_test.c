/* SPDX-License-Identifier: Apache-2.0 */
/* loop_test.c - descriptors, timers, what is posted and what runs later, the simulated clock. */
#include "task/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct probe {
	struct watch watch;
	struct probe *removes; /* the callback removes and frees this one */
	unsigned calls;
	uint32_t got;
	int other; /* the other end */
};

static void
probe_ready(struct watch *w, uint32_t events)
{
	struct probe *p = CONTAINER_OF(w, struct probe, watch);
	p->calls++;
	p->got = events;
	if (p->removes) {
		struct probe *victim = p->removes;
		watch_remove(&victim->watch);
		close(victim->watch.fd);
		close(victim->other);
		if (victim != p)
			p->removes = NULL;
		free(victim);
	}
}

static struct probe *
probe_new(void)
{
	struct probe *p = must_calloc(1, sizeof *p);
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	p->watch.fd = fd[0];
	p->watch.ready = probe_ready;
	p->other = fd[1];
	return p;
}

static void
probe_free(struct probe *p)
{
	watch_remove(&p->watch);
	close(p->watch.fd);
	close(p->other);
	free(p);
}

static void
put_byte(struct probe *p)
{
	assert_int_equal(write(p->other, "x", 1), 1);
}

static void
interest_is_level_triggered(void **state)
{
	struct probe *p = probe_new();
	assert_int_equal(watch_add(&p->watch, LOOP_READ), OK);
	loop_turn(0);
	assert_int_equal(p->calls, 0);
	put_byte(p);
	loop_turn(0);
	loop_turn(0);
	assert_int_equal(p->calls, 2);
	assert_int_equal(p->got, LOOP_READ);
	watch_change(&p->watch, 0);
	loop_turn(0);
	loop_turn(0);
	assert_int_equal(p->calls, 2);
	watch_change(&p->watch, LOOP_READ);
	loop_turn(0);
	assert_int_equal(p->calls, 3);
	watch_change(&p->watch, LOOP_READ | LOOP_WRITE);
	loop_turn(0);
	assert_int_equal(p->got, LOOP_READ | LOOP_WRITE);
	watch_change(&p->watch, 0);
	watch_change(&p->watch, LOOP_WRITE);
	loop_turn(0);
	assert_int_equal(p->got, LOOP_WRITE);
	probe_free(p);
}

static void
one_watch_a_descriptor(void **state)
{
	struct probe *p = probe_new();
	struct watch second = { .fd = p->watch.fd, .ready = probe_ready };
	assert_int_equal(watch_add(&p->watch, LOOP_READ), OK);
	assert_int_equal(watch_add(&second, LOOP_READ), ERR_EXISTS);
	watch_remove(&second); /* harmless */
	put_byte(p);
	loop_turn(0);
	assert_int_equal(p->calls, 1);
	probe_free(p);
}

static void
a_hang_up_comes_unasked_and_once(void **state)
{
	struct probe *p = probe_new();
	assert_int_equal(watch_add(&p->watch, 0), OK);
	close(p->other);
	for (int i = 0; i < 3; i++)
		loop_turn(0);
	assert_int_equal(p->calls, 1);
	assert_int_equal(p->got, LOOP_HANGUP);
	watch_change(&p->watch, LOOP_READ); /* the end of the stream is still there to be read */
	loop_turn(0);
	assert_int_equal(p->calls, 2);
	assert_int_equal(p->got, LOOP_READ | LOOP_HANGUP);
	p->other = -1;
	probe_free(p);
}

static void
exclusive_watches_change(void **state)
{
	struct probe *p = probe_new();
	p->watch.exclusive = true;
	assert_int_equal(watch_add(&p->watch, LOOP_READ), OK);
	put_byte(p);
	watch_change(&p->watch, 0);
	loop_turn(0);
	loop_turn(0);
	assert_int_equal(p->calls, 0);
	watch_change(&p->watch, LOOP_READ);
	loop_turn(0);
	assert_int_equal(p->calls, 1);
	probe_free(p);
}

/* Both are ready in the same turn: whichever comes first frees the other. */
static void
removed_while_its_event_is_under_way(void **state)
{
	struct probe *a = probe_new(), *b = probe_new();
	a->removes = b;
	b->removes = a;
	assert_int_equal(watch_add(&a->watch, LOOP_READ), OK);
	assert_int_equal(watch_add(&b->watch, LOOP_READ), OK);
	put_byte(a);
	put_byte(b);
	struct probe *stays = a; /* events come in the order of arrival */
	loop_turn(0);
	assert_int_equal(stays->calls, 1);
	stays->removes = NULL;
	probe_free(stays);
}

static void
a_watch_may_free_itself(void **state)
{
	struct probe *p = probe_new();
	p->removes = p;
	assert_int_equal(watch_add(&p->watch, LOOP_READ), OK);
	put_byte(p);
	loop_turn(0);
	loop_turn(0);
}

/* ---- timers */

struct alarm {
	struct timer timer;
	int64_t due;
	struct alarm *cancels;
	bool fired;
};
static int64_t last_due;
static unsigned nfired;

static void
alarm_fire(struct timer *t)
{
	struct alarm *a = CONTAINER_OF(t, struct alarm, timer);
	assert_false(a->fired);
	assert_true(a->due >= last_due);
	assert_true(clock_mono_ms() >= a->due);
	last_due = a->due;
	a->fired = true;
	nfired++;
	if (a->cancels)
		timer_cancel(&a->cancels->timer);
}

static bool
alarms_done(void *n)
{
	return nfired == *(unsigned *)n;
}

static void
alarm_set(struct alarm *a, int64_t due)
{
	a->timer.fire = alarm_fire;
	a->due = due;
	timer_set(&a->timer, due);
}

static void
timers_fire_in_order(void **state)
{
	enum { N = 1000 };
	static struct alarm alarms[N];
	int64_t now = clock_mono_ms();
	uint32_t r = 1;
	nfired = 0;
	last_due = 0;
	for (int i = 0; i < N; i++) {
		r = r * 1664525 + 1013904223;
		alarm_set(&alarms[i], now + (r >> 16) % 30);
	}
	for (int i = 0; i < N; i += 3) /* moved, both ways */
		alarm_set(&alarms[i], now + (i * 7) % 30);
	unsigned left = N;
	for (int i = 1; i < N; i += 10) {
		timer_cancel(&alarms[i].timer);
		timer_cancel(&alarms[i].timer); /* harmless */
		left--;
	}
	timer_set(&alarms[2].timer, DEADLINE_NONE);
	left--;
	assert_true(loop_run_until(alarms_done, &left, 5000));
	for (int i = 0; i < N; i++)
		assert_int_equal(alarms[i].fired, i != 2 && i % 10 != 1);
	loop_turn(5);
	assert_int_equal(nfired, left);
}

static void
a_timer_cancels_another_that_is_due(void **state)
{
	static struct alarm a, b;
	int64_t due = clock_mono_ms();
	nfired = 0;
	last_due = 0;
	a.cancels = &b;
	b.cancels = &a;
	alarm_set(&a, due);
	alarm_set(&b, due);
	loop_turn(0);
	loop_turn(0);
	assert_int_equal(nfired, 1);
}

/* ---- later, posted */

static char order[64];

struct step {
	struct later later;
	char name;
	struct later *queues;
};

static void
step_run(struct later *l)
{
	struct step *s = CONTAINER_OF(l, struct step, later);
	order[strlen(order)] = s->name;
	if (s->queues)
		loop_later(s->queues);
}

static void
later_runs_after_soon_and_at_most_once(void **state)
{
	memset(order, 0, sizeof order);
	struct step a = { { .fn = step_run }, 'a', NULL }, b = { { .fn = step_run }, 'b', NULL };
	struct step c = { { .fn = step_run }, 'c', &c.later }, d = { { .fn = step_run }, 'd', NULL };
	loop_later(&a.later);
	loop_later(&c.later); /* queues itself: once a turn */
	loop_later(&a.later);
	loop_soon(&b.later);
	loop_later(&d.later);
	later_cancel(&d.later);
	loop_turn(1000); /* does not wait: there is work */
	assert_string_equal(order, "bac");
	loop_turn(1000);
	assert_string_equal(order, "bacc");
	later_cancel(&c.later);
	loop_turn(0);
	assert_string_equal(order, "bacc");
}

static unsigned posted;

static void
count_posted(void *arg)
{
	posted++;
	if (arg)
		loop_post(count_posted, NULL); /* from the loop itself too */
}

static void *
poster(void *unused)
{
	for (int i = 0; i < 1000; i++)
		loop_post(count_posted, i % 10 == 0 ? &posted : NULL);
	return NULL;
}

static bool
all_posted(void *n)
{
	return posted == *(unsigned *)n;
}

static void
threads_post(void **state)
{
	pthread_t threads[4];
	posted = 0;
	loop_reset();
	loop_post(count_posted, NULL); /* before there is a loop */
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster, NULL), 0);
	unsigned all = 4 * 1100 + 1;
	assert_true(loop_run_until(all_posted, &all, 10000));
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
}

static void
stop_later(struct later *l)
{
	loop_stop();
}

static void
run_until_stopped(void **state)
{
	struct later l = { .fn = stop_later };
	loop_later(&l);
	loop_run();
	assert_false(loop_run_until(all_posted, &(unsigned){ UINT32_MAX }, 5));
}

/* ---- the simulated clock: last, since it cannot be turned off */

static void
unhold(void *unused)
{
	loop_unhold();
}

static void *
unhold_after_a_while(void *unused)
{
	usleep(20000);
	loop_post(unhold, NULL);
	return NULL;
}

static void
simulated_days_pass_at_once(void **state)
{
	static struct alarm a, b;
	loop_sim_start(1000000);
	nfired = 0;
	last_due = 0;
	int64_t start = clock_mono_ms(), day = INT64_C(86400000);
	alarm_set(&a, start + 5 * day);
	alarm_set(&b, start + 5 * day + 1);
	struct probe *p = probe_new();
	assert_int_equal(watch_add(&p->watch, LOOP_READ), OK);
	put_byte(p);
	loop_turn(day);
	assert_int_equal(clock_mono_ms(), start); /* something was readable */
	assert_int_equal(p->calls, 1);
	watch_change(&p->watch, 0);
	loop_turn(day);
	assert_int_equal(p->calls, 1);
	loop_turn(day); /* at most so long */
	assert_true(clock_mono_ms() <= start + 2 * day);
	loop_hold();
	pthread_t thread;
	int64_t held = clock_mono_ms();
	assert_int_equal(pthread_create(&thread, NULL, unhold_after_a_while, NULL), 0);
	loop_turn(day);
	assert_int_equal(clock_mono_ms(), held);
	assert_true(loop_run_until(alarms_done, &(unsigned){ 1 }, 10 * day));
	assert_int_equal(clock_mono_ms(), start + 5 * day);
	assert_int_equal(clock_wall_sec(), 1000000 + 5 * 86400);
	assert_true(loop_run_until(alarms_done, &(unsigned){ 2 }, 10 * day));
	assert_int_equal(clock_mono_ms(), start + 5 * day + 1);
	pthread_join(thread, NULL);
	probe_free(p);
}

static int
reset(void **state)
{
	loop_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interest_is_level_triggered),
		cmocka_unit_test(one_watch_a_descriptor),
		cmocka_unit_test(a_hang_up_comes_unasked_and_once),
		cmocka_unit_test(exclusive_watches_change),
		cmocka_unit_test(removed_while_its_event_is_under_way),
		cmocka_unit_test(a_watch_may_free_itself),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(a_timer_cancels_another_that_is_due),
		cmocka_unit_test(later_runs_after_soon_and_at_most_once),
		cmocka_unit_test(threads_post),
		cmocka_unit_test(run_until_stopped),
		cmocka_unit_test(simulated_days_pass_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, reset);
}
