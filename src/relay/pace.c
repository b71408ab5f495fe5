/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c - see pace.h. */
#include "relay/pace.h"

#define MINUTE_MS 60000
#define RATE_MAX 60000 /* a message each millisecond: more is no limit */

void
pace_init(struct pace *p, const struct pace_limits *limits, int64_t now)
{
	*p = (struct pace){ .limits = *limits, .connections = limits->connections, .rate = limits->rate };
	p->minute_ms = p->next_ms = p->suspended_ms = p->step_ms = now;
	p->cut_ms = now - PACE_CUT_MS;
}

void
pace_limit(struct pace *p, const struct pace_limits *limits)
{
	bool all = p->connections == p->limits.connections, any_rate = p->rate == p->limits.rate;
	p->limits = *limits;
	p->connections = all ? limits->connections : MIN(p->connections, limits->connections);
	if (any_rate || (limits->rate && p->rate > limits->rate))
		p->rate = limits->rate;
}

static void
count_minutes(struct pace *p, int64_t now)
{
	int64_t past = (now - p->minute_ms) / MINUTE_MS;
	if (past <= 0)
		return;
	p->before = past == 1 ? p->minute : 0;
	p->minute = 0;
	p->minute_ms += past * MINUTE_MS;
}

/* Messages a minute of late: of the last whole minute or of this one, whatever is more. */
static uint32_t
observed(struct pace *p, int64_t now)
{
	count_minutes(p, now);
	return MAX(p->before, p->minute);
}

static void
recover_step(struct pace *p)
{
	p->connections = MIN(p->limits.connections, p->connections + 1);
	if (p->rate == p->limits.rate)
		return;
	uint32_t aim = p->limits.rate ? p->limits.rate : p->rate_aim;
	p->rate += MAX(aim / 10, 1u);
	if (p->rate >= aim)
		p->rate = p->limits.rate;
}

static bool
recovered(const struct pace *p, int64_t now)
{
	return p->connections == p->limits.connections && p->rate == p->limits.rate && p->suspended_ms <= now;
}

static void
recover(struct pace *p, int64_t now)
{
	while (now >= p->step_ms && !recovered(p, now)) {
		p->step_ms += MAX(p->step_len_ms, (int64_t)PACE_STEP_MS);
		recover_step(p);
	}
	if (recovered(p, now)) {
		p->why[0] = '\0';
		p->step_len_ms = 0;
	}
}

int64_t
pace_wait(struct pace *p, int64_t now)
{
	recover(p, now);
	return MAX(MAX(p->suspended_ms, p->next_ms) - now, (int64_t)0);
}

int64_t
pace_interval(const struct pace *p)
{
	return p->rate ? (MINUTE_MS + p->rate - 1) / p->rate : 0;
}

void
pace_begin(struct pace *p, int64_t now)
{
	count_minutes(p, now);
	p->minute++;
	p->next_ms = MAX(p->next_ms, now) + pace_interval(p);
}

static void
cut_rate(struct pace *p, int64_t now)
{
	uint32_t seen = observed(p, now), from = p->rate ? p->rate : MIN(MAX(seen, 2u), (uint32_t)RATE_MAX);
	if (p->rate == 0)
		p->rate_aim = from * 2;
	p->rate = MAX(from / 2, 1u);
	p->next_ms = MAX(p->next_ms, now + pace_interval(p));
}

static void
say_why(struct pace *p, struct slice reply)
{
	size_t n = MIN(reply.len, sizeof p->why - 1);
	for (size_t i = 0; i < n; i++)
		p->why[i] = reply.at[i] >= ' ' && reply.at[i] < 0x7f ? reply.at[i] : '?';
	p->why[n] = '\0';
}

bool
pace_cut(struct pace *p, const struct answer *a, struct slice reply, uint32_t open, int64_t now)
{
	if (a->action <= ANSWER_RECIPIENT)
		return false;
	bool fewer = a->action == ANSWER_CONNECTIONS && open < p->connections;
	if (fewer)
		p->connections = MAX(open, 1u);
	bool again = now - p->cut_ms < PACE_CUT_MS;
	int64_t last = a->ms ? a->ms : PACE_STEP_MS;
	if (again && (a->action != ANSWER_SUSPEND || p->suspended_ms >= now + last - PACE_CUT_MS))
		return false;
	recover(p, now);
	if (!again)
		p->step_len_ms = MIN(MAX(p->step_len_ms * 2, (int64_t)PACE_STEP_MS), (int64_t)PACE_STEP_MS_MAX);
	if (!again && !fewer && a->action != ANSWER_SLOW)
		p->connections = MAX(p->connections / 2, 1u);
	if (a->action != ANSWER_CONNECTIONS && !again)
		cut_rate(p, now);
	if (a->action == ANSWER_SUSPEND)
		p->suspended_ms = MAX(p->suspended_ms, now + last);
	p->cut_ms = now;
	p->step_ms = MAX(p->step_ms, now + MAX(last, p->step_len_ms));
	say_why(p, reply);
	return true;
}

bool
pace_at_rest(struct pace *p, int64_t now)
{
	recover(p, now);
	return recovered(p, now);
}
