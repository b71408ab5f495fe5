/* SPDX-License-Identifier: Apache-2.0 */
/* pace.h - how fast mail may go to one site: the limits of the configuration, and what the site's own answers made of
 * them. Pure: times (clock_mono_ms) and answers in, decisions out.
 *
 * Additive increase, multiplicative decrease: an answer that complains halves what it complains about, at most once in
 * PACE_CUT_MS (answers of one moment say one thing); then each step of time gives a tenth of the rate and a connection
 * back. A step is PACE_STEP_MS; when it was too much again before all was given back, twice as long as the last. */
#ifndef RELAY_PACE_H
#define RELAY_PACE_H

#include "relay/answer.h"

#define PACE_CUT_MS 5000
#define PACE_STEP_MS 60000
#define PACE_STEP_MS_MAX 600000
#define PACE_WHY_BYTES 200

struct pace_limits {
	uint32_t connections; /* at once, at least 1 */
	uint32_t messages;    /* over one connection; 0: any number */
	uint32_t rate;        /* messages a minute; 0: any number */
};

struct pace {
	struct pace_limits limits;
	uint32_t connections;     /* now, 1 up to limits.connections */
	uint32_t rate;            /* now; 0: any */
	uint32_t rate_aim;        /* without limits.rate: above that the rate is not limited any longer */
	int64_t next_ms;          /* before that no message begins */
	int64_t suspended_ms;     /* before that nothing goes there */
	int64_t cut_ms, step_ms;  /* the last cut; when the next step of recovery is */
	int64_t step_len_ms;      /* 0: nothing was cut */
	int64_t minute_ms;        /* what was sent of late: */
	uint32_t minute, before;  /* in the minute from minute_ms on, and in the one before */
	char why[PACE_WHY_BYTES]; /* the answer that caused the last cut; empty: none since it recovered */
};

void pace_init(struct pace *p, const struct pace_limits *limits, int64_t now);
/* Other limits, the rest as it was. */
void pace_limit(struct pace *p, const struct pace_limits *limits);
/* Until the next message may begin, ms; 0: now. Lets it recover first. */
int64_t pace_wait(struct pace *p, int64_t now);
/* A message begins. */
void pace_begin(struct pace *p, int64_t now);
/* What an answer says. open: connections that the site serves at this moment: when it wants no more, it gets no more
 * than those. True: something changed. */
bool pace_cut(struct pace *p, const struct answer *a, struct slice reply, uint32_t open, int64_t now);
/* Nothing is left of any cut. */
bool pace_at_rest(struct pace *p, int64_t now);
/* About how long one message takes by the rate, ms; 0: the rate says nothing. */
int64_t pace_interval(const struct pace *p);

#endif
