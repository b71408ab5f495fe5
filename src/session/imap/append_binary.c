/* SPDX-License-Identifier: Apache-2.0 */
/* append_binary.c - messages with NULs (RFC 3516 4.4). No literal of IMAP may hold a NUL, so that BODY[] could not show
 * them: parts in which there are NULs become base64, and nothing else changes (section 6: no encoding is changed
 * without need). The parts are found by scan; bytes are read from the body and put behind its end. NULs in headers,
 * between parts or in what is encoded already cannot be kept: UNKNOWN-CTE. */
#include "base/base64.h"
#include "mail/facts.h"
#include "mail/header.h"
#include "session/imap/append.h"

enum {
	CHUNK_BYTES = 57 * 1024, /* whole lines of base64 (RFC 2045 6.8: 76 characters) */
	LINE_BYTES = 57,
	HEADER_BYTES_MAX = 256 << 10,
};

struct encoding {
	struct appending *ap;
	struct appended from; /* the message as it came */
	char *chunk;
	enum err e;
};

static void
refuse_nul(struct appending *ap)
{
	append_refuse(ap, imap_no("UNKNOWN-CTE", "NULs can only be in parts that are neither base64 nor quoted-printable"));
}

static struct slice
chunk_at(struct encoding *c, uint64_t at, uint64_t to)
{
	size_t n = (size_t)MIN(to - at, (uint64_t)CHUNK_BYTES);
	c->e = body_read(&c->ap->body, c->from.from + at, c->chunk, n);
	return slice_of(c->chunk, c->e ? 0 : n);
}

static bool
has_nul(struct encoding *c, uint64_t at, uint64_t to)
{
	for (; at < to && !c->e; at += CHUNK_BYTES)
		if (slice_find_char(chunk_at(c, at, to), '\0') >= 0)
			return true;
	return false;
}

static bool
goes_on(const struct encoding *c)
{
	return !c->e && !c->ap->refused;
}

static void
await_copy(struct encoding *c, uint64_t at, uint64_t to)
{
	for (; at < to && goes_on(c); at += CHUNK_BYTES)
		await_append_put(c->ap, chunk_at(c, at, to));
}

/* The header of a part, with another Content-Transfer-Encoding. */
static void
await_header(struct encoding *c, uint64_t at, uint64_t to)
{
	static const struct slice field = S_ROW("Content-Transfer-Encoding: base64\r\n");
	struct header_reader r;
	struct header_field f;
	struct buf out;
	bool told = false;
	if (to - at > HEADER_BYTES_MAX) {
		append_refuse(c->ap, imap_no("TOOBIG", "the header of a binary part is too large"));
		return;
	}
	char *text = must_calloc(1, (size_t)(to - at) + 1);
	c->e = body_read(&c->ap->body, c->from.from + at, text, (size_t)(to - at));
	buf_init(&out, 2 * HEADER_BYTES_MAX);
	header_begin(&r, slice_of(text, c->e ? 0 : (size_t)(to - at)));
	while (header_next(&r, &f)) {
		bool encoding = slice_equal_nocase(f.name, S("Content-Transfer-Encoding"));
		buf_put(&out, !encoding ? f.whole : told ? SLICE_NONE : field);
		told = told || encoding;
	}
	if (!told)
		buf_put(&out, field);
	buf_put(&out, S("\r\n"));
	await_append_put(c->ap, buf_slice(&out));
	buf_release(&out);
	free(text);
}

/* last: nothing follows, so the last line needs its own end. */
static void
await_base64(struct encoding *c, uint64_t at, uint64_t to, bool last)
{
	struct buf lines;
	buf_init(&lines, 2 * CHUNK_BYTES);
	for (; at < to && goes_on(c); at += CHUNK_BYTES) {
		struct slice chunk = chunk_at(c, at, to);
		buf_clear(&lines);
		for (; chunk.len; chunk = slice_from(chunk, LINE_BYTES)) {
			base64_encode(slice_part(chunk, 0, LINE_BYTES), &lines);
			if (chunk.len > LINE_BYTES || at + CHUNK_BYTES < to || last)
				buf_put(&lines, S("\r\n"));
		}
		await_append_put(c->ap, buf_slice(&lines));
	}
	buf_release(&lines);
}

static bool
is_plain_leaf(const struct facts_part *p)
{
	return !p->first && p->encoding <= FACTS_ENCODING_BINARY;
}

static void
await_parts(struct encoding *c, const struct facts *facts)
{
	struct facts_part p;
	uint64_t done = 0;
	for (size_t i = 0; i < facts_parts(facts) && goes_on(c); i++) {
		if (!facts_part(facts, i, &p) || !is_plain_leaf(&p) || p.header < done || !has_nul(c, p.body, p.end))
			continue;
		await_copy(c, done, p.header);
		await_header(c, p.header, p.body);
		await_base64(c, p.body, p.end, p.end == c->from.bytes);
		done = p.end;
	}
	await_copy(c, done, c->from.bytes);
}

void
await_append_encode(struct appending *ap, struct appended *m)
{
	struct slice record;
	struct facts facts;
	struct encoding c = { .ap = ap, .from = *m };
	struct arena a;
	arena_init(&a, 0);
	c.e = body_read(&ap->body, m->from, &(char){ 0 }, 1); /* what was gathered is in the file: scan reads that */
	c.e = c.e ? c.e : await_body_facts_part(&ap->body, m->from, m->bytes, &a, &record);
	if (c.e == OK && !facts_open(&facts, record))
		c.e = ERR_DAMAGED;
	if (c.e == OK) {
		*m = (struct appended){ .from = ap->body.len, .utf8 = m->utf8 };
		c.chunk = must_calloc(1, CHUNK_BYTES);
		await_parts(&c, &facts);
		free(c.chunk);
	}
	arena_release(&a);
	if (c.e != OK)
		append_refuse(ap, imap_err(c.e));
	else if (m->nul)
		refuse_nul(ap);
}
