/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report.h - TLS reports (RFC 8460): the TXT record that asks for them and its URIs, and the mail that carries one.
 * Pure; strangers wrote the record. What is in a report stands in relay/tls_report_rows.h (ours) and
 * mail/tls_report_read.h (theirs). */
#ifndef MAIL_TLS_REPORT_H
#define MAIL_TLS_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

#define TLS_REPORT_URIS_MAX 8         /* of one domain that get its reports */
#define TLS_REPORT_URI_BYTES_MAX 1000 /* a longer one is left out */

/* The types of RFC 8460 4.3; success stands for none of them. */
enum tls_result {
	TLS_RESULT_SUCCESS,
	TLS_RESULT_NO_STARTTLS,
	TLS_RESULT_HOST_MISMATCH,
	TLS_RESULT_EXPIRED,
	TLS_RESULT_NOT_TRUSTED,
	TLS_RESULT_VALIDATION,
	TLS_RESULT_TLSA_INVALID,
	TLS_RESULT_DNSSEC_INVALID,
	TLS_RESULT_DANE_REQUIRED,
	TLS_RESULT_STS_FETCH,
	TLS_RESULT_STS_INVALID,
	TLS_RESULT_STS_WEBPKI,
	TLS_RESULTS
};
const char *tls_result_word(enum tls_result r);

enum tls_report_policy { TLS_REPORT_NO_POLICY, TLS_REPORT_STS, TLS_REPORT_TLSA };
const char *tls_report_policy_word(enum tls_report_policy p); /* policy-type of RFC 8460 4.4 */

struct tls_report_uri {
	struct slice address; /* mailto: the address, decoded; empty: https */
	const char *host;     /* https */
	uint16_t port;        /* 0: none was given */
	struct slice path;    /* with the query */
};
struct tls_report_uris {
	struct tls_report_uri rows[TLS_REPORT_URIS_MAX];
	size_t count;
};

/* One TXT record, its strings joined. False: it is malformed, or not about TLS reports at all. URIs of other schemes,
 * malformed ones, and those past the limit are left out, so there may be none. */
bool tls_report_record(struct slice text, struct arena *a, struct tls_report_uris *uris);

struct tls_report_mail {
	const char *from;
	const char *host;        /* of Message-ID */
	struct slice to, domain; /* domain: the report is about it */
	struct slice submitter;  /* RFC 8460 5.3: the domain of the contact */
	struct slice id;         /* left@right */
	struct slice filename;   /* RFC 8460 5.1 */
	struct slice gzip;       /* the report */
	int64_t now_sec;
};
void tls_report_mail_put(struct buf *to, const struct tls_report_mail *m);

#endif
