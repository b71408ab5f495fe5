/* SPDX-License-Identifier: Apache-2.0 */
/* match.c - looks into one message for several substrings at once. Called by scan. Everything is decoded as it would be
 * shown, folded once, and searched for each needle that was not found before. Linear in message times needles. */
#include "mail/match.h"

#include "mail/charset.h"
#include "mail/encoded_words.h"
#include "mail/fold.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/part_text.h"

struct match {
	struct slice message;
	const struct match_key *keys;
	size_t nkeys;
	uint64_t hits, all;
	struct slice needles[MATCH_KEYS_MAX]; /* folded */
	struct arena arena;
	struct mime mime;
	struct buf text, folded, scratch;
};

static void
fold_needles(struct match *m)
{
	for (size_t i = 0; i < m->nkeys; i++) {
		buf_clear(&m->folded);
		fold_put(&m->folded, m->keys[i].needle);
		m->needles[i] = slice_keep(&m->arena, buf_slice(&m->folded));
		m->all |= (uint64_t)1 << i;
	}
}

static bool
wants(const struct match *m, size_t i)
{
	return (m->hits >> i & 1) == 0;
}

static bool
wanted(const struct match *m, enum match_where where)
{
	for (size_t i = 0; i < m->nkeys; i++)
		if (wants(m, i) && m->keys[i].where == where)
			return true;
	return false;
}

/* Looks into m->folded. */
static void
look(struct match *m, size_t i)
{
	if (slice_find(buf_slice(&m->folded), m->needles[i]) >= 0)
		m->hits |= (uint64_t)1 << i;
}

static void
fold_field(struct match *m, const struct header_field *f, bool with_name)
{
	buf_clear(&m->text);
	buf_clear(&m->folded);
	if (with_name) {
		buf_put(&m->text, f->name);
		buf_put(&m->text, S(": "));
	}
	encoded_words_put(&m->text, f->value);
	fold_put(&m->folded, buf_slice(&m->text));
}

/* Keys that name this field. */
static void
match_field(struct match *m, const struct header_field *f)
{
	bool folded = false;
	for (size_t i = 0; i < m->nkeys; i++) {
		const struct match_key *k = &m->keys[i];
		if (!wants(m, i) || k->where != MATCH_IN_HEADER || !slice_equal_nocase(k->field, f->name))
			continue;
		if (!folded)
			fold_field(m, f, false);
		folded = true;
		look(m, i);
	}
}

static void
match_all_fields(struct match *m, struct slice header, bool top)
{
	struct header_reader r;
	struct header_field f;
	for (header_begin(&r, header); m->hits != m->all && header_next(&r, &f);) {
		if (top)
			match_field(m, &f);
		if (!wanted(m, MATCH_IN_TEXT) && (top || !wanted(m, MATCH_IN_BODY)))
			continue;
		fold_field(m, &f, true);
		for (size_t i = 0; i < m->nkeys; i++)
			if (wants(m, i) && (m->keys[i].where == MATCH_IN_TEXT || (!top && m->keys[i].where == MATCH_IN_BODY)))
				look(m, i);
	}
}

static void
match_text(struct match *m, const struct mime_part *part)
{
	size_t bytes = MIN(part->at.end - part->at.body, MATCH_PART_BYTES_MAX);
	struct slice body = slice_part(m->message, part->at.body, bytes);
	bool plain = part->at.encoding <= FACTS_ENCODING_BINARY && !part_is_html(part) && ascii_prefix(body) == bytes;
	buf_clear(&m->text);
	buf_clear(&m->folded);
	if (!plain) {
		part_text_put(&m->text, part, m->message, bytes, &m->scratch);
		body = buf_slice(&m->text);
	}
	fold_put(&m->folded, body);
	for (size_t i = 0; i < m->nkeys; i++)
		if (wants(m, i) && m->keys[i].where != MATCH_IN_HEADER)
			look(m, i);
}

static void
match_parts(struct match *m)
{
	for (size_t i = 0; i < m->mime.count && m->hits != m->all; i++) {
		const struct mime_part *part = mime_part(&m->mime, i);
		if (part->at.kind == FACTS_KIND_TEXT)
			match_text(m, part);
		if (part->at.kind == FACTS_KIND_MESSAGE && part->at.first) {
			const struct facts_part *in = &mime_part(&m->mime, part->at.first)->at;
			match_all_fields(m, slice_part(m->message, in->header, in->body - in->header), false);
		}
	}
}

uint64_t
match_message(struct slice message, const struct match_key *keys, size_t nkeys)
{
	struct match m = { .message = message, .keys = keys, .nkeys = nkeys };
	ASSERT(nkeys <= MATCH_KEYS_MAX);
	if (message.len >= UINT32_MAX)
		return 0;
	arena_init(&m.arena, 0);
	mime_init(&m.mime);
	buf_init(&m.text, 4u * MATCH_PART_BYTES_MAX);
	buf_init(&m.folded, 4u * MATCH_PART_BYTES_MAX);
	buf_init(&m.scratch, MATCH_PART_BYTES_MAX);
	fold_needles(&m);
	match_all_fields(&m, slice_part(message, 0, header_bytes(message)), true);
	if (m.hits != m.all && (wanted(&m, MATCH_IN_TEXT) || wanted(&m, MATCH_IN_BODY))) {
		mime_parse(&m.mime, message, &m.arena);
		match_parts(&m);
	}
	buf_release(&m.scratch);
	buf_release(&m.folded);
	buf_release(&m.text);
	mime_release(&m.mime);
	arena_release(&m.arena);
	return m.hits;
}
