/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c - base64 and quoted-printable of bodies and header words. Called by match, preview, DSNs and IMAP BINARY.
 * Pure; cannot fail: every input decodes to something. */
#include "mail/transfer.h"

enum { NOT_BASE64 = 64 };
#define X4 64, 64, 64, 64
#define X16 X4, X4, X4, X4
static const uint8_t base64_values[256] = {
	X16, X16, X4, X4, 64, 64, 64, 62, 64, 64, 64, 63, 52, 53, 54,  55,  56,  57,  58,  59,  60,  61,  64, 64, X4,
	64,  0,   1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,  14,  15,  16,  17,  18,  19,  20,  21, 22, 23,
	24,  25,  64, 64, 64, 64, 64, 64, 26, 27, 28, 29, 30, 31, 32,  33,  34,  35,  36,  37,  38,  39,  40, 41, 42,
	43,  44,  45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64, X16, X16, X16, X16, X16, X16, X16, X16,
};

static uint8_t
base64_value(char c)
{
	return base64_values[(unsigned char)c];
}

void
transfer_init(struct transfer *t, uint8_t encoding)
{
	*t = (struct transfer){ .encoding = encoding };
}

/* ---- base64 */

static void
base64_char(struct transfer *t, char c, struct buf *to)
{
	uint8_t v = base64_value(c);
	if (v == NOT_BASE64) {
		t->ended = c == '=';
		return;
	}
	t->bits = t->bits << 6 | v;
	if (++t->nheld < 4)
		return;
	buf_put_be(to, t->bits & 0xffffff, 3);
	t->nheld = 0;
}

/* Four characters at a time while nothing else comes. */
static size_t
base64_fast(const char *at, size_t len, struct buf *to)
{
	if (len < 4 || !buf_room(to, len / 4 * 3))
		return 0;
	char *out = to->at + to->len;
	size_t i = 0;
	for (; i + 4 <= len; i += 4) {
		uint8_t a = base64_value(at[i]), b = base64_value(at[i + 1]), c = base64_value(at[i + 2]),
		        d = base64_value(at[i + 3]);
		if ((a | b | c | d) & NOT_BASE64)
			break;
		*out++ = (char)(a << 2 | b >> 4);
		*out++ = (char)(b << 4 | c >> 2);
		*out++ = (char)(c << 6 | d);
	}
	to->len = (size_t)(out - to->at);
	return i;
}

static void
base64_put(struct transfer *t, struct slice piece, struct buf *to)
{
	for (size_t i = 0; i < piece.len && !t->ended;) {
		if (t->nheld == 0 && base64_value(piece.at[i]) != NOT_BASE64) {
			const char *lf = memchr(piece.at + i, '\n', piece.len - i);
			size_t line = lf ? (size_t)(lf - piece.at) - i : piece.len - i;
			size_t n = base64_fast(piece.at + i, line, to);
			i += n;
			if (n)
				continue;
		}
		base64_char(t, piece.at[i++], to);
	}
}

/* What is left over: 2 characters hold one byte, 3 hold two, one alone is noise. */
static void
base64_end(struct transfer *t, struct buf *to)
{
	if (t->nheld == 2)
		buf_put_char(to, (char)(t->bits >> 4));
	else if (t->nheld == 3)
		buf_put_be(to, t->bits >> 2 & 0xffff, 2);
	t->nheld = 0;
}

typedef unsigned char vec __attribute__((vector_size(16)));

/* How many of the bytes are base64 characters, 16 at a time. */
static size_t
base64_count(struct slice s)
{
	size_t count = 0, i = 0;
	while (i + 16 <= s.len) {
		vec sums = { 0 };
		for (size_t turns = 0; turns < 255 && i + 16 <= s.len; turns++, i += 16) {
			vec v;
			memcpy(&v, s.at + i, 16);
			vec letter = (v | 0x20) - 'a', digit = v - '0';
			sums -= (vec)(letter < 26) | (vec)(digit < 10) | (vec)(v == '+') | (vec)(v == '/');
		}
		for (size_t k = 0; k < 16; k++)
			count += sums[k];
	}
	for (; i < s.len; i++)
		count += base64_value(s.at[i]) != NOT_BASE64;
	return count;
}

/* ---- quoted-printable, RFC 2045 6.7 */

/* Text inside a line. "=" without two hex digits stands for itself (6.7, robust implementations). to NULL: only
 * counts. */
static size_t
qp_text(struct slice s, struct buf *to)
{
	size_t n = 0;
	while (s.len > 0) {
		const char *eq = memchr(s.at, '=', s.len);
		size_t plain = eq ? (size_t)(eq - s.at) : s.len;
		int high = plain + 2 < s.len ? hex_value(s.at[plain + 1]) : -1;
		int low = high >= 0 ? hex_value(s.at[plain + 2]) : -1;
		if (eq && low < 0)
			plain++;
		if (to)
			buf_put(to, slice_part(s, 0, plain));
		n += plain;
		s = slice_from(s, plain);
		if (eq && low >= 0) {
			if (to)
				buf_put_char(to, (char)(high << 4 | low));
			n++;
			s = slice_from(s, 3);
		}
	}
	return n;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The end of a line up to and with its LF; without LF: the end of the data. Rule 3: white space there is not part of
 * it. Rule 5: a "=" there joins it with the next. */
static size_t
qp_line(struct slice line, struct buf *to)
{
	size_t end = slice_ends(line, S("\r\n")) ? 2 : slice_ends(line, S("\n")) ? 1 : 0;
	size_t len = line.len - end, blanks = 0;
	while (blanks < TRANSFER_PADDING_MAX && len > 0 && is_blank(line.at[len - 1])) {
		len--;
		blanks++;
	}
	if (len > 0 && line.at[len - 1] == '=')
		return qp_text(slice_part(line, 0, len - 1), to);
	size_t n = qp_text(slice_part(line, 0, len), to);
	if (to)
		buf_put(to, slice_from(line, line.len - end));
	return n + end;
}

/* What is at the end of a piece and cannot be decoded before more is known: white space, CR, "=" or "=X". */
static size_t
qp_tail(struct slice s)
{
	size_t i = s.len, max = TRANSFER_PADDING_MAX + 1;
	while (i > 0 && s.len - i < max && (is_blank(s.at[i - 1]) || s.at[i - 1] == '\r'))
		i--;
	if (i > 0 && s.at[i - 1] == '=')
		return s.len - i + 1;
	if (i == s.len && i > 1 && s.at[i - 2] == '=' && hex_value(s.at[i - 1]) >= 0)
		return 2;
	return s.len - i;
}

static void
qp_let_go(struct transfer *t, size_t n, struct buf *to)
{
	qp_text(slice_of(t->held, n), to);
	t->nheld = (uint8_t)(t->nheld - n);
	memmove(t->held, t->held + n, t->nheld);
}

/* One more byte while something is held; false: nothing is held any more, and the byte was not used. */
static bool
qp_held_char(struct transfer *t, char c, struct buf *to)
{
	bool hex = t->held[0] == '=' && t->nheld <= 2 && hex_value(c) >= 0;
	bool half = t->nheld == 2 && t->held[0] == '=' && !is_blank(t->held[1]) && t->held[1] != '\r';
	if (c == '\n' || is_blank(c) || c == '\r' || (hex && (half || t->nheld == 1))) {
		if (half && c != '\n' && !hex)
			qp_let_go(t, 2, to); /* "=X " */
		t->held[t->nheld++] = c;
	} else {
		qp_let_go(t, t->nheld, to);
		return false;
	}
	if (c == '\n') {
		qp_line(slice_of(t->held, t->nheld), to);
		t->nheld = 0;
	} else if (hex && t->nheld == 3) {
		qp_let_go(t, 3, to);
	} else if (t->nheld > TRANSFER_PADDING_MAX + 2) {
		qp_let_go(t, 1, to);
	}
	return true;
}

static void
qp_put(struct transfer *t, struct slice piece, struct buf *to)
{
	while (piece.len > 0 && t->nheld > 0)
		if (qp_held_char(t, piece.at[0], to))
			piece = slice_from(piece, 1);
	if (t->nheld > 0)
		return;
	while (piece.len > 0) {
		const char *lf = memchr(piece.at, '\n', piece.len);
		if (!lf)
			break;
		size_t n = (size_t)(lf + 1 - piece.at);
		qp_line(slice_part(piece, 0, n), to);
		piece = slice_from(piece, n);
	}
	size_t tail = qp_tail(piece);
	qp_text(slice_part(piece, 0, piece.len - tail), to);
	if (tail)
		memcpy(t->held, piece.at + piece.len - tail, tail);
	t->nheld = (uint8_t)tail;
}

static size_t
qp_count(struct slice s)
{
	size_t n = 0;
	while (s.len > 0) {
		const char *lf = memchr(s.at, '\n', s.len);
		size_t line = lf ? (size_t)(lf + 1 - s.at) : s.len;
		n += qp_line(slice_part(s, 0, line), NULL);
		s = slice_from(s, line);
	}
	return n;
}

/* ---- all of them */

void
transfer_put(struct transfer *t, struct slice piece, struct buf *to)
{
	if (t->encoding == FACTS_ENCODING_BASE64)
		base64_put(t, piece, to);
	else if (t->encoding == FACTS_ENCODING_QP)
		qp_put(t, piece, to);
	else
		buf_put(to, piece);
}

void
transfer_end(struct transfer *t, struct buf *to)
{
	if (t->encoding == FACTS_ENCODING_BASE64)
		base64_end(t, to);
	else if (t->encoding == FACTS_ENCODING_QP)
		qp_line(slice_of(t->held, t->nheld), to);
	transfer_init(t, t->encoding);
}

void
transfer_decode(uint8_t encoding, struct slice text, struct buf *to)
{
	struct transfer t;
	transfer_init(&t, encoding);
	transfer_put(&t, text, to);
	transfer_end(&t, to);
}

size_t
transfer_decoded_bytes(uint8_t encoding, struct slice text)
{
	if (encoding == FACTS_ENCODING_QP)
		return qp_count(text);
	if (encoding != FACTS_ENCODING_BASE64)
		return text.len;
	ptrdiff_t end = slice_find_char(text, '=');
	size_t chars = base64_count(end < 0 ? text : slice_part(text, 0, (size_t)end));
	return chars / 4 * 3 + (chars % 4 > 1 ? chars % 4 - 1 : 0);
}

uint8_t
transfer_encoding(struct slice name)
{
	static const struct {
		struct slice name;
		uint8_t encoding;
	} rows[] = {
		{ { "7bit", 4 }, FACTS_ENCODING_7BIT },
		{ { "8bit", 4 }, FACTS_ENCODING_8BIT },
		{ { "binary", 6 }, FACTS_ENCODING_BINARY },
		{ { "base64", 6 }, FACTS_ENCODING_BASE64 },
		{ { "quoted-printable", 16 }, FACTS_ENCODING_QP },
	};
	if (name.len == 0)
		return FACTS_ENCODING_7BIT;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_equal_nocase(rows[i].name, name))
			return rows[i].encoding;
	return FACTS_ENCODING_UNKNOWN;
}

void
transfer_decode_word(bool q, struct slice text, struct buf *to)
{
	if (!q) {
		transfer_decode(FACTS_ENCODING_BASE64, text, to);
		return;
	}
	for (size_t from = 0; from <= text.len;) { /* RFC 2047 4.2: "_" is a space; "=5F" is not */
		const char *bar = from < text.len ? memchr(text.at + from, '_', text.len - from) : NULL;
		size_t end = bar ? (size_t)(bar - text.at) : text.len;
		qp_text(slice_part(text, from, end - from), to);
		if (bar)
			buf_put_char(to, ' ');
		from = end + 1;
	}
}
