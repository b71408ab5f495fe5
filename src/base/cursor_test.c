/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_test.c - each take_ function takes what it should, or leaves the cursor where it was. */
#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool
is_letter(char c)
{
	return ascii_alpha(c);
}

enum take { END, CHAR, ANY, EXACT, NOCASE, WHILE, UNTIL, BYTES, U64, U32, SPACES, SKIP };

static bool
take(enum take what, struct cursor *c, struct slice *out)
{
	uint64_t v64;
	uint32_t v32;
	char ch;
	switch (what) {
	case END: return take_end(c);
	case CHAR: return take_char(c, 'x');
	case ANY: return take_any(c, &ch);
	case EXACT: return take_exact(c, S("TO:"));
	case NOCASE: return take_nocase(c, S("TO:"));
	case WHILE: return take_while(c, is_letter, out);
	case UNTIL: return take_until_char(c, '@', out);
	case BYTES: return take_bytes(c, 3, out);
	case U64: return take_u64(c, &v64);
	case U32: return take_u32(c, &v32);
	case SPACES: return take_spaces(c);
	case SKIP: skip_spaces(c); return true;
	}
	return false;
}

static void
taking(void **state)
{
	static const struct {
		const char *what;
		enum take take;
		struct slice text;
		int taken; /* bytes; -1: refused */
	} rows[] = {
		{ "the end is the end", END, S_ROW(""), 0 },
		{ "something is not the end", END, S_ROW("a"), -1 },
		{ "a character", CHAR, S_ROW("xy"), 1 },
		{ "another character", CHAR, S_ROW("yx"), -1 },
		{ "no character", CHAR, { NULL, 0 }, -1 },
		{ "any byte, NUL too", ANY, S_ROW("\0"), 1 },
		{ "no byte", ANY, S_ROW(""), -1 },
		{ "the word", EXACT, S_ROW("TO:<"), 3 },
		{ "the word in another case", EXACT, S_ROW("To:<"), -1 },
		{ "half the word", EXACT, S_ROW("TO"), -1 },
		{ "the word in any case", NOCASE, S_ROW("tO:<"), 3 },
		{ "another word", NOCASE, S_ROW("from"), -1 },
		{ "letters up to a digit", WHILE, S_ROW("abc1"), 3 },
		{ "letters to the end", WHILE, S_ROW("abc"), 3 },
		{ "no letter", WHILE, S_ROW("1"), -1 },
		{ "no letter in nothing", WHILE, S_ROW(""), -1 },
		{ "up to the at sign", UNTIL, S_ROW("ab@c"), 2 },
		{ "nothing before the at sign", UNTIL, S_ROW("@c"), 0 },
		{ "no at sign", UNTIL, S_ROW("abc"), -1 },
		{ "three bytes", BYTES, S_ROW("abcd"), 3 },
		{ "two are not three", BYTES, S_ROW("ab"), -1 },
		{ "a number", U64, S_ROW("18446744073709551615 "), 20 },
		{ "a number that is too large", U64, S_ROW("18446744073709551616"), -1 },
		{ "no number", U64, S_ROW("x"), -1 },
		{ "a number of 32 bits", U32, S_ROW("4294967295"), 10 },
		{ "one that is larger", U32, S_ROW("4294967296"), -1 },
		{ "spaces", SPACES, S_ROW(" \t x"), 3 },
		{ "no spaces", SPACES, S_ROW("x"), -1 },
		{ "spaces that may be missing", SKIP, S_ROW("x"), 0 },
		{ "spaces that are there", SKIP, S_ROW("  "), 2 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct cursor c = cursor_of(rows[i].text);
		struct slice out = S("untouched");
		bool good = take(rows[i].take, &c, &out);
		size_t taken = rows[i].text.len - cursor_left(&c);
		if (good != (rows[i].taken >= 0) || taken != (size_t)MAX(rows[i].taken, 0))
			fail_msg("%s: took %zu", rows[i].what, taken);
		if (rows[i].take == WHILE || rows[i].take == UNTIL || rows[i].take == BYTES)
			assert_int_equal(out.len, good ? taken : strlen("untouched"));
	}
}

static void
a_chain(void **state)
{
	struct cursor c = cursor_of(S("to: 42"));
	uint32_t n = 0;
	assert_true(take_nocase(&c, S("TO:")) && take_spaces(&c) && take_u32(&c, &n) && take_end(&c));
	assert_int_equal(n, 42);
	assert_int_equal(peek(&c), -1);
	c = cursor_of(S("\xff"));
	assert_int_equal(peek(&c), 255);
	assert_true(slice_equal(cursor_rest(&c), S("\xff")));
	assert_false(cursor_done(&c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(taking), cmocka_unit_test(a_chain) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
