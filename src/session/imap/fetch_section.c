/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_section.c - BODY[...]: which bytes of a message a section means (RFC 3501 6.4.5), by the parts in its facts,
 * and choosing header fields. Pure. */
#include "mail/header.h"
#include "session/imap/fetch.h"

bool
fetch_section_needs_facts(const struct imap_section *s)
{
	return s->depth > 0 || s->text != SECTION_ALL;
}

/* The n-th child. */
static bool
child_of(const struct facts *facts, const struct facts_part *part, uint32_t n, size_t *index, struct facts_part *child)
{
	size_t at = part->first;
	for (size_t steps = 0; at && steps < facts_parts(facts); steps++) {
		if (!facts_part(facts, at, child))
			return false;
		*index = at;
		if (child->number == n)
			return true;
		at = child->next;
	}
	return false;
}

/* RFC 3501 6.4.5: a message that is not multipart has one part, 1, which is its body; message/rfc822 parts have part
 * numbers of the message inside. */
static bool
find_part(const struct facts *facts, const struct imap_section *s, size_t *index, struct facts_part *part)
{
	bool addressed = false; /* *part was named by a number: it is a part, and not a message as a whole */
	*index = 0;
	if (!facts_part(facts, 0, part))
		return false;
	for (size_t i = 0; i < s->depth; i++) {
		if (addressed && part->kind == FACTS_KIND_MESSAGE) {
			struct facts_part message = *part;
			if (!child_of(facts, &message, 1, index, part))
				return false;
			addressed = false;
		}
		struct facts_part parent = *part;
		if (parent.kind == FACTS_KIND_MULTIPART) {
			if (!child_of(facts, &parent, s->path[i], index, part))
				return false;
		} else if (addressed || s->path[i] != 1) {
			return false;
		}
		addressed = true;
	}
	return true;
}

static void
clamp(uint64_t *from, uint64_t *to, uint64_t bytes)
{
	*to = MIN(*to, bytes);
	*from = MIN(*from, *to);
}

bool
fetch_section_find(const struct facts *facts, const struct imap_section *s, uint64_t bytes, uint64_t *from,
                   uint64_t *to)
{
	struct facts_part part;
	size_t index;
	*from = 0;
	*to = bytes;
	if (!fetch_section_needs_facts(s))
		return true;
	if (!find_part(facts, s, &index, &part))
		return false;
	/* HEADER and TEXT of a part mean those of the message that it holds */
	if (s->depth && s->text != SECTION_ALL && s->text != SECTION_MIME) {
		struct facts_part message = part;
		if (message.kind != FACTS_KIND_MESSAGE || !child_of(facts, &message, 1, &index, &part))
			return false;
	}
	bool header = s->text == SECTION_HEADER || s->text == SECTION_FIELDS || s->text == SECTION_FIELDS_NOT ||
	              s->text == SECTION_MIME;
	*from = header ? part.header : part.body;
	*to = header ? part.body : index == 0 ? bytes : part.end;
	clamp(from, to, bytes);
	return true;
}

bool
fetch_section_part(const struct facts *facts, const struct imap_section *s, uint64_t bytes, struct facts_part *part,
                   uint64_t *from, uint64_t *to)
{
	size_t index;
	*part = (struct facts_part){ .kind = FACTS_KIND_MESSAGE, .encoding = FACTS_ENCODING_BINARY };
	return fetch_section_find(facts, s, bytes, from, to) && (!s->depth || find_part(facts, s, &index, part));
}

static bool
is_named(const struct imap_section *s, struct slice name)
{
	for (size_t i = 0; i < s->nfields; i++)
		if (slice_equal_nocase(s->fields[i], name))
			return true;
	return false;
}

/* RFC 3501 6.4.5: the blank line is always there, but for a message that has no body and no blank line. */
static bool
has_blank_line(struct slice header)
{
	size_t n = header.len;
	if (n >= FETCH_HEADER_BYTES_MAX) /* it was cut */
		return true;
	if (n == 0 || header.at[n - 1] != '\n')
		return false;
	n -= n > 1 && header.at[n - 2] == '\r' ? 2 : 1;
	return n == 0 || header.at[n - 1] == '\n';
}

void
fetch_section_fields(const struct imap_section *s, struct slice header, struct buf *out)
{
	struct header_reader r;
	struct header_field f;
	header_begin(&r, header);
	while (header_next(&r, &f))
		if (f.name.len && is_named(s, f.name) == (s->text == SECTION_FIELDS))
			buf_put(out, f.whole);
	if (has_blank_line(header))
		buf_put(out, S("\r\n"));
}
