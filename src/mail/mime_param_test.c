/* SPDX-License-Identifier: Apache-2.0 */
/* mime_param_test.c - parameters as the RFCs have them and as mail has them. */
#include "mail/mime_param.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *params, *name, *value; /* value NULL: not there; decoded */
} rows[] = {
	{ "a token", "; charset=us-ascii", "charset", "us-ascii" },
	{ "names ignore case", "; CharSet=x", "charset", "x" },
	{ "a quoted string", "; name=\"a \\\"b\\\" c\"", "name", "a \"b\" c" },
	{ "a comment behind", "; charset=us-ascii (Plain text)", "charset", "us-ascii" },
	{ "comments everywhere", "(a);(b)charset(c)=(d)x", "charset", "x" },
	{ "white space around", " ; charset = x ; y = z", "y", "z" },
	{ "no semicolon after a quoted string", "; a=\"b\" name=\"c\"", "name", "c" },
	{ "spaces in an unquoted file name", "; name=my file.pdf; x=y", "name", "my file.pdf" },
	{ "parentheses in an unquoted file name", "; name=file(1).pdf", "name", "file(1).pdf" },
	{ "a quoted string that does not end", "; name=\"abc", "name", "abc" },
	{ "an empty value", "; name=; x=y", "x", "y" },
	{ "no value", "; name; x=y", "x", "y" },
	{ "rubbish between", "; =; ;;\"; x=y", "x", "y" },
	{ "not there", "; x=y", "z", NULL },
	{ "the first counts", "; x=1; x=2", "x", "1" },
	{ "encoded words, where none may be", "; name=\"=?utf-8?q?=C3=BC?=\"", "name", "\xc3\xbc" },
	{ "raw 8-bit", "; name=\"\xfc\"", "name", "\xc3\xbc" },
	{ "a fold in a quoted string", "; name=\"a\r\n b\"", "name", "a b" },
	{ "RFC 2231: a charset", "; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title",
	  "This is ***fun***" },
	{ "RFC 2231: sections", "; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu\"", "url", "ftp://cs.utk.edu" },
	{ "RFC 2231: both", "; title*0*=us-ascii'en'This%20is; title*1*=%20it; title*2=\" isn't\"", "title",
	  "This is it isn't" },
	{ "sections in any order", "; a*1=b; a*0=a; a*2=c", "a", "abc" },
	{ "a section is missing", "; a*0=a; a*2=c", "a", "a" },
	{ "the better form wins", "; f=\"x\"; f*=utf-8''%C3%BC", "f", "\xc3\xbc" },
	{ "an escape that is none", "; f*=utf-8''%zz%4", "f", "%zz%4" },
	{ "no charset", "; f*=''%C3%BC", "f", "\xc3\xbc" },
	{ "no quotes at all", "; f*=abc", "f", "abc" },
	{ "line ends that hide", "; f*=utf-8''a%0D%0Ab", "f", "a  b" },
	{ "a section number that is none", "; f*x=1; f*99999999999=2", "f", NULL },
};

static void
test_rows(void **state)
{
	struct arena a;
	struct buf b;
	arena_init(&a, 0);
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct cursor c = cursor_of(slice_text(rows[i].params));
		struct mime_params p;
		buf_clear(&b);
		mime_params_take(&c, &a, &p);
		const struct mime_param *row = mime_param_find(&p, slice_text(rows[i].name));
		if (row)
			mime_param_put(&b, row);
		if (!!row != !!rows[i].value || !slice_equal(buf_slice(&b), slice_text(rows[i].value)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
