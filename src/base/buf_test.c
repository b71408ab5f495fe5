/* SPDX-License-Identifier: Apache-2.0 */
/* buf_test.c - growing up to the bound and not past it; numbers in bytes. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
growing(void **state)
{
	struct buf b;
	buf_init(&b, 100000);
	for (int i = 0; i < 10000; i++)
		buf_put_char(&b, (char)i);
	buf_put(&b, SLICE_NONE);
	assert_int_equal(b.len, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(b.at[i], (char)i);
	char *at = b.at;
	buf_clear(&b);
	assert_ptr_equal(b.at, at);
	assert_int_equal(b.len, 0);
	buf_release(&b);
	assert_null(b.at);
	buf_put(&b, S("again"));
	assert_true(slice_equal(buf_slice(&b), S("again")));
	buf_release(&b);
}

static void
the_bound_is_kept(void **state)
{
	struct buf b;
	buf_init(&b, 10);
	buf_put(&b, S("0123456789"));
	assert_false(b.over);
	buf_put(&b, S(""));
	assert_false(b.over);
	buf_put_char(&b, 'x');
	assert_true(b.over);
	buf_drop_end(&b, 5);
	buf_put_char(&b, 'x'); /* sticky: a hole in the middle would be worse than an end */
	assert_true(slice_equal(buf_slice(&b), S("01234")));
	buf_clear(&b);
	assert_false(b.over);
	buf_put(&b, S("0123456789a"));
	assert_true(b.over);
	assert_int_equal(b.len, 0);
	assert_false(buf_room(&b, SIZE_MAX));
	buf_release(&b);
	buf_init(&b, 10);
	assert_false(buf_room(&b, SIZE_MAX));
	buf_release(&b);
}

static void
printing(void **state)
{
	struct buf b;
	char long_text[601];
	memset(long_text, 'a', 600);
	long_text[600] = '\0';
	buf_init(&b, 605);
	buf_printf(&b, "%d-%s-", 7, "x");
	assert_true(slice_equal(buf_slice(&b), S("7-x-")));
	buf_printf(&b, "%s!", long_text); /* exactly full */
	assert_false(b.over);
	assert_int_equal(b.len, 605);
	assert_int_equal(b.at[604], '!');
	buf_printf(&b, "%s", "");
	assert_false(b.over);
	buf_printf(&b, "%s", long_text);
	assert_true(b.over);
	assert_int_equal(b.len, 605);
	buf_clear(&b);
	buf_put_u64(&b, 0);
	buf_put_char(&b, ' ');
	buf_put_u64(&b, UINT64_MAX);
	assert_true(slice_equal(buf_slice(&b), S("0 18446744073709551615")));
	buf_release(&b);
}

static void
cutting(void **state)
{
	struct buf b;
	buf_init(&b, 100);
	buf_cut(&b, 0);
	buf_put(&b, S("abcdef"));
	buf_cut(&b, 2);
	assert_true(slice_equal(buf_slice(&b), S("cdef")));
	buf_cut(&b, 0);
	buf_drop_end(&b, 1);
	assert_true(slice_equal(buf_slice(&b), S("cde")));
	buf_cut(&b, 3);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
numbers_in_bytes(void **state)
{
	struct buf b;
	buf_init(&b, 100);
	buf_put_le(&b, 0x0102030405060708, 8);
	buf_put_le(&b, 0x010203, 3);
	buf_put_be(&b, 0x0102030405060708, 8);
	buf_put_be(&b, 0xfffe, 2);
	static const char wanted[] = "\x08\x07\x06\x05\x04\x03\x02\x01\x03\x02\x01\x01\x02\x03\x04\x05\x06\x07\x08\xff\xfe";
	assert_int_equal(b.len, sizeof wanted - 1);
	assert_memory_equal(b.at, wanted, b.len);
	assert_true(bytes_get_le(b.at, 8) == 0x0102030405060708);
	assert_true(bytes_get_le(b.at + 8, 3) == 0x010203);
	assert_true(bytes_get_be(b.at + 11, 8) == 0x0102030405060708);
	assert_true(bytes_get_be(b.at + 19, 2) == 0xfffe);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(growing), cmocka_unit_test(the_bound_is_kept), cmocka_unit_test(printing),
		cmocka_unit_test(cutting), cmocka_unit_test(numbers_in_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
