/* SPDX-License-Identifier: Apache-2.0 */
/* task_testing.h - for unit tests: code that awaits, run to its end. */
#ifndef TASK_TASK_TESTING_H
#define TASK_TASK_TESTING_H

#include "task/task.h"

static inline bool
test_no_tasks(void *unused)
{
	return tasks_running() == 0;
}

/* Turns the loop until all tasks ended. */
static inline void
test_run_tasks(void)
{
	ASSERT(loop_run_until(test_no_tasks, NULL, 60000));
}

static inline void
test_start(void (*fn)(void *arg), void *arg)
{
	ASSERT(task_start(fn, arg));
}

static inline void
test_in_task(void (*fn)(void *arg), void *arg)
{
	test_start(fn, arg);
	test_run_tasks();
}

#endif
