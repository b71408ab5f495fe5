/* SPDX-License-Identifier: Apache-2.0 */
/* xtext_test.c - RFC 3461 4. */
#include "mail/xtext.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
decoding(void **state)
{
	(void)state;
	static const struct {
		const char *what, *in, *out;
	} rows[] = {
		{ "plain text stays", "QQ314159", "QQ314159" },
		{ "a byte in hex", "a+2Bb+3Dc", "a+b=c" },
		{ "lower case hex is none", "a+2bx", "a+2bx" },
		{ "a plus at the end stays", "a+2", "a+2" },
		{ "line ends do not come through", "a+0D+0Ab", "a??b" },
		{ "the type of an address stays", "rfc822;bob@example.org", "rfc822;bob@example.org" },
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!slice_equal(xtext_decode(slice_text(rows[i].in), &a), slice_text(rows[i].out)))
			fail_msg("%s", rows[i].what);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decoding) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
