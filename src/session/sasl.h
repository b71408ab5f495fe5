/* SPDX-License-Identifier: Apache-2.0 */
/* sasl.h - a SASL exchange (RFC 4422) as SMTP, IMAP and POP3 have it: lines of base64, each with the prompt of its
 * protocol before it. One implementation for all of them; each puts its own words around the result. */
#ifndef SESSION_SASL_H
#define SESSION_SASL_H

#include "session/login.h"

#define SASL_LINE_BYTES_MAX 12288 /* RFC 4954 4 */

struct sasl {
	struct conn *c;
	struct arena *arena; /* the command's */
	struct slice prompt; /* "334 " or "+ " */
	uint32_t right;      /* RIGHT_* that the protocol needs */
	bool lf_ok;          /* lines may end in LF alone */
};

enum sasl_end {
	SASL_VERDICT,   /* auth has spoken: verdict, user and, with OK, out */
	SASL_CANCELLED, /* "*" */
	SASL_NO_BASE64,
	SASL_TOO_LONG,
	SASL_MALFORMED, /* base64, but not what the mechanism has */
	SASL_OTHER,     /* it wanted to act for somebody else */
	SASL_UNKNOWN,   /* there is no such mechanism on this connection */
	SASL_LOST,      /* the stream failed */
};
struct sasl_result {
	enum sasl_end end;
	enum err verdict;
	struct slice user; /* who tried, as far as it is known */
	struct auth_login_out out;
};

/* initial: as on the command's line, "=" for an empty one (RFC 4959 3, RFC 5034 4, RFC 4954 4); NULL: none came. It is
 * in memory that this session may write. */
struct sasl_result await_sasl(const struct sasl *s, struct slice mechanism, const struct slice *initial);
/* The names of the mechanisms that work on this connection, each with before in front, with spaces between. Passwords
 * must be welcome here (conn->secure). */
void sasl_put_mechanisms(const struct conn *c, struct slice before, struct buf *to);

#endif
