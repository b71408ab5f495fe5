/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - when a recipient is tried again, when its sender is told, when it is given up. Pure: times in, decision
 * out. RFC 5321 4.5.4.1: at least 30 minutes between tries once the first ones failed, give up after 4 to 5 days. */
#ifndef RELAY_SCHEDULE_H
#define RELAY_SCHEDULE_H

#include "base/check.h"

struct schedule {
	const int64_t *retry_sec; /* waits between tries; the last repeats */
	size_t nretry;            /* at least 1 */
	int64_t delayed_after_sec, lifetime_sec;
};

struct decision {
	bool give_up;      /* the lifetime is over: fail what still waits */
	bool tell_delayed; /* the sender should hear now that it is delayed */
	int64_t due;       /* otherwise: the next try, wall seconds; never after the end of the lifetime */
};

/* After try number `tries` (1: the first) of a message from `born` ended at `now` with recipients still waiting.
 * delayed_told: such a notice went out before. */
struct decision schedule_after_try(const struct schedule *s, uint32_t tries, int64_t born, int64_t now,
                                   bool delayed_told);

#endif
