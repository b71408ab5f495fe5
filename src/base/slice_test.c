/* SPDX-License-Identifier: Apache-2.0 */
/* slice_test.c - comparing, cutting, finding, numbers, UTF-8, hashes. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
comparing(void **state)
{
	static const struct {
		const char *what;
		struct slice a, b;
		int order, order_nocase; /* sign */
	} rows[] = {
		{ "equal", S_ROW("abc"), S_ROW("abc"), 0, 0 },
		{ "two empty ones, one without memory", S_ROW(""), { NULL, 0 }, 0, 0 },
		{ "case matters in one of two", S_ROW("ABC"), S_ROW("abc"), -1, 0 },
		{ "shorter first", S_ROW("ab"), S_ROW("abc"), -1, -1 },
		{ "bytes are unsigned", S_ROW("\xff"), S_ROW("a"), 1, 1 },
		{ "only ASCII folds", S_ROW("\xc4"), S_ROW("\xe4"), -1, -1 },
		{ "NUL is data", S_ROW("a\0b"), S_ROW("a\0c"), -1, -1 },
		{ "NUL is not the end", S_ROW("a"), S_ROW("a\0"), -1, -1 },
		{ "[ does not fold to {", S_ROW("["), S_ROW("{"), -1, -1 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int c = slice_compare(rows[i].a, rows[i].b), back = slice_compare(rows[i].b, rows[i].a);
		int n = slice_compare_nocase(rows[i].a, rows[i].b);
		if ((c > 0) - (c < 0) != rows[i].order || (back > 0) - (back < 0) != -rows[i].order ||
		    (n > 0) - (n < 0) != rows[i].order_nocase || slice_equal(rows[i].a, rows[i].b) != (rows[i].order == 0) ||
		    slice_equal_nocase(rows[i].a, rows[i].b) != (rows[i].order_nocase == 0))
			fail_msg("%s", rows[i].what);
	}
}

static void
beginnings_and_ends(void **state)
{
	assert_true(slice_starts(S("MAIL FROM"), S("MAIL")));
	assert_true(slice_starts(S("x"), S("")));
	assert_false(slice_starts(S("MAI"), S("MAIL")));
	assert_false(slice_starts(S("mail"), S("MAIL")));
	assert_true(slice_starts_nocase(S("mail from"), S("MAIL")));
	assert_true(slice_ends(S("a.eml"), S(".eml")));
	assert_false(slice_ends(S("eml"), S(".eml")));
	assert_true(slice_ends_nocase(S("a.EML"), S(".eml")));
	assert_true(slice_ends(SLICE_NONE, S("")));
}

static void
parts_are_clamped(void **state)
{
	struct slice s = S("abcdef");
	assert_true(slice_equal(slice_from(s, 2), S("cdef")));
	assert_true(slice_equal(slice_from(s, 99), S("")));
	assert_true(slice_equal(slice_part(s, 1, 2), S("bc")));
	assert_true(slice_equal(slice_part(s, 4, 99), S("ef")));
	assert_true(slice_equal(slice_part(s, 99, 99), S("")));
	assert_true(slice_equal(slice_part(s, 1, SIZE_MAX), S("bcdef")));
	assert_int_equal(slice_from(SLICE_NONE, 5).len, 0);
	assert_true(slice_equal(slice_trim(S(" \t a b\r\n ")), S("a b")));
	assert_true(slice_equal(slice_trim(S(" \r\n")), S("")));
	assert_true(slice_equal(slice_trim_end(S(" a ")), S(" a")));
	assert_int_equal(slice_text(NULL).len, 0);
	assert_true(slice_equal(slice_text("ab"), S("ab")));
}

static void
finding(void **state)
{
	static const struct {
		const char *what;
		struct slice in, of;
		ptrdiff_t at, at_nocase;
	} rows[] = {
		{ "in the middle", S_ROW("abcabc"), S_ROW("ca"), 2, 2 },
		{ "the first one", S_ROW("abab"), S_ROW("ab"), 0, 0 },
		{ "at the end", S_ROW("xxab"), S_ROW("ab"), 2, 2 },
		{ "case", S_ROW("xxAB"), S_ROW("ab"), -1, 2 },
		{ "not there", S_ROW("abc"), S_ROW("d"), -1, -1 },
		{ "longer than where it is looked for", S_ROW("ab"), S_ROW("abc"), -1, -1 },
		{ "nothing is everywhere", S_ROW("ab"), S_ROW(""), 0, 0 },
		{ "nothing in nothing", { NULL, 0 }, { NULL, 0 }, 0, 0 },
		{ "something in nothing", { NULL, 0 }, S_ROW("a"), -1, -1 },
		{ "across a NUL", S_ROW("a\0b"), S_ROW("\0b"), 1, 1 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_find(rows[i].in, rows[i].of) != rows[i].at ||
		    slice_find_nocase(rows[i].in, rows[i].of) != rows[i].at_nocase)
			fail_msg("%s", rows[i].what);
	assert_int_equal(slice_find_char(S("a@b@c"), '@'), 1);
	assert_int_equal(slice_find_last_char(S("a@b@c"), '@'), 3);
	assert_int_equal(slice_find_char(SLICE_NONE, '@'), -1);
	assert_int_equal(slice_find_last_char(SLICE_NONE, '@'), -1);
}

static void
cutting(void **state)
{
	static const struct {
		const char *what;
		struct slice s, head, rest;
		bool found;
	} rows[] = {
		{ "in two", S_ROW("a=b"), S_ROW("a"), S_ROW("b"), true },
		{ "at the first", S_ROW("a=b=c"), S_ROW("a"), S_ROW("b=c"), true },
		{ "nothing before", S_ROW("=b"), S_ROW(""), S_ROW("b"), true },
		{ "nothing behind", S_ROW("a="), S_ROW("a"), S_ROW(""), true },
		{ "not there", S_ROW("ab"), S_ROW("ab"), S_ROW(""), false },
		{ "empty", { NULL, 0 }, S_ROW(""), S_ROW(""), false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice head, rest;
		if (slice_cut(rows[i].s, '=', &head, &rest) != rows[i].found || !slice_equal(head, rows[i].head) ||
		    !slice_equal(rest, rows[i].rest))
			fail_msg("%s", rows[i].what);
	}
}

static void
numbers(void **state)
{
	static const struct {
		const char *what;
		struct slice s;
		bool good64, good32;
		uint64_t value;
	} rows[] = {
		{ "zero", S_ROW("0"), true, true, 0 },
		{ "leading zeros", S_ROW("007"), true, true, 7 },
		{ "the largest of 32 bits", S_ROW("4294967295"), true, true, UINT32_MAX },
		{ "one more", S_ROW("4294967296"), true, false, UINT64_C(4294967296) },
		{ "the largest of 64 bits", S_ROW("18446744073709551615"), true, false, UINT64_MAX },
		{ "one more", S_ROW("18446744073709551616"), false, false, 0 },
		{ "ten times as much", S_ROW("184467440737095516150"), false, false, 0 },
		{ "nothing", S_ROW(""), false, false, 0 },
		{ "a sign", S_ROW("-1"), false, false, 0 },
		{ "a space", S_ROW(" 1"), false, false, 0 },
		{ "a letter behind", S_ROW("1k"), false, false, 0 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t v64 = 42;
		uint32_t v32 = 42;
		if (slice_to_u64(rows[i].s, &v64) != rows[i].good64 || slice_to_u32(rows[i].s, &v32) != rows[i].good32 ||
		    v64 != (rows[i].good64 ? rows[i].value : 42) || v32 != (rows[i].good32 ? rows[i].value : 42))
			fail_msg("%s: %.*s", rows[i].what, SLICE_ARG(rows[i].s));
	}
}

static void
characters(void **state)
{
	static const struct {
		const char *what;
		struct slice s;
		bool ascii, utf8, control;
	} rows[] = {
		{ "letters", S_ROW("abc ~"), true, true, false },
		{ "nothing", { NULL, 0 }, true, true, false },
		{ "a tab is a control character", S_ROW("a\tb"), true, true, true },
		{ "DEL too", S_ROW("\x7f"), true, true, true },
		{ "NUL too", S_ROW("\0"), true, true, true },
		{ "two, three and four bytes", S_ROW("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), false, true, false },
		{ "a character cut short", S_ROW("\xe2\x82"), false, false, false },
		{ "a tail without a head", S_ROW("a\x80"), false, false, false },
		{ "Latin-1", S_ROW("\xe4 b"), false, false, false },
		{ "overlong in two bytes", S_ROW("\xc0\xaf"), false, false, false },
		{ "overlong in three", S_ROW("\xe0\x9f\xbf"), false, false, false },
		{ "overlong in four", S_ROW("\xf0\x8f\xbf\xbf"), false, false, false },
		{ "the last before the surrogates", S_ROW("\xed\x9f\xbf"), false, true, false },
		{ "a surrogate", S_ROW("\xed\xa0\x80"), false, false, false },
		{ "the last character of all", S_ROW("\xf4\x8f\xbf\xbf"), false, true, false },
		{ "one behind it", S_ROW("\xf4\x90\x80\x80"), false, false, false },
		{ "five bytes", S_ROW("\xf8\x88\x80\x80\x80"), false, false, false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_is_ascii(rows[i].s) != rows[i].ascii || slice_is_utf8(rows[i].s) != rows[i].utf8 ||
		    slice_has_control(rows[i].s) != rows[i].control)
			fail_msg("%s", rows[i].what);
}

static void
hashes_and_copies(void **state)
{
	assert_true(slice_hash(S("abc")) == slice_hash(S("abc")));
	assert_true(slice_hash(S("abc")) != slice_hash(S("ABC")));
	assert_true(slice_hash_nocase(S("abcDEFGHIJ")) == slice_hash_nocase(S("ABCdefghij")));
	assert_true(slice_hash(S("")) != slice_hash(S("\0")));
	assert_true(slice_hash(S("12345678")) != slice_hash(S("123456789")));
	char *copy = slice_dup(S("a\0b"));
	assert_memory_equal(copy, "a\0b", 4);
	free(copy);
	copy = slice_dup(SLICE_NONE);
	assert_string_equal(copy, "");
	free(copy);
}

static void
distance(void **state)
{
	assert_int_equal(slice_distance(S("listen"), S("listen")), 0);
	assert_int_equal(slice_distance(S("listen"), S("LISTEN")), 0);
	assert_int_equal(slice_distance(S("listen"), S("lsten")), 1);
	assert_int_equal(slice_distance(S("listen"), S("lixten")), 1);
	assert_int_equal(slice_distance(S(""), S("abc")), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing),         cmocka_unit_test(beginnings_and_ends),
		cmocka_unit_test(parts_are_clamped), cmocka_unit_test(finding),
		cmocka_unit_test(cutting),           cmocka_unit_test(numbers),
		cmocka_unit_test(characters),        cmocka_unit_test(hashes_and_copies),
		cmocka_unit_test(distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
