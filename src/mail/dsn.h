/* SPDX-License-Identifier: Apache-2.0 */
/* dsn.h - delivery status notifications: multipart/report (RFC 6522) with message/delivery-status (RFC 3464), or their
 * internationalized forms when an address or the original header holds UTF-8 (RFC 6533). Pure.
 *
 * The first part is for people: what happened, to whom, why in the remote server's own words, and what to do now. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

#define DSN_BYTES_MAX (4u << 20)

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_RELAYED, DSN_DELIVERED };

struct dsn_recipient {
	struct slice address; /* local-part@domain */
	struct slice orcpt;   /* as in RCPT, "rfc822;xtext"; empty: none */
	struct slice status;  /* "5.1.1"; empty: made from the action */
	struct slice reply;   /* "550 5.1.1 no such user", from the remote server; empty: none */
	struct slice mta;     /* who said so; empty: we ourselves */
};

struct dsn {
	enum dsn_action action;
	struct slice reporting_mta; /* our host name */
	struct slice sender;        /* to whom the notice goes */
	struct slice postmaster;    /* From: "postmaster@..." */
	struct slice envid;         /* xtext, as in MAIL; empty: none */
	int64_t arrived, now;       /* wall seconds */
	int64_t give_up_at;         /* DELAYED: until when it is tried */
	const struct dsn_recipient *recipients;
	size_t nrecipients;
	struct slice original; /* the message or its beginning */
	bool original_whole;   /* RET=FULL: all of it is returned; else its header only */
	uint64_t random;       /* for the boundary and the Message-ID */
};

/* CRLF line ends, no bare ones. False: it did not fit. */
bool dsn_build(const struct dsn *d, struct buf *out);
/* RFC 3461 4: xtext decoded; bytes that are not printable become '?'. */
void dsn_put_xtext(struct buf *to, struct slice xtext);

#endif
