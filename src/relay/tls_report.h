/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report.h - reports about TLS to other domains (RFC 8460): what came of sessions is counted for domains that ask
 * for it (tls_report.c), put down in memos, and sent the day after (tls_report_send.c).
 *
 * Counting costs a session nothing but memory: whether the domain asks for reports is looked up later, by a task of its
 * own. What a crash takes away are the counts of the last seconds. */
#ifndef RELAY_TLS_REPORT_H
#define RELAY_TLS_REPORT_H

#include "base/map.h"
#include "relay/relay.h"
#include "relay/tls_report_rows.h"

enum {
	TLS_REPORT_DOMAINS_MAX = 10000,     /* of one day that get a report */
	TLS_REPORT_PENDING_MAX = 5000,      /* sessions of different kinds in memory; more are not counted */
	TLS_REPORT_RECORDS_MAX = 10000,     /* domains of which is remembered whether they ask */
	TLS_REPORT_RECORD_MS = 3600 * 1000, /* and for how long */
	TLS_REPORT_FLUSH_MS = 10 * 1000,
	TLS_REPORT_TASKS_MAX = 16,       /* that look domains up, or send reports, at once: some are slow */
	TLS_REPORT_KEPT_SEC = 3 * 86400, /* a report that nobody sent */
	TLS_SENT_KEPT_SEC = 30 * 86400,  /* that one was sent */
};

/* Sessions of one kind that are not put down yet. */
struct tls_pending {
	struct tls_session s;
	int64_t day;
	uint64_t n;
};

struct tls_reports {
	struct relay *relay;
	struct map pending; /* hash of all of it -> struct tls_pending */
	struct arena arena; /* theirs */
	struct map records; /* hash of the domain -> struct record: whether it asks */
	struct map days;    /* hash of a memo's name -> itself: reports that are begun */
	int64_t day;        /* of days */
	uint64_t lost;      /* sessions that were not counted */
	struct timer flush, due;
	size_t senders;    /* reports under way */
	struct gate ended; /* one of them ended */
	bool flushing, sending, stopped;
};

struct tls_reports *tls_reports_new(struct relay *r);
void tls_reports_free(struct tls_reports **t);
void tls_reports_go(struct tls_reports *t);
void tls_reports_stop(struct tls_reports *t);
bool tls_reports_busy(const struct tls_reports *t);

/* Copies what it needs. */
void tls_report_count(struct tls_reports *t, const struct tls_session *s);
/* Where reports about that domain go, as far as the configuration sends them there. False: nowhere. */
bool await_tls_report_uris(struct tls_reports *t, struct slice domain, struct arena *a, struct tls_report_uris *uris);

/* ---- tls_report_session.c: what came of one session, in the words of RFC 8460 */
struct dane;
struct sts;
/* A session that is about to begin under a policy of its domain. */
struct tls_trial {
	struct tls_reports *reports;
	struct tls_session s;
	bool unusable;             /* the TLSA records */
	bool not_named;            /* the host, by the MTA-STS policy */
	bool unanswered, required; /* DANE: nobody said what is true; the configuration demands it */
};
/* In the arena; what it points to must live as long. */
struct tls_trial *tls_trial_new(struct arena *a, struct tls_reports *t, struct slice domain,
                                const struct route_host *host, const struct dane *dane, const struct sts *sts,
                                const struct tls_facts *f);
/* There was none: the policy keeps mail from that host. */
void tls_trial_refused(const struct tls_trial *trial);
/* As send_settings.report: it was begun; open: and may carry mail. */
void tls_trial_ended(void *trial, const struct remote *r, bool open);
/* A policy could not be fetched. */
void tls_report_sts(struct tls_reports *t, struct slice domain, const struct sts *sts);

/* tls_report_send.c */
void tls_report_due_fired(struct timer *t); /* sends what is due */
const char *tls_report_contact(const struct conf *conf, struct arena *a);

#endif
