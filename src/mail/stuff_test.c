/* SPDX-License-Identifier: Apache-2.0 */
/* stuff_test.c - each row is stuffed whole, and cut in two at every place. */
#include "mail/stuff.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct row {
	const char *what, *in, *out;
};

static const struct row mend_rows[] = {
	{ "an empty message is a dot", "", ".\r\n" },
	{ "a line stays as it is", "a\r\n", "a\r\n.\r\n" },
	{ "a dot at the start of a line is doubled", ".a\r\n.\r\n", "..a\r\n..\r\n.\r\n" },
	{ "a dot inside a line is not", "a.b\r\n", "a.b\r\n.\r\n" },
	{ "two dots become three", "x\r\n..\r\n", "x\r\n...\r\n.\r\n" },
	{ "a last line without an end gets one", "a", "a\r\n.\r\n" },
	{ "a bare LF becomes CRLF", "a\nb\r\n", "a\r\nb\r\n.\r\n" },
	{ "a bare CR becomes CRLF", "a\rb\r\n", "a\r\nb\r\n.\r\n" },
	{ "a dot after a bare LF is doubled", "a\n.b\r\n", "a\r\n..b\r\n.\r\n" },
	{ "a dot after a bare CR is doubled", "a\r.b\r\n", "a\r\n..b\r\n.\r\n" },
	{ "a CR at the end becomes CRLF", "a\r", "a\r\n.\r\n" },
	{ "CR CR LF is two line ends", "a\r\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n" },
	{ "nobody can smuggle an end", "a\r\n.\r.\n.\r\nb", "a\r\n..\r\n..\r\n..\r\nb\r\n.\r\n" },
};

static const struct row keep_rows[] = {
	{ "plain", "a\r\nb\r\n", "a\r\nb\r\n.\r\n" },
	{ "a dot at the start", ".a\r\n", "..a\r\n.\r\n" },
	{ "a lone dot", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
	{ "dots in a row", "a\r\n...\r\n", "a\r\n....\r\n.\r\n" },
	{ "a dot inside", "a.b\r\n", "a.b\r\n.\r\n" },
	{ "a dot after a bare LF", "a\n.\nb\r\n", "a\n..\nb\r\n.\r\n" },
	{ "a bare CR stays, and ends no line", "a\r.b\r\n", "a\r.b\r\n.\r\n" },
	{ "no line end at the end", "a", "a\r\n.\r\n" },
	{ "a bare LF at the end", "a\n", "a\n\r\n.\r\n" },
	{ "a bare CR at the end", "a\r", "a\r\r\n.\r\n" },
	{ "empty", "", ".\r\n" },
	{ "only a line end", "\r\n", "\r\n.\r\n" },
};

static void
stuff(enum stuff_rule rule, struct slice whole, size_t cut, struct buf *to)
{
	struct stuffer st;
	struct slice out, pieces[2] = { slice_part(whole, 0, cut), slice_from(whole, cut) };
	buf_clear(to);
	stuffer_init(&st, rule);
	for (int i = 0; i < 2; i++)
		while (stuffer_next(&st, &pieces[i], &out))
			buf_put(to, out);
	buf_put(to, stuffer_end(&st));
}

static void
check(enum stuff_rule rule, const struct row *row)
{
	struct slice in = slice_text(row->in);
	struct buf got;
	buf_init(&got, 4096);
	for (size_t cut = 0; cut <= in.len; cut++) {
		stuff(rule, in, cut, &got);
		if (!slice_equal(buf_slice(&got), slice_text(row->out)))
			fail_msg("%s, cut at %zu: '%.*s'", row->what, cut, SLICE_ARG(buf_slice(&got)));
	}
	buf_release(&got);
}

static void
line_ends_mended(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(mend_rows); i++)
		check(STUFF_MEND, &mend_rows[i]);
}

static void
line_ends_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(keep_rows); i++)
		check(STUFF_KEEP, &keep_rows[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(line_ends_mended), cmocka_unit_test(line_ends_kept) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
