/* SPDX-License-Identifier: Apache-2.0 */
/* referral.h - IMAP URLs of servers and mailboxes (RFC 2192), as referrals give them to clients (RFC 2193, RFC 2221).
 * Pure. What could end a response, or mean something else than a server and a mailbox, is refused. */
#ifndef MAIL_REFERRAL_H
#define MAIL_REFERRAL_H

#include "base/arena.h"
#include "base/slice.h"

#define REFERRAL_BYTES_MAX 1000

struct referral {
	struct slice user, mechanism; /* still encoded; empty: none is named */
	struct slice host, port;
	struct slice mailbox; /* still encoded; empty: the server */
};
/* "imap://" [[user] [";AUTH=" ("*" / mechanism)] "@"] host [":" port] ["/" [mailbox]] */
bool referral_take(struct slice text, struct referral *r);
/* The URL as a client gets it: who logs in stands in it, and that he may log in by any way that there is, so that no
 * client falls back to anonymous (RFC 2221 3). rest: of a mailbox below ("/x/y", UTF-8); empty: none. */
struct slice referral_url(const struct referral *r, struct slice user, struct slice rest, struct arena *a);

#endif
