/* SPDX-License-Identifier: Apache-2.0 */
/* switch.h - changing stacks, as plain as the processor allows. Used by task.c alone. */
#ifndef TASK_SWITCH_H
#define TASK_SWITCH_H

#include "base/check.h"

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(TASK_SWITCH_UCONTEXT)
#define TASK_SWITCH_UCONTEXT
#endif

struct context; /* where a stack stopped; lives on that stack */

/* A context that begins in entry, which must never return, on the stack of so many bytes that begins at low. */
struct context *context_make(void *low, size_t bytes, void (*entry)(void));
/* Goes on in `to`. Comes back when somebody switches to what was stored in *from. */
void context_switch(struct context **from, struct context *to);

#endif
