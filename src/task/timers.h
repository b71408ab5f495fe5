/* SPDX-License-Identifier: Apache-2.0 */
/* timers.h - what loop.c asks of timers.c; everybody else uses timer_set and timer_cancel of loop.h. */
#ifndef TASK_TIMERS_H
#define TASK_TIMERS_H

#include "base/check.h"

int64_t timers_due_ms(void); /* of the next one; DEADLINE_NONE: there is none */
void timers_fire(void);      /* those that are due; each at most once a call */
void timers_reset(void);     /* forgets all */

#endif
