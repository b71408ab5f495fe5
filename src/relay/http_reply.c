/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.c - see http_reply.h. */
#include "relay/http_reply.h"

#include "base/cursor.h"

/* HTTP/1.x SP 3DIGIT (RFC 9112 4) */
static bool
take_status(struct slice line, struct http_reply *r)
{
	struct slice code = slice_part(line, 9, 3);
	uint32_t status;
	if (!slice_starts(line, S("HTTP/1.")) || line.len < 12 || line.at[8] != ' ' || !slice_to_u32(code, &status) ||
	    status < 100)
		return false;
	r->status = status;
	return true;
}

static bool
take_field(struct slice line, struct http_reply *r)
{
	struct slice name, value;
	if (!slice_cut(line, ':', &name, &value))
		return false;
	value = slice_trim(value);
	if (slice_equal_nocase(name, S("Content-Type"))) {
		r->type = value;
	} else if (slice_equal_nocase(name, S("Transfer-Encoding"))) {
		r->chunked = true;
		return slice_equal_nocase(value, S("chunked"));
	} else if (slice_equal_nocase(name, S("Content-Length"))) {
		uint64_t length;
		if (!slice_to_u64(value, &length) || (r->sized && length != r->length)) /* RFC 9112 6.3 */
			return false;
		r->length = length;
		r->sized = true;
	}
	return true;
}

static enum http_state
take_head(struct slice in, struct http_reply *r)
{
	ptrdiff_t end = slice_find(slice_part(in, 0, HTTP_HEAD_BYTES_MAX), S("\r\n\r\n"));
	if (end < 0)
		return in.len >= HTTP_HEAD_BYTES_MAX ? HTTP_BAD : HTTP_MORE;
	struct slice head = slice_part(in, 0, (size_t)end + 2), line;
	for (size_t n = 0; head.len; n++) {
		slice_cut(head, '\n', &line, &head);
		line = slice_trim_end(line);
		if (n == 0 ? !take_status(line, r) : !take_field(line, r))
			return HTTP_BAD;
	}
	r->head_bytes = (size_t)end + 4;
	return r->chunked == r->sized ? HTTP_BAD : HTTP_WHOLE; /* neither, or both: RFC 9112 6.3 */
}

static bool
take_chunk_size(struct slice line, uint64_t *size)
{
	struct slice digits, extension;
	slice_cut(slice_trim(line), ';', &digits, &extension);
	digits = slice_trim_end(digits);
	*size = 0;
	for (size_t i = 0; i < digits.len; i++) {
		int v = hex_value(digits.at[i]);
		if (v < 0)
			return false;
		*size = *size * 16 + (uint64_t)v;
	}
	return digits.len > 0 && digits.len <= 8;
}

/* RFC 9112 7.1; trailers are not read. */
static enum http_state
take_chunks(struct slice in, size_t body_max, struct arena *a, struct http_reply *r)
{
	struct slice line, rest = in;
	char *body = arena_alloc(a, in.len + 1);
	size_t n = 0;
	while (slice_find_char(rest, '\n') >= 0) {
		uint64_t size;
		slice_cut(rest, '\n', &line, &rest);
		if (!take_chunk_size(line, &size) || size > body_max - n)
			return HTTP_BAD;
		if (size == 0) {
			r->body = slice_of(body, n);
			return HTTP_WHOLE;
		}
		if (rest.len < size + 2)
			return HTTP_MORE;
		if (!slice_equal(slice_part(rest, size, 2), S("\r\n")))
			return HTTP_BAD;
		memcpy(body + n, rest.at, size);
		n += size;
		rest = slice_from(rest, size + 2);
	}
	return rest.len > 100 ? HTTP_BAD : HTTP_MORE;
}

enum http_state
http_reply_take(struct slice in, size_t body_max, struct arena *a, struct http_reply *r)
{
	*r = (struct http_reply){ 0 };
	enum http_state s = take_head(in, r);
	if (s != HTTP_WHOLE)
		return s;
	struct slice rest = slice_from(in, r->head_bytes);
	if (r->chunked)
		return take_chunks(rest, body_max, a, r);
	if (r->length > body_max)
		return HTTP_BAD;
	r->body = slice_part(rest, 0, (size_t)r->length);
	return r->body.len == r->length ? HTTP_WHOLE : HTTP_MORE;
}
