/* SPDX-License-Identifier: Apache-2.0 */
/* address_test.c - address lists, as the RFC has them and as mail has them. */
#include "mail/address.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

/* An address is shown as name|route|local|domain, a group as {name, its end as }. */
static const struct row {
	const char *says, *text, *shown;
} rows[] = {
	{ "a bare address", "joe@example.org", "||joe|example.org" },
	{ "a name", "Joe Q. Public <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com" },
	{ "a quoted name", "\"Joe \\\"Q\\\" Public\" <j@e.com>", "Joe \"Q\" Public||j|e.com" },
	{ "RFC 5322 A.1.2", "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	  "Mary Smith||mary|x.test ||jdoe|example.org Who?||one|y.test" },
	{ "a group", "A Group:Ed Jones <joe@where.test>,joe@where.test;",
	  "{A Group Ed Jones||joe|where.test ||joe|where.test }" },
	{ "an empty group", "Undisclosed recipients:;", "{Undisclosed recipients }" },
	{ "a group with spaces and what follows it", "g: ; , a@b", "{g } ||a|b" },
	{ "a group that does not end", "g: a@b", "{g ||a|b }" },
	{ "RFC 5322 A.5", "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete||pete|silly.test" },
	{ "RFC 5322 A.5, the group",
	  "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  "
	  "John "
	  "<jdoe@one.test> (my dear friend); (the end of the group)",
	  "{A Group Chris Jones||c|public.example ||joe|example.org John||jdoe|one.test }" },
	{ "RFC 5322 A.6.1: route, empty elements, spaces around dots",
	  "Joe Q. Public <john.q.public@example.com>,\r\n , Mary <@node.test, @b:mary@example.net>, jdoe@test  . example",
	  "Joe Q. Public||john.q.public|example.com Mary|@node.test,@b|mary|example.net ||jdoe|test.example" },
	{ "spaces around the dots of a local-part", "a . b @ c . d", "||a.b|c.d" },
	{ "the comment is the name", "joe@example.org (Joe Public)", "Joe Public||joe|example.org" },
	{ "the comment behind brackets is the name when there is none", "<joe@example.org> (Joe)", "Joe||joe|example.org" },
	{ "a comment with a comment", "joe@e.org (a (b) c)", "a (b) c||joe|e.org" },
	{ "a quoted local-part", "\"joe public\"@example.org", "||joe public|example.org" },
	{ "a quoted local-part in brackets", "x <\"a@b\"@example.org>", "x||a@b|example.org" },
	{ "a domain literal", "joe@[192.0.2.1]", "||joe|[192.0.2.1]" },
	{ "brackets in a name", "[List] Joe <j@e.org>", "[List] Joe||j|e.org" },
	{ "an address as a name", "joe@e.org <joe@e.org>", "joe@e.org||joe|e.org" },
	{ "no domain", "root", "||root|" },
	{ "no domain in brackets", "Root <root>", "Root||root|" },
	{ "nothing in brackets", "Nobody <>", "Nobody|||" },
	{ "only a domain", "@example.org", "|||example.org" },
	{ "a bracket is missing", "A <a@b, C <c@d>", "A||a|b C||c|d" },
	{ "too many brackets", "A <<a@b>>, c@d", "A||a|b ||c|d" },
	{ "semicolons instead of commas", "a@b; c@d", "||a|b ||c|d" },
	{ "a name of two quoted strings", "\"A\" \"B\" <c@d>", "A B||c|d" },
	{ "encoded words stay", "=?utf-8?q?J=C3=BCrgen?= <j@e.org>", "=?utf-8?q?J=C3=BCrgen?=||j|e.org" },
	{ "8-bit names stay", "J\xfcrgen <j@e.org>", "J\xfcrgen||j|e.org" },
	{ "an unquoted comma makes two", "Public, Joe <j@e.org>", "||Public| Joe||j|e.org" },
	{ "two at signs", "a@b@c", "||a|b" },
	{ "a quote that does not end", "\"Joe <j@e.org>", "||Joe <j@e.org>|" },
	{ "a comment that does not end", "joe@e.org (Joe", "Joe||joe|e.org" },
	{ "a folded quoted name", "\"Joe\r\n Public\" <j@e.org>", "Joe Public||j|e.org" },
	{ "only commas", ",,, ,", "" },
	{ "empty", "", "" },
	{ "only a comment", "(nobody)", "" },
	{ "stray closers", "> ) a@b", "||a|b" },
	{ "a mailto", "<mailto:a@b>", "||mailto:a|b" },
	{ "a backslash at the end", "\"a\\", "||a\\|" },
	{ "a colon in a group", "g: x: a@b;", "{g ||x: a|b }" },
};

static void
show(struct buf *b, const struct address *a)
{
	if (b->len)
		buf_put_char(b, ' ');
	if (a->kind == ADDRESS_GROUP_END) {
		buf_put_char(b, '}');
		return;
	}
	if (a->kind == ADDRESS_GROUP)
		buf_put_char(b, '{');
	buf_put(b, a->name);
	if (a->kind == ADDRESS_GROUP)
		return;
	buf_put_char(b, '|');
	buf_put(b, a->route);
	buf_put_char(b, '|');
	buf_put(b, a->local);
	buf_put_char(b, '|');
	buf_put(b, a->domain);
}

static void
test_rows(void **state)
{
	struct arena arena;
	struct buf b;
	arena_init(&arena, 0);
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address_reader r;
		struct address a;
		buf_clear(&b);
		address_begin(&r, &arena, slice_text(rows[i].text));
		while (address_next(&r, &a))
			show(&b, &a);
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].shown)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
	arena_release(&arena);
}

/* A list of any kind of character repeated is read in linear time, and ends. */
static void
test_torture(void **state)
{
	static const char *const of[] = { "(", ")",  "<", ">", "\"",    "@",  ":",  ";",  ",",   "[",
		                              "]", "\\", " ", ".", "a@b <", "<@", "a(", "x:", "<@a," };
	struct arena arena;
	struct buf b;
	arena_init(&arena, 0);
	buf_init(&b, 10u << 20);
	for (size_t i = 0; i < COUNT_OF(of); i++) {
		buf_clear(&b);
		while (b.len < 200000)
			buf_put(&b, slice_text(of[i]));
		struct address_reader r;
		struct address a;
		size_t n = 0;
		address_begin(&r, &arena, buf_slice(&b));
		for (; address_next(&r, &a); n++)
			assert_true(n <= b.len + 1);
		arena_clear(&arena);
	}
	buf_release(&b);
	arena_release(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_torture) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
