/* SPDX-License-Identifier: Apache-2.0 */
/* preview_test.c - RFC 8970: which text is shown, and how much of it. */
#include "mail/preview.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/charset.h"

static const struct row {
	const char *says, *message, *shown;
} rows[] = {
	{ "white space is one space", "\r\n a \t b\r\n\r\n\r\nc ", "a b c" },
	{ "quoted lines go", "\r\n> x\r\nb\r\n>y\r\n", "b" },
	{ "no text at all", "Content-Type: image/png\r\n\r\nx", "" },
	{ "an attachment is not looked at",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: "
	  "attachment\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--",
	  "y" },
	{ "a message that is one itself is", "Content-Disposition: attachment\r\n\r\nx", "x" },
	{ "raw 8-bit", "\r\nJ\xfcrgen", "J\xc3\xbcrgen" },
	{ "base64", "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n", "hello" },
	{ "only quoted lines", "\r\n> x\r\n", "" },
};

static void
preview_of(struct slice message, struct buf *b)
{
	struct mime m;
	struct arena a;
	mime_init(&m);
	arena_init(&a, 0);
	mime_parse(&m, message, &a);
	buf_clear(b);
	preview_put(b, &m, message);
	mime_release(&m);
	arena_release(&a);
}

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		preview_of(slice_text(rows[i].message), &b);
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].shown)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
}

/* At most 200 characters, whatever their size; no half ones. */
static void
test_length(void **state)
{
	static const char *const of[] = { "x", "\xc3\xbc", "\xe6\x97\xa5", "\xf0\x9f\x98\x80", "ab ", "\xff" };
	struct buf text, b;
	buf_init(&text, 100000);
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(of); i++) {
		buf_clear(&text);
		buf_put(&text, S("Content-Type: text/plain; charset=utf-8\r\n\r\n"));
		while (text.len < 20000)
			buf_put(&text, slice_text(of[i]));
		preview_of(buf_slice(&text), &b);
		size_t chars = 0;
		for (size_t k = 0; k < b.len; k++)
			chars += ((unsigned char)b.at[k] & 0xc0) != 0x80;
		assert_true(slice_is_utf8(buf_slice(&b)) && chars <= PREVIEW_CHARS_MAX && (chars > 190 || i == 5));
	}
	buf_release(&text);
	buf_release(&b);
	charset_release();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_length) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
