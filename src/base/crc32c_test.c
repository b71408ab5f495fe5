/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c_test.c - known answers (RFC 3720 B.4), and parts against the whole. */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
known_answers(void **state)
{
	char bytes[32];
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (char)i;
	assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (char)(31 - i);
	assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5c);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void
parts_make_the_whole(void **state)
{
	unsigned char bytes[100];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 37);
	uint32_t whole = crc32c(0, bytes, sizeof bytes);
	for (size_t cut = 0; cut <= sizeof bytes; cut++)
		assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
	bytes[50] ^= 1;
	assert_int_not_equal(crc32c(0, bytes, sizeof bytes), whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(known_answers), cmocka_unit_test(parts_make_the_whole) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
