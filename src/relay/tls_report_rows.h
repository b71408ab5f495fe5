/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_rows.h - what is known of one domain and one UTC day for its TLS report (RFC 8460 4), as it stands in a
 * memo of the store (kind "tls-report"): JSON, with the member "policies" as the report has it. Pure but for the heap.
 *
 * The name of the memo is when the report is due (12 digits, wall seconds) and the domain, so the first memo is the
 * next report. */
#ifndef RELAY_TLS_REPORT_ROWS_H
#define RELAY_TLS_REPORT_ROWS_H

#include "mail/tls_report.h"

#include <jansson.h>

#define TLS_REPORT_POLICIES_MAX 8        /* of one domain and day; sessions under more of them are not counted */
#define TLS_REPORT_DETAILS_MAX 100       /* of one domain and day; more failures count in the sums only */
#define TLS_REPORT_POLICY_BYTES_MAX 2048 /* of the text of a policy */
#define TLS_REPORT_VALUE_BYTES_MAX 60000
#define TLS_REPORT_SPREAD_SEC 14400 /* RFC 8460 4.1: sent up to four hours after midnight */
#define TLS_REPORT_REST_SEC 300     /* and not before the last sessions of the day are put down */
#define TLS_REPORT_TRIES_MAX 7      /* RFC 8460 5.5: within 24 hours */

/* One session that was begun with a remote server. Texts are those of the report; lines end with LF. */
struct tls_session {
	struct slice domain; /* of the recipients: who asked for reports */
	enum tls_report_policy type;
	struct slice policy_domain; /* of DANE the TLSA base domain (RFC 8460 1.1) */
	struct slice policy, mx;    /* lines */
	enum tls_result result;
	/* of a failure: */
	struct slice host, ip, from_ip, why;
};

/* Adds n such sessions. False: there is no room for its policy. */
bool tls_report_add(json_t *o, const struct tls_session *s, uint64_t n);
/* When the report about that day (since 1970) is due: at an hour of its own for each pair of sender and domain. */
int64_t tls_report_due(const char *sender, struct slice domain, int64_t day);
struct slice tls_report_name(struct arena *a, int64_t due, struct slice domain);
bool tls_report_name_read(struct slice name, int64_t *due, struct slice *domain);
/* When it is tried again; 0: not any more. tries: so far. */
int64_t tls_report_again(int64_t now, unsigned tries);

struct tls_report_head {
	struct slice organization, contact, id;
	int64_t day;
};
/* report-id, left@right; the same whenever the report is made. */
struct slice tls_report_id(struct arena *a, struct slice submitter, struct slice domain, int64_t day);
/* 16 bytes, the same for the same texts. */
void tls_report_digest(struct slice x, struct slice y, int64_t day, unsigned char out[16]);
/* The report itself, compressed. False: out of memory or over its bound. */
bool tls_report_gzip(const json_t *o, const struct tls_report_head *head, struct buf *to);
void tls_report_sums(const json_t *o, uint64_t *good, uint64_t *bad);

#endif
