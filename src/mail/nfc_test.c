/* SPDX-License-Identifier: Apache-2.0 */
/* nfc_test.c - what becomes of letters and their accents. */
#include "mail/nfc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what, *given, *expected;
} rows[] = {
	{ "ASCII stays", "INBOX/a", "INBOX/a" },
	{ "a letter with its accent stays", "\xc3\xbc", "\xc3\xbc" },
	{ "an accent that follows is put together", "u\xcc\x88", "\xc3\xbc" },
	{ "compatibility forms stay apart", "\xef\xac\x81", "\xef\xac\x81" },
	{ "the Angstrom sign is a letter", "\xe2\x84\xab", "\xc3\x85" },
	{ "what NFC takes apart", "\xf0\x9d\x85\xa0", "\xf0\x9d\x85\x98\xf0\x9d\x85\xa5\xf0\x9d\x85\xae" },
	{ "nothing", "", "" },
};

static void
test_rows(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!slice_equal(nfc_keep(&a, slice_text(rows[i].given)), slice_text(rows[i].expected)))
			fail_msg("%s", rows[i].what);
	arena_release(&a);
}

static void
test_long(void **state)
{
	static char text[NFC_BYTES_MAX + 3];
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = "u\xcc\x88"[i % 3];
	struct slice all = slice_of(text, sizeof text - sizeof text % 3);
	assert_int_equal(nfc_keep(&a, all).len, all.len);
	struct slice part = slice_part(all, 0, NFC_BYTES_MAX - NFC_BYTES_MAX % 3);
	assert_int_equal(nfc_keep(&a, part).len, part.len / 3 * 2);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_long) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
