/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_binary.c - BINARY[...] and BINARY.SIZE[...]: parts decoded on their way to the client. Called by cmd_fetch.c.
 * What is small is decoded once and kept; of what is larger the length is known from facts, or found out by decoding
 * it a first time. Lines of text parts end with CR LF, whatever they were encoded with (RFC 9051 7.5.2). Fails as the
 * store does. */
#include "mail/transfer.h"
#include "session/imap/fetch.h"

enum { KEEP_BYTES_MAX = 256 << 10 };

/* One pass over the part: what comes out between `from` and `to` goes to the client, or is kept. */
struct pass {
	struct fetch_binary *b;
	struct transfer transfer;
	struct buf decoded, lines;
	char last;
	bool sends;
	uint64_t at, from, to;
};

void
fetch_binary_init(struct fetch_binary *b, struct fetch_body *body)
{
	*b = (struct fetch_binary){ .body = body };
	buf_init(&b->data, KEEP_BYTES_MAX);
}

void
fetch_binary_release(struct fetch_binary *b)
{
	buf_release(&b->data);
}

/* RFC 3516 6: a line of text ends with CR LF. */
static struct slice
whole_lines(struct pass *p, struct slice s)
{
	buf_clear(&p->lines);
	while (s.len) {
		const char *lf = memchr(s.at, '\n', s.len);
		size_t n = lf ? (size_t)(lf - s.at) : s.len;
		buf_put(&p->lines, slice_part(s, 0, n));
		if (n)
			p->last = s.at[n - 1];
		if (lf && p->last != '\r')
			buf_put_char(&p->lines, '\r');
		if (lf)
			buf_put_char(&p->lines, p->last = '\n');
		s = slice_from(s, n + (lf != NULL));
	}
	return buf_slice(&p->lines);
}

static void
await_take(struct pass *p)
{
	struct fetch_binary *b = p->b;
	struct slice s = b->text ? whole_lines(p, buf_slice(&p->decoded)) : buf_slice(&p->decoded);
	uint64_t end = p->at + s.len, from = MAX(p->at, p->from), to = MIN(end, p->to);
	if (!p->sends) {
		b->nul = b->nul || slice_find_char(s, '\0') >= 0;
		buf_put(&b->data, s);
	} else if (from < to) {
		b->body->im->c->io.deadline_ms = deadline_in_ms(b->body->im->c->idle_ms);
		(void)await_put(&b->body->im->c->io, slice_part(s, (size_t)(from - p->at), (size_t)(to - from)));
	}
	p->at = end;
	buf_clear(&p->decoded);
}

static enum err
await_pass(struct pass *p)
{
	const struct fetch_binary *b = p->b;
	uint64_t at = b->from;
	enum err e = OK;
	transfer_init(&p->transfer, b->encoding);
	buf_init(&p->decoded, 2u << 20); /* of a piece of 512 KiB, and what was held back before it */
	buf_init(&p->lines, 4u << 20);
	while (e == OK && at < b->to && p->at < p->to && b->body->im->c->io.error == OK) {
		struct slice piece;
		e = await_fetch_piece(b->body, at, (size_t)MIN(b->to - at, (uint64_t)FETCH_WHOLE_BYTES_MAX), &piece);
		if (e != OK)
			break;
		at += piece.len;
		transfer_put(&p->transfer, piece, &p->decoded);
		if (at == b->to)
			transfer_end(&p->transfer, &p->decoded);
		await_take(p);
	}
	buf_release(&p->decoded);
	buf_release(&p->lines);
	return e;
}

enum err
await_fetch_binary(struct fetch_binary *b, const struct facts_part *part, uint64_t from, uint64_t to)
{
	b->from = from;
	b->to = to;
	b->encoding = part->encoding;
	b->text = part->kind == FACTS_KIND_TEXT;
	b->nul = false;
	buf_clear(&b->data);
	bool encoded = b->encoding == FACTS_ENCODING_BASE64 || b->encoding == FACTS_ENCODING_QP;
	if (to - from > FETCH_WHOLE_BYTES_MAX && !b->text) { /* a literal8 is always right */
		b->bytes = encoded ? part->decoded : to - from;
		b->nul = true;
		b->kept = false;
		return OK;
	}
	struct pass p = { .b = b, .to = UINT64_MAX };
	enum err e = await_pass(&p);
	b->bytes = p.at;
	b->kept = b->data.len == b->bytes && !b->data.over;
	return e;
}

enum err
await_fetch_binary_put(struct fetch_binary *b, uint64_t from, uint64_t to)
{
	struct imap *im = b->body->im;
	await_imap_text(im);
	if (b->kept) {
		im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
		(void)await_put(&im->c->io, slice_part(buf_slice(&b->data), (size_t)from, (size_t)(to - from)));
		return im->c->io.error;
	}
	struct pass p = { .b = b, .sends = true, .from = from, .to = to };
	enum err e = from < to ? await_pass(&p) : OK;
	if (e != OK || p.at < to) /* its length was said already */
		return from < to ? stream_fail(&im->c->io, ERR_IO) : im->c->io.error;
	return im->c->io.error;
}
