/* SPDX-License-Identifier: Apache-2.0 */
/* rest.c - memory goes back to the system when a process comes to rest. Called by role.c at the start of a process.
 * After a burst of connections or a large mailbox the allocator keeps what it got: page by page free, and never given
 * back as long as one block above is in use. To look through all of it takes milliseconds, so that is done only after
 * REST_CHECK_MS in which next to nothing happened. Cannot fail. */
#include "role/running.h"

#include "ipc/shm.h"
#include "task/loop.h"

#include <malloc.h>

enum { REST_CHECK_MS = 10000, REST_TURNS_MAX = 100 };

static uint64_t turns_seen;
static bool worked;

static void
rest_check(struct timer *t)
{
	uint64_t turns = loop_turns() - turns_seen;
	turns_seen += turns;
	worked |= turns > 2; /* the turn of this timer, and one that found it not quite due */
	if (worked && turns <= REST_TURNS_MAX) {
		malloc_trim(0);
		shm_rest();
		worked = false;
	}
	timer_set(t, deadline_in_ms(REST_CHECK_MS));
}

void
rest_watch(void)
{
	static struct timer timer = { .fire = rest_check };
	worked = true; /* what the start took */
	timer_set(&timer, deadline_in_ms(REST_CHECK_MS));
}
