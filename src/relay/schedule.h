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
	bool tell_late;    /* RFC 2852 4.1.3: that the time which was asked for is over */
	bool expired;      /* give_up, because that time is over */
	int64_t due;       /* otherwise: the next try, wall seconds; never after the end of the lifetime */
};

/* RFC 2852: what was asked for. mode: BY_* of store/rows.h. told: the sender knows that the time is over. */
struct deadline_asked {
	uint32_t mode;
	int64_t time;
	bool told;
};
/* Is it past, and no further try allowed? */
bool schedule_expired(const struct deadline_asked *by, int64_t now);
/* What the schedule decided, with that in mind: a look at the time itself, and what is due then. */
void schedule_by(struct decision *d, const struct deadline_asked *by, int64_t now);

/* After try number `tries` (1: the first) of a message from `born` ended at `now` with recipients still waiting.
 * delayed_told: such a notice went out before. */
struct decision schedule_after_try(const struct schedule *s, uint32_t tries, int64_t born, int64_t now,
                                   bool delayed_told);

#endif
