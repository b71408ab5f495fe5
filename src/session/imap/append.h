/* SPDX-License-Identifier: Apache-2.0 */
/* append.h - an APPEND or REPLACE under way, as its files share it: cmd_append.c takes the command apart and keeps the
 * messages, append_url.c brings what URLs mean, append_binary.c makes messages with NULs into such that IMAP can show.
 */
#ifndef IMAP_APPEND_H
#define IMAP_APPEND_H

#include "session/imap/imap.h"

enum {
	APPEND_MESSAGES_MAX = 10000,         /* of one command: what store.msg takes */
	APPEND_MESSAGES_USUAL_MAX = 1000,    /* where no other limit is set (RFC 9738) */
	APPEND_PARTS_MAX = 1000,             /* TEXT and URL of CATENATE, of one command */
	APPEND_COMMAND_FACTOR = 2,           /* all messages of a command: so many times message-bytes-max */
	APPEND_TEXT_BYTES_MAX = 512 << 10,   /* of what stands between the messages */
	APPEND_FACTS_BYTES_MAX = 1536 << 10, /* of all messages: they travel in one frame */
	APPEND_SKIP_FACTOR = 4,              /* what is refused and comes anyway is read up to here */
};

struct appended {
	uint64_t from, bytes; /* in the body */
	bool nul;             /* there is one in it */
	bool utf8;            /* it came as UTF8 (RFC 6855 4) */
	struct imap_annotations annotations;
};

struct appending {
	struct imap *im;
	struct cursor text;   /* the stretch of the command that was read last */
	struct slice stretch; /* all of it */
	struct imap_append parse;
	struct slice mailbox;
	struct body body; /* all messages, one behind the other */
	struct appended *messages;
	struct store_append *appends;
	uint32_t count, cap, parts;
	uint64_t text_left, skip_left;
	uint32_t replaced; /* uid in the selected mailbox; 0: APPEND */
	bool refused;
	bool annotated;            /* annotations come with one of the messages */
	struct imap_reply refusal; /* the first thing that speaks against it */
};

void append_refuse(struct appending *ap, struct imap_reply r);
/* Is there room for that many bytes more in this message? Refuses. */
bool append_has_room(struct appending *ap, uint64_t bytes);
/* More of the message under way. */
void await_append_put(struct appending *ap, struct slice bytes);

/* append_url.c: what the URL means becomes part of the message. Refuses: BADURL, TOOBIG. */
void await_append_url(struct appending *ap, struct slice text);

/* append_binary.c: the last message of the body, with base64 for parts that have NULs; it moves to the end of the
 * body. Refuses: UNKNOWN-CTE. */
void await_append_encode(struct appending *ap, struct appended *m);

#endif
