/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - what is known about a message after it was parsed once: a flat, versioned record that scan makes, the store
 * keeps without looking inside, and sessions read. FETCH of anything but a body opens no body.
 *
 * Layout, little endian: u16 version, u16 flags (FACTS_*), u32 count; count times (u32 id, u32 offset, u32 bytes) by
 * rising id; then the values. Unknown ids are skipped, missing ones read as empty: so later versions add values without
 * rewriting old records. A record that does not read is made again from the body (facts_open returns false).
 *
 * Values in IMAP form are UTF-8-safe bytes ready to send to an IMAP4rev1 client (literals included where they must be).
 */
#ifndef MAIL_FACTS_H
#define MAIL_FACTS_H

#include "base/arena.h"
#include "base/buf.h"

#define FACTS_VERSION 1
#define FACTS_BYTES_MAX (1u << 20)

enum {
	FACTS_CUT = 1,  /* a limit was passed: structure and texts end there */
	FACTS_8BIT = 2, /* bytes above 127 in the body */
	FACTS_NUL = 4,  /* NUL somewhere */
	FACTS_8BIT_HEADER = 8,
	FACTS_MORE_FIELDS = 16, /* a field whose text is kept is there twice, or longer than what was looked at */
};

enum facts_id {
	FACTS_ENVELOPE = 1, /* (date subject from ...) RFC 9051 7.5.2 */
	FACTS_BODY = 2,     /* BODY, without extension data */
	FACTS_BODYSTRUCTURE = 3,
	FACTS_PARTS = 4,   /* struct facts_part, FACTS_PART_BYTES each; part 0 is the message itself */
	FACTS_NUMBERS = 5, /* struct facts_numbers */
	FACTS_SUBJECT = 6, /* decoded UTF-8, unfolded, as it would be shown */
	FACTS_FROM = 7,    /* decoded header texts, for search */
	FACTS_TO = 8,
	FACTS_CC = 9,
	FACTS_BCC = 10,
	FACTS_BASE_SUBJECT = 11, /* RFC 5256 2.1, for SORT and THREAD; case kept */
	FACTS_MESSAGE_ID = 12,   /* without brackets */
	FACTS_REFERENCES = 13,   /* ids without brackets, separated by NUL: References, else the first of In-Reply-To */
	FACTS_PREVIEW = 14,      /* RFC 8970: at most 200 characters */
	FACTS_SORT_FROM = 15,    /* local-part of the first address (RFC 5256 3) */
	FACTS_SORT_TO = 16,
	FACTS_SORT_CC = 17,
	FACTS_DISPLAY_FROM = 18, /* RFC 5957 */
	FACTS_DISPLAY_TO = 19,
	FACTS_IN_REPLY_TO = 20,
};

/* One MIME entity. Offsets are from the start of the message. The header is [header, body), its empty line included;
 * the body is [body, end). Parts stand in the order of the message; a message/rfc822 part has one child, which is the
 * message inside (section "N" addresses the part, "N.1" a part of the message inside). */
#define FACTS_PART_BYTES 40
struct facts_part {
	uint32_t header, body, end;
	uint32_t lines;  /* LF in the body; a last line without one counts */
	uint16_t parent; /* index; part 0: itself */
	uint16_t number; /* 1, 2, ... among its siblings */
	uint16_t children;
	uint16_t depth;
	uint8_t kind;     /* FACTS_KIND_* */
	uint8_t encoding; /* FACTS_ENCODING_* */
	uint16_t flags;
	uint32_t decoded; /* bytes after undoing the transfer encoding (RFC 3516) */
	uint32_t next;    /* index of the next sibling, 0: none */
	uint32_t first;   /* index of the first child, 0: none */
};
_Static_assert(sizeof(struct facts_part) == FACTS_PART_BYTES, "no padding");
enum { FACTS_KIND_SINGLE, FACTS_KIND_MULTIPART, FACTS_KIND_MESSAGE, FACTS_KIND_TEXT };
enum {
	FACTS_ENCODING_7BIT,
	FACTS_ENCODING_8BIT,
	FACTS_ENCODING_BINARY,
	FACTS_ENCODING_BASE64,
	FACTS_ENCODING_QP,
	FACTS_ENCODING_UNKNOWN
};

struct facts_numbers {
	int64_t date; /* of the Date field, UTC seconds; INT64_MIN: missing or malformed */
	int32_t zone; /* its offset east of UTC, minutes */
	uint32_t attachments;
	uint32_t received; /* Received fields, for loop detection */
	uint32_t reserved;
};

struct facts {
	struct slice all;
	uint16_t flags;
	uint32_t count;
};
bool facts_open(struct facts *f, struct slice record);           /* checks every offset; the record must outlive f */
struct slice facts_get(const struct facts *f, enum facts_id id); /* empty: not there */
size_t facts_parts(const struct facts *f);
bool facts_part(const struct facts *f, size_t index, struct facts_part *part);
bool facts_numbers(const struct facts *f, struct facts_numbers *n);

/* Writer, for scan. */
struct facts_writer {
	struct buf values;
	struct {
		uint32_t id, offset, bytes;
	} rows[32];
	uint32_t count;
	uint16_t flags;
};
void facts_writer_init(struct facts_writer *w);
void facts_writer_release(struct facts_writer *w);
void facts_add(struct facts_writer *w, enum facts_id id, struct slice value); /* ids in rising order, each once */
/* The same without a copy: what is put between them is the value; an empty one is not kept. */
struct buf *facts_begin(struct facts_writer *w, enum facts_id id);
void facts_end(struct facts_writer *w);
bool facts_finish(struct facts_writer *w, struct buf *out); /* false: larger than FACTS_BYTES_MAX, or than out may be */
void facts_put_part(struct buf *to, const struct facts_part *part);
void facts_put_numbers(struct buf *to, const struct facts_numbers *n);

/* The one way from a message to its facts: parses headers, MIME structure, texts. Limits: see mail/mime.h. */
bool facts_of_message(struct slice message, struct buf *out);

#endif
