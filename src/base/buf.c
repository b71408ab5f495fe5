/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - bounded growable bytes, and numbers in bytes. */
#include "base/buf.h"

#include <stdarg.h>

void
buf_init(struct buf *b, size_t bytes_max)
{
	*b = (struct buf){ .bytes_max = bytes_max };
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->over = false;
}

void
buf_release(struct buf *b)
{
	free(b->at);
	buf_init(b, b->bytes_max);
}

struct slice
buf_slice(const struct buf *b)
{
	return slice_of(b->at, b->len);
}

bool
buf_room(struct buf *b, size_t n)
{
	if (b->over || n > b->bytes_max - b->len) {
		b->over = true;
		return false;
	}
	if (b->len + n > b->cap) {
		size_t cap = MAX(b->cap * 2, (size_t)256);
		cap = MIN(MAX(cap, b->len + n), b->bytes_max);
		b->at = must_realloc(b->at, cap);
		b->cap = cap;
	}
	return true;
}

void
buf_put(struct buf *b, struct slice s)
{
	if (s.len == 0 || !buf_room(b, s.len))
		return;
	memcpy(b->at + b->len, s.at, s.len);
	b->len += s.len;
}

void
buf_put_char(struct buf *b, char c)
{
	if (buf_room(b, 1))
		b->at[b->len++] = c;
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t i = sizeof digits;
	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	buf_put(b, slice_of(digits + i, sizeof digits - i));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	char small[256];
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	ASSERT(n >= 0);
	if ((size_t)n < sizeof small) {
		buf_put(b, slice_of(small, (size_t)n));
	} else if (buf_room(b, (size_t)n)) {
		char *large = must_calloc(1, (size_t)n + 1); /* the NUL may not fit into the buffer's bound */
		vsnprintf(large, (size_t)n + 1, format, again);
		buf_put(b, slice_of(large, (size_t)n));
		free(large);
	}
	va_end(again);
}

void
buf_cut(struct buf *b, size_t n)
{
	ASSERT(n <= b->len);
	if (n && n < b->len)
		memmove(b->at, b->at + n, b->len - n);
	b->len -= n;
}

void
buf_drop_end(struct buf *b, size_t n)
{
	ASSERT(n <= b->len);
	b->len -= n;
}

void
buf_put_le(struct buf *b, uint64_t v, size_t bytes)
{
	if (!buf_room(b, bytes))
		return;
	bytes_set_le(b->at + b->len, v, bytes);
	b->len += bytes;
}

void
buf_put_be(struct buf *b, uint64_t v, size_t bytes)
{
	if (!buf_room(b, bytes))
		return;
	bytes_set_be(b->at + b->len, v, bytes);
	b->len += bytes;
}

uint64_t
bytes_get_le(const void *at, size_t bytes)
{
	const unsigned char *p = at;
	uint64_t v = 0;
	for (size_t i = bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

void
bytes_set_le(void *at, uint64_t v, size_t bytes)
{
	unsigned char *p = at;
	for (size_t i = 0; i < bytes; i++, v >>= 8)
		p[i] = (unsigned char)v;
}

uint64_t
bytes_get_be(const void *at, size_t bytes)
{
	const unsigned char *p = at;
	uint64_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

void
bytes_set_be(void *at, uint64_t v, size_t bytes)
{
	unsigned char *p = at;
	for (size_t i = bytes; i-- > 0; v >>= 8)
		p[i] = (unsigned char)v;
}
