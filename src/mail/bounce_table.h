/* SPDX-License-Identifier: Apache-2.0 */
/* bounce_table.h - the rows of conf/bounces.txt, as tools/bouncesc.py writes them down for bounce.c. */
#ifndef MAIL_BOUNCE_TABLE_H
#define MAIL_BOUNCE_TABLE_H

#include "mail/bounce.h"

struct bounce_why {
	enum bounce_class class;
	struct slice code;    /* "5.1.x", "55x"; empty: any */
	struct slice pattern; /* empty: any */
};
extern const struct bounce_why bounce_whys[];
extern const size_t bounce_whys_count;

enum bounce_is {
	BOUNCE_IS_DAEMON,
	BOUNCE_IS_COPY,
	BOUNCE_IS_CHALLENGE,
	BOUNCE_IS_DELAYED,
	BOUNCE_IS_AUTO_REPLY,
	BOUNCE_IS_FAILED
};
enum bounce_in { BOUNCE_IN_FROM, BOUNCE_IN_SUBJECT, BOUNCE_IN_LINE, BOUNCE_IN_TEXT };
struct bounce_what {
	enum bounce_is is;
	enum bounce_in in;
	struct slice pattern;
};
extern const struct bounce_what bounce_whats[];
extern const size_t bounce_whats_count;

#endif
