/* SPDX-License-Identifier: Apache-2.0 */
/* referral_test.c - which URLs may be referrals, and how clients get them. */
#include "mail/referral.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_urls(void **state)
{
	(void)state;
	static const struct {
		const char *why, *text, *url; /* url NULL: refused */
	} rows[] = {
		{ "a server", "imap://new.example", "imap://ann%40x.test;AUTH=*@new.example/" },
		{ "with a slash", "IMAP://new.example/", "imap://ann%40x.test;AUTH=*@new.example/" },
		{ "with a port", "imap://new.example:1143/", "imap://ann%40x.test;AUTH=*@new.example:1143/" },
		{ "with a user", "imap://bob@new.example", "imap://bob;AUTH=*@new.example/" },
		{ "with user and mechanism", "imap://b%40y;auth=PLAIN@10.0.0.1/", "imap://b%40y;AUTH=PLAIN@10.0.0.1/" },
		{ "with a mechanism", "imap://;AUTH=*@new.example/", "imap://ann%40x.test;AUTH=*@new.example/" },
		{ "a mailbox", "imap://h.example/Team/a%20b", "imap://ann%40x.test;AUTH=*@h.example/Team/a%20b" },
		{ "an at in the mailbox", "imap://h.example/a@b", "imap://ann%40x.test;AUTH=*@h.example/a@b" },
		{ "nothing", "", NULL },
		{ "another scheme", "http://new.example/", NULL },
		{ "no host", "imap://", NULL },
		{ "no host behind a user", "imap://bob@", NULL },
		{ "no user", "imap://@h.example/", NULL },
		{ "an empty mechanism", "imap://bob;AUTH=@h.example/", NULL },
		{ "a bracket, which ends a response code", "imap://h.example/a]b", NULL },
		{ "an IPv6 address, for the same reason", "imap://[::1]/", NULL },
		{ "a line end", "imap://h.example/a\r\nb", NULL },
		{ "an encoded line end", "imap://h.example/a%0D%0Ab", NULL },
		{ "an encoded NUL", "imap://h.example/%00", NULL },
		{ "an encoded DEL", "imap://h.example/%7f", NULL },
		{ "half an encoded byte", "imap://h.example/%4", NULL },
		{ "no encoded byte", "imap://h.example/%zz", NULL },
		{ "a space", "imap://h.example/a b", NULL },
		{ "two URLs", "imap://h.example/ imap://i.example/", NULL },
		{ "a quote", "imap://h.example/\"", NULL },
		{ "a message", "imap://h.example/INBOX;UID=1", NULL },
		{ "a search", "imap://h.example/INBOX?ALL", NULL },
		{ "an empty label", "imap://h..example/", NULL },
		{ "a dot at the end", "imap://h.example./", NULL },
		{ "a hyphen at the end", "imap://h-.example/", NULL },
		{ "port 0", "imap://h.example:0/", NULL },
		{ "a port that is none", "imap://h.example:70000/", NULL },
		{ "no port", "imap://h.example:/", NULL },
		{ "a slash at the end of a mailbox", "imap://h.example/a/", NULL },
		{ "two slashes", "imap://h.example//a", NULL },
		{ "8-bit", "imap://h.example/\xc3\xbc", NULL },
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct referral r;
		bool good = referral_take(slice_text(rows[i].text), &r);
		if (good != (rows[i].url != NULL))
			fail_msg("%s", rows[i].why);
		if (good && !slice_equal(referral_url(&r, S("ann@x.test"), S(""), &a), slice_text(rows[i].url)))
			fail_msg("%s", rows[i].why);
	}
	arena_release(&a);
}

static void
test_below(void **state)
{
	(void)state;
	struct arena a;
	struct referral r;
	arena_init(&a, 0);
	assert_true(referral_take(S("imap://h.example/Team"), &r));
	struct slice url = referral_url(&r, S("a;b@x"), S("/\xc3\xbc ]"), &a);
	assert_true(slice_equal(url, S("imap://a%3Bb%40x;AUTH=*@h.example/Team/%C3%BC%20%5D")));
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_urls), cmocka_unit_test(test_below) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
