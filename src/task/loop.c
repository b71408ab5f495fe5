/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - epoll, a heap of timers, and lists of what is to run soon. Everything here belongs to the thread that runs
 * the loop, but the list of posted calls, which has a lock. One turn: gather what is ready into a list (so that a
 * callback may remove any watch), call each, fire timers, run what was made runnable (tasks), then what waited for the
 * end of the turn. Interest in a descriptor is only ever widened at once; it is narrowed when an event comes that
 * nobody wants, so a connection that waits, works and waits again costs no epoll_ctl. Fails: out of descriptors. */
#include "task/loop.h"

#include "task/task.h"
#include "task/timers.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, SOON_ROUNDS_MAX = 16 };

struct posted {
	void (*fn)(void *arg);
	void *arg;
};

static struct {
	bool ready, stop, turning;
	int epoll;
	unsigned held;
	uint64_t turns;
	struct link pending;          /* watches whose events were fetched and not yet handled */
	struct link soon, later, now; /* what runs soon, at the end of the turn, and just now */
} loop;

static struct { /* shared with other threads */
	pthread_mutex_t lock;
	int event; /* eventfd; -1: no loop yet */
	struct posted *calls;
	size_t n, cap;
} posts = { .lock = PTHREAD_MUTEX_INITIALIZER, .event = -1 };

static void
loop_ensure(void)
{
	if (loop.ready)
		return;
	list_init(&loop.pending);
	list_init(&loop.soon);
	list_init(&loop.later);
	list_init(&loop.now);
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT(loop.epoll >= 0 && event >= 0);
	struct epoll_event ev = { .events = EPOLLIN };
	ASSERT(epoll_ctl(loop.epoll, EPOLL_CTL_ADD, event, &ev) == 0);
	pthread_mutex_lock(&posts.lock);
	posts.event = event;
	if (posts.n > 0)
		ASSERT(eventfd_write(event, 1) == 0);
	pthread_mutex_unlock(&posts.lock);
	loop.ready = true;
}

/* ---- descriptors */

static uint32_t
epoll_bits(const struct watch *w, uint32_t events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
	       (w->exclusive ? EPOLLEXCLUSIVE : 0u);
}

static int
watch_register(struct watch *w, int op)
{
	struct epoll_event ev = { .events = epoll_bits(w, w->events), .data.ptr = w };
	w->registered = w->events;
	return epoll_ctl(loop.epoll, op, w->fd, &ev);
}

static void
watch_unregister(struct watch *w)
{
	(void)epoll_ctl(loop.epoll, EPOLL_CTL_DEL, w->fd, NULL); /* fails when fd was closed before: as good */
}

enum err
watch_add(struct watch *w, uint32_t events)
{
	loop_ensure();
	ASSERT(!w->active);
	w->events = events;
	w->got = 0;
	w->silent = false;
	w->pending = (struct link){ NULL, NULL };
	if (watch_register(w, EPOLL_CTL_ADD) != 0)
		return errno == ENOSPC ? ERR_LIMIT : err_from_errno(errno);
	w->active = true;
	return OK;
}

void
watch_change(struct watch *w, uint32_t events)
{
	ASSERT(w->active);
	w->events = events;
	uint32_t too_many = w->registered & ~events;
	if (w->silent ? events == 0 : (events & ~w->registered) == 0 && !(too_many & LOOP_WRITE))
		return; /* a writable socket would be reported at once, a readable one perhaps never */
	if (w->silent || w->exclusive) {
		if (!w->silent)
			watch_unregister(w); /* EPOLLEXCLUSIVE allows no EPOLL_CTL_MOD */
		w->silent = false;
		(void)watch_register(w, EPOLL_CTL_ADD);
		return;
	}
	(void)watch_register(w, EPOLL_CTL_MOD);
}

void
watch_remove(struct watch *w)
{
	if (!w->active)
		return;
	list_remove(&w->pending);
	if (!w->silent)
		watch_unregister(w);
	w->active = false;
}

static void
watch_dispatch(struct watch *w)
{
	uint32_t got = w->got & (w->events | LOOP_HANGUP);
	uint32_t unwanted = w->got & ~w->events & (LOOP_READ | LOOP_WRITE);
	w->got = 0;
	if ((got & LOOP_HANGUP) && w->events == 0) { /* told once: it would be reported in every turn */
		watch_unregister(w);
		w->registered = 0;
		w->silent = true;
	} else if (unwanted && w->exclusive) {
		watch_unregister(w);
		(void)watch_register(w, EPOLL_CTL_ADD);
	} else if (unwanted) {
		(void)watch_register(w, EPOLL_CTL_MOD);
	}
	if (got)
		w->ready(w, got);
}

/* ---- what runs in a turn without an event */

void
loop_post(void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&posts.lock);
	if (posts.n == posts.cap) {
		posts.cap = MAX(posts.cap * 2, (size_t)16);
		posts.calls = must_realloc(posts.calls, posts.cap * sizeof *posts.calls);
	}
	posts.calls[posts.n++] = (struct posted){ fn, arg };
	if (posts.n == 1 && posts.event >= 0)
		(void)eventfd_write(posts.event, 1);
	pthread_mutex_unlock(&posts.lock);
}

static void
posted_run(void)
{
	eventfd_t ignored;
	pthread_mutex_lock(&posts.lock);
	(void)eventfd_read(posts.event, &ignored);
	struct posted *calls = posts.calls;
	size_t n = posts.n;
	posts.calls = NULL;
	posts.n = posts.cap = 0;
	pthread_mutex_unlock(&posts.lock);
	for (size_t i = 0; i < n; i++)
		calls[i].fn(calls[i].arg);
	free(calls);
}

void
loop_later(struct later *l)
{
	loop_ensure();
	if (!list_in(&l->link))
		list_append(&loop.later, &l->link);
}

void
loop_soon(struct later *l)
{
	loop_ensure();
	if (!list_in(&l->link))
		list_append(&loop.soon, &l->link);
}

void
later_cancel(struct later *l)
{
	list_remove(&l->link);
}

/* Runs what is in the list now; what is added meanwhile waits for the next call. */
static void
list_run(struct link *list)
{
	struct link *now = &loop.now;
	ASSERT(list_empty(now));
	if (list_empty(list))
		return;
	*now = *list;
	now->next->prev = now->prev->next = now;
	list_init(list);
	for (struct link *it; (it = list_first(now));) {
		list_remove(it);
		struct later *l = CONTAINER_OF(it, struct later, link);
		l->fn(l);
	}
}

/* ---- turns */

/* False when nothing was ready. */
static bool
events_gather(int wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	bool posted = false;
	int n = epoll_wait(loop.epoll, events, EVENTS_MAX, wait_ms);
	ASSERT(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;
		if (!w) {
			posted = true;
			continue;
		}
		uint32_t e = events[i].events;
		w->got |= (e & EPOLLIN ? LOOP_READ : 0u) | (e & EPOLLOUT ? LOOP_WRITE : 0u) |
		          (e & (EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0u);
		if (!list_in(&w->pending))
			list_append(&loop.pending, &w->pending);
	}
	if (posted)
		posted_run();
	return n > 0;
}

/* How long epoll may wait; -1: for ever. The simulated clock moves here, when nothing is left to do at its present. */
static int
turn_wait(int64_t wait_ms)
{
	if (loop.stop || !list_empty(&loop.soon) || !list_empty(&loop.later) || !list_empty(&loop.pending))
		return 0;
	int64_t due_ms = timers_due_ms();
	if (due_ms != DEADLINE_NONE) {
		int64_t until = MAX(due_ms - clock_mono_ms(), (int64_t)0);
		wait_ms = wait_ms < 0 ? until : MIN(wait_ms, until);
	}
	if (!clock_is_sim())
		return wait_ms < 0 ? -1 : (int)MIN(wait_ms, (int64_t)60000);
	if (events_gather(0) || wait_ms == 0)
		return 0;
	if (loop.held > 0 || wait_ms < 0)
		return -1; /* a thread will post; or what comes next comes from outside */
	clock_sim_advance(wait_ms);
	return 0;
}

static void
turn(int64_t wait_ms)
{
	loop_ensure();
	ASSERT(!loop.turning);
	loop.turning = true;
	loop.turns++;
	(void)events_gather(turn_wait(wait_ms));
	for (struct link *it; (it = list_first(&loop.pending));) {
		list_remove(it);
		watch_dispatch(CONTAINER_OF(it, struct watch, pending));
	}
	timers_fire();
	for (int round = 0; round < SOON_ROUNDS_MAX && !list_empty(&loop.soon); round++)
		list_run(&loop.soon);
	list_run(&loop.later);
	loop.turning = false;
}

void
loop_turn(int64_t wait_ms)
{
	turn(MAX(wait_ms, (int64_t)0));
}

void
loop_run(void)
{
	loop.stop = false;
	while (!loop.stop)
		turn(-1);
}

void
loop_stop(void)
{
	loop.stop = true;
}

uint64_t
loop_turns(void)
{
	return loop.turns;
}

bool
loop_run_until(bool (*done)(void *arg), void *arg, int64_t limit_ms)
{
	loop.stop = false;
	int64_t end = deadline_in_ms(limit_ms);
	while (!done(arg)) {
		int64_t left = end - clock_mono_ms();
		if (left <= 0)
			return false;
		loop_turn(left);
	}
	return true;
}

void
loop_hold(void)
{
	loop.held++;
}

void
loop_unhold(void)
{
	ASSERT(loop.held > 0);
	loop.held--;
}

void
loop_sim_start(int64_t wall_sec)
{
	loop_ensure();
	clock_sim_start(wall_sec);
}

static void
list_empty_out(struct link *list)
{
	while (!list_empty(list))
		list_remove(list->next);
}

void
loop_reset(void)
{
	task_reset();
	timers_reset();
	if (!loop.ready)
		return;
	close(loop.epoll);
	list_empty_out(&loop.pending);
	list_empty_out(&loop.soon);
	list_empty_out(&loop.later);
	list_empty_out(&loop.now);
	memset(&loop, 0, sizeof loop);
	pthread_mutex_lock(&posts.lock);
	close(posts.event);
	posts.event = -1;
	free(posts.calls);
	posts.calls = NULL;
	posts.n = posts.cap = 0;
	pthread_mutex_unlock(&posts.lock);
}
