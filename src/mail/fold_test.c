/* SPDX-License-Identifier: Apache-2.0 */
/* fold_test.c - which texts search finds in which. */
#include "mail/fold.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *text, *needle;
	bool found;
} rows[] = {
	{ "ASCII case", "Hello World", "wORLD", true },
	{ "Latin case", "\xc3\x84rger", "\xc3\xa4RGER", true },
	{ "sharp s has no capital in UnicodeData.txt", "STRASSE",
	  "stra\xc3\x9f"
	  "e",
	  false },
	{ "a letter in title case (RFC 5051 2)", "\xc7\x84", "\xc7\x86", true },
	{ "it is taken apart", "\xc7\x84", "z\xcc\x8c", false },
	{ "Greek final sigma", "\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82", true },
	{ "Cyrillic", "\xd0\x9c\xd0\x98\xd0\xa0", "\xd0\xbc\xd0\xb8\xd1\x80", true },
	{ "composed finds decomposed", "cafe\xcc\x81", "caf\xc3\xa9", true },
	{ "decomposed finds composed", "caf\xc3\xa9", "cafe\xcc\x81", true },
	{ "the letter finds the accented one", "caf\xc3\xa9", "cafe", true },
	{ "the accented one does not find the letter", "cafe", "caf\xc3\xa9", false },
	{ "full width", "\xef\xbc\xa1\xef\xbc\xa2", "ab", true },
	{ "a ligature has no title case: it is its small letters", "\xef\xac\x81n", "fin", false },
	{ "a trade mark", "\xe2\x84\xa2", "tm", true },
	{ "a line end is a space", "hello\r\n  world", "hello world", true },
	{ "Han", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x9c\xac", true },
	{ "something else", "hello", "help", false },
};

static void
test_rows(void **state)
{
	struct buf text, needle;
	buf_init(&text, 10000);
	buf_init(&needle, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&text);
		buf_clear(&needle);
		fold_put(&text, slice_text(rows[i].text));
		fold_put(&needle, slice_text(rows[i].needle));
		if ((slice_find(buf_slice(&text), buf_slice(&needle)) >= 0) != rows[i].found)
			fail_msg("%s", rows[i].says);
	}
	buf_release(&text);
	buf_release(&needle);
}

static const struct {
	const char *says, *less, *more;
} orders[] = {
	{ "capitals count as letters, so before _", "b", "_" },
	{ "case does not matter, the next letter does", "aB", "Ac" },
	{ "an accented letter stands right behind the plain one", "\xc3\xa4", "b" },
	{ "the plain one first", "a", "\xc3\xa4" },
	{ "white space counts as it is", "dave  framo", "dave framo" },
	{ "beyond the BMP comes last", "\xef\xbd\xb6", "\xf0\x90\x90\xa8" },
};

static void
test_order(void **state)
{
	struct buf less, more;
	buf_init(&less, 100);
	buf_init(&more, 100);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		buf_clear(&less);
		buf_clear(&more);
		fold_put_ordered(&less, FOLD_UNICODE, slice_text(orders[i].less));
		fold_put_ordered(&more, FOLD_UNICODE, slice_text(orders[i].more));
		if (slice_compare(buf_slice(&less), buf_slice(&more)) >= 0)
			fail_msg("%s", orders[i].says);
	}
	buf_release(&less);
	buf_release(&more);
}

static const struct {
	enum fold_how how;
	const char *text, *folded;
} others[] = {
	{ FOLD_UNICODE, "a \t\xc3\xa4", "A A\xcc\x88" },
	{ FOLD_ASCII, "a \t\xc3\xa4z{", "A \t\xc3\xa4Z{" },
	{ FOLD_OCTET, "aZ \t\xff", "aZ \t\xff" },
};

static void
test_other_collations(void **state)
{
	struct buf b;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		buf_clear(&b);
		buf_put(&b, S("kept"));
		fold_put_as(&b, others[i].how, slice_text(others[i].text));
		assert_true(slice_equal(slice_from(buf_slice(&b), 4), slice_text(others[i].folded)));
	}
	buf_release(&b);
}

/* However long a text without ASCII is, no character is lost where it is cut. */
static void
test_long_text(void **state)
{
	struct buf text, folded;
	buf_init(&text, 1u << 20);
	buf_init(&folded, 1u << 20);
	for (size_t i = 0; i < 1000; i++)
		buf_put(&text, S("\xe6\x97\xa5"));
	fold_put(&folded, buf_slice(&text));
	assert_true(slice_equal(buf_slice(&folded), buf_slice(&text)));
	buf_release(&text);
	buf_release(&folded);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_order),
		                                cmocka_unit_test(test_other_collations), cmocka_unit_test(test_long_text) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
