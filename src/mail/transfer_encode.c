/* SPDX-License-Identifier: Apache-2.0 */
/* transfer_encode.c - see transfer_encode.h. Cannot fail but for the room in `to`. */
#include "mail/transfer_encode.h"

#include "base/base64.h"

enum { LINE_MAX_CHARS = 76, PIECE_BYTES = 16 * 1024 };

void
encoder_init(struct encoder *e, enum encode_how how)
{
	*e = (struct encoder){ .how = (uint8_t)how };
}

/* ---- base64 (RFC 2045 6.8) */

static void
base64_line(struct encoder *e, struct slice bytes, struct buf *to)
{
	if (e->line_is_full)
		buf_put(to, S("\r\n"));
	base64_encode(bytes, to);
	e->line_is_full = bytes.len == sizeof e->held;
}

static void
base64_put(struct encoder *e, struct slice piece, struct buf *to)
{
	if (e->nheld > 0) {
		size_t n = MIN(piece.len, sizeof e->held - e->nheld);
		memcpy(e->held + e->nheld, piece.at, n);
		e->nheld = (uint8_t)(e->nheld + n);
		piece = slice_from(piece, n);
		if (e->nheld < sizeof e->held)
			return;
		base64_line(e, slice_of(e->held, sizeof e->held), to);
		e->nheld = 0;
	}
	for (; piece.len >= sizeof e->held; piece = slice_from(piece, sizeof e->held))
		base64_line(e, slice_part(piece, 0, sizeof e->held), to);
	if (piece.len > 0)
		memcpy(e->held, piece.at, piece.len);
	e->nheld = (uint8_t)piece.len;
}

/* ---- quoted-printable (RFC 2045 6.7) */

static void
qp_out(struct encoder *e, const char *text, size_t n, struct buf *to)
{
	if (e->column + n > LINE_MAX_CHARS - 1) { /* rule 5: room for the "=" of a soft line break */
		buf_put(to, S("=\r\n"));
		e->column = 0;
	}
	buf_put(to, slice_of(text, n));
	e->column = (uint8_t)(e->column + n);
}

static void
qp_escaped(struct encoder *e, char c, struct buf *to)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;
	char text[] = { '=', digits[u >> 4], digits[u & 15] };
	qp_out(e, text, sizeof text, to);
}

static void
qp_line_end(struct encoder *e, struct buf *to)
{
	buf_put(to, S("\r\n"));
	e->column = 0;
}

/* A byte that is held gets its meaning from the next one. last: there is none. */
static void
qp_release(struct encoder *e, bool before_line_end, struct buf *to)
{
	if (e->nheld == 0)
		return;
	char c = e->held[0];
	e->nheld = 0;
	if (c == '\r' || before_line_end) /* rule 3: white space at the end of a line is encoded */
		qp_escaped(e, c, to);
	else
		qp_out(e, &c, 1, to);
}

static void
qp_byte(struct encoder *e, char c, struct buf *to)
{
	bool white = c == ' ' || c == '\t';
	if (c == '\n' && e->nheld && e->held[0] == '\r') {
		e->nheld = 0;
		qp_line_end(e, to);
		return;
	}
	if (c == '\r' && e->nheld && e->held[0] != '\r') { /* white space, then perhaps the end of the line */
		qp_release(e, true, to);
	} else {
		qp_release(e, false, to);
	}
	if (white || c == '\r') {
		e->held[0] = c;
		e->nheld = 1;
	} else if (c < '!' || c > '~' || c == '=') {
		qp_escaped(e, c, to);
	} else {
		qp_out(e, &c, 1, to);
	}
}

static void
qp_put(struct encoder *e, struct slice piece, struct buf *to)
{
	for (size_t i = 0; i < piece.len; i++)
		qp_byte(e, piece.at[i], to);
}

/* ---- single bytes */

static bool
is_forbidden(char c)
{
	return c == '\0' || (c & 0x80);
}

static void
replace(struct encoder *e, struct slice piece, struct buf *to)
{
	while (piece.len > 0) {
		size_t n = 0;
		while (n < piece.len && !is_forbidden(piece.at[n]))
			n++;
		buf_put(to, slice_part(piece, 0, n));
		if (n == piece.len)
			return;
		if (e->how == ENCODE_MASK)
			buf_put_char(to, '?');
		else
			e->column = 0, qp_escaped(e, piece.at[n], to);
		piece = slice_from(piece, n + 1);
	}
}

void
encoder_put(struct encoder *e, struct slice piece, struct buf *to)
{
	switch (e->how) {
	case ENCODE_QP: qp_put(e, piece, to); break;
	case ENCODE_BASE64: base64_put(e, piece, to); break;
	case ENCODE_ESCAPE:
	case ENCODE_MASK: replace(e, piece, to); break;
	default: buf_put(to, piece); break;
	}
}

void
encoder_end(struct encoder *e, struct buf *to)
{
	if (e->how == ENCODE_QP)
		qp_release(e, true, to);
	else if (e->how == ENCODE_BASE64 && e->nheld > 0)
		base64_line(e, slice_of(e->held, e->nheld), to);
	e->nheld = 0;
}

uint64_t
encoded_bytes(enum encode_how how, struct slice bytes)
{
	struct encoder e;
	struct buf to;
	uint64_t n = 0;
	if (how == ENCODE_COPY || how == ENCODE_MASK)
		return bytes.len;
	encoder_init(&e, how);
	buf_init(&to, 4 * PIECE_BYTES);
	for (; bytes.len > 0; bytes = slice_from(bytes, MIN(bytes.len, (size_t)PIECE_BYTES))) {
		buf_clear(&to);
		encoder_put(&e, slice_part(bytes, 0, PIECE_BYTES), &to);
		n += to.len;
	}
	buf_clear(&to);
	encoder_end(&e, &to);
	n += to.len;
	ASSERT(!to.over);
	buf_release(&to);
	return n;
}
