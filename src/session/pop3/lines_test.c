/* SPDX-License-Identifier: Apache-2.0 */
/* lines_test.c - command lines, and what TOP keeps. */
#include "session/pop3/lines.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
command_lines(void **state)
{
	struct pop3_line l;
	assert_true(pop3_line_parse(S("PASS  a b "), &l));
	assert_true(slice_equal(l.word, S("PASS")) && slice_equal(l.rest, S(" a b ")) && l.has_rest);
	assert_true(pop3_line_parse(S("stat"), &l) && !l.has_rest);
	assert_true(pop3_line_parse(S("UTF8"), &l));
	assert_true(pop3_line_parse(S("STAT "), &l) && !l.has_rest);
	assert_false(pop3_line_parse(S(""), &l));
	assert_false(pop3_line_parse(S(" STAT"), &l));
	assert_false(pop3_line_parse(S("ST\tAT"), &l));
}

static const struct {
	const char *what, *text;
	int count;
	uint32_t first;
} number_rows[] = {
	{ "none", "", 0, 0 },
	{ "one", "17", 1, 17 },
	{ "one with a space after it", "17 ", 1, 17 },
	{ "two", "3 9", 2, 3 },
	{ "three", "3 9 1", -1, 0 },
	{ "a sign", "-1", -1, 0 },
	{ "letters", "x", -1, 0 },
	{ "too large", "4294967296", -1, 0 },
	{ "two spaces", "3  9", -1, 0 },
};

static void
numbers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(number_rows); i++) {
		uint32_t n[2] = { 0 };
		int count = pop3_numbers(slice_text(number_rows[i].text), n, 2);
		if (count != number_rows[i].count || n[0] * (count > 0) != number_rows[i].first)
			fail_msg("%s: %d", number_rows[i].what, count);
	}
}

static const struct {
	const char *what, *in;
	uint32_t lines;
	const char *out;
} top_rows[] = {
	{ "the header only", "A: b\r\nC: d\r\n\r\none\r\ntwo\r\n", 0, "A: b\r\nC: d\r\n\r\n" },
	{ "one line", "A: b\r\n\r\none\r\ntwo\r\n", 1, "A: b\r\n\r\none\r\n" },
	{ "an empty line counts", "A: b\r\n\r\n\r\ntwo\r\n", 1, "A: b\r\n\r\n\r\n" },
	{ "more than there are", "A: b\r\n\r\none\r\n", 9, "A: b\r\n\r\none\r\n" },
	{ "no body", "A: b\r\n", 5, "A: b\r\n" },
	{ "no header", "\r\none\r\ntwo\r\n", 1, "\r\none\r\n" },
	{ "bare LF", "A: b\n\none\ntwo\n", 1, "A: b\n\none\n" },
	{ "a last line without an end", "A: b\r\n\r\none", 1, "A: b\r\n\r\none" },
};

static void
top_at_every_cut(void **state)
{
	for (size_t i = 0; i < COUNT_OF(top_rows); i++) {
		struct slice in = slice_text(top_rows[i].in), out = slice_text(top_rows[i].out);
		for (size_t cut = 0; cut <= in.len; cut++) {
			struct top t = { .lines_left = top_rows[i].lines };
			size_t n = top_piece(&t, slice_part(in, 0, cut));
			if (n == cut)
				n += top_piece(&t, slice_from(in, cut));
			if (n != out.len)
				fail_msg("%s, cut at %zu: %zu bytes, not %zu", top_rows[i].what, cut, n, out.len);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines),
		cmocka_unit_test(numbers),
		cmocka_unit_test(top_at_every_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
