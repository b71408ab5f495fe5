/* SPDX-License-Identifier: Apache-2.0 */
/* task_inside.h - what the files of task/ know of a task beyond task.h: waits that task_wake cannot end. */
#ifndef TASK_TASK_INSIDE_H
#define TASK_TASK_INSIDE_H

#include "task/task.h"

/* Suspends the running task until task_ready, the deadline, or (when it may be cancelled) task_cancel. */
enum err await_ready_or_deadline(int64_t deadline_ms, bool may_cancel);
/* Ends that wait; nothing when it ended already. */
void task_ready(struct task *t, enum err reason);

void threads_reset(void);

#endif
