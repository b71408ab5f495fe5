/* SPDX-License-Identifier: Apache-2.0 */
/* url.h - IMAP URLs of messages and their parts (RFC 5092), as CATENATE and URLFETCH take them. Pure. */
#ifndef IMAP_URL_H
#define IMAP_URL_H

#include "session/imap/parse.h"

#include "store/rows.h"

#define IMAP_URL_BYTES_MAX 8192
#define IMAP_URL_USER_BYTES_MAX 1000

enum imap_url_access { /* RFC 4467 3 */
	                   ACCESS_ANONYMOUS = URL_ANONYMOUS,
	                   ACCESS_AUTHUSER = URL_AUTHUSER,
	                   ACCESS_USER = URL_USER,
	                   ACCESS_SUBMIT = URL_SUBMIT,
};

struct imap_url {
	bool absolute;           /* user and host are set */
	struct slice user, host; /* user: empty when none is named */
	struct slice mailbox;    /* UTF-8, INBOX in capitals; empty: the selected one */
	bool rooted;             /* it begins at the root, and not beside the selected mailbox */
	uint32_t uidvalidity;    /* 0: not given */
	uint32_t uid;
	struct imap_section section;
	bool partial;         /* only these bytes of it */
	uint64_t from, count; /* count UINT64_MAX: all that follow */
	bool authorized;      /* it has URLAUTH (RFC 4467): */
	struct slice rump;    /* what is signed */
	int64_t expires;      /* wall seconds; 0: never */
	enum imap_url_access access;
	struct slice access_user;
	bool verified;      /* there is a token */
	struct slice token; /* empty: not one of this server */
};
/* False: no such URL, or one that means something else than a message or a part of one. */
bool imap_url_parse(struct slice text, struct arena *a, struct imap_url *url);

#endif
