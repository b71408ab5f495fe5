/* SPDX-License-Identifier: Apache-2.0 */
/* html_text_test.c - the text in HTML mail. */
#include "mail/html_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *html, *text;
} rows[] = {
	{ "text", "hello", "hello" },
	{ "tags go", "<b>he</b>ll<i class=x>o</i>", "hello" },
	{ "blocks are lines", "<p>a</p>b<br/>c", "\na\nb\nc" },
	{ "cells are spaces", "a<td>b", "a b" },
	{ "references", "&lt;&amp;&gt;&quot;&auml;&Auml;&euro;&nbsp;x", "<&>\"\xc3\xa4\xc3\x84\xe2\x82\xac x" },
	{ "numbers", "&#8364;&#x20AC;&#128512;", "\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "numbers that are no characters", "&#0;&#xd800;&#x110000;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "controls become spaces", "a&#10;b", "a b" },
	{ "no semicolon", "a&ltb &amp c", "a&ltb & c" },
	{ "ampersands are text", "a & b &x; &", "a & b &x; &" },
	{ "soft hyphens go", "a&shy;b", "ab" },
	{ "comments go", "a<!-- <b> -- > -->b", "ab" },
	{ "a comment that does not end", "a<!-- b", "a" },
	{ "scripts go", "a<script type=x>if (a<b) '</i>'</SCRIPT >b", "ab" },
	{ "styles go", "<style>p{}</style>x", "x" },
	{ "a style that does not end", "x<style>p{}", "x" },
	{ "quoted values hold anything", "<a title=\"x>y\" b='>'>z", "z" },
	{ "an apostrophe outside a value is nothing", "<a don't>z", "z" },
	{ "a tag that does not end", "a<b", "a" },
	{ "less-than is text", "1 < 2 <3", "1 < 2 <3" },
	{ "declarations go", "<!DOCTYPE html><?xml?>x", "x" },
	{ "nothing", "", "" },
};

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		html_text_put(&b, slice_text(rows[i].html));
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].text)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
