/* SPDX-License-Identifier: Apache-2.0 */
/* bodystructure_test.c - parts of structures, and what is none. */
#include "session/imap/bodystructure.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEXT "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"a)\\\"b\") NIL NIL \"7BIT\" 5 1 NIL NIL NIL NIL)"
#define IMAGE "(\"IMAGE\" \"PNG\" NIL {3}\r\n\")( NIL \"BASE64\" 164 NIL NIL NIL NIL)"
#define ENVELOPE "(NIL {2}\r\n)) NIL NIL NIL NIL NIL NIL NIL NIL)"
#define INNER "(" TEXT IMAGE " \"MIXED\" NIL NIL NIL NIL)"
#define MESSAGE "(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"8BIT\" 900 " ENVELOPE " " INNER " 20 NIL NIL NIL NIL)"
#define ALL "(" TEXT MESSAGE " \"MIXED\" (\"BOUNDARY\" \"x\") NIL NIL NIL)"

static const struct {
	const char *list;
	uint32_t path[4];
	size_t depth;
	const char *part; /* NULL: there is none */
} rows[] = {
	{ TEXT, { 0 }, 0, TEXT },
	{ TEXT, { 1 }, 1, TEXT },
	{ TEXT, { 2 }, 1, NULL },
	{ TEXT, { 1, 1 }, 2, NULL },
	{ ALL, { 0 }, 0, ALL },
	{ ALL, { 1 }, 1, TEXT },
	{ ALL, { 2 }, 1, MESSAGE },
	{ ALL, { 3 }, 1, NULL },
	{ ALL, { 4 }, 1, NULL },
	{ ALL, { 2, 1 }, 2, TEXT },
	{ ALL, { 2, 2 }, 2, IMAGE },
	{ ALL, { 2, 3 }, 2, NULL },
	{ ALL, { 2, 2, 1 }, 3, NULL },
	{ ALL, { 1, 1 }, 2, NULL },
	{ "", { 1 }, 1, NULL },
	{ "((", { 1 }, 1, NULL },
	{ "((\"", { 1 }, 1, NULL },
	{ "((\"a", { 1 }, 1, NULL },
	{ "((\"\\", { 1 }, 1, NULL },
	{ "(({9}\r\n", { 1 }, 1, NULL },
	{ "(({99999999999999999999}\r\n", { 1 }, 1, NULL },
	{ "((()", { 4000000000 }, 1, NULL },
	{ "NIL", { 1 }, 1, NULL },
};

static void
parts(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice part;
		bool found = bodystructure_part(slice_text(rows[i].list), rows[i].path, rows[i].depth, &part);
		if (found != (rows[i].part != NULL) || (found && !slice_equal(part, slice_text(rows[i].part))))
			fail_msg("row %zu: %d %.*s", i, found, SLICE_ARG(part));
	}
}

static void
decoded(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	bodystructure_put_decoded(&b, S(IMAGE), 123);
	assert_true(
	    slice_equal(buf_slice(&b), S("(\"IMAGE\" \"PNG\" NIL {3}\r\n\")( NIL \"BINARY\" 123 NIL NIL NIL NIL)")));
	buf_clear(&b);
	bodystructure_put_decoded(&b, S(ALL), 123);
	assert_true(slice_equal(buf_slice(&b), S(ALL)));
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parts), cmocka_unit_test(decoded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
