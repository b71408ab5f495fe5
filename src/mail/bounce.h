/* SPDX-License-Identifier: Apache-2.0 */
/* bounce.h - what a message says that came back: a failure, a delay, an answer by machine, a complaint; about whom, and
 * why. Delivery reports (RFC 3464, RFC 6533), complaints (RFC 5965), and what servers write that know neither; the
 * words to look for stand in conf/bounces.txt. Pure; what a stranger wrote is only ever a hint, so callers must know
 * from elsewhere (mail/verp.h) that the message is about mail of ours. */
#ifndef MAIL_BOUNCE_H
#define MAIL_BOUNCE_H

#include "base/arena.h"
#include "base/slice.h"

enum bounce_class {
	BOUNCE_UNKNOWN,
	BOUNCE_NO_USER, /* hard: the address will never work */
	BOUNCE_NO_DOMAIN,
	BOUNCE_INACTIVE,
	BOUNCE_FULL, /* soft: it may work another time */
	BOUNCE_TEMPORARY,
	BOUNCE_POLICY, /* about who sends, or what */
	BOUNCE_BLOCKED,
	BOUNCE_SPAM,
	BOUNCE_REPUTATION,
	BOUNCE_CONTENT,
	BOUNCE_SIZE,
	BOUNCE_AUTH,
	BOUNCE_LOOP,
	BOUNCE_RELAY,
	BOUNCE_CLASSES
};
const char *bounce_class_name(enum bounce_class c); /* "no-user" */
bool bounce_is_hard(enum bounce_class c);
bool bounce_is_soft(enum bounce_class c); /* with those that nobody understands */
/* Why: from a status of RFC 3463 (may be empty) and what was said ("550 5.1.1 no such user"). */
enum bounce_class bounce_classify(struct slice status, struct slice said);

enum bounce_kind {
	BOUNCE_NONE, /* a letter, as far as one can tell */
	BOUNCE_FAILED,
	BOUNCE_DELAYED,
	BOUNCE_DELIVERED, /* a report of success */
	BOUNCE_AUTO_REPLY,
	BOUNCE_CHALLENGE,
	BOUNCE_COMPLAINT,
	BOUNCE_KINDS
};
const char *bounce_kind_name(enum bounce_kind k);

#define BOUNCE_RECIPIENTS_MAX 20
#define BOUNCE_PATHS_MAX 8
#define BOUNCE_SAID_BYTES_MAX 300
#define BOUNCE_TEXT_BYTES_MAX (32u << 10) /* of a part that is looked at */
#define BOUNCE_PARTS_MAX 50

/* The field by which a copy of ours can be told in a complaint (mail/verp.h). */
#define BOUNCE_FIELD "X-Posthouse-Ref"

struct bounce_recipient {
	struct slice address;
	struct slice status; /* RFC 3463; empty: none was given */
	struct slice said;   /* one line of UTF-8, without control characters */
	enum bounce_class class;
	enum bounce_kind kind; /* BOUNCE_FAILED, _DELAYED or _DELIVERED */
};
struct bounce {
	enum bounce_kind kind;
	/* of the first recipient that failed; without any, of the message */
	enum bounce_class class;
	struct slice status, said;
	struct bounce_recipient recipients[BOUNCE_RECIPIENTS_MAX];
	size_t nrecipients;
	struct slice
	    paths[BOUNCE_PATHS_MAX]; /* complaint: addresses that may be return paths of ours, values of the field */
	size_t npaths;
	struct slice type; /* complaint: Feedback-Type (RFC 5965 3.1) */
};
/* Slices are in the arena. */
void bounce_read(struct slice message, struct arena *a, struct bounce *b);

#endif
