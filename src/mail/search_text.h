/* SPDX-License-Identifier: Apache-2.0 */
/* search_text.h - what SEARCH looks into (RFC 9051 6.4.4): the header fields and the texts of a message, decoded as
 * they would be shown, and folded (mail/fold.h). One walk over a message gives the pieces; match.c looks into them at
 * once, and the record keeps them for later, so that both find the same.
 *
 * A piece is a field ("name: value"), or the text of a part. Texts found never reach from one piece into the next.
 *
 * A record: u8 version, u8 flags, u16 zero, u32 bytes of the header pieces; those of the message's own header; then
 * those of its body (texts of parts, fields of messages inside). Each piece ends with LF, which no folded text holds.
 * The packed form: u8 version, u8 method, u16 zero, u32 bytes of the record; the record, or the same compressed. */
#ifndef MAIL_SEARCH_TEXT_H
#define MAIL_SEARCH_TEXT_H

#include "mail/fold.h"

#define SEARCH_TEXT_VERSION 2
#define SEARCH_TEXT_HEAD_BYTES 8
#define SEARCH_TEXT_PART_BYTES_MAX (16u << 20) /* of one part that are looked at */
#define SEARCH_TEXT_BYTES_MAX (2u << 20)       /* of a record */

enum { SEARCH_TEXT_HEADER_CUT = 1, SEARCH_TEXT_BODY_CUT = 2 };

struct search_walk {
	bool header, body; /* what is wanted */
	enum fold_how how; /* records are made with FOLD_UNICODE */
	/* False: it is enough. text ends without LF. */
	bool (*piece)(struct search_walk *w, bool of_body, struct slice text);
};
void search_walk(struct search_walk *w, struct slice message);
/* What HEADER looks into: the value of a field that is called name (in capitals). False: another field. */
bool search_field_value(struct slice field, struct slice name, struct slice *value);

/* At most bytes_max (of SEARCH_TEXT_BYTES_MAX); what does not fit is left out, and flagged. */
void search_text_make(struct slice message, size_t bytes_max, struct buf *record);

/* Of a message that cannot be read: nothing is known. */
void search_text_make_unknown(struct buf *record);

struct search_text {
	uint8_t flags;
	struct slice header, body;
};
bool search_text_open(struct search_text *t, struct slice record);

enum search_where { SEARCH_IN_TEXT, SEARCH_IN_BODY, SEARCH_IN_HEADER }; /* as scan.msg and store.msg say it */
enum search_found { SEARCH_MISSED, SEARCH_FOUND, SEARCH_NOT_KNOWN };    /* not known: the record was cut */
struct search_key {
	enum search_where where;
	struct slice field;  /* in capitals */
	struct slice needle; /* folded */
};
enum search_found search_text_find(const struct search_text *t, const struct search_key *k);
/* The values of a field of that name, each ended by LF. */
void search_text_put_values(const struct search_text *t, struct slice name, struct buf *to);

void search_text_pack(struct slice record, struct buf *packed);
/* False: damaged, or larger than SEARCH_TEXT_BYTES_MAX. */
bool search_text_unpack(struct slice packed, struct buf *record);

#endif
