/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - coroutines: a struct task is a stack with a guard page below it and the note of who runs on it. Ended tasks
 * go back to a pool: the first 64 keep their pages, further ones give the pages back, the rest is unmapped. A task that
 * is started runs on top of whoever started it until it first waits; after that it is resumed by the loop only
 * (loop_soon). Belongs to the loop's thread. Fails: no memory for a stack, too many tasks (task_start returns false).
 */
#include "task/task.h"

#include "base/counter.h"
#include "task/switch.h"
#include "task/task_inside.h"

#include <sys/mman.h>
#include <unistd.h>

#ifdef TASK_WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define __lsan_register_root_region(at, bytes) ((void)(at), (void)(bytes))
#define __lsan_unregister_root_region(at, bytes) ((void)(at), (void)(bytes))
#define __sanitizer_start_switch_fiber(fake, bottom, bytes) ((void)(fake), (void)(bottom), (void)(bytes))
#define __sanitizer_finish_switch_fiber(fake, bottom, bytes) ((void)(fake), (void)(bottom), (void)(bytes))
#endif

enum state {
	IDLE,    /* in the pool */
	RUNNING, /* on the processor, or below a task that it started */
	READY,   /* will be resumed in this turn */
	PARKED,  /* in await_park */
	WAITING, /* in another await */
	ENDED,
};

struct task {
	struct context *context; /* where it stopped */
	struct task *outer;      /* who goes on when it waits; NULL: the loop */
	char *stack;             /* the lowest byte above the guard page */
	void (*fn)(void *arg);
	void *arg;
	enum state state;
	enum err reason;     /* why it was made ready */
	bool cancelled;      /* for good */
	bool may_cancel;     /* the wait under way */
	bool parked;         /* the wait under way, or just over, is await_park */
	bool woken;          /* a wake that came when it was not parked, */
	enum err woken_with; /* and its reason */
	struct later resume;
	struct timer timer;
	struct link link; /* in a gate, or in the pool */
	void *fake_stack; /* AddressSanitizer's */
	const void *outer_bottom;
	size_t outer_bytes;
};

size_t tasks_max = 20000;

static struct {
	struct task *current;
	struct context *loop; /* where the loop stopped */
	size_t running;
	struct link warm, cold; /* idle tasks */
	size_t nwarm, ncold;
	bool census;
	size_t used_max;
} tasks;

#define PAINT UINT64_C(0x5afe57ac5afe57ac)

/* ---- stacks */

static size_t
guard_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static char *
stack_map(void)
{
	size_t guard = guard_bytes();
	char *at =
	    mmap(NULL, guard + TASK_STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (mprotect(at + guard, TASK_STACK_BYTES, PROT_READ | PROT_WRITE) != 0) {
		munmap(at, guard + TASK_STACK_BYTES);
		return NULL;
	}
	__lsan_register_root_region(at + guard, TASK_STACK_BYTES);
	return at + guard;
}

static void
stack_unmap(char *stack)
{
	ASAN_UNPOISON_MEMORY_REGION(stack, TASK_STACK_BYTES);
	__lsan_unregister_root_region(stack, TASK_STACK_BYTES);
	munmap(stack - guard_bytes(), guard_bytes() + TASK_STACK_BYTES);
}

static void
stack_paint(char *stack)
{
	uint64_t *words = (uint64_t *)(void *)stack;
	for (size_t i = 0; i < TASK_STACK_BYTES / sizeof *words; i++)
		words[i] = PAINT;
}

static void
stack_measure(const char *stack)
{
	const uint64_t *words = (const uint64_t *)(const void *)stack;
	size_t untouched = 0;
	ASAN_UNPOISON_MEMORY_REGION(stack, TASK_STACK_BYTES);
	while (untouched < TASK_STACK_BYTES / sizeof *words && words[untouched] == PAINT)
		untouched++;
	if (untouched > 0) /* 0: it began before the census */
		tasks.used_max = MAX(tasks.used_max, TASK_STACK_BYTES - untouched * sizeof *words);
}

/* ---- the pool */

static void resume_later(struct later *l);
static void deadline_passed(struct timer *t);

static struct task *
pool_take(void)
{
	if (!tasks.warm.next) {
		list_init(&tasks.warm);
		list_init(&tasks.cold);
	}
	struct link *l = list_first(&tasks.warm);
	if (l) {
		tasks.nwarm--;
	} else if ((l = list_first(&tasks.cold))) {
		tasks.ncold--;
	}
	if (l) {
		list_remove(l);
		return CONTAINER_OF(l, struct task, link);
	}
	char *stack = stack_map();
	if (!stack)
		return NULL;
	struct task *t = must_calloc(1, sizeof *t);
	t->stack = stack;
	t->resume.fn = resume_later;
	t->timer.fire = deadline_passed;
	return t;
}

static void
pool_free(struct task *t)
{
	stack_unmap(t->stack);
	free(t);
}

static void
pool_put(struct task *t)
{
	if (tasks.census)
		stack_measure(t->stack);
	t->state = IDLE;
	if (tasks.nwarm < TASK_STACKS_WARM_MAX) {
		tasks.nwarm++;
		list_append(&tasks.warm, &t->link);
	} else if (tasks.ncold < TASK_STACKS_COLD_MAX) {
		madvise(t->stack, TASK_STACK_BYTES, MADV_DONTNEED);
		tasks.ncold++;
		list_append(&tasks.cold, &t->link);
	} else {
		pool_free(t);
	}
}

static void
pool_empty(struct link *pool, size_t *n)
{
	for (struct link *l; pool->next && (l = list_first(pool));) {
		list_remove(l);
		pool_free(CONTAINER_OF(l, struct task, link));
	}
	*n = 0;
}

void
task_reset(void)
{
	ASSERT(!tasks.current);
	threads_reset();
	pool_empty(&tasks.warm, &tasks.nwarm);
	pool_empty(&tasks.cold, &tasks.ncold);
}

/* ---- switching */

/* Runs t until it waits or ends. */
static void
task_enter(struct task *t)
{
	struct task *here = tasks.current;
	void *fake_stack = NULL;
	t->outer = here;
	t->state = RUNNING;
	tasks.current = t;
	__sanitizer_start_switch_fiber(&fake_stack, t->stack, TASK_STACK_BYTES);
	context_switch(here ? &here->context : &tasks.loop, t->context);
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
	tasks.current = here;
	if (t->state == ENDED) {
		counter_set(COUNTER_TASKS_RUNNING, --tasks.running);
		pool_put(t);
	}
}

/* Back to whom t runs on top of. */
static void
task_leave(struct task *t)
{
	__sanitizer_start_switch_fiber(t->state == ENDED ? NULL : &t->fake_stack, t->outer_bottom, t->outer_bytes);
	context_switch(&t->context, t->outer ? t->outer->context : tasks.loop);
	__sanitizer_finish_switch_fiber(t->fake_stack, &t->outer_bottom, &t->outer_bytes);
}

static void
task_main(void)
{
	struct task *t = tasks.current;
	__sanitizer_finish_switch_fiber(NULL, &t->outer_bottom, &t->outer_bytes);
	t->fn(t->arg);
	t->state = ENDED;
	task_leave(t);
	UNREACHABLE();
}

bool
task_start(void (*fn)(void *arg), void *arg)
{
	struct task *t = tasks.running < tasks_max ? pool_take() : NULL;
	if (!t)
		return false;
	ASAN_UNPOISON_MEMORY_REGION(t->stack, TASK_STACK_BYTES);
	if (tasks.census)
		stack_paint(t->stack);
	t->fn = fn;
	t->arg = arg;
	t->cancelled = t->woken = false;
	t->context = context_make(t->stack, TASK_STACK_BYTES, task_main);
	counter_set(COUNTER_TASKS_RUNNING, ++tasks.running);
	task_enter(t);
	return true;
}

struct task *
task_self(void)
{
	return tasks.current;
}

bool
task_cancelled(void)
{
	return tasks.current && tasks.current->cancelled;
}

size_t
tasks_running(void)
{
	return tasks.running;
}

size_t
task_stack_used_max(void)
{
	return tasks.used_max;
}

void
task_census(bool on)
{
	tasks.census = on;
	tasks.used_max = 0;
}

/* ---- waiting */

static void
resume_later(struct later *l)
{
	task_enter(CONTAINER_OF(l, struct task, resume));
}

static void
make_ready(struct task *t, enum err reason)
{
	t->state = READY;
	t->reason = reason;
	timer_cancel(&t->timer);
	list_remove(&t->link);
	loop_soon(&t->resume);
}

static void
deadline_passed(struct timer *timer)
{
	make_ready(CONTAINER_OF(timer, struct task, timer), ERR_TIMEOUT);
}

static enum err
suspend(enum state how, int64_t deadline_ms)
{
	struct task *t = tasks.current;
	t->state = how;
	t->parked = how == PARKED;
	timer_set(&t->timer, deadline_ms);
	task_leave(t);
	return t->reason;
}

enum err
await_ready_or_deadline(int64_t deadline_ms, bool may_cancel)
{
	ASSERT(tasks.current);
	if (may_cancel && tasks.current->cancelled)
		return ERR_CLOSED;
	tasks.current->may_cancel = may_cancel;
	return suspend(WAITING, deadline_ms);
}

void
task_ready(struct task *t, enum err reason)
{
	if (t->state == WAITING)
		make_ready(t, reason);
	else if (t->state == READY && t->reason == ERR_TIMEOUT)
		t->reason = reason; /* it came before the task could see that it was late */
}

enum err
await_park(int64_t deadline_ms)
{
	struct task *t = tasks.current;
	ASSERT(t);
	if (t->cancelled)
		return ERR_CLOSED;
	if (t->woken) {
		t->woken = false;
		return t->woken_with;
	}
	t->may_cancel = true;
	return suspend(PARKED, deadline_ms);
}

void
task_wake(struct task *t, enum err reason)
{
	ASSERT(t->state != IDLE);
	if (t->state == PARKED) {
		make_ready(t, reason);
	} else if (t->state == READY && t->parked) {
		t->reason = t->reason == ERR_TIMEOUT ? reason : t->reason;
	} else {
		t->woken = true;
		t->woken_with = reason;
	}
}

void
task_cancel(struct task *t)
{
	ASSERT(t->state != IDLE);
	t->cancelled = true;
	if ((t->state == PARKED || t->state == WAITING) && t->may_cancel)
		make_ready(t, ERR_CLOSED);
}

enum err
await_sleep(int64_t ms)
{
	enum err e = await_ready_or_deadline(deadline_in_ms(MAX(ms, (int64_t)0)), true);
	return e == ERR_TIMEOUT ? OK : e;
}

struct fd_wait {
	struct watch watch;
	struct task *task;
};

static void
fd_ready(struct watch *w, uint32_t events)
{
	task_ready(CONTAINER_OF(w, struct fd_wait, watch)->task, OK);
}

enum err
await_fd(int fd, uint32_t events, int64_t deadline_ms)
{
	struct fd_wait wait = { .watch = { .fd = fd, .ready = fd_ready }, .task = tasks.current };
	ASSERT(wait.task);
	if (wait.task->cancelled)
		return ERR_CLOSED;
	enum err e = watch_add(&wait.watch, events);
	if (e)
		return e;
	e = await_ready_or_deadline(deadline_ms, true);
	watch_remove(&wait.watch);
	return e;
}

struct turn_wait {
	struct later later;
	struct task *task;
};

static void
turn_over(struct later *l)
{
	task_ready(CONTAINER_OF(l, struct turn_wait, later)->task, OK);
}

void
await_turn(void)
{
	struct turn_wait wait = { .later = { .fn = turn_over }, .task = tasks.current };
	loop_later(&wait.later);
	(void)await_ready_or_deadline(DEADLINE_NONE, false);
}

/* ---- gates */

void
gate_init(struct gate *g)
{
	list_init(&g->waiting);
}

enum err
await_gate(struct gate *g, int64_t deadline_ms)
{
	struct task *t = tasks.current;
	ASSERT(t);
	if (t->cancelled)
		return ERR_CLOSED;
	list_append(&g->waiting, &t->link);
	return await_ready_or_deadline(deadline_ms, true); /* whatever ends the wait takes it from the list */
}

bool
gate_open_one(struct gate *g, enum err reason)
{
	struct link *l = list_first(&g->waiting);
	if (l)
		make_ready(CONTAINER_OF(l, struct task, link), reason);
	return l != NULL;
}

void
gate_open(struct gate *g, enum err reason)
{
	while (gate_open_one(g, reason))
		;
}
