/* SPDX-License-Identifier: Apache-2.0 */
/* url.h - IMAP URLs of messages and their parts (RFC 2192), as CATENATE takes them. Pure. */
#ifndef IMAP_URL_H
#define IMAP_URL_H

#include "session/imap/parse.h"

#define IMAP_URL_BYTES_MAX 8192

struct imap_url {
	bool absolute;           /* user and host are set */
	struct slice user, host; /* user: empty when none is named */
	struct slice mailbox;    /* UTF-8, INBOX in capitals; empty: the selected one */
	bool rooted;             /* it begins at the root, and not beside the selected mailbox */
	uint32_t uidvalidity;    /* 0: not given */
	uint32_t uid;
	struct imap_section section;
};
/* False: no such URL, or one that means something else than a message or a part of one. */
bool imap_url_parse(struct slice text, struct arena *a, struct imap_url *url);

#endif
