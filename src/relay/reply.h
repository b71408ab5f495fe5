/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - replies of remote servers, line by line (RFC 5321 4.2). Pure. What comes is hostile: any bytes, any length,
 * endless continuation; the caller's line limit and REPLY_LINES_MAX bound it. */
#ifndef RELAY_REPLY_H
#define RELAY_REPLY_H

#include "base/slice.h"

#define REPLY_LINES_MAX 200
#define REPLY_TEXT_BYTES 600
#define REPLY_LINE_BYTES_MAX 4096

struct remote_reply {
	unsigned code;                   /* 0: nothing understood yet */
	char status[12];                 /* RFC 3463 "5.1.1"; empty: none given */
	char text[REPLY_TEXT_BYTES + 1]; /* lines joined by spaces, printable, cut */
	size_t len, lines;
	bool done;
};

void reply_begin(struct remote_reply *r);
/* Adds one line (without CRLF); false when it does not belong to a reply or there are too many. r->done after the last.
 */
bool reply_add(struct remote_reply *r, struct slice line);
/* Fills in a reply of our own making: "421", "4.4.2", text. */
void reply_set(struct remote_reply *r, unsigned code, const char *status, const char *text);
static inline bool
reply_good(const struct remote_reply *r)
{
	return r->code >= 200 && r->code < 300;
}
static inline bool
reply_permanent(const struct remote_reply *r)
{
	return r->code >= 500;
}

#endif
