/* SPDX-License-Identifier: Apache-2.0 */
/* search_text.c - the texts of a message for search. Called by scan, which makes records of them or looks into them at
 * once, and by the store, which looks into records. Pure; whatever the bytes, there is a record, and a record that does
 * not read is said to be none. */
#include "mail/search_text.h"

#include "mail/charset.h"
#include "mail/encoded_words.h"
#include "mail/fold.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/office_text.h"
#include "mail/part_text.h"

#include <lz4.h>

enum { METHOD_PLAIN, METHOD_LZ4 };
#define LZ4_BYTES_MIN 64 /* shorter ones are kept as they are */

/* ---- the walk */

struct walker {
	struct search_walk *w;
	struct slice message;
	struct arena arena;
	struct mime mime;
	struct buf text, folded, scratch;
	size_t office_work; /* that is left (office_text.h) */
	bool enough;
};

static void
give(struct walker *k, bool of_body)
{
	k->enough = k->enough || !k->w->piece(k->w, of_body, buf_slice(&k->folded));
}

/* The name, ": ", the value; each folded. */
static void
walk_fields(struct walker *k, struct slice header, bool of_body)
{
	struct header_reader r;
	struct header_field f;
	for (header_begin(&r, header); !k->enough && header_next(&r, &f);) {
		buf_clear(&k->text);
		buf_clear(&k->folded);
		fold_put(&k->folded, f.name);
		buf_put(&k->folded, S(": "));
		encoded_words_put(&k->text, f.value);
		fold_put_as(&k->folded, k->w->how, slice_trim(buf_slice(&k->text)));
		give(k, of_body);
	}
}

bool
search_field_value(struct slice field, struct slice name, struct slice *value)
{
	if (field.len < name.len + 2 || field.at[name.len] != ':' || !slice_starts(field, name))
		return false;
	*value = slice_from(field, name.len + 2);
	return true;
}

static void
walk_part(struct walker *k, const struct mime_part *part)
{
	size_t bytes = MIN(part->at.end - part->at.body, SEARCH_TEXT_PART_BYTES_MAX);
	struct slice body = slice_part(k->message, part->at.body, bytes);
	bool plain = part->at.kind == FACTS_KIND_TEXT && part->at.encoding <= FACTS_ENCODING_BINARY &&
	             !part_is_html(part) && ascii_prefix(body) == bytes;
	buf_clear(&k->text);
	buf_clear(&k->folded);
	if (!plain) {
		part_text_put(&k->text, part, k->message, bytes, &k->scratch, &k->office_work);
		body = buf_slice(&k->text);
	}
	fold_put_as(&k->folded, k->w->how, body);
	give(k, true);
}

static void
walk_parts(struct walker *k)
{
	for (size_t i = 0; i < k->mime.count && !k->enough; i++) {
		const struct mime_part *part = mime_part(&k->mime, i);
		if (part_has_text(part))
			walk_part(k, part);
		if (part->at.kind == FACTS_KIND_MESSAGE && part->at.first) {
			const struct facts_part *in = &mime_part(&k->mime, part->at.first)->at;
			walk_fields(k, slice_part(k->message, in->header, in->body - in->header), true);
		}
	}
}

void
search_walk(struct search_walk *w, struct slice message)
{
	struct walker k = { .w = w, .message = message, .office_work = OFFICE_WORK_BYTES_MAX };
	if (message.len >= UINT32_MAX)
		return;
	arena_init(&k.arena, 0);
	mime_init(&k.mime);
	buf_init(&k.text, 4u * SEARCH_TEXT_PART_BYTES_MAX);
	buf_init(&k.folded, 4u * SEARCH_TEXT_PART_BYTES_MAX);
	buf_init(&k.scratch, SEARCH_TEXT_PART_BYTES_MAX);
	if (w->header)
		walk_fields(&k, slice_part(message, 0, header_bytes(message)), false);
	if (w->body && !k.enough) {
		mime_parse(&k.mime, message, &k.arena);
		walk_parts(&k);
	}
	buf_release(&k.scratch);
	buf_release(&k.folded);
	buf_release(&k.text);
	mime_release(&k.mime);
	arena_release(&k.arena);
}

/* ---- the record */

struct making {
	struct search_walk walk;
	struct buf *record;
	size_t bytes_max, header_max;
	uint8_t flags;
};

static bool
keep_piece(struct search_walk *w, bool of_body, struct slice text)
{
	struct making *m = CONTAINER_OF(w, struct making, walk);
	size_t max = of_body ? m->bytes_max : m->header_max;
	size_t room = m->record->len + 1 < max ? max - m->record->len - 1 : 0;
	struct slice kept = text.len <= room ? text : utf8_prefix(text, room);
	if (kept.len < text.len)
		m->flags |= of_body ? SEARCH_TEXT_BODY_CUT : SEARCH_TEXT_HEADER_CUT;
	if (room) {
		buf_put(m->record, kept);
		buf_put_char(m->record, '\n');
	} else {
		m->flags |= of_body ? SEARCH_TEXT_BODY_CUT : SEARCH_TEXT_HEADER_CUT; /* an empty piece tells of a field */
	}
	return room > 0;
}

void
search_text_make(struct slice message, size_t bytes_max, struct buf *record)
{
	bytes_max = MIN(bytes_max, (size_t)SEARCH_TEXT_BYTES_MAX);
	/* A header that takes it all leaves a quarter to the body. */
	struct making m = { .walk = { .header = true, .piece = keep_piece },
		                .record = record,
		                .bytes_max = bytes_max,
		                .header_max = bytes_max - bytes_max / 4 };
	buf_clear(record);
	buf_put(record, slice_of("\0\0\0\0\0\0\0\0", SEARCH_TEXT_HEAD_BYTES));
	search_walk(&m.walk, message);
	size_t header = record->len - SEARCH_TEXT_HEAD_BYTES;
	m.walk.header = false;
	m.walk.body = true;
	search_walk(&m.walk, message);
	record->at[0] = SEARCH_TEXT_VERSION;
	record->at[1] = (char)m.flags;
	bytes_set_le(record->at + 4, header, 4);
}

void
search_text_make_unknown(struct buf *record)
{
	static const char head[SEARCH_TEXT_HEAD_BYTES] = { SEARCH_TEXT_VERSION,
		                                               SEARCH_TEXT_HEADER_CUT | SEARCH_TEXT_BODY_CUT };
	buf_clear(record);
	buf_put(record, slice_of(head, sizeof head));
}

bool
search_text_open(struct search_text *t, struct slice record)
{
	if (record.len < SEARCH_TEXT_HEAD_BYTES || record.at[0] != SEARCH_TEXT_VERSION)
		return false;
	size_t header = bytes_get_le(record.at + 4, 4);
	if (header > record.len - SEARCH_TEXT_HEAD_BYTES)
		return false;
	t->flags = (uint8_t)record.at[1];
	t->header = slice_part(record, SEARCH_TEXT_HEAD_BYTES, header);
	t->body = slice_from(record, SEARCH_TEXT_HEAD_BYTES + header);
	return true;
}

/* ---- looking into it */

static bool
find_in_fields(struct slice fields, const struct search_key *k)
{
	struct slice field, value, rest = fields;
	bool more = fields.len > 0;
	while (more && rest.len) {
		more = slice_cut(rest, '\n', &field, &rest);
		if (search_field_value(field, k->field, &value) && slice_find(value, k->needle) >= 0)
			return true;
	}
	return false;
}

enum search_found
search_text_find(const struct search_text *t, const struct search_key *k)
{
	uint8_t cut = SEARCH_TEXT_HEADER_CUT;
	bool found = false;
	switch (k->where) {
	case SEARCH_IN_HEADER: found = find_in_fields(t->header, k); break;
	case SEARCH_IN_BODY:
		found = slice_find(t->body, k->needle) >= 0;
		cut = SEARCH_TEXT_BODY_CUT;
		break;
	case SEARCH_IN_TEXT:
		found = slice_find(t->body, k->needle) >= 0 || slice_find(t->header, k->needle) >= 0;
		cut = SEARCH_TEXT_BODY_CUT | SEARCH_TEXT_HEADER_CUT;
		break;
	}
	return found ? SEARCH_FOUND : t->flags & cut ? SEARCH_NOT_KNOWN : SEARCH_MISSED;
}

void
search_text_put_values(const struct search_text *t, struct slice name, struct buf *to)
{
	struct slice field, value, rest = t->header;
	for (bool more = rest.len > 0; more && rest.len;) {
		more = slice_cut(rest, '\n', &field, &rest);
		if (!search_field_value(field, name, &value))
			continue;
		buf_put(to, value);
		buf_put_char(to, '\n');
	}
}

/* ---- packed */

void
search_text_pack(struct slice record, struct buf *packed)
{
	char head[SEARCH_TEXT_HEAD_BYTES] = { SEARCH_TEXT_VERSION, METHOD_PLAIN };
	ASSERT(record.len <= SEARCH_TEXT_BYTES_MAX);
	bytes_set_le(head + 4, record.len, 4);
	buf_clear(packed);
	buf_put(packed, slice_of(head, sizeof head));
	if (record.len >= LZ4_BYTES_MIN && buf_room(packed, record.len)) {
		int n = LZ4_compress_default(record.at, packed->at + packed->len, (int)record.len, (int)record.len - 1);
		if (n > 0) {
			packed->at[1] = METHOD_LZ4;
			packed->len += (size_t)n;
			return;
		}
	}
	buf_put(packed, record);
}

bool
search_text_unpack(struct slice packed, struct buf *record)
{
	buf_clear(record);
	if (packed.len < SEARCH_TEXT_HEAD_BYTES || packed.at[0] != SEARCH_TEXT_VERSION)
		return false;
	size_t bytes = bytes_get_le(packed.at + 4, 4);
	struct slice from = slice_from(packed, SEARCH_TEXT_HEAD_BYTES);
	if (bytes > SEARCH_TEXT_BYTES_MAX || !buf_room(record, bytes))
		return false;
	if (packed.at[1] == METHOD_PLAIN && from.len == bytes) {
		buf_put(record, from);
		return true;
	}
	if (packed.at[1] != METHOD_LZ4 || from.len > INT32_MAX ||
	    LZ4_decompress_safe(from.at, record->at, (int)from.len, (int)bytes) != (int)bytes)
		return false;
	record->len = bytes;
	return true;
}
