/* SPDX-License-Identifier: Apache-2.0 */
/* url_test.c - IMAP URLs: those that mean a message or a part of one, and what is none. */
#include "session/imap/url.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *text;
	const char *got; /* user host|mailbox;uidvalidity;uid;text of the section, its depth; [;from+count] [access, 1 and
	                  * token, expires, user, what is signed]; "-": none */
} rows[] = {
	{ "/INBOX/;UID=20", "|/INBOX;0;20;0.0" },
	{ "/inbox/;uid=20", "|/INBOX;0;20;0.0" },
	{ "/INBOX;UID=20", "|/INBOX;0;20;0.0" },
	{ "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", "|/Drafts;385759045;20;1.0" },
	{ "/Drafts;UIDVALIDITY=5/;UID=20/;section=1.2.MIME", "|/Drafts;5;20;5.2" },
	{ "/a%2Fb/c/;UID=1/;SECTION=HEADER.FIELDS%20(From)", "|/a/b/c;0;1;2.0" },
	{ "/%C3%BC/;UID=1", "|/\xc3\xbc;0;1;0.0" },
	{ ";UID=1", "|;0;1;0.0" },
	{ "/;UID=1", "|;0;1;0.0" },
	{ "x/;UID=1", "|x;0;1;0.0" },
	{ "imap://host/x/;UID=1", "host|/x;0;1;0.0" },
	{ "IMAP://user@host:143/x/;UID=1", "user host|/x;0;1;0.0" },
	{ "imap://a%40b;AUTH=*@host/x/;UID=1", "a@b host|/x;0;1;0.0" },
	{ "imap://[::1]:143/x/;UID=1", "[::1]|/x;0;1;0.0" },
	{ "", "-" },
	{ "/INBOX", "-" },
	{ "/INBOX/;UID=", "-" },
	{ "/INBOX/;UID=0", "-" },
	{ "/INBOX/;UID=4294967296", "-" },
	{ "/INBOX/;UID=1x", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=0.5", "|/INBOX;0;1;0.0;0+5" },
	{ "/INBOX/;UID=1/;section=1/;partial=7", "|/INBOX;0;1;0.1;7+" },
	{ "/INBOX/;UID=1/;PARTIAL=18446744073709551615.1", "|/INBOX;0;1;0.0;18446744073709551615+1" },
	{ "/INBOX/;UID=1;URLAUTH=anonymous", "|/INBOX;0;1;0.0 0 0 0 /INBOX/;UID=1;URLAUTH=anonymous" },
	{ "/x/;UID=1;URLAUTH=user+a%40b:internal:0123456789abcdef0123456789ABCDEF",
	  "|/x;0;1;0.0 2 1 0a@b /x/;UID=1;URLAUTH=user+a%40b" },
	{ "/x/;UID=1;urlauth=SUBMIT+a:X-1.2:"
	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
	  "|/x;0;1;0.0 3 1 0a /x/;UID=1;urlauth=SUBMIT+a" },
	{ "/x/;UID=1;urlauth=authuser:internal:"
	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
	  "|/x;0;1;0.0 1 33 0 /x/;UID=1;urlauth=authuser" },
	{ "/x/;UID=1;EXPIRE=1970-01-01T00:00:09Z;URLAUTH=authuser",
	  "|/x;0;1;0.0 1 0 9 /x/;UID=1;EXPIRE=1970-01-01T00:00:09Z;URLAUTH=authuser" },
	{ "/x/;UID=1;EXPIRE=1970-01-01T00:00:09Z", "-" },
	{ "/x/;UID=1;EXPIRE=1970-01-01T00:00:00Z;URLAUTH=authuser", "-" },
	{ "/x/;UID=1;URLAUTH=", "-" },
	{ "/x/;UID=1;URLAUTH=user+", "-" },
	{ "/x/;UID=1;URLAUTH=user+%", "-" },
	{ "/x/;UID=1;URLAUTH=user+a/b", "-" },
	{ "/x/;UID=1;URLAUTH=anonymous:", "-" },
	{ "/x/;UID=1;URLAUTH=anonymous::0123456789abcdef0123456789ABCDEF", "-" },
	{ "/x/;UID=1;URLAUTH=anonymous:internal:0123456789abcdef0123456789ABCDE", "-" },
	{ "/x/;UID=1;URLAUTH=anonymous:internal:0123456789abcdef0123456789ABCDEF;x", "-" },
	{ "/x/;UID=1;URLAUTH=anonymous;URLAUTH=anonymous", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=1.", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=1.0", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=18446744073709551616", "-" },
	{ "/INBOX/;UID=1/;PARTIAL=1/;SECTION=1", "-" },
	{ "/INBOX/;UID=1/;SECTION=1/", "-" },
	{ "/INBOX/;UID=1/;SECTION=", "-" },
	{ "/INBOX/;UID=1/;SECTION=MIME", "-" },
	{ "/INBOX/;UID=1/;SECTION=1]", "-" },
	{ "/INBOX/;UID=1/;SECTION=1%5D", "-" },
	{ "/INBOX;UIDVALIDITY=0/;UID=1", "-" },
	{ "/INBOX;UIDVALIDITY=1;UIDVALIDITY=2/;UID=1", "-" },
	{ "/INBOX;TYPE=LIST/;UID=1", "-" },
	{ "/INBOX?x/;UID=1", "-" },
	{ "/%00/;UID=1", "-" },
	{ "/%0d/;UID=1", "-" },
	{ "/%c3/;UID=1", "-" },
	{ "/%c/;UID=1", "-" },
	{ "/%/;UID=1", "-" },
	{ "imap://host", "-" },
	{ "imap:///x/;UID=1", "-" },
	{ "imap://user@/x/;UID=1", "-" },
};

static void
urls(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct imap_url u;
		struct slice got = S("-");
		if (imap_url_parse(slice_text(rows[i].text), &a, &u))
			got = arena_printf(&a, "%.*s%s%.*s|%s%.*s;%u;%u;%u.%zu", SLICE_ARG(u.user), u.user.len ? " " : "",
			                   SLICE_ARG(u.host), u.rooted && u.mailbox.len ? "/" : "", SLICE_ARG(u.mailbox),
			                   u.uidvalidity, u.uid, (unsigned)u.section.text, u.section.depth);
		if (got.len > 1 && u.partial)
			got = arena_printf(&a, "%.*s;%llu+%.0llu", SLICE_ARG(got), (unsigned long long)u.from,
			                   u.count == UINT64_MAX ? 0 : (unsigned long long)u.count);
		if (got.len > 1 && u.authorized)
			got = arena_printf(&a, "%.*s %u %zu %lld%.*s %.*s", SLICE_ARG(got), (unsigned)u.access,
			                   u.verified + (u.token.len ? u.token.len - 1 : 0), (long long)u.expires,
			                   SLICE_ARG(u.access_user), SLICE_ARG(u.rump));
		if (!slice_equal(got, slice_text(rows[i].got)))
			fail_msg("%s: %.*s", rows[i].text, SLICE_ARG(got));
	}
	char *long_one = must_calloc(1, IMAP_URL_BYTES_MAX + 1);
	struct imap_url u;
	memset(long_one, 'x', IMAP_URL_BYTES_MAX);
	memcpy(long_one + IMAP_URL_BYTES_MAX - 7, "/;UID=1", 7);
	assert_true(imap_url_parse(slice_of(long_one, IMAP_URL_BYTES_MAX), &a, &u));
	assert_false(imap_url_parse(arena_join(&a, S("x"), slice_of(long_one, IMAP_URL_BYTES_MAX)), &a, &u));
	free(long_one);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(urls) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
