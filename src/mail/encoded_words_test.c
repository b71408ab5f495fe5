/* SPDX-License-Identifier: Apache-2.0 */
/* encoded_words_test.c - header texts as people read them. */
#include "mail/encoded_words.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/charset.h"

static const struct row {
	const char *says, *text, *shown;
} rows[] = {
	{ "ASCII", "Hello", "Hello" },
	{ "white space at both ends goes", "  Hello \r\n", "Hello" },
	{ "a fold is undone", "Hello\r\n world", "Hello world" },
	{ "a fold with a tab becomes a space", "Hello\r\n\tworld", "Hello world" },
	{ "Q", "=?iso-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld J\xc3\xb8rn Simonsen" },
	{ "B", "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo" },
	{ "RFC 2047 8: white space between words is not shown", "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
	{ "RFC 2047 8: a fold neither", "=?ISO-8859-1?Q?a?=\r\n      =?ISO-8859-1?Q?b?=", "ab" },
	{ "RFC 2047 8: a space before text is", "=?ISO-8859-1?Q?a?= b", "a b" },
	{ "RFC 2047 8: an underscore is a space", "=?ISO-8859-1?Q?a_b?=", "a b" },
	{ "RFC 2047 8: and may be at the end", "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
	{ "a language (RFC 2231 5)", "=?us-ascii*en-us?q?color?=", "color" },
	{ "a character cut in two", "=?utf-8?B?w7zD?= =?utf-8?B?vHg=?=", "\xc3\xbc\xc3\xbcx" },
	{ "cut in two, in Q", "=?utf-8?q?=C3?= =?UTF-8?Q?=BC?=", "\xc3\xbc" },
	{ "ISO-2022-JP", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "Shift_JIS", "=?shift_jis?B?k/qWew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "GB2312", "=?gb2312?B?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87" },
	{ "Big5", "=?big5?B?pKSk5Q==?=", "\xe4\xb8\xad\xe6\x96\x87" },
	{ "EUC-KR", "=?euc-kr?B?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
	{ "KOI8-R", "=?koi8-r?B?zcnS?=", "\xd0\xbc\xd0\xb8\xd1\x80" },
	{ "windows-1252 that calls itself ISO-8859-1", "=?iso-8859-1?q?=93x=94?=", "\xe2\x80\x9cx\xe2\x80\x9d" },
	{ "an unknown charset is guessed", "=?x-nobody?q?=C3=BC?=", "\xc3\xbc" },
	{ "US-ASCII that is not", "=?us-ascii?q?=FC?=", "\xc3\xbc" },
	{ "malformed UTF-8", "=?utf-8?q?a=FFb?=",
	  "a\xef\xbf\xbd"
	  "b" },
	{ "raw UTF-8", "J\xc3\xbcrgen", "J\xc3\xbcrgen" },
	{ "raw windows-1252", "J\xfcrgen \x80", "J\xc3\xbcrgen \xe2\x82\xac" },
	{ "a word stuck to text is decoded, as others do", "a=?utf-8?q?b?=c", "abc" },
	{ "spaces inside a word are accepted", "=?utf-8?q?a b?=", "a b" },
	{ "a fold inside a word is skipped", "=?utf-8?q?a\r\n b?=", "a b" },
	{ "a word that does not end is text", "=?utf-8?q?abc", "=?utf-8?q?abc" },
	{ "an encoding that does not exist", "=?utf-8?x?abc?=", "=?utf-8?x?abc?=" },
	{ "no charset", "=??q?abc?=", "=??q?abc?=" },
	{ "an empty word",
	  "=?utf-8?q?"
	  "?=",
	  "" },
	{ "line ends hidden in a word", "=?utf-8?q?a=0D=0Ab=00c?=",
	  "a  b\xef\xbf\xbd"
	  "c" },
	{ "base64 without padding", "=?utf-8?b?YWI?=", "ab" },
	{ "nothing", "", "" },
};

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		encoded_words_put(&b, slice_text(rows[i].text));
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].shown)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
}

static void
test_encode(void **state)
{
	struct buf b, again;
	buf_init(&b, 10000);
	buf_init(&again, 10000);
	struct slice text =
	    S("J\xc3\xbcrgen, der einen langen Namen hat, der nicht in ein Wort pa\xc3\x9ft \xe2\x82\xac\xe2\x82\xac");
	encoded_words_encode(&b, text);
	assert_true(slice_is_ascii(buf_slice(&b)) && slice_find(buf_slice(&b), S("\r\n =?")) > 0);
	encoded_words_put(&again, buf_slice(&b));
	assert_true(slice_equal(buf_slice(&again), text));
	buf_clear(&b);
	encoded_words_encode(&b, S("plain"));
	assert_true(slice_equal(buf_slice(&b), S("plain")));
	buf_release(&b);
	buf_release(&again);
}

/* Converters are kept, the least used one goes, and unknown names cost nothing for long. */
static void
test_many_charsets(void **state)
{
	struct buf b;
	buf_init(&b, 100000);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 1; i <= 100; i++) {
			char name[40];
			int n = snprintf(name, sizeof name, i % 2 ? "iso-8859-%u" : "windows-12%02u", i % 16);
			charset_put(&b, slice_of(name, (size_t)n), S("\xe4z"));
			assert_true(slice_is_utf8(buf_slice(&b)));
			buf_clear(&b);
		}
	assert_true(charset_is_known(S("KOI8-R")) && !charset_is_known(S("x-nobody")) && !charset_is_known(S("")));
	buf_release(&b);
	charset_release();
}

static void
test_long_icu_text(void **state)
{
	struct buf text, b;
	buf_init(&text, 1u << 20);
	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < 3001; i++) /* U+1F600 in UTF-16: a pair of units that must not be cut */
		buf_put(&text, S("\xd8\x3d\xde\x00"));
	charset_put(&b, S("utf-16be"), buf_slice(&text));
	assert_int_equal(b.len, 3001 * 4);
	assert_true(slice_is_utf8(buf_slice(&b)) && slice_ends(buf_slice(&b), S("\xf0\x9f\x98\x80")));
	assert_true(slice_find(buf_slice(&b), S("\xef\xbf\xbd")) < 0);
	buf_release(&text);
	buf_release(&b);
	charset_release();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_many_charsets),
		cmocka_unit_test(test_long_icu_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
