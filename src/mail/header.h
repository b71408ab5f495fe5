/* SPDX-License-Identifier: Apache-2.0 */
/* header.h - the fields of a message header, as they stand: nothing is copied, nothing is lost.
 *
 * Lines end with LF, with or without CR before it. The header ends with the first empty line, which belongs to it, or
 * with the text. A line that is no field (no colon, white space in the name) is given out with an empty name, so that
 * all `whole` slices together are the header, byte for byte, without its empty line. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/arena.h"
#include "base/cursor.h"

#define HEADER_FIELDS_MAX 10000 /* of one header that are looked at; the rest is skipped */

struct header_field {
	struct slice whole; /* name, value, line ends */
	struct slice name;  /* without colon and the white space before it */
	struct slice value; /* after the colon, without the last line end; still folded */
};

struct header_reader {
	struct cursor at;
	uint32_t fields;
};
void header_begin(struct header_reader *r, struct slice text);
/* False at the empty line, at the end, and after HEADER_FIELDS_MAX fields. */
bool header_next(struct header_reader *r, struct header_field *f);
/* How long the header at the start of text is, its empty line included. Linear. */
size_t header_bytes(struct slice text);
/* The first field of that name (ASCII case ignored). */
bool header_find(struct slice text, struct slice name, struct header_field *f);
/* RFC 5322 2.2.3: without line ends and without white space at both ends. Copies only what is folded. */
struct slice header_unfold(struct arena *a, struct slice value);
/* CFWS (RFC 5322 3.2.2): white space and comments, which nest. */
void header_skip_cfws(struct cursor *c);

/* The fields that this house looks at. */
enum header_id {
	HEADER_OTHER,
	HEADER_DATE,
	HEADER_SUBJECT,
	HEADER_FROM,
	HEADER_SENDER,
	HEADER_REPLY_TO,
	HEADER_TO,
	HEADER_CC,
	HEADER_BCC,
	HEADER_IN_REPLY_TO,
	HEADER_MESSAGE_ID,
	HEADER_REFERENCES,
	HEADER_RECEIVED,
	HEADER_CONTENT_TYPE,
	HEADER_CONTENT_TRANSFER_ENCODING,
	HEADER_CONTENT_DISPOSITION,
	HEADER_CONTENT_ID,
	HEADER_CONTENT_DESCRIPTION,
	HEADER_CONTENT_LANGUAGE,
	HEADER_CONTENT_LOCATION,
	HEADER_CONTENT_MD5,
	HEADER_ID_COUNT
};
enum header_id header_id(struct slice name);

#endif
