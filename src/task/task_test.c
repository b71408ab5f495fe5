/* SPDX-License-Identifier: Apache-2.0 */
/* task_test.c - starting, waiting, waking, cancelling; gates; threads. task_ucontext_test.c runs the same with the
 * switch for processors that have none of their own. */
#include "task/task.h"

#include "base/counter.h"
#include "task/task_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char trace[128];

static void
say(char c)
{
	size_t n = strlen(trace);
	assert_true(n + 1 < sizeof trace);
	trace[n] = c;
}

static int
clean(void **state)
{
	memset(trace, 0, sizeof trace);
	return 0;
}

static void
child(void *arg)
{
	say('c');
	assert_int_equal(await_sleep(1), OK);
	say('e');
}

static void
parent(void *arg)
{
	struct task *me = task_self();
	say('p');
	test_start(child, NULL); /* runs at once, until it waits */
	assert_ptr_equal(task_self(), me);
	say('q');
	assert_int_equal(await_sleep(5), OK);
	say('r');
}

static void
a_task_runs_until_it_waits(void **state)
{
	assert_null(task_self());
	test_start(parent, NULL);
	assert_null(task_self());
	assert_int_equal(tasks_running(), 2);
	assert_int_equal(counters[COUNTER_TASKS_RUNNING], 2);
	say('|');
	test_run_tasks();
	assert_string_equal(trace, "pcq|er");
	assert_int_equal(counters[COUNTER_TASKS_RUNNING], 0);
}

/* ---- parking */

struct parked {
	struct task *task;
	int64_t ms;
	enum err answers[4];
	unsigned n, wants;
};

static void
park(void *arg)
{
	struct parked *p = arg;
	p->task = task_self();
	while (p->n < p->wants) {
		enum err e = await_park(p->ms < 0 ? DEADLINE_NONE : deadline_in_ms(p->ms));
		p->answers[p->n++] = e;
	}
	p->task = NULL;
}

static void
a_wake_gives_its_reason(void **state)
{
	struct parked p = { .ms = -1, .wants = 1 };
	test_start(park, &p);
	task_wake(p.task, ERR_QUOTA);
	assert_int_equal(p.n, 0); /* it runs in the next turn, not inside of the waker */
	test_run_tasks();
	assert_int_equal(p.answers[0], ERR_QUOTA);
}

static void
a_park_ends_at_its_deadline(void **state)
{
	struct parked p = { .ms = 5, .wants = 1 };
	int64_t start = clock_mono_ms();
	test_in_task(park, &p);
	assert_int_equal(p.answers[0], ERR_TIMEOUT);
	assert_true(clock_mono_ms() >= start + 5);
}

static void
sleep_then_park(void *arg)
{
	struct parked *p = arg;
	p->task = task_self();
	assert_int_equal(await_sleep(10), OK); /* not shortened by a wake */
	p->answers[p->n++] = await_park(DEADLINE_NONE);
}

static void
a_wake_is_remembered_once(void **state)
{
	struct parked p = { 0 };
	int64_t start = clock_mono_ms();
	test_start(sleep_then_park, &p);
	task_wake(p.task, ERR_BUSY);
	task_wake(p.task, ERR_STALE);
	test_run_tasks();
	assert_int_equal(p.n, 1);
	assert_int_equal(p.answers[0], ERR_STALE);
	assert_true(clock_mono_ms() >= start + 10);
}

static void
two_wakes_of_a_parked_task_are_one(void **state)
{
	struct parked p = { .ms = 5, .wants = 2 };
	test_start(park, &p);
	task_wake(p.task, OK);
	task_wake(p.task, ERR_BUSY);
	test_run_tasks();
	assert_int_equal(p.answers[0], OK);
	assert_int_equal(p.answers[1], ERR_TIMEOUT);
}

/* ---- cancelling */

static void
everything_after_cancel_is_closed(void *arg)
{
	struct parked *p = arg;
	struct gate g;
	gate_init(&g);
	p->task = task_self();
	p->answers[p->n++] = await_sleep(10000);
	p->answers[p->n++] = await_sleep(10000);
	p->answers[p->n++] = await_gate(&g, DEADLINE_NONE);
	p->answers[p->n++] = await_park(DEADLINE_NONE);
	assert_true(list_empty(&g.waiting));
	assert_true(task_cancelled());
	assert_int_equal(await_fd(0, LOOP_READ, DEADLINE_NONE), ERR_CLOSED);
	await_turn(); /* still lets others run */
}

static void
a_cancelled_task_unwinds(void **state)
{
	struct parked p = { 0 };
	test_start(everything_after_cancel_is_closed, &p);
	task_cancel(p.task);
	assert_int_equal(tasks_running(), 1);
	test_run_tasks();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(p.answers[i], ERR_CLOSED);
}

static void
the_next_task_on_the_stack_is_not_cancelled(void **state)
{
	struct parked p = { .ms = 1, .wants = 1 };
	test_in_task(park, &p);
	assert_int_equal(p.answers[0], ERR_TIMEOUT);
}

/* ---- descriptors */

struct reader {
	int fd;
	uint32_t events;
	int64_t ms;
	enum err answer;
};

static void
await_reader(void *arg)
{
	struct reader *r = arg;
	r->answer = await_fd(r->fd, r->events, deadline_in_ms(r->ms));
}

static void
descriptors_are_awaited(void **state)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	struct reader late = { fd[0], LOOP_READ, 5, OK }, reads = { fd[0], LOOP_READ, 5000, ERR_IO },
	              writes = { fd[0], LOOP_WRITE, 5000, ERR_IO }, hangs = { fd[0], LOOP_READ, 5000, ERR_IO },
	              bad = { -1, LOOP_READ, 5000, OK };
	test_in_task(await_reader, &late);
	assert_int_equal(late.answer, ERR_TIMEOUT);
	test_start(await_reader, &reads);
	assert_int_equal(write(fd[1], "x", 1), 1);
	test_run_tasks();
	assert_int_equal(reads.answer, OK);
	test_in_task(await_reader, &writes);
	assert_int_equal(writes.answer, OK);
	close(fd[1]);
	test_in_task(await_reader, &hangs);
	assert_int_equal(hangs.answer, OK);
	close(fd[0]);
	test_in_task(await_reader, &bad);
	assert_int_not_equal(bad.answer, OK);
}

/* ---- gates */

struct waiter {
	struct gate *gate;
	int64_t ms;
	char name;
	enum err answer;
};

static void
await_waiter(void *arg)
{
	struct waiter *w = arg;
	w->answer = await_gate(w->gate, w->ms < 0 ? DEADLINE_NONE : deadline_in_ms(w->ms));
	say(w->name);
}

static void
gates_open_for_one_and_for_all(void **state)
{
	struct gate g;
	gate_init(&g);
	struct waiter w[] = { { &g, -1, 'a', OK }, { &g, -1, 'b', OK }, { &g, -1, 'c', OK }, { &g, 1, 't', OK } };
	for (size_t i = 0; i < COUNT_OF(w); i++)
		test_start(await_waiter, &w[i]);
	assert_true(gate_open_one(&g, OK));
	for (int i = 0; i < 100 && w[3].answer == OK; i++)
		loop_turn(1);
	assert_string_equal(trace, "at");
	assert_int_equal(w[3].answer, ERR_TIMEOUT);
	gate_open(&g, ERR_AGAIN);
	test_run_tasks();
	assert_string_equal(trace, "atbc");
	assert_int_equal(w[0].answer, OK);
	assert_int_equal(w[2].answer, ERR_AGAIN);
	assert_false(gate_open_one(&g, OK));
}

/* ---- turns */

static void
compute(void *arg)
{
	for (int i = 0; i < 3; i++) {
		say(*(const char *)arg);
		await_turn();
	}
}

static void
turns_alternate(void **state)
{
	test_start(compute, &(char){ '1' });
	test_start(compute, &(char){ '2' });
	test_run_tasks();
	assert_string_equal(trace, "121212");
}

/* ---- many */

static void
use_stack(void *arg)
{
	char much[40000];
	memset(much, 1, sizeof much);
	__asm__ volatile("" : : "r"(much) : "memory"); /* all of it is looked at, as far as the compiler knows */
	(void)await_sleep(1);
	*(unsigned *)arg += (unsigned)much[39999];
}

static void
more_tasks_than_the_pool_keeps(void **state)
{
	unsigned sum = 0;
	enum { N = 1500 };
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++)
			test_start(use_stack, &sum);
		assert_int_equal(tasks_running(), N);
		test_run_tasks();
	}
	assert_int_equal(sum, 2 * N);
}

static void
no_more_than_tasks_max(void **state)
{
	unsigned sum = 0;
	size_t before = tasks_max;
	tasks_max = 2;
	test_start(use_stack, &sum);
	test_start(use_stack, &sum);
	assert_false(task_start(use_stack, &sum));
	test_run_tasks();
	assert_int_equal(sum, 2);
	test_in_task(use_stack, &sum);
	tasks_max = before;
}

static void
the_census_sees_the_deepest_stack(void **state)
{
	unsigned sum = 0;
	task_census(true);
	assert_int_equal(task_stack_used_max(), 0);
	test_in_task(use_stack, &sum);
	size_t used = task_stack_used_max();
	assert_true(used >= 40000 && used < TASK_STACK_BYTES);
	task_census(false);
	assert_int_equal(task_stack_used_max(), 0);
}

/* ---- threads */

struct work {
	pthread_t ran_on;
	enum err answer;
	struct task *task;
	unsigned *done;
};

static void
work_do(void *arg)
{
	struct work *w = arg;
	usleep(3000);
	w->ran_on = pthread_self();
}

static void
await_work(void *arg)
{
	struct work *w = arg;
	w->task = task_self();
	w->answer = await_thread(work_do, w);
	++*w->done;
}

static void
threads_work_while_tasks_wait(void **state)
{
	enum { N = 40 };
	unsigned done = 0;
	struct work works[N] = { 0 };
	for (int i = 0; i < N; i++) {
		works[i].done = &done;
		test_start(await_work, &works[i]);
	}
	task_cancel(works[3].task); /* the work is under way: it is waited for */
	assert_int_equal(done, 0);
	test_run_tasks();
	assert_int_equal(done, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(works[i].answer, OK);
		assert_false(pthread_equal(works[i].ran_on, pthread_self()));
	}
	loop_reset(); /* ends the threads; new ones are made */
	test_in_task(await_work, &works[0]);
	assert_int_equal(done, N + 1);
}

static void
simulated_sleep(void *arg)
{
	assert_int_equal(await_sleep(1000), OK);
	say('1');
}

static void
simulated_work(void *arg)
{
	struct work w = { .done = &(unsigned){ 0 } };
	await_work(&w);
	say('w');
	assert_int_equal(await_sleep(86400000), OK);
	say('d');
}

/* Last: the clock stays simulated. */
static void
no_time_passes_while_a_thread_works(void **state)
{
	loop_sim_start(0);
	test_start(simulated_work, NULL);
	test_start(simulated_sleep, NULL);
	assert_true(loop_run_until(test_no_tasks, NULL, INT64_C(10) * 86400000));
	assert_string_equal(trace, "w1d");
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
		cmocka_unit_test_setup(a_task_runs_until_it_waits, clean),
		cmocka_unit_test_setup(a_wake_gives_its_reason, clean),
		cmocka_unit_test_setup(a_park_ends_at_its_deadline, clean),
		cmocka_unit_test_setup(a_wake_is_remembered_once, clean),
		cmocka_unit_test_setup(two_wakes_of_a_parked_task_are_one, clean),
		cmocka_unit_test_setup(a_cancelled_task_unwinds, clean),
		cmocka_unit_test_setup(the_next_task_on_the_stack_is_not_cancelled, clean),
		cmocka_unit_test_setup(descriptors_are_awaited, clean),
		cmocka_unit_test_setup(gates_open_for_one_and_for_all, clean),
		cmocka_unit_test_setup(turns_alternate, clean),
		cmocka_unit_test_setup(more_tasks_than_the_pool_keeps, clean),
		cmocka_unit_test_setup(no_more_than_tasks_max, clean),
		cmocka_unit_test_setup(the_census_sees_the_deepest_stack, clean),
		cmocka_unit_test_setup(threads_work_while_tasks_wait, clean),
		cmocka_unit_test_setup(no_time_passes_while_a_thread_works, clean),
	};
	return cmocka_run_group_tests(tests, NULL, reset);
}
