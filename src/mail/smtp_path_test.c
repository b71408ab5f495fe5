/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_path_test.c - the paths of RFC 5321, one sentence a row. */
#include "mail/smtp_path.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { REVERSE = 1, FORWARD = 2, BOTH = 3, UTF8 = 4 };
static const struct row {
	const char *says, *text;
	int takes; /* which of the two accept it */
	const char *put;
} rows[] = {
	{ "an ordinary address", "<user@example.org>", BOTH, "user@example.org" },
	{ "the null reverse-path is no forward-path", "<>", REVERSE, "" },
	{ "Postmaster needs no domain in RCPT, whatever its case", "<postMaster>", FORWARD, "postMaster" },
	{ "no other local-part stands alone", "<root>", 0, "" },
	{ "a source route is accepted and ignored", "<@a.example,@b.example:u@c.example>", BOTH, "u@c.example" },
	{ "a source route must end with a colon", "<@a.example u@c.example>", 0, "" },
	{ "a source route alone is no path", "<@a.example:>", 0, "" },
	{ "quotes that are not needed are dropped", "<\"joe\"@example.org>", BOTH, "joe@example.org" },
	{ "quotes that are needed are written", "<\"joe\\ \\\"x\\\\\"@example.org>", BOTH,
	  "\"joe \\\"x\\\\\"@example.org" },
	{ "an empty quoted local-part is one", "<\"\"@example.org>", BOTH, "\"\"@example.org" },
	{ "an at sign inside quotes", "<\"a@b\"@example.org>", BOTH, "\"a@b\"@example.org" },
	{ "a quoted string must end", "<\"a@example.org>", 0, "" },
	{ "a backslash at the end quotes nothing", "<\"a\\", 0, "" },
	{ "no control characters in quotes", "<\"a\tb\"@example.org>", 0, "" },
	{ "all of atext", "<!#$%&'*+-/=?^_`{|}~@example.org>", BOTH, "!#$%&'*+-/=?^_`{|}~@example.org" },
	{ "no dot in front", "<.a@example.org>", 0, "" },
	{ "no dot behind", "<a.@example.org>", 0, "" },
	{ "no two dots", "<a..b@example.org>", 0, "" },
	{ "no space", "<a b@example.org>", 0, "" },
	{ "brackets are needed", "a@example.org", 0, "" },
	{ "the closing one too", "<a@example.org", 0, "" },
	{ "the domain may not be empty", "<a@>", 0, "" },
	{ "no label begins with a hyphen", "<a@-x.org>", 0, "" },
	{ "or ends with one", "<a@x-.org>", 0, "" },
	{ "no dot behind the domain", "<a@x.org.>", 0, "" },
	{ "no underscore in a domain", "<a@x_y.org>", 0, "" },
	{ "an IPv4 literal", "<a@[192.0.2.1]>", BOTH, "a@[192.0.2.1]" },
	{ "an IPv6 literal", "<a@[IPv6:2001:db8::1]>", BOTH, "a@[IPv6:2001:db8::1]" },
	{ "IPv6 with IPv4 at its end", "<a@[ipv6:::ffff:192.0.2.1]>", BOTH, "a@[ipv6:::ffff:192.0.2.1]" },
	{ "an IPv4 literal has numbers up to 255", "<a@[192.0.2.256]>", 0, "" },
	{ "IPv6 needs its tag", "<a@[2001:db8::1]>", 0, "" },
	{ "no other tag is registered", "<a@[x400:whatever]>", 0, "" },
	{ "an empty literal", "<a@[]>", 0, "" },
	{ "UTF-8 only where it was asked for", "<\xc3\xbc@example.org>", 0, "" },
	{ "UTF-8 local-part and domain", "<\xc3\xbc@b\xc3\xbc.example>", BOTH | UTF8, "\xc3\xbc@b\xc3\xbc.example" },
	{ "UTF-8 in quotes", "<\"\\\\\xc3\xbc x\"@example.org>", BOTH | UTF8, "\"\\\\\xc3\xbc x\"@example.org" },
	{ "malformed UTF-8 is refused", "<\xc3@example.org>", UTF8, "" },
	{ "malformed UTF-8 in the domain is refused", "<a@\xff.example>", UTF8, "" },
};

static void
test_rows(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *r = &rows[i];
		for (int kind = REVERSE; kind <= FORWARD; kind++) {
			struct slice text = slice_text(r->text);
			struct cursor c = cursor_of(text);
			struct path p;
			bool got = (kind == REVERSE ? take_reverse_path : take_forward_path)(&c, &a, r->takes & UTF8, &p);
			if (got != !!(r->takes & kind))
				fail_msg("%s: kind %d", r->says, kind);
			assert_ptr_equal(c.at, got ? text.at + text.len : text.at);
			struct buf b;
			buf_init(&b, 1000);
			if (got)
				path_put(&b, &p);
			assert_true(!got || slice_equal(buf_slice(&b), slice_text(r->put)));
			assert_true(!got || path_fits(&p));
			buf_release(&b);
		}
	}
	arena_release(&a);
}

static void
test_says_what_it_saw(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	struct path p;
	struct cursor c = cursor_of(S("<@r.example:\"a\"@[192.0.2.1]> SIZE=1"));
	assert_true(take_reverse_path(&c, &a, false, &p));
	assert_true(p.source_route && p.quoted && p.literal && !p.utf8 && !p.null);
	assert_true(slice_equal(cursor_rest(&c), S(" SIZE=1")));
	arena_release(&a);
}

static void
test_lengths(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	static const struct {
		size_t local, label, labels;
		bool fits;
	} cases[] = { { 64, 63, 3, true }, { 65, 10, 1, false }, { 1, 64, 1, false }, { 1, 63, 5, false } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b;
		buf_init(&b, 10000);
		buf_put_char(&b, '<');
		for (size_t n = 0; n < cases[i].local; n++)
			buf_put_char(&b, 'l');
		for (size_t l = 0; l < cases[i].labels; l++) {
			buf_put_char(&b, l ? '.' : '@');
			for (size_t n = 0; n < cases[i].label; n++)
				buf_put_char(&b, 'd');
		}
		buf_put_char(&b, '>');
		struct cursor c = cursor_of(buf_slice(&b));
		struct path p;
		assert_true(take_forward_path(&c, &a, false, &p));
		assert_int_equal(path_fits(&p), cases[i].fits);
		buf_release(&b);
	}
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_says_what_it_saw),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
