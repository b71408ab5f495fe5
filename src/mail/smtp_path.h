/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_path.h - the paths of MAIL and RCPT, strictly by RFC 5321 4.1.2 (and RFC 6531 3.3 when SMTPUTF8 is in force).
 * Addresses in message headers are another, laxer grammar: mail/address.h. */
#ifndef MAIL_SMTP_PATH_H
#define MAIL_SMTP_PATH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"

#define PATH_LOCAL_BYTES_MAX 64   /* RFC 5321 4.5.3.1.1 */
#define PATH_DOMAIN_BYTES_MAX 255 /* RFC 5321 4.5.3.1.2 */

/* All slices are copies in the arena that was given. */
struct path {
	struct slice local;   /* without quotes and backslashes */
	struct slice domain;  /* as written; an address literal with its brackets */
	bool null;            /* <> */
	bool postmaster_only; /* <Postmaster>: local is what was written, domain empty (RFC 5321 4.1.1.3) */
	bool source_route;    /* there was one; it is ignored (RFC 5321 appendix C) */
	bool quoted;          /* local-part was written as a quoted string */
	bool literal;         /* domain is an address literal */
	bool utf8;            /* something in it is not ASCII */
};

/* With its angle brackets: <user@example.org>, <>, <@a,@b:user@example.org>. utf8: RFC 6531 forms are allowed. */
bool take_reverse_path(struct cursor *c, struct arena *a, bool utf8, struct path *p);
/* As above without <>, but with <Postmaster>. */
bool take_forward_path(struct cursor *c, struct arena *a, bool utf8, struct path *p);
/* Without brackets: user@example.org, for ORCPT, VRFY and addresses from elsewhere. */
bool take_mailbox(struct cursor *c, struct arena *a, bool utf8, struct path *p);
/* The argument of EHLO: a domain name or an address literal (RFC 5321 4.1.1.1). Nothing is copied. */
bool take_domain_or_literal(struct cursor *c, bool utf8, struct slice *domain, bool *literal);
/* Local-part, domain and each label of it are not longer than allowed. */
bool path_fits(const struct path *p);

/* user@example.org, quoted only where it must be (RFC 5321 4.1.2). Nothing for the null path. */
void path_put(struct buf *to, const struct path *p);
void path_put_parts(struct buf *to, struct slice local, struct slice domain);

#endif
