/* SPDX-License-Identifier: Apache-2.0 */
/* transfer_test.c - bodies decoded, well-formed ones and others. */
#include "mail/transfer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { B64 = FACTS_ENCODING_BASE64, QP = FACTS_ENCODING_QP };
static const struct row {
	const char *says;
	int encoding;
	const char *text, *decoded;
} rows[] = {
	{ "base64", B64, "Zm9vYmFy", "foobar" },
	{ "padding of one", B64, "Zm9vYmE=", "fooba" },
	{ "padding of two", B64, "Zm9vYg==", "foob" },
	{ "padding left out", B64, "Zm9vYg", "foob" },
	{ "one character too many", B64, "Zm9vYmFyZ", "foobar" },
	{ "lines of any length", B64, "Z\r\nm9\r\nvYm\r\nFy\r\n", "foobar" },
	{ "what is no base64 is skipped", B64, "Zm9v!  -*Ym\tFy", "foobar" },
	{ "the data end with =", B64, "Zm8=Zm9v", "fo" },
	{ "nothing", B64, "", "" },
	{ "only padding", B64, "====", "" },
	{ "quoted-printable", QP, "a=3Db=C3=BC", "a=b\xc3\xbc" },
	{ "lower-case digits", QP, "=c3=bc", "\xc3\xbc" },
	{ "a soft line break", QP, "one=\r\ntwo", "onetwo" },
	{ "a soft line break with white space behind", QP, "one= \t\r\ntwo", "onetwo" },
	{ "a hard line break stays as it was", QP, "one\r\ntwo\nthree", "one\r\ntwo\nthree" },
	{ "white space at the end of a line goes", QP, "one \t\r\ntwo ", "one\r\ntwo" },
	{ "a space that is encoded stays", QP, "one=20\r\ntwo", "one \r\ntwo" },
	{ "= without digits stands for itself", QP, "a=b c=ZZ=4", "a=b c=ZZ=4" },
	{ "= at the end is a soft break", QP, "one=", "one" },
	{ "8-bit bytes pass", QP, "\xfc=3D", "\xfc=" },
	{ "a lone CR is text", QP, "a\rb", "a\rb" },
	{ "8bit is not changed", FACTS_ENCODING_8BIT, "a=3D \r\n", "a=3D \r\n" },
};

static void
test_rows(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *r = &rows[i];
		struct slice text = slice_text(r->text);
		for (size_t step = 1; step <= text.len + 1; step++) {
			struct transfer t;
			buf_clear(&b);
			transfer_init(&t, (uint8_t)r->encoding);
			for (size_t at = 0; at < text.len; at += step)
				transfer_put(&t, slice_part(text, at, step), &b);
			transfer_end(&t, &b);
			if (!slice_equal(buf_slice(&b), slice_text(r->decoded)))
				fail_msg("%s, %zu bytes a piece: %.*s", r->says, step, SLICE_ARG(buf_slice(&b)));
		}
		assert_int_equal(transfer_decoded_bytes((uint8_t)r->encoding, text), strlen(r->decoded));
	}
	buf_release(&b);
}

static void
test_words(void **state)
{
	struct buf b;
	buf_init(&b, 1000);
	transfer_decode_word(true, S("a_b=5Fc=FC_"), &b);
	assert_true(slice_equal(buf_slice(&b), S("a b_c\xfc ")));
	buf_clear(&b);
	transfer_decode_word(false, S("YWI="), &b);
	assert_true(slice_equal(buf_slice(&b), S("ab")));
	buf_release(&b);
}

static void
test_names(void **state)
{
	assert_int_equal(transfer_encoding(S("Base64")), FACTS_ENCODING_BASE64);
	assert_int_equal(transfer_encoding(S("QUOTED-PRINTABLE")), FACTS_ENCODING_QP);
	assert_int_equal(transfer_encoding(S("")), FACTS_ENCODING_7BIT);
	assert_int_equal(transfer_encoding(S("x-uuencode")), FACTS_ENCODING_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_words),
		                                cmocka_unit_test(test_names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
