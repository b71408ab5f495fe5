/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - see schedule.h. A clock that was set back makes a message younger, never older: then it is tried more
 * often, not lost. */
#include "relay/schedule.h"

#include "store/rows.h"

struct decision
schedule_after_try(const struct schedule *s, uint32_t tries, int64_t born, int64_t now, bool delayed_told)
{
	ASSERT(s->nretry > 0 && tries > 0);
	int64_t age = MAX(now - born, (int64_t)0);
	struct decision d = { .give_up = age >= s->lifetime_sec };
	if (d.give_up)
		return d;
	d.tell_delayed = !delayed_told && age >= s->delayed_after_sec;
	int64_t wait = MAX(s->retry_sec[MIN((size_t)tries - 1, s->nretry - 1)], (int64_t)1);
	int64_t end = now + (s->lifetime_sec - age);
	d.due = MIN(now + wait, end);         /* a last try at the end of the lifetime, then the failure notice */
	if (!delayed_told && !d.tell_delayed) /* not later than the moment at which the sender is to be told */
		d.due = MIN(d.due, now + MAX(s->delayed_after_sec - age, (int64_t)1));
	return d;
}

bool
schedule_expired(const struct deadline_asked *by, int64_t now)
{
	return (by->mode & BY_RETURN) && now >= by->time;
}

void
schedule_by(struct decision *d, const struct deadline_asked *by, int64_t now)
{
	if ((by->mode & ~(uint32_t)BY_TRACE) == BY_NONE || d->give_up)
		return;
	d->expired = d->give_up = schedule_expired(by, now);
	d->tell_late = !d->give_up && now >= by->time && !by->told;
	if (now < by->time)
		d->due = MIN(d->due, by->time);
}
