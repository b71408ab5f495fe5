/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - which substrings a message holds: SEARCH HEADER, BODY and TEXT (RFC 9051 6.4.4) on one message, decoded
 * and folded (mail/fold.h). */
#ifndef MAIL_MATCH_H
#define MAIL_MATCH_H

#include "mail/fold.h"

#define MATCH_KEYS_MAX 64

enum match_where {
	MATCH_IN_TEXT,   /* header and bodies */
	MATCH_IN_BODY,   /* bodies: text parts, and the headers of messages inside */
	MATCH_IN_HEADER, /* the field named; an empty needle: whether there is one */
};
struct match_key {
	enum match_where where;
	struct slice field;
	struct slice needle; /* UTF-8 */
	enum fold_how how;   /* the same of all keys */
};

/* Bit n belongs to keys[n]. Stops when all are found. */
uint64_t match_message(struct slice message, const struct match_key *keys, size_t nkeys);

#endif
