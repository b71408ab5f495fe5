/* SPDX-License-Identifier: Apache-2.0 */
/* reply_test.c - what remote servers say, one row each; lines are separated by LF. */
#include "relay/reply.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what, *lines;
	bool good;
	unsigned code;
	const char *status, *text;
} rows[] = {
	{ "a plain reply", "250 2.1.5 Ok", true, 250, "2.1.5", "Ok" },
	{ "a reply without text", "250", true, 250, "", "" },
	{ "several lines are joined", "550-5.1.1 The email account\n550-5.1.1 that you tried\n550 5.1.1 does not exist",
	  true, 550, "5.1.1", "The email account that you tried does not exist" },
	{ "a status of another class is not believed", "550 2.0.0 fine", true, 550, "", "fine" },
	{ "something like a status stays text", "451 4.7.1.2 odd", true, 451, "", "4.7.1.2 odd" },
	{ "control characters are not kept", "450 a\rb\x01", true, 450, "", "a?b?" },
	{ "invalid UTF-8 is not kept", "450 \xff\xfe", true, 450, "", "??" },
	{ "another code in the middle is no reply", "250-a\n550 b", false, 0, NULL, NULL },
	{ "two digits are no reply", "25 ok", false, 0, NULL, NULL },
	{ "a code glued to text is no reply", "250ok", false, 0, NULL, NULL },
	{ "HTTP is no reply", "HTTP/1.1 400 Bad Request", false, 0, NULL, NULL },
	{ "codes below 200 are none of SMTP", "199 x", false, 0, NULL, NULL },
	{ "codes above 599 are none of SMTP", "600 x", false, 0, NULL, NULL },
};

static void
replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct remote_reply r;
		reply_begin(&r);
		struct slice rest = slice_text(rows[i].lines), line;
		bool good = true;
		while (good && rest.len > 0) {
			slice_cut(rest, '\n', &line, &rest);
			good = reply_add(&r, line);
		}
		if (good != rows[i].good)
			fail_msg("%s: %d", rows[i].what, good);
		if (good && (!r.done || r.code != rows[i].code || strcmp(r.status, rows[i].status) != 0 ||
		             strcmp(r.text, rows[i].text) != 0))
			fail_msg("%s: %u '%s' '%s'", rows[i].what, r.code, r.status, r.text);
	}
}

static void
endless(void **state)
{
	(void)state;
	struct remote_reply r;
	reply_begin(&r);
	size_t taken = 0;
	while (taken < 100000 && reply_add(&r, S("250-and so on and so on and so on")))
		taken++;
	assert_int_equal(taken, REPLY_LINES_MAX);
	assert_int_equal(strlen(r.text), REPLY_TEXT_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(replies), cmocka_unit_test(endless) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
