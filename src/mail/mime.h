/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h - the structure of a message: which part begins where, and what its fields say (RFC 2045, 2046). The one MIME
 * parser of this house.
 *
 * One pass over the lines, without recursion; linear however many boundaries there are. Never fails. Broken messages
 * are read the way that loses nothing: a multipart without a boundary is text, one that does not end ends where what is
 * around it ends, a part without an empty line is all header. Offsets always nest: header <= body <= end, children
 * inside their parent, siblings one after the other. */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/arena.h"
#include "base/buf.h"
#include "mail/facts.h"

#define MIME_DEPTH_MAX 100               /* what is deeper is a leaf, FACTS_CUT is set */
#define MIME_PARTS_MAX 10000             /* what comes after them belongs to no part, FACTS_CUT is set */
#define MIME_FIELD_BYTES_MAX (64u << 10) /* of one Content- field that are looked at */
#define MIME_BOUNDARY_BYTES_MAX 200      /* RFC 2046 5.1.1 says 70; a longer one than this is none */

/* Slices point into the message, those with copied escapes into the arena. at NULL: the field is not there. */
struct mime_part {
	struct facts_part at;
	struct slice type, subtype; /* as written; the default where the field is missing or broken */
	struct slice params;        /* what follows the subtype, still unparsed */
	struct slice encoding;      /* the word of Content-Transfer-Encoding, as written */
	struct slice disposition, id, description, language, location, md5; /* values, still folded */
};

struct mime {
	struct buf parts; /* struct mime_part, in the order of the message; part 0 is the message */
	size_t count;
	size_t parts_max;
	uint16_t flags; /* FACTS_CUT */
};

void mime_init(struct mime *m);
void mime_release(struct mime *m);
/* message: less than 4 GiB. May be called again; the parts of before are gone then. */
void mime_parse(struct mime *m, struct slice message, struct arena *a);

static inline struct mime_part *
mime_part(const struct mime *m, size_t i)
{
	ASSERT(i < m->count);
	return (struct mime_part *)(void *)m->parts.at + i;
}

/* What there is in bytes: FACTS_8BIT, FACTS_NUL. Fast. */
uint16_t mime_flags_of_bytes(struct slice bytes);

#endif
