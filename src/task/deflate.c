/* SPDX-License-Identifier: Apache-2.0 */
/* deflate.c - DEFLATE (RFC 1951) in both directions of a stream, between its buffers and the socket or TLS below.
 * Called by stream.c alone. zlib's states are large, so they are borrowed from a small pool while bytes go through: a
 * stream at rest keeps none for its output (after a flush a fresh one may go on, as nothing refers to what went
 * before), and of its input only what the other side may still refer to: what it sent, at most 32 KiB. What the peer
 * compresses grows by 1,000 times at most, into the reader's buffer, which bounds it. Fails: ERR_SYNTAX when the input
 * is no DEFLATE (sticky, like all errors of a stream), ERR_CLOSED when the peer ended the compression. */
#include "task/stream_inside.h"

#include <zlib.h>

enum {
	LEVEL = 3,
	OUT_WINDOW_BITS = 13, /* 8 KiB back: with the next one some 100 KiB for each stream that is sending */
	OUT_MEMORY_LEVEL = 7,
	IN_WINDOW_BITS = 15,     /* the peer may use all that there is */
	PIECE_BYTES = 16 * 1024, /* what is read, and compressed, at a time */
	RAW_BYTES_MAX = 16 * 1024 * 1024,
	PACKED_BYTES_MAX = 1024 * 1024,
	POOL_MAX = 8,
	AT_BLOCK = 128, /* z_stream.data_type: between two blocks, and no bits of a byte are left over */
};

struct deflate {
	z_stream *in;        /* NULL: at rest, `window` has what it knew */
	z_stream *out;       /* NULL: nothing was put since the last rest */
	char *window;        /* what the peer may still refer to */
	size_t window_bytes; /* of it */
	struct buf raw;      /* input as it came, from raw_at on unread */
	size_t raw_at;       /* */
	bool in_more;        /* inflate had more than there was room for */
	struct buf packed;   /* output that the socket has yet to take, from packed_at on */
	size_t packed_at;    /* */
	bool unflushed;      /* the peer cannot read all of it yet */
};

/* ---- the pools: all connections of a process, one thread */

static struct pool {
	z_stream *idle[POOL_MAX];
	size_t count;
} inflaters, deflaters;

static z_stream *
pool_take(struct pool *p)
{
	return p->count ? p->idle[--p->count] : NULL;
}

static bool
pool_give(struct pool *p, z_stream *z)
{
	if (p->count == POOL_MAX)
		return false;
	p->idle[p->count++] = z;
	return true;
}

static z_stream *
inflater_take(void)
{
	z_stream *z = pool_take(&inflaters);
	if (z) {
		ASSERT(inflateReset(z) == Z_OK);
		return z;
	}
	z = must_calloc(1, sizeof *z);
	ASSERT(inflateInit2(z, -IN_WINDOW_BITS) == Z_OK);
	return z;
}

static void
inflater_give(z_stream **z)
{
	if (*z && !pool_give(&inflaters, *z)) {
		inflateEnd(*z);
		free(*z);
	}
	*z = NULL;
}

static z_stream *
deflater_take(void)
{
	z_stream *z = pool_take(&deflaters);
	if (z) {
		ASSERT(deflateReset(z) == Z_OK);
		return z;
	}
	z = must_calloc(1, sizeof *z);
	ASSERT(deflateInit2(z, LEVEL, Z_DEFLATED, -OUT_WINDOW_BITS, OUT_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
	return z;
}

static void
deflater_give(z_stream **z)
{
	if (*z && !pool_give(&deflaters, *z)) {
		deflateEnd(*z);
		free(*z);
	}
	*z = NULL;
}

/* ---- begin, rest, end */

struct deflate *
deflate_new(struct slice unread)
{
	struct deflate *d = must_calloc(1, sizeof *d);
	buf_init(&d->raw, RAW_BYTES_MAX);
	buf_init(&d->packed, PACKED_BYTES_MAX);
	buf_put(&d->raw, unread);
	return d;
}

void
deflate_free(struct deflate **d)
{
	if (!*d)
		return;
	inflater_give(&(*d)->in);
	deflater_give(&(*d)->out);
	free((*d)->window);
	buf_release(&(*d)->raw);
	buf_release(&(*d)->packed);
	free(*d);
	*d = NULL;
}

struct slice
deflate_unread(const struct deflate *d)
{
	return slice_from(buf_slice(&d->raw), d->raw_at);
}

/* From a state of 40 KiB to what it remembers. */
static void
inflater_rest(struct deflate *d)
{
	uInt n = 0;
	ASSERT(inflateGetDictionary(d->in, NULL, &n) == Z_OK);
	free(d->window);
	d->window = must_calloc(1, n + 1);
	ASSERT(inflateGetDictionary(d->in, (Bytef *)d->window, &n) == Z_OK);
	d->window_bytes = n;
	inflater_give(&d->in);
}

void
deflate_rest(struct deflate *d)
{
	if (!d->unflushed && d->packed_at == d->packed.len) {
		deflater_give(&d->out);
		buf_release(&d->packed);
		d->packed_at = 0;
	}
	if (d->raw_at < d->raw.len || d->in_more)
		return;
	buf_release(&d->raw);
	d->raw_at = 0;
	if (d->in && d->in->data_type == AT_BLOCK)
		inflater_rest(d);
}

/* ---- input */

bool
deflate_has_input(const struct deflate *d)
{
	return d->in_more || d->raw_at < d->raw.len;
}

static void
inflater_wake(struct deflate *d)
{
	if (d->in)
		return;
	d->in = inflater_take();
	if (d->window_bytes)
		ASSERT(inflateSetDictionary(d->in, (const Bytef *)d->window, (uInt)d->window_bytes) == Z_OK);
	free(d->window);
	d->window = NULL;
	d->window_bytes = 0;
}

/* What is there, as far as there is room: *got 0, more must be read. */
static enum err
inflate_raw(struct deflate *d, void *to, size_t room, size_t *got)
{
	inflater_wake(d);
	z_stream *z = d->in;
	z->next_in = (Bytef *)d->raw.at + d->raw_at;
	z->avail_in = (uInt)(d->raw.len - d->raw_at);
	z->next_out = to;
	z->avail_out = (uInt)MIN(room, (size_t)INT32_MAX);
	uInt had = z->avail_out;
	int result = inflate(z, Z_SYNC_FLUSH);
	*got = had - z->avail_out;
	d->in_more = z->avail_out == 0;
	d->raw_at = d->raw.len - z->avail_in;
	if (*got > 0 || result == Z_OK || result == Z_BUF_ERROR)
		return OK; /* an error behind what was got is found again */
	return result == Z_STREAM_END ? ERR_CLOSED : ERR_SYNTAX;
}

/* Reads what the socket has. *got 0: nothing. */
static enum err
raw_read_now(struct stream *s, size_t *got)
{
	struct deflate *d = s->deflate;
	buf_clear(&d->raw);
	d->raw_at = 0;
	ASSERT(buf_room(&d->raw, PIECE_BYTES));
	enum err e = stream_recv_now(s, d->raw.at, PIECE_BYTES, got);
	d->raw.len = e ? 0 : *got;
	return e;
}

enum err
deflate_read_now(struct stream *s, void *to, size_t room, size_t *got)
{
	struct deflate *d = s->deflate;
	size_t came = 0;
	*got = 0;
	do {
		enum err e = deflate_has_input(d) ? inflate_raw(d, to, room, got) : OK;
		if (e)
			return stream_fail(s, e);
		if (*got == 0 && (e = raw_read_now(s, &came)) != OK)
			return e;
	} while (*got == 0 && came > 0);
	return OK;
}

/* ---- output */

bool
deflate_has_output(const struct deflate *d)
{
	return d->unflushed || d->packed_at < d->packed.len;
}

static void
pack(struct deflate *d, struct slice bytes, int flush)
{
	if (!d->out)
		d->out = deflater_take();
	z_stream *z = d->out;
	z->next_in = (Bytef *)(uintptr_t)bytes.at; /* zlib's prototype lacks const */
	z->avail_in = (uInt)bytes.len;
	do {
		ASSERT(buf_room(&d->packed, PIECE_BYTES)); /* a piece never grows to PACKED_BYTES_MAX */
		z->next_out = (Bytef *)d->packed.at + d->packed.len;
		z->avail_out = (uInt)(d->packed.cap - d->packed.len);
		int result = deflate(z, flush);
		ASSERT(result == Z_OK || result == Z_BUF_ERROR);
		d->packed.len = d->packed.cap - z->avail_out;
	} while (z->avail_out == 0);
}

/* Sends what the socket takes; true: all that was packed went, or the stream failed. */
static bool
packed_went(struct stream *s)
{
	struct deflate *d = s->deflate;
	size_t sent = 1;
	while (!s->error && sent > 0 && d->packed_at < d->packed.len)
		if (stream_send_now(s, slice_from(buf_slice(&d->packed), d->packed_at), false, &sent) == OK)
			d->packed_at += sent;
	if (d->packed_at < d->packed.len)
		return s->error != OK;
	buf_clear(&d->packed);
	d->packed_at = 0;
	return true;
}

enum err
deflate_write_now(struct stream *s, struct slice bytes, size_t *sent)
{
	*sent = 0;
	if (!packed_went(s) || s->error)
		return s->error;
	*sent = MIN(bytes.len, (size_t)PIECE_BYTES);
	pack(s->deflate, slice_part(bytes, 0, *sent), Z_NO_FLUSH);
	s->deflate->unflushed = true;
	(void)packed_went(s);
	return s->error;
}

bool
deflate_flush_now(struct stream *s)
{
	if (s->deflate->unflushed && !s->error)
		pack(s->deflate, SLICE_NONE, Z_SYNC_FLUSH);
	s->deflate->unflushed = false;
	return packed_went(s);
}
