/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the event loop of a process: file descriptors, timers, work posted from other threads.
 *
 * One loop per process, run by its first thread (all functions but loop_post belong to that thread). Linux: epoll.
 * In a simulation (loop_sim_start) no time passes while anything can run; when nothing can, the clock jumps to the next
 * timer. loop_hold/loop_unhold keep it from jumping while a thread works on something. */
#ifndef TASK_LOOP_H
#define TASK_LOOP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

/* A descriptor and what to call when it is ready. Level-triggered. The struct belongs to the caller and may be removed
 * (and freed) inside any callback, its own included. */
struct watch {
	int fd;
	uint32_t events; /* LOOP_READ | LOOP_WRITE; HANGUP always comes */
	bool exclusive;  /* a listening socket shared by several processes: wake one (EPOLLEXCLUSIVE) */
	void (*ready)(struct watch *w, uint32_t events);
	struct link pending; /* the loop's */
	uint32_t got;        /* the loop's */
	uint32_t registered; /* the loop's: what epoll was told */
	bool active;         /* the loop's */
	bool silent;         /* the loop's: hung up while nothing was asked for; epoll was told to forget it */
};
enum err watch_add(struct watch *w, uint32_t events);
/* 0: stays registered, asks for nothing but one hang-up. Asking for less and then for as much again costs no system
 * call. */
void watch_change(struct watch *w, uint32_t events);
void watch_remove(struct watch *w); /* harmless when it is not active; does not close fd */

/* A timer fires once, in order of due_ms. The struct belongs to the caller. Thousands are cheap (binary heap). */
struct timer {
	int64_t due_ms; /* clock_mono_ms */
	void (*fire)(struct timer *t);
	size_t slot; /* the loop's: 0 when not set */
};
void timer_set(struct timer *t, int64_t due_ms); /* sets or moves; DEADLINE_NONE cancels */
void timer_cancel(struct timer *t);

/* Runs fn(arg) on the loop's thread soon. The only function that other threads may call. */
void loop_post(void (*fn)(void *arg), void *arg);
/* Runs fn(arg) after all events that are ready now were handled: for batching what one turn of the loop produced. The
 * same struct is queued at most once. */
struct later {
	void (*fn)(struct later *l);
	struct link link;
};
void loop_later(struct later *l);
/* The same, before the loop_later of this turn: woken tasks, whose output is then batched by those. */
void loop_soon(struct later *l);
void later_cancel(struct later *l);

void loop_run(void); /* until loop_stop; returns then */
void loop_stop(void);
/* One turn: waits at most wait_ms (0: not at all), handles what is ready. For tests. */
void loop_turn(int64_t wait_ms);
uint64_t loop_turns(void); /* so far */
/* Turns until done() is true or limit_ms of the loop's clock have passed; true when done. For tests. */
bool loop_run_until(bool (*done)(void *arg), void *arg, int64_t limit_ms);
/* Releases everything; afterwards a new loop begins with the next call. For tests and after fork. */
void loop_reset(void);

void loop_sim_start(int64_t wall_sec);
void loop_hold(void);
void loop_unhold(void);

#endif
