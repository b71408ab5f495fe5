/* SPDX-License-Identifier: Apache-2.0 */
/* downgrade_test.c - what clients that read ASCII only are shown of internationalized headers (RFC 6858). */
#include "mail/downgrade.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BAD " <invalid@internationalized-address.invalid>"

static const struct {
	const char *says, *header, *expected; /* NULL: as it is */
} rows[] = {
	{ "ASCII", "Subject: one\r\n\r\n", NULL },
	{ "no UTF-8", "Subject: \xfc\r\n\r\n", NULL },
	{ "a subject",
	  "Subject: Gr\xc3\xbc\xc3\x9f"
	  "e\r\nTo: a@b\r\n\r\n",
	  "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nTo: a@b\r\n\r\n" },
	{ "a subject that is encoded in part", "SUBJECT: =?utf-8?q?=C3=BC?= \xc3\xbc\r\n\r\n",
	  "SUBJECT: =?utf-8?B?w7wgw7w=?=\r\n\r\n" },
	{ "an address (2.1)", "From: Fred Foo <fred@\xc3\xa9x.com>\r\n\r\n",
	  "From: =?utf-8?B?RnJlZCBGb28gKGZyZWRAw6l4LmNvbSk=?=" BAD "\r\n\r\n" },
	{ "an address without a name", "Cc: \xc3\xa9@x\r\n\r\n", "Cc: =?utf-8?B?w6lAeA==?=" BAD "\r\n\r\n" },
	{ "a name with an address in ASCII", "To: J\xc3\xbcrgen <j@x>, \"B, C\" <b@x>\r\n\r\n",
	  "To: =?utf-8?B?SsO8cmdlbg==?= <j@x>,\r\n \"B, C\" <b@x>\r\n\r\n" },
	{ "a local part in quotes", "To: \xc3\xbc <\"a b\"@x>\r\n\r\n", "To: =?utf-8?B?w7w=?= <\"a b\"@x>\r\n\r\n" },
	{ "a group", "To: Fr\xc3\xa9: a@x, \xc3\xa9@x;, c@x\r\n\r\n",
	  "To: =?utf-8?B?RnLDqQ==?=: <a@x>,\r\n =?utf-8?B?w6lAeA==?=" BAD ";,\r\n <c@x>\r\n\r\n" },
	{ "Return-Path", "Return-Path: <\xc3\xa9@x>\r\n\r\n",
	  "Return-Path: <invalid@internationalized-address.invalid>\r\n\r\n" },
	{ "a parameter (2.2)", "Content-Disposition: attachment; filename=\xc3\xa9; size=3\r\n\r\n",
	  "Content-Disposition: attachment; size=3\r\n\r\n" },
	{ "a ; in quotes", "Content-Type: text/plain; name=\"a;\xc3\xa9\\\";\"; charset=\"utf-8\"\r\n\r\n",
	  "Content-Type: text/plain; charset=\"utf-8\"\r\n\r\n" },
	{ "all pieces of it", "Content-Type: a/b; name*0=\"a\"; x=y; name*1=\"\xc3\xa9\"\r\n\r\n",
	  "Content-Type: a/b; x=y\r\n\r\n" },
	{ "a type that cannot be shown", "Content-Type: text/\xc3\xa9; a=b\r\n\r\n", "\r\n" },
	{ "other fields (2.4)", "Received: by \xc3\xa9\r\nMessage-ID: <\xc3\xa9@x>\r\nX: y\r\n z\r\n\r\n",
	  "X: y\r\n z\r\n\r\n" },
	{ "what is no field", "\xc3\xa9\r\nX: y\r\n", "X: y\r\n" },
	{ "one field is no UTF-8", "X: \xff\r\nY: \xc3\xa9\r\n\r\n", "X: \xff\r\n\r\n" },
};

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		buf_put(&b, S("kept"));
		bool changed = downgrade_header(&b, slice_text(rows[i].header));
		const char *expected = rows[i].expected ? rows[i].expected : "";
		if (changed != (rows[i].expected != NULL) || !slice_equal(slice_from(buf_slice(&b), 4), slice_text(expected)))
			fail_msg("%s: %.*s", rows[i].says, (int)b.len, b.at);
	}
	buf_release(&b);
}

/* A header that does not fit stays as it is. */
static void
test_too_long(void **state)
{
	struct buf b;
	buf_init(&b, 10);
	assert_false(downgrade_header(&b, S("Subject: \xc3\xbc\r\n\r\n")));
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_too_long) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
