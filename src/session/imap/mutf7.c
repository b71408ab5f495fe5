/* SPDX-License-Identifier: Apache-2.0 */
/* mutf7.c - modified UTF-7 (RFC 3501 5.1.3) to UTF-8 and back. Called for every mailbox name that crosses the wire.
 * Printable ASCII stands for itself, "&-" for "&", and "&...-" holds UTF-16BE in base64 with "," for "/". */
#include "session/imap/mutf7.h"

#include "base/cursor.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static bool
is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

static void
put_utf8(struct buf *to, uint32_t c)
{
	if (c < 0x80) {
		buf_put_char(to, (char)c);
	} else if (c < 0x800) {
		buf_put_char(to, (char)(0xc0 | (c >> 6)));
		buf_put_char(to, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_put_char(to, (char)(0xe0 | (c >> 12)));
		buf_put_char(to, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_put_char(to, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_put_char(to, (char)(0xf0 | (c >> 18)));
		buf_put_char(to, (char)(0x80 | ((c >> 12) & 0x3f)));
		buf_put_char(to, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_put_char(to, (char)(0x80 | (c & 0x3f)));
	}
}

/* One 16-bit unit; *high is a high surrogate that waits for its low one, 0: none. */
static bool
put_unit(struct buf *to, uint32_t unit, uint32_t *high)
{
	if (*high) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		put_utf8(to, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	/* RFC 3501 5.1.3: base64 must not stand for what can stand for itself; NUL is in no mailbox name */
	if ((unit >= 0xdc00 && unit <= 0xdfff) || is_direct(unit) || unit == 0)
		return false;
	put_utf8(to, unit);
	return true;
}

/* What stands between "&" and "-"; at least one character, no bits but zeros left over. */
static bool
take_base64(struct cursor *c, struct buf *to)
{
	uint32_t bits = 0, nbits = 0, high = 0, units = 0;
	for (int v; !cursor_done(c) && (v = digit_value(*c->at)) >= 0; c->at++) {
		bits = (bits << 6 | (uint32_t)v) & 0x3fffff;
		nbits += 6;
		if (nbits < 16)
			continue;
		nbits -= 16;
		units++;
		if (!put_unit(to, (bits >> nbits) & 0xffff, &high))
			return false;
	}
	return units > 0 && !high && nbits < 6 && !(bits & ((1u << nbits) - 1)) && take_char(c, '-');
}

bool
mutf7_decode(struct slice name, struct buf *to)
{
	struct cursor c = cursor_of(name);
	while (!cursor_done(&c)) {
		char ch = *c.at++;
		if (!is_direct((unsigned char)ch))
			return false;
		if (ch != '&') {
			buf_put_char(to, ch);
		} else if (take_char(&c, '-')) {
			buf_put_char(to, '&');
		} else {
			if (!take_base64(&c, to))
				return false;
			/* two shifts in a row could have been one */
			if (peek(&c) == '&' && !(cursor_left(&c) > 1 && c.at[1] == '-'))
				return false;
		}
	}
	return !to->over;
}

/* One character; malformed bytes become U+FFFD. */
static uint32_t
take_utf8(struct cursor *c)
{
	unsigned char first = (unsigned char)*c->at++;
	uint32_t n = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 4;
	if (n == 4 || cursor_left(c) < n)
		return 0xfffd;
	uint32_t v = n == 0 ? first : first & (0x3fu >> n);
	while (n--)
		v = v << 6 | ((unsigned char)*c->at++ & 0x3f);
	return v > 0x10ffff ? 0xfffd : v;
}

struct shift {
	struct buf *to;
	uint32_t bits, nbits;
	bool open;
};

static void
shift_unit(struct shift *s, uint32_t unit)
{
	if (!s->open)
		buf_put_char(s->to, '&');
	s->open = true;
	s->bits = s->bits << 16 | unit;
	s->nbits += 16;
	while (s->nbits >= 6) {
		s->nbits -= 6;
		buf_put_char(s->to, digits[(s->bits >> s->nbits) & 0x3f]);
	}
}

static void
shift_close(struct shift *s)
{
	if (!s->open)
		return;
	if (s->nbits)
		buf_put_char(s->to, digits[(s->bits << (6 - s->nbits)) & 0x3f]);
	buf_put_char(s->to, '-');
	*s = (struct shift){ .to = s->to };
}

void
mutf7_encode(struct slice utf8, struct buf *to)
{
	struct cursor c = cursor_of(utf8);
	struct shift s = { .to = to };
	while (!cursor_done(&c)) {
		uint32_t ch = take_utf8(&c);
		if (is_direct(ch)) {
			shift_close(&s);
			buf_put_char(to, (char)ch);
			if (ch == '&')
				buf_put_char(to, '-');
		} else if (ch < 0x10000) {
			shift_unit(&s, ch);
		} else {
			shift_unit(&s, 0xd800 + ((ch - 0x10000) >> 10));
			shift_unit(&s, 0xdc00 + ((ch - 0x10000) & 0x3ff));
		}
	}
	shift_close(&s);
}
