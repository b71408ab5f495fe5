/* SPDX-License-Identifier: Apache-2.0 */
/* base64_test.c - the examples of RFC 4648 10, and what strict means. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
both_ways(void **state)
{
	static const struct {
		struct slice bytes, text;
	} rows[] = {
		{ S_ROW(""), S_ROW("") },
		{ S_ROW("f"), S_ROW("Zg==") },
		{ S_ROW("fo"), S_ROW("Zm8=") },
		{ S_ROW("foo"), S_ROW("Zm9v") },
		{ S_ROW("foob"), S_ROW("Zm9vYg==") },
		{ S_ROW("fooba"), S_ROW("Zm9vYmE=") },
		{ S_ROW("foobar"), S_ROW("Zm9vYmFy") },
		{ S_ROW("\0user\0pass"), S_ROW("AHVzZXIAcGFzcw==") },
		{ S_ROW("\xff\xff\xff\xfb\xf0"), S_ROW("////+/A=") },
	};
	struct arena a;
	struct buf b;
	arena_init(&a, 0);
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice out;
		buf_clear(&b);
		base64_encode(rows[i].bytes, &b);
		if (!slice_equal(buf_slice(&b), rows[i].text))
			fail_msg("%.*s encoded", SLICE_ARG(rows[i].text));
		if (!base64_decode(rows[i].text, &a, &out) || !slice_equal(out, rows[i].bytes))
			fail_msg("%.*s decoded", SLICE_ARG(rows[i].text));
	}
	arena_release(&a);
	buf_release(&b);
}

static void
refused(void **state)
{
	static const struct {
		const char *what;
		struct slice text;
	} rows[] = {
		{ "no padding", S_ROW("Zg") },
		{ "half the padding", S_ROW("Zg=") },
		{ "too much padding", S_ROW("Z===") },
		{ "nothing but padding", S_ROW("====") },
		{ "padding in the middle", S_ROW("Zg==Zg==") },
		{ "bits left over in two characters", S_ROW("Zh==") },
		{ "bits left over in three", S_ROW("Zm9=") },
		{ "white space", S_ROW("Zm9v\r\n\r\n") },
		{ "a space", S_ROW("Zm v") },
		{ "the alphabet of URLs", S_ROW("-_-_") },
		{ "NUL", S_ROW("Zm9\0") },
		{ "a byte above 127", S_ROW("Zm9\xe4") },
		{ "the SASL cancel", S_ROW("*") },
	};
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice out;
		if (base64_decode(rows[i].text, &a, &out))
			fail_msg("%s", rows[i].what);
	}
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_ways), cmocka_unit_test(refused) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
