/* SPDX-License-Identifier: Apache-2.0 */
/* charset.c - charsets to UTF-8. Called for header words, search and previews; all state is the cache of ICU
 * converters, which belongs to the process's one thread. Fails by guessing: text is never lost, at worst it is shown
 * wrongly. */
#include "mail/charset.h"

#include <unicode/ucnv.h>
#include <unicode/udata.h>
#include <unicode/ustring.h>

#define NAME_BYTES_MAX 40
#define REPLACEMENT S("\xef\xbf\xbd")

enum kind { KIND_GUESS, KIND_UTF8, KIND_1252, KIND_ICU };

static struct converter {
	char name[NAME_BYTES_MAX + 1]; /* lower case; empty: free */
	UConverter *icu;               /* NULL: ICU does not know it */
	uint64_t used;
} converters[CHARSET_CONVERTERS_MAX];
static uint64_t uses;

size_t
ascii_prefix(struct slice s)
{
	size_t i = 0;
	for (uint64_t word; i + 8 <= s.len; i += 8) {
		memcpy(&word, s.at + i, 8);
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < s.len && (unsigned char)s.at[i] < 0x80)
		i++;
	return i;
}

size_t
utf8_char_bytes(struct slice s)
{
	if (s.len == 0)
		return 0;
	unsigned char c = (unsigned char)s.at[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	return n && n <= s.len && (n == 1 || slice_is_utf8(slice_part(s, 0, n))) ? n : 0;
}

struct slice
utf8_prefix(struct slice s, size_t bytes)
{
	if (s.len <= bytes)
		return s;
	while (bytes > 0 && ((unsigned char)s.at[bytes] & 0xc0) == 0x80)
		bytes--;
	return slice_part(s, 0, bytes);
}

void
charset_put_utf8(struct buf *to, struct slice text)
{
	while (text.len > 0) {
		size_t n = ascii_prefix(text);
		for (size_t m; (m = utf8_char_bytes(slice_from(text, n))) > 1;)
			n += m;
		if (memchr(text.at, 0, n))
			n = strnlen(text.at, n);
		buf_put(to, slice_part(text, 0, n));
		text = slice_from(text, n);
		unsigned char next = text.len ? (unsigned char)text.at[0] : 'x';
		if (next == 0 || (next >= 0x80 && utf8_char_bytes(text) == 0)) {
			buf_put(to, REPLACEMENT);
			text = slice_from(text, 1);
		}
	}
}

static void
put_code_point(struct buf *to, uint32_t c)
{
	char out[3];
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		buf_put(to, slice_of(out, 2));
	} else {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		buf_put(to, slice_of(out, 3));
	}
}

/* ISO-8859-1 is read as windows-1252 too: the bytes 0x80 to 0x9f are never meant as controls. */
static void
put_1252(struct buf *to, struct slice text)
{
	static const uint16_t high[32] = { 0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		                               0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
		                               0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		                               0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178 };
	while (text.len > 0) {
		size_t n = ascii_prefix(text);
		charset_put_utf8(to, slice_part(text, 0, n));
		for (; n < text.len && (unsigned char)text.at[n] >= 0x80; n++) {
			unsigned char c = (unsigned char)text.at[n];
			put_code_point(to, c < 0xa0 ? high[c - 0x80] : c);
		}
		text = slice_from(text, n);
	}
}

void
charset_put_guess(struct buf *to, struct slice text)
{
	size_t ascii = ascii_prefix(text);
	if (ascii == text.len || slice_is_utf8(slice_from(text, ascii)))
		charset_put_utf8(to, text);
	else
		put_1252(to, text);
}

/* Labels that mean something larger than they say, as every mail program reads them. */
static struct slice
true_name(struct slice name)
{
	static const struct {
		struct slice name, is;
	} rows[] = {
		{ { "gb2312", 6 }, { "gb18030", 7 } },
		{ { "gb_2312-80", 10 }, { "gb18030", 7 } },
		{ { "gbk", 3 }, { "gb18030", 7 } },
		{ { "ks_c_5601-1987", 14 }, { "windows-949", 11 } },
		{ { "euc-kr", 6 }, { "windows-949", 11 } },
		{ { "shift_jis", 9 }, { "windows-31j", 11 } },
		{ { "iso-2022-jp", 11 }, { "iso-2022-jp-2", 13 } },
		{ { "iso-8859-9", 10 }, { "windows-1254", 12 } },
		{ { "tis-620", 7 }, { "windows-874", 11 } },
		{ { "big5", 4 }, { "big5-hkscs", 10 } },
		{ { "unicode-1-1-utf-7", 17 }, { "utf-7", 5 } },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_equal(rows[i].name, name))
			return rows[i].is;
	return name;
}

static enum kind
kind_of(struct slice name)
{
	static const struct {
		struct slice name;
		enum kind kind;
	} rows[] = {
		{ { "utf-8", 5 }, KIND_UTF8 },
		{ { "utf8", 4 }, KIND_UTF8 },
		{ { "us-ascii", 8 }, KIND_GUESS },
		{ { "ascii", 5 }, KIND_GUESS },
		{ { "iso-8859-1", 10 }, KIND_1252 },
		{ { "windows-1252", 12 }, KIND_1252 },
		{ { "cp1252", 6 }, KIND_1252 },
		{ { "latin1", 6 }, KIND_1252 },
		{ { "iso8859-1", 9 }, KIND_1252 },
		{ { "unknown-8bit", 12 }, KIND_GUESS },
		{ { "default_charset", 15 }, KIND_GUESS },
		{ { "x-unknown", 9 }, KIND_GUESS },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_equal(rows[i].name, name))
			return rows[i].kind;
	return KIND_ICU;
}

/* Lower case into name; empty when it is no name at all. */
static struct slice
clean_name(struct slice charset, char name[NAME_BYTES_MAX + 1])
{
	charset = slice_trim(charset);
	if (charset.len == 0 || charset.len > NAME_BYTES_MAX)
		return SLICE_NONE;
	for (size_t i = 0; i < charset.len; i++) {
		if (charset.at[i] <= ' ' || charset.at[i] > '~' || charset.at[i] == ',')
			return SLICE_NONE; /* a comma begins options of ICU */
		name[i] = ascii_lower(charset.at[i]);
	}
	name[charset.len] = 0;
	return slice_of(name, charset.len);
}

static void
open_converter(struct converter *c, struct slice name)
{
	UErrorCode e = U_ZERO_ERROR;
	if (c->icu)
		ucnv_close(c->icu);
	memcpy(c->name, name.at, name.len);
	c->name[name.len] = 0;
	c->icu = ucnv_open(c->name, &e);
	if (U_FAILURE(e))
		c->icu = NULL;
}

/* NULL: ICU does not know it, which is remembered as well. */
static UConverter *
converter_of(struct slice name)
{
	struct converter *oldest = &converters[0];
	for (size_t i = 0; i < CHARSET_CONVERTERS_MAX; i++) {
		struct converter *c = &converters[i];
		if (slice_equal(slice_text(c->name), name)) {
			c->used = ++uses;
			return c->icu;
		}
		if (c->used < oldest->used)
			oldest = c;
	}
	open_converter(oldest, name);
	oldest->used = ++uses;
	return oldest->icu;
}

static void
put_utf16(struct buf *to, const UChar *at, const UChar *end)
{
	while (at < end) {
		char out[1024];
		int32_t n = 0, units = (int32_t)MIN(end - at, (ptrdiff_t)256);
		if (units < end - at && U16_IS_LEAD(at[units - 1]))
			units--;
		UErrorCode e = U_ZERO_ERROR;
		u_strToUTF8WithSub(out, sizeof out, &n, at, units, 0xfffd, NULL, &e);
		if (U_SUCCESS(e))
			charset_put_utf8(to, slice_of(out, (size_t)n));
		at += units;
	}
}

static void
put_icu(struct buf *to, UConverter *icu, struct slice text)
{
	const char *from = text.at, *end = text.at + text.len;
	ucnv_resetToUnicode(icu);
	UChar lead = 0; /* of a pair that was cut by the end of wide */
	for (bool more = true; more;) {
		UChar wide[513], *w = wide;
		UErrorCode e = U_ZERO_ERROR;
		if (lead)
			*w++ = lead;
		ucnv_toUnicode(icu, &w, wide + COUNT_OF(wide), &from, end, NULL, true, &e);
		more = e == U_BUFFER_OVERFLOW_ERROR;
		lead = more && w > wide && U16_IS_LEAD(w[-1]) ? *--w : 0;
		put_utf16(to, wide, w);
	}
}

void
charset_put(struct buf *to, struct slice charset, struct slice text)
{
	char name_bytes[NAME_BYTES_MAX + 1];
	struct slice name = clean_name(charset, name_bytes);
	enum kind kind = name.len ? kind_of(name) : KIND_GUESS;
	UConverter *icu = kind == KIND_ICU ? converter_of(true_name(name)) : NULL;
	if (icu)
		put_icu(to, icu, text);
	else if (kind == KIND_UTF8)
		charset_put_utf8(to, text);
	else if (kind == KIND_1252)
		put_1252(to, text);
	else
		charset_put_guess(to, text);
}

bool
charset_is_known(struct slice charset)
{
	char name_bytes[NAME_BYTES_MAX + 1];
	struct slice name = clean_name(charset, name_bytes);
	return name.len && (kind_of(name) != KIND_ICU || converter_of(true_name(name)) != NULL);
}

void
charset_setup(void)
{
	UErrorCode e = U_ZERO_ERROR;
	udata_setFileAccess(UDATA_NO_FILES, &e);
	(void)converter_of(S("iso-8859-2")); /* loads the table of aliases */
}

void
charset_release(void)
{
	for (size_t i = 0; i < CHARSET_CONVERTERS_MAX; i++) {
		if (converters[i].icu)
			ucnv_close(converters[i].icu);
		converters[i] = (struct converter){ 0 };
	}
}
