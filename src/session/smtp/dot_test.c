/* SPDX-License-Identifier: Apache-2.0 */
/* dot_test.c - dots and line ends of a message as it comes in, in one piece and in all others. */
#include "session/smtp/dot.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what;
	struct slice in, out;
	bool done, bare;
	size_t left;
} rows[] = {
	{ "an empty message", S_ROW(".\r\n"), S_ROW(""), true, false, 0 },
	{ "one line", S_ROW("a\r\n.\r\n"), S_ROW("a\r\n"), true, false, 0 },
	{ "a doubled dot loses one", S_ROW("..a\r\n.\r\n"), S_ROW(".a\r\n"), true, false, 0 },
	{ "a single dot before text is lost too", S_ROW(".a\r\n.\r\n"), S_ROW("a\r\n"), true, false, 0 },
	{ "two dots alone are one", S_ROW("..\r\n.\r\n"), S_ROW(".\r\n"), true, false, 0 },
	{ "dots inside a line stay", S_ROW("a.\r\nb..c\r\n.\r\n"), S_ROW("a.\r\nb..c\r\n"), true, false, 0 },
	{ "what follows is left", S_ROW("a\r\n.\r\nQUIT\r\n"), S_ROW("a\r\n"), true, false, 6 },
	{ "no end yet", S_ROW("a\r\n."), S_ROW("a\r\n"), false, false, 0 },
	{ "LF dot LF is no end", S_ROW("a\n.\nb\r\n.\r\n"), S_ROW("a\n.\nb\r\n"), true, true, 0 },
	{ "LF dot CRLF is no end", S_ROW("a\n.\r\nb\r\n.\r\n"), S_ROW("a\n.\r\nb\r\n"), true, true, 0 },
	{ "CR dot CR is no end", S_ROW("a\r.\rb\r\n.\r\n"), S_ROW("a\r.\rb\r\n"), true, true, 0 },
	{ "CRLF dot LF is no end", S_ROW("a\r\n.\nb\r\n.\r\n"), S_ROW("a\r\n\nb\r\n"), true, true, 0 },
	{ "CRLF dot CR is no end", S_ROW("a\r\n.\rb\r\n.\r\n"), S_ROW("a\r\n\rb\r\n"), true, true, 0 },
	{ "CRLF dot CR CR LF is no end", S_ROW("a\r\n.\r\r\n.\r\n"), S_ROW("a\r\n\r\r\n"), true, true, 0 },
	{ "CR CR LF has a bare CR", S_ROW("a\r\r\n.\r\n"), S_ROW("a\r\r\n"), true, true, 0 },
	{ "a lone LF at the start", S_ROW("\na\r\n.\r\n"), S_ROW("\na\r\n"), true, true, 0 },
	{ "NUL is data", S_ROW("a\0b\r\n.\r\n"), S_ROW("a\0b\r\n"), true, false, 0 },
};

/* Feeds in steps of at most step bytes, each in memory of its own size. */
static void
run(struct slice in, size_t step, struct dot *d, struct buf *out, size_t *left)
{
	dot_init(d);
	while (in.len > 0 && !d->done) {
		struct slice part = slice_part(in, 0, step), piece;
		size_t had = part.len;
		while (dot_next(d, &part, &piece))
			buf_put(out, piece);
		assert_true(part.len == 0 || d->done);
		in = slice_from(in, had - part.len);
	}
	*left = in.len;
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (size_t step = 1; step <= rows[i].in.len; step++) {
			struct dot d;
			struct buf out;
			size_t left;
			buf_init(&out, 1 << 20);
			run(rows[i].in, step, &d, &out, &left);
			if (!slice_equal(buf_slice(&out), rows[i].out) || d.done != rows[i].done || left != rows[i].left ||
			    (d.bare_cr || d.bare_lf) != rows[i].bare)
				fail_msg("%s, in steps of %zu", rows[i].what, step);
			buf_release(&out);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
