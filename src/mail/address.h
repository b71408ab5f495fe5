/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - the address lists of message headers (RFC 5322 3.4, with the obsolete forms of 4.4 and what real mail
 * does beyond them). Never fails: what cannot be understood becomes an address with a part missing. For the addresses
 * of SMTP see mail/smtp_path.h. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/arena.h"
#include "base/cursor.h"

enum address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP, ADDRESS_GROUP_END };

/* Slices live in the arena. Quotes, comments and folds are undone; encoded words and 8-bit bytes are as they were. */
struct address {
	enum address_kind kind;
	struct slice name;   /* display-name, or the comment after an address without one; of a group: its name */
	struct slice route;  /* obsolete source route: @a,@b */
	struct slice local;  /* empty: missing */
	struct slice domain; /* empty: missing; a literal has its brackets */
};

struct address_reader {
	struct cursor at;
	char *to, *to_end; /* room in the arena for what is given out: never more than was read */
	bool in_group;
};

void address_begin(struct address_reader *r, struct arena *a, struct slice value);
/* False at the end. A group that is not closed is ended there. Linear over the whole list. */
bool address_next(struct address_reader *r, struct address *out);

#endif
