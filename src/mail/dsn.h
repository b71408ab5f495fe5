/* SPDX-License-Identifier: Apache-2.0 */
/* dsn.h - reports about the delivery of a message (RFC 3461, 3464, 6522; RFC 6533 for addresses in UTF-8): a part that
 * people understand, a part for programs, and the message or its header. Who gets one, and when, is decided elsewhere.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

/* Empty slices are left out. */
struct dsn_recipient {
	struct slice address;  /* user@example.org, as it was tried last */
	struct slice original; /* ORCPT without its xtext: rfc822;user@example.org */
	enum dsn_action action;
	struct slice status;     /* 5.1.1 */
	struct slice diagnostic; /* what the other server said: 550 5.1.1 no such user */
	struct slice remote;     /* which one */
	struct slice reason;     /* in our words, when nobody said anything: no server for the domain answered */
	int64_t last_try_sec;    /* 0: not known */
	int64_t until_sec;       /* DSN_DELAYED: when it will be given up; 0: not known */
	bool late;               /* DSN_DELAYED: the time that was asked for is over (RFC 2852 4.1.3) */
};

struct dsn {
	struct slice hostname;
	struct slice id;       /* of [a-z0-9.-]: makes Message-ID and boundary; unique */
	struct slice sender;   /* reverse-path of the message: to whom the report goes */
	struct slice envelope; /* ENVID without its xtext */
	int64_t arrived_sec, now_sec;
	int64_t by_sec;        /* RFC 2852 5: when it was to be delivered; 0: not said */
	int64_t hold_until;    /* RFC 4865 5.1.2: sent for this time; 0: at once */
	uint32_t hold_for;     /* which was said as so many seconds; 0: as a time */
	struct slice language; /* of the sender (RFC 5646); what is not spoken here is English */
	int32_t zone;
	struct slice message; /* the whole message, or at least its header */
	bool full;            /* RET=FULL: the message is sent back, else its header */
	bool utf8;            /* the message came with SMTPUTF8: so may the report go */
	const struct dsn_recipient *recipients;
	size_t nrecipients;
};

/* Appends the report, with CRLF line ends, to out (behind a Return-Path, say). False: it does not fit, or there is
 * nobody to report on. */
bool dsn_build(const struct dsn *d, struct buf *out);
/* Whether the report needs SMTPUTF8. */
bool dsn_needs_utf8(const struct dsn *d);

#endif
