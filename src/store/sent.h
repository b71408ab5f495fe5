/* SPDX-License-Identifier: Apache-2.0 */
/* sent.h - what an account sent in the last 24 hours, hour by hour, the limits that it has, and the two decisions that
 * follow: may it send this much more now, and does it look hijacked. Pure; shared by all roles. */
#ifndef STORE_SENT_H
#define STORE_SENT_H

#include "base/arena.h"
#include "base/buf.h"

enum sent_count {
	SENT_MESSAGES,
	SENT_RECIPIENTS,
	SENT_DISTINCT,   /* recipients elsewhere that it did not write to before on this day */
	SENT_FIRST,      /* of them: that it did not write to within SENT_KNOWN_DAYS */
	SENT_FAILED,     /* recipients that refused for good */
	SENT_COMPLAINTS, /* recipients who called it spam */
	SENT_COUNTS
};
enum {
	SENT_HOURS = 24,
	SENT_DAYS = 7, /* complaints come late: they are compared with what was sent in so many days of the clock */
	SENT_BYTES = 8 + SENT_HOURS * SENT_COUNTS * 4 + 8 + SENT_DAYS * 2 * 4,
	SENT_KNOWN_DAYS = 365,
	SENT_FAILED_MIN = 20, /* fewer failures say nothing about an account */
	SENT_COMPLAINTS_MIN = 5,
};

struct sent {
	int64_t hour; /* of the newest, since 1970 */
	uint32_t of[SENT_HOURS][SENT_COUNTS];
	int64_t day;
	uint32_t recipients[SENT_DAYS], complaints[SENT_DAYS];
};
void sent_take(struct slice value, struct sent *s); /* what is malformed is nothing */
struct slice sent_put(const struct sent *s, struct arena *a);
void sent_advance(struct sent *s, int64_t now);                         /* hours that are over for a day go */
uint32_t sent_sum(const struct sent *s, enum sent_count of, int hours); /* of the newest hours */
void sent_add(struct sent *s, const uint32_t more[SENT_COUNTS]);

/* 0: no such limit. An account has its own, or the server's (SEND_LIMIT_DEFAULT). */
enum send_limit {
	LIMIT_MESSAGES_HOUR,
	LIMIT_MESSAGES_DAY,
	LIMIT_RECIPIENTS_HOUR,
	LIMIT_RECIPIENTS_DAY,
	LIMIT_DISTINCT_DAY,
	LIMIT_FIRST_DAY,
	BREAKER_FIRST_HOUR,     /* more: hijacked */
	BREAKER_FAILED_PERCENT, /* of the recipients of a day */
	BREAKER_COMPLAINTS,     /* of a thousand recipients of SENT_DAYS */
	SEND_LIMITS
};
#define SEND_LIMIT_DEFAULT UINT32_MAX
struct send_limits {
	struct slice plan; /* what it does not say itself says this plan; empty: it has none. Of what it was taken from */
	uint32_t max[SEND_LIMITS];
};
struct send_limit_row {
	struct slice name; /* in commands and in the memo */
	enum sent_count of;
	int hours;
	const char *words; /* for who passed it */
};
extern const struct send_limit_row send_limit_rows[SEND_LIMITS];
/* The limits of an account, or of a plan, as a memo has them: "plan=name name=number name=number". False: malformed. */
bool send_limits_take(struct slice value, struct send_limits *l);
#define PLAN_NAME_BYTES_MAX 40
bool plan_name_good(struct slice name); /* lower-case letters, digits, '-' and '.' */
void send_limits_under(struct send_limits *l, const struct send_limits *under); /* what l does not say says under */
struct slice send_limits_put(const struct send_limits *l, struct arena *a);

/* May so much more be sent now? SEND_LIMITS: yes, else which limit says no, and *until when (0: it never will be
 * allowed at once). s was advanced to now. */
enum send_limit sent_check(const struct sent *s, const struct send_limits *l, const uint32_t more[SENT_COUNTS],
                           int64_t *until);
/* Which breaker trips after this; SEND_LIMITS: none. */
enum send_limit sent_breaker(const struct sent *s, const struct send_limits *l);

#endif
