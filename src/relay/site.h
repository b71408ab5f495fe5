/* SPDX-License-Identifier: Apache-2.0 */
/* site.h - destinations: the domains whose mail goes to the same hosts are one site, with one pace, one queue of what
 * relay claimed for it, and workers that send it. site.c keeps them, worker.c sends, site_memo.c remembers across
 * restarts what was learnt. */
#ifndef RELAY_SITE_H
#define RELAY_SITE_H

#include "relay/fair.h"
#include "relay/pace.h"
#include "relay/relay.h"
#include "relay/source.h"

enum {
	DOMAINS_MAX = 10000,         /* whose site is remembered */
	LEARNERS_MAX = 64,           /* domains that are looked up at once */
	ROUTE_KEPT_MS = 1800 * 1000, /* then the site of a domain is looked up again */
	SITE_NAME_BYTES = 300,       /* of a host, and a sum */
	HOLD_MS = 10 * 1000,         /* what would wait longer in memory waits in the queue */
	PARK_MS_MAX = 1800 * 1000,   /* and no longer than this until it is looked at again */
	KEEP_MS = 2000,              /* a connection is kept for a message that may begin so soon */
	DEAD_MS = 60 * 1000,         /* nobody tries again so soon to reach a site that could not be reached */
	YIELD_MESSAGES = 20,         /* after so many a worker makes room for sites that wait for a connection */
	RELAY_MEMO_MS = 10 * 1000,   /* what was learnt is put down so late */
	PACE_KEPT_SEC = 7 * 86400,   /* and so long it is known */
	REPUTATION_KEPT_SEC = 30 * 86400,
};

struct domain {
	struct relay *relay;
	uint64_t key;
	struct site *site; /* NULL: not known */
	struct link jobs;  /* that wait until it is known */
	struct link in_domains, in_unknown;
	size_t njobs;
	bool learning;
	int64_t learnt_ms;
	char name[304]; /* or of a host: ">HOST:PORT" */
};

struct site {
	struct relay *relay;
	uint64_t key;
	char name[SITE_NAME_BYTES];
	size_t domains;
	struct fair waiting;
	struct link in_waiting;         /* for a connection */
	size_t connections, bulk, open; /* open: those that the site serves */
	struct pace pace;
	bool usual;                      /* no other pace is put down */
	struct timer timer;              /* the next message may begin */
	int64_t parked_ms[FAIR_CLASSES]; /* what is put back comes after that */
	int64_t message_ms;              /* what one message takes of late, all connections together */
	int64_t ended_ms;                /* of the last try, when there is any */
	int64_t reached_ms, dead_ms;     /* it answered; until when nobody tries to reach it */
	char dead_text[REPLY_TEXT_BYTES + 1], dead_status[12], dead_mta[256];
	struct tally tally;
	struct pool_counts counts; /* what new sources sent here today */
	struct link in_changed;    /* to be put down */
};

/* ---- site.c */
void sites_init(struct relay *r);
void sites_release(struct relay *r);             /* no jobs, no workers */
void site_take(struct relay *r, struct job *j);  /* a row that was claimed */
void site_forget_job(struct job *j);             /* out of whatever it waits in; its domain forgets it */
void site_add(struct site *site, struct job *j); /* to those that wait, or back into the queue */
void site_put_back(struct site *site);           /* those that would wait too long */
void job_put_back(struct job *j, int64_t at_ms); /* into the queue, without a try, for half an hour at most */
void site_free_unused(struct site *site);
unsigned job_class(const struct job *j); /* FAIR_* */
/* The name of the site to which these hosts belong, and its limits. */
void site_name_of(const struct conf *conf, struct slice domain, const struct route *route, char name[SITE_NAME_BYTES],
                  struct pace_limits *limits);

/* ---- worker.c */
/* As if that had been the answer to a try. */
void job_answer(struct job *j, const char *text, const char *status, const char *mta);
void site_go(struct site *site);
void next_site_go(struct relay *r);

/* ---- site_memo.c */
void site_changed(struct site *site);
void await_site_remember(struct site *site); /* what was put down about it */
void memo_fired(struct timer *t);
void await_pace_resets(struct relay *r); /* that an administrator asked for */
/* Pure: what stands in the memos. */
struct slice pace_memo(struct arena *a, const struct pace *p, int64_t ahead_ms);
void pace_from_memo(struct pace *p, struct slice value, int64_t ahead_ms);

#endif
