/* SPDX-License-Identifier: Apache-2.0 */
/* base_subject_test.c - RFC 5256 2.1. */
#include "mail/base_subject.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *text, *base;
	bool reply;
} rows[] = {
	{ "nothing to take off", "Hello", "Hello", false },
	{ "case is kept", "RE: HeLLo", "HeLLo", true },
	{ "several", "Re: Fwd: re:FW:  Hello", "Hello", true },
	{ "spaces are one", "a  \t b", "a b", false },
	{ "a blob before", "[list] Re: Hello", "Hello", true },
	{ "a blob inside", "Re [2]: Hello", "Hello", true },
	{ "a blob alone is no reply", "[list] Hello", "Hello", false },
	{ "a subject that is only a blob stays", "[list]", "[list]", false },
	{ "two blobs, the last stays", "[a] [b]", "[b]", false },
	{ "a trailer", "Hello (fwd) (FWD) ", "Hello", true },
	{ "forwarded in brackets", "[Fwd: Re: Hello]", "Hello", true },
	{ "nested", "[fwd: [Fwd: Hello (fwd)]]", "Hello", true },
	{ "a word that begins like one", "Regarding: x", "Regarding: x", false },
	{ "nothing left", "Re:", "", true },
	{ "empty", "", "", false },
	{ "brackets that do not close", "[Fwd: x", "[Fwd: x", false },
};

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		bool reply = base_subject_put(&b, slice_text(rows[i].text));
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].base)) || reply != rows[i].reply)
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
