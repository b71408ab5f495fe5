/* SPDX-License-Identifier: Apache-2.0 */
/* timers.c - the timers of the loop: a binary heap of pointers to the callers' structs, which know their slot in it, so
 * that moving and cancelling cost a few steps too. Used by loop.c; belongs to the loop's thread. */
#include "task/timers.h"

#include "base/clock.h"
#include "task/loop.h"

static struct timer **heap; /* [1..ntimers], the least due_ms first */
static size_t ntimers, cap;

static void
heap_put(size_t slot, struct timer *t)
{
	heap[slot] = t;
	t->slot = slot;
}

static void
heap_up(size_t slot, struct timer *t)
{
	for (; slot > 1 && t->due_ms < heap[slot / 2]->due_ms; slot /= 2)
		heap_put(slot, heap[slot / 2]);
	heap_put(slot, t);
}

static void
heap_down(size_t slot, struct timer *t)
{
	for (size_t child; (child = slot * 2) <= ntimers; slot = child) {
		if (child < ntimers && heap[child + 1]->due_ms < heap[child]->due_ms)
			child++;
		if (heap[child]->due_ms >= t->due_ms)
			break;
		heap_put(slot, heap[child]);
	}
	heap_put(slot, t);
}

static void
heap_settle(size_t slot, struct timer *t)
{
	if (slot > 1 && t->due_ms < heap[slot / 2]->due_ms)
		heap_up(slot, t);
	else
		heap_down(slot, t);
}

void
timer_cancel(struct timer *t)
{
	if (t->slot == 0)
		return;
	size_t slot = t->slot;
	ASSERT(heap[slot] == t);
	struct timer *last = heap[ntimers--];
	t->slot = 0;
	if (last != t)
		heap_settle(slot, last);
}

void
timer_set(struct timer *t, int64_t due_ms)
{
	if (due_ms == DEADLINE_NONE) {
		timer_cancel(t);
		return;
	}
	t->due_ms = due_ms;
	if (t->slot) {
		heap_settle(t->slot, t);
		return;
	}
	if (ntimers + 1 >= cap) {
		cap = MAX(cap * 2, (size_t)64);
		heap = must_realloc(heap, cap * sizeof(struct timer *));
	}
	heap_up(++ntimers, t);
}

void
timers_fire(void)
{
	if (ntimers == 0)
		return;
	int64_t now = clock_mono_ms();
	for (size_t n = ntimers; n > 0 && ntimers > 0 && heap[1]->due_ms <= now; n--) {
		struct timer *t = heap[1];
		timer_cancel(t);
		t->fire(t);
	}
}

int64_t
timers_due_ms(void)
{
	return ntimers ? heap[1]->due_ms : DEADLINE_NONE;
}

void
timers_reset(void)
{
	for (size_t i = 1; i <= ntimers; i++)
		heap[i]->slot = 0;
	free(heap);
	heap = NULL;
	ntimers = cap = 0;
}
