/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - i;unicode-casemap (RFC 5051 2): each character in its title case, then taken apart (NFKD). Called when a
 * text is kept for search and when one is searched for: both sides must go through here. ASCII is done at once; the
 * rest goes through ICU in pieces that are cut only before ASCII, so that no character is taken from its accents. */
#include "mail/fold.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "mail/charset.h"

enum { PIECE_UNITS = 256, GROWN_UNITS = PIECE_UNITS * 18 }; /* U+FDFA becomes 18 characters, the most there is */

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ASCII: capitals; unless it is kept, white space as one space, so that a text is found that was broken into lines. */
static void
put_ascii(struct buf *to, struct slice s, bool spaced)
{
	if (!buf_room(to, s.len))
		return;
	char *out = to->at + to->len;
	bool space = to->len > 0 && out[-1] == ' ';
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		if (!spaced && is_space(c)) {
			if (!space)
				*out++ = ' ';
			space = true;
			continue;
		}
		*out++ = ascii_upper(c);
		space = false;
	}
	to->len = (size_t)(out - to->at);
}

static void
put_units(struct buf *to, const UChar *units, int32_t n)
{
	for (int32_t at = 0; at < n;) {
		char out[1024];
		int32_t bytes = 0, step = MIN(n - at, 256);
		if (at + step < n && U16_IS_LEAD(units[at + step - 1]))
			step--;
		UErrorCode e = U_ZERO_ERROR;
		u_strToUTF8WithSub(out, sizeof out, &bytes, units + at, step, 0xfffd, NULL, &e);
		buf_put(to, slice_of(out, (size_t)bytes));
		at += step;
	}
}

/* RFC 5051 2 (2)(a): the mapping of UnicodeData.txt, one character for one. */
static int32_t
to_title(const UChar *from, int32_t n, UChar *to)
{
	int32_t out = 0;
	for (int32_t i = 0; i < n;) {
		UChar32 c;
		U16_NEXT(from, i, n, c);
		c = u_totitle(c);
		U16_APPEND_UNSAFE(to, out, c);
	}
	return out;
}

/* One piece that begins with a character that is not ASCII. Where ICU gives up, it stays as it was. */
static void
put_piece(struct buf *to, struct slice s)
{
	UChar plain[PIECE_UNITS], title[2 * PIECE_UNITS], apart[GROWN_UNITS];
	UErrorCode e = U_ZERO_ERROR;
	int32_t n = 0;
	const UNormalizer2 *decompose = unorm2_getNFKDInstance(&e);
	u_strFromUTF8WithSub(plain, COUNT_OF(plain), &n, s.at, (int32_t)s.len, 0xfffd, NULL, &e);
	if (U_SUCCESS(e)) {
		n = to_title(plain, n, title);
		n = unorm2_normalize(decompose, title, n, apart, COUNT_OF(apart), &e);
	}
	if (U_SUCCESS(e))
		put_units(to, apart, n);
	else
		charset_put_utf8(to, s);
}

/* How long the piece is: to the next ASCII white space, at most PIECE_UNITS bytes, never inside a character. */
static size_t
piece_bytes(struct slice s)
{
	size_t n = 0, max = MIN(s.len, (size_t)PIECE_UNITS);
	while (n < max && !is_space(s.at[n]))
		n++;
	if (n < PIECE_UNITS || n == s.len)
		return n;
	for (size_t i = n; i > 0; i--) /* before ASCII, where no accent can be cut off */
		if ((unsigned char)s.at[i] < 0x80)
			return i;
	while (n > 1 && ((unsigned char)s.at[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void
put_folded(struct buf *to, struct slice utf8, bool spaced)
{
	while (utf8.len > 0 && !to->over) {
		size_t n = ascii_prefix(utf8);
		put_ascii(to, slice_part(utf8, 0, n), spaced);
		utf8 = slice_from(utf8, n);
		if (utf8.len == 0)
			break;
		n = piece_bytes(utf8);
		put_piece(to, slice_part(utf8, 0, n));
		utf8 = slice_from(utf8, n);
	}
}

void
fold_put(struct buf *to, struct slice utf8)
{
	put_folded(to, utf8, false);
}

static void
put_as(struct buf *to, enum fold_how how, struct slice utf8, bool spaced)
{
	if (how == FOLD_UNICODE) {
		put_folded(to, utf8, spaced);
		return;
	}
	size_t from = to->len;
	buf_put(to, utf8);
	for (size_t i = from; how == FOLD_ASCII && i < to->len; i++) /* RFC 4790 9.2.1 */
		to->at[i] = ascii_upper(to->at[i]);
}

void
fold_put_as(struct buf *to, enum fold_how how, struct slice utf8)
{
	put_as(to, how, utf8, false);
}

void
fold_put_ordered(struct buf *to, enum fold_how how, struct slice utf8)
{
	put_as(to, how, utf8, true);
}
