/* SPDX-License-Identifier: Apache-2.0 */
/* slab_test.c - pieces do not overlap, are zero when they are given out, and can be had again in any order. */
#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PIECES 3000

static struct {
	unsigned char *at;
	size_t bytes;
	unsigned char fill;
} pieces[PIECES];

static uint32_t
roll(uint32_t n)
{
	static uint32_t dice = 2463534242u;
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return dice % n;
}

static void
assert_all(const unsigned char *at, size_t bytes, unsigned char fill)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(at[i], fill);
}

static void
test_many_pieces(void **state)
{
	slab_plain = false;
	for (unsigned n = 0; n < 60000; n++) {
		size_t i = roll(PIECES), was = pieces[i].bytes;
		assert_all(pieces[i].at, was, pieces[i].fill);
		if (roll(3) == 0) {
			slab_free(pieces[i].at, was);
			pieces[i].at = NULL;
			pieces[i].bytes = 0;
			continue;
		}
		pieces[i].bytes = roll(8) ? 1 + roll(200) : 1 + roll(5000);
		pieces[i].at = slab_realloc(pieces[i].at, was, pieces[i].bytes);
		if (was < pieces[i].bytes)
			assert_all(pieces[i].at + was, pieces[i].bytes - was, 0);
		assert_all(pieces[i].at, MIN(was, pieces[i].bytes), pieces[i].fill);
		pieces[i].fill = (unsigned char)n;
		memset(pieces[i].at, pieces[i].fill, pieces[i].bytes);
	}
	for (size_t i = 0; i < PIECES; i++)
		slab_free(pieces[i].at, pieces[i].bytes);
}

static void
test_edges(void **state)
{
	slab_plain = false;
	slab_free(NULL, 100);
	char *none = slab_calloc(0), *text = slab_dup(S("INBOX")), *most = slab_calloc(SLAB_BYTES_MAX);
	assert_string_equal(text, "INBOX");
	memset(most, 1, SLAB_BYTES_MAX);
	slab_free(none, 0);
	slab_free(text, 6);
	slab_free(most, SLAB_BYTES_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_pieces),
		cmocka_unit_test(test_edges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
