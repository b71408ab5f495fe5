/* SPDX-License-Identifier: Apache-2.0 */
/* header_test.c - header fields as they come in real mail, broken ones among them. */
#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

static const struct row {
	const char *says, *text;
	size_t fields, bytes;
	const char *name, *value; /* of the first field */
} rows[] = {
	{ "an ordinary header", "To: a\r\nCc: b\r\n\r\nbody", 2, 16, "To", " a" },
	{ "lines may end with LF alone", "To: a\nCc: b\n\nbody", 2, 13, "To", " a" },
	{ "both kinds in one header", "To: a\r\nCc: b\n\r\nbody", 2, 15, "To", " a" },
	{ "a folded value keeps its line end", "To: a,\r\n\tb\r\n\r\n", 1, 14, "To", " a,\r\n\tb" },
	{ "a line of spaces goes on with the field, and does not end the header", "To: a\r\n \r\nCc: b\r\n\r\nx", 2, 19,
	  "To", " a\r\n " },
	{ "no empty line: all is header", "To: a\r\nCc: b", 2, 12, "To", " a" },
	{ "an empty text has no fields", "", 0, 0, NULL, NULL },
	{ "an empty header", "\r\nbody", 0, 2, NULL, NULL },
	{ "only LF", "\n", 0, 1, NULL, NULL },
	{ "a lone CR is no line end", "A: b\rC: d\r\n\r\n", 1, 13, "A", " b\rC: d" },
	{ "white space before the colon is obsolete and accepted", "Subject \t: x\r\n\r\n", 1, 16, "Subject", " x" },
	{ "an mbox line is no field but is kept", "From joe Mon: x\r\nTo: a\r\n\r\n", 2, 26, "", "From joe Mon: x" },
	{ "a line without colon has no name", "hello\r\n\r\n", 1, 9, "", "hello" },
	{ "a colon alone names nothing", ": x\r\n\r\n", 1, 7, "", ": x" },
	{ "a name may not hold 8-bit bytes", "T\xc3\xb6: x\r\n\r\n", 1, 10, "", "T\xc3\xb6: x" },
	{ "a first line that is folded stands for itself", " x\r\nTo: a\r\n\r\n", 2, 13, "", " x" },
	{ "an empty value", "To:\r\n\r\n", 1, 7, "To", "" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *r = &rows[i];
		struct slice text = slice_text(r->text);
		struct header_reader h;
		struct header_field f, first = { 0 };
		size_t n = 0, bytes = 0;
		header_begin(&h, text);
		for (; header_next(&h, &f); n++) {
			assert_ptr_equal(f.whole.at, text.at + bytes);
			bytes += f.whole.len;
			if (n == 0)
				first = f;
		}
		if (n != r->fields || header_bytes(text) != r->bytes)
			fail_msg("%s: %zu fields, %zu bytes", r->says, n, header_bytes(text));
		assert_true(header_bytes(text) >= bytes && header_bytes(text) - bytes <= 2);
		if (n)
			assert_true(slice_equal(first.name, slice_text(r->name)) && slice_equal(first.value, slice_text(r->value)));
	}
}

static void
test_finds_and_unfolds(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	struct slice text = S("To: a\r\nSUBJECT: one\r\n two\r\nSubject: three\r\n\r\nSubject: body");
	struct header_field f;
	assert_true(header_find(text, S("Subject"), &f));
	assert_true(slice_equal(header_unfold(&a, f.value), S("one two")));
	assert_false(header_find(text, S("Subjec"), &f));
	assert_true(slice_equal(header_unfold(&a, S("  x  ")), S("x")));
	assert_true(slice_equal(header_unfold(&a, S("\r\n ")), S("")));
	arena_release(&a);
}

static void
test_names(void **state)
{
	assert_int_equal(header_id(S("to")), HEADER_TO);
	assert_int_equal(header_id(S("MESSAGE-ID")), HEADER_MESSAGE_ID);
	assert_int_equal(header_id(S("Content-Transfer-Encoding")), HEADER_CONTENT_TRANSFER_ENCODING);
	assert_int_equal(header_id(S("X-Spam")), HEADER_OTHER);
	assert_int_equal(header_id(S("")), HEADER_OTHER);
}

/* A header of 100,000 fields costs linear time, and what is past the limit is skipped. */
static void
test_many_fields(void **state)
{
	struct buf b;
	buf_init(&b, 10u << 20);
	for (size_t i = 0; i < 100000; i++)
		buf_put(&b, S("X-A: b\r\n"));
	buf_put(&b, S("\r\nbody"));
	struct header_reader h;
	struct header_field f;
	size_t n = 0;
	header_begin(&h, buf_slice(&b));
	while (header_next(&h, &f))
		n++;
	assert_int_equal(n, HEADER_FIELDS_MAX);
	assert_int_equal(header_bytes(buf_slice(&b)), 800002);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_finds_and_unfolds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
