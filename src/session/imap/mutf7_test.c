/* SPDX-License-Identifier: Apache-2.0 */
/* mutf7_test.c - names that mean something, and names that mean nothing. */
#include "session/imap/mutf7.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what, *wire, *utf8; /* utf8 NULL: refused */
} rows[] = {
	{ "ASCII stands for itself", "INBOX/a b", "INBOX/a b" },
	{ "an ampersand", "A&-B", "A&B" },
	{ "German", "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "the example of RFC 3501 5.1.3", "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	  "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "a surrogate pair", "&2D3eAA-", "\xf0\x9f\x98\x80" },
	{ "a shift and then an ampersand", "&APw-&-", "\xc3\xbc&" },
	{ "empty", "", "" },
	{ "a shift that does not end", "&APw", NULL },
	{ "a shift that holds nothing", "&,-", NULL },
	{ "bits left over", "&APx-", NULL },
	{ "ASCII in base64", "&AEE-", NULL },
	{ "a NUL in base64", "&AAA-", NULL },
	{ "two shifts that could be one", "&APw-&APw-", NULL },
	{ "half a surrogate pair", "&2D0-", NULL },
	{ "a low surrogate alone", "&3gA-", NULL },
	{ "raw 8-bit", "Entw\xc3\xbcrfe", NULL },
	{ "a control character", "a\tb", NULL },
	{ "a slash of ordinary base64", "&U/BTFw-", NULL },
};

static void
decodes_and_encodes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf to, back;
		buf_init(&to, 1000);
		buf_init(&back, 1000);
		bool ok = mutf7_decode(slice_text(rows[i].wire), &to);
		if (ok != (rows[i].utf8 != NULL))
			fail_msg("%s: %s", rows[i].what, ok ? "was taken" : "was refused");
		if (ok) {
			if (!slice_equal(buf_slice(&to), slice_text(rows[i].utf8)))
				fail_msg("%s: %.*s", rows[i].what, SLICE_ARG(buf_slice(&to)));
			mutf7_encode(buf_slice(&to), &back);
			if (!slice_equal(buf_slice(&back), slice_text(rows[i].wire)))
				fail_msg("%s: back it is %.*s", rows[i].what, SLICE_ARG(buf_slice(&back)));
		}
		buf_release(&to);
		buf_release(&back);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decodes_and_encodes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
