/* SPDX-License-Identifier: Apache-2.0 */
/* match_test.c - what SEARCH finds in a message. */
#include "mail/match.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/charset.h"

static const char message[] =
    "From: =?iso-8859-1?q?J=FCrgen?= <j@example.org>\r\nSubject: one\r\n two\r\nX-Empty:\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n"
    "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n7cnSINcg7c/Sxfk=\r\n--b\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "<b class=3Dhidden>Stra=C3=9Fe</b> n=\r\nummer &auml;\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: inner =?utf-8?q?W=C3=B6rter?=\r\n\r\nplain\r\ntext\r\n--b\r\n"
    "Content-Type: application/pdf\r\n\r\nbinary\r\n--b--\r\nepilogue\r\n";

static const struct row {
	const char *says;
	enum match_where where;
	const char *field, *needle;
	bool found;
} rows[] = {
	{ "a subject", MATCH_IN_HEADER, "Subject", "ONE TWO", true },
	{ "an encoded name", MATCH_IN_HEADER, "from", "j\xc3\x9cRGEN", true },
	{ "no letter for its accented one", MATCH_IN_HEADER, "from", "jurgen", false },
	{ "another field", MATCH_IN_HEADER, "To", "one", false },
	{ "whether a field is there", MATCH_IN_HEADER, "X-Empty", "", true },
	{ "whether a field is not there", MATCH_IN_HEADER, "X-None", "", false },
	{ "a field of a message inside is not the message's", MATCH_IN_HEADER, "Subject", "inner", false },
	{ "text finds the header", MATCH_IN_TEXT, "", "one two", true },
	{ "with names of fields", MATCH_IN_TEXT, "", "subject: one", true },
	{ "body does not find the header", MATCH_IN_BODY, "", "one two", false },
	{ "base64 in KOI8-R", MATCH_IN_BODY, "", "\xd0\xbc\xd0\xb8\xd1\x80 \xd0\xb2", true },
	{ "quoted-printable, HTML, across a soft break", MATCH_IN_BODY, "",
	  "STRA\xc3\x9f"
	  "E NUMMER \xc3\x84",
	  true },
	{ "tags are not text", MATCH_IN_BODY, "", "hidden", false },
	{ "the text of a message inside", MATCH_IN_BODY, "", "plain text", true },
	{ "its header", MATCH_IN_BODY, "", "w\xc3\xb6rter", true },
	{ "and by text", MATCH_IN_TEXT, "", "inner w", true },
	{ "what is no text is not searched", MATCH_IN_TEXT, "", "binary", false },
	{ "the encoded form is not the text", MATCH_IN_TEXT, "", "7cnSI", false },
	{ "nothing is everywhere", MATCH_IN_BODY, "", "", true },
	{ "something that is nowhere", MATCH_IN_TEXT, "", "nowhere", false },
};

static void
test_rows(void **state)
{
	struct match_key keys[COUNT_OF(rows)];
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		keys[i] = (struct match_key){ rows[i].where, slice_text(rows[i].field), slice_text(rows[i].needle) };
		if (match_message(slice_text(message), &keys[i], 1) != rows[i].found)
			fail_msg("%s", rows[i].says);
	}
	uint64_t hits = match_message(slice_text(message), keys, COUNT_OF(keys)); /* together as one by one */
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(hits >> i & 1, rows[i].found);
	charset_release();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
