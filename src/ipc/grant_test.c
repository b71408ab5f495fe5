/* SPDX-License-Identifier: Apache-2.0 */
/* grant_test.c - a grant says what was signed, and nothing else passes. */
#include "ipc/grant.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t key[GRANT_KEY_BYTES] = { 1, 2, 3 }, other_key[GRANT_KEY_BYTES] = { 1, 2, 4 };
static const struct grant given = { UINT64_MAX, 5, 7, -1 };

static void
what_was_signed_comes_back(void **state)
{
	uint8_t bytes[GRANT_BYTES];
	struct grant g;
	grant_sign(&given, key, bytes);
	assert_true(grant_verify(slice_of(bytes, sizeof bytes), key, &g));
	assert_true(g.account == given.account && g.rights == 5 && g.generation == 7 && g.issued == -1);
}

static void
nothing_else_passes(void **state)
{
	uint8_t bytes[GRANT_BYTES + 1] = { 0 };
	struct grant g;
	grant_sign(&given, key, bytes);
	assert_false(grant_verify(slice_of(bytes, GRANT_BYTES), other_key, &g));
	assert_false(grant_verify(slice_of(bytes, GRANT_BYTES - 1), key, &g));
	assert_false(grant_verify(slice_of(bytes, GRANT_BYTES + 1), key, &g));
	assert_false(grant_verify(SLICE_NONE, key, &g));
	for (size_t bit = 0; bit < GRANT_BYTES * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(grant_verify(slice_of(bytes, GRANT_BYTES), key, &g));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_signed_comes_back),
		                                cmocka_unit_test(nothing_else_passes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
