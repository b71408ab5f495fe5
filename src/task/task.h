/* SPDX-License-Identifier: Apache-2.0 */
/* task.h - code that waits and still reads from top to bottom: coroutines with their own stacks on the event loop.
 *
 * A task borrows a stack from a pool while it runs and gives it back when its function returns. It is started for a
 * command, not for a connection: what waits for its next command holds no task. Stacks have TASK_STACK_BYTES and a
 * guard page. Only functions named await_... suspend; state shared with other tasks is looked at again after each of
 * them.
 *
 * Cancelling: task_cancel makes the await under way, and every later one of that task, return ERR_CLOSED at once; the
 * task then unwinds by its ordinary error paths. */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include "task/loop.h"

#ifdef __SANITIZE_ADDRESS__
#define TASK_WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TASK_WITH_ASAN 1
#endif
#endif
/* Touched pages only cost memory. Frames are several times as large under AddressSanitizer. */
#ifdef TASK_WITH_ASAN
#define TASK_STACK_BYTES (512 * 1024)
#else
#define TASK_STACK_BYTES (256 * 1024)
#endif
#define TASK_STACKS_WARM_MAX 64   /* idle stacks that keep their pages */
#define TASK_STACKS_COLD_MAX 1024 /* idle stacks that keep their addresses */

struct task;

/* Starts fn(arg) in a new task, at once: returns when it first waits or when it ended. False (and nothing started) when
 * tasks_max tasks run already or no stack can be had. May be called from a task or from the loop. */
bool task_start(void (*fn)(void *arg), void *arg) MUST_CHECK;
struct task *task_self(void); /* NULL on the loop itself */
void task_cancel(struct task *t);
size_t tasks_running(void);
extern size_t tasks_max; /* default 20,000 */
/* Largest number of bytes of a stack that was used by any task so far (painted stacks; 0 unless task_census(true)). */
size_t task_stack_used_max(void);
void task_census(bool on);

bool task_cancelled(void); /* the running task: for awaits that need not wait */
void task_reset(void);     /* loop_reset calls this: gives idle stacks back, ends the threads of await_thread */

/* The primitive below all others: suspends until task_wake (gives its reason) or the deadline (ERR_TIMEOUT).
 * Wakes are not counted: a wake for a task that is not parked is remembered once. */
enum err await_park(int64_t deadline_ms);
void task_wake(struct task *t, enum err reason);

enum err await_sleep(int64_t ms);
/* Until fd is readable (LOOP_READ) or writable (LOOP_WRITE); hang-ups count as both. */
enum err await_fd(int fd, uint32_t events, int64_t deadline_ms);
/* Lets everything else that is ready run first: for long computations. */
void await_turn(void);

/* A condition that tasks wait for: a list of tasks woken together or one by one. */
struct gate {
	struct link waiting;
};
void gate_init(struct gate *g);
enum err await_gate(struct gate *g, int64_t deadline_ms);
void gate_open(struct gate *g, enum err reason); /* wakes all */
bool gate_open_one(struct gate *g, enum err reason);

/* Runs fn(arg) on another thread of a small pool and waits for it: for what blocks (hashing, a library that resolves
 * names). Only auth and store may use it. arg is in use until fn returned, so a cancelled task waits for that too; OK
 * then. ERR_CLOSED: cancelled before, fn did not run. */
enum err await_thread(void (*fn)(void *arg), void *arg);
extern size_t task_threads_max; /* default: one for each processor; fixed by the first await_thread */

#endif
