/* SPDX-License-Identifier: Apache-2.0 */
/* frozen_test.c - bytes that are shared and cannot change: what a view sees, what it may write, and what is refused. */
#include "ipc/frozen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES = 10000, ROOM = 50000 };

static int
make(void)
{
	char text[BYTES];
	memset(text, 'a', sizeof text);
	int fd = frozen_new(slice_of(text, sizeof text));
	assert_true(fd >= 0);
	return fd;
}

static void
test_views_are_private(void **state)
{
	int fd = make();
	char *one = frozen_map(fd, BYTES, ROOM), *two = frozen_map(fd, BYTES, ROOM);
	assert_non_null(one);
	assert_non_null(two);
	one[17] = 'b';
	one[BYTES] = 'c'; /* behind it there is room */
	one[ROOM - 1] = 'd';
	assert_int_equal(two[17], 'a');
	assert_int_equal(two[BYTES - 1], 'a');
	assert_int_equal(two[BYTES], 0);
	frozen_unmap(one, ROOM);
	frozen_unmap(two, ROOM);
	close(fd);
}

static void
test_nobody_can_change_it(void **state)
{
	int fd = make();
	assert_true(write(fd, "x", 1) < 0);
	assert_true(ftruncate(fd, 1) < 0);
	assert_ptr_equal(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

static void
test_what_is_not_sealed_is_not_mapped(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_null(frozen_map(fd, BYTES, ROOM));
	close(fd);
	fd = make();
	assert_null(frozen_map(fd, BYTES + 1, ROOM)); /* more than it holds */
	close(fd);
	assert_null(frozen_map(fd, BYTES, ROOM));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_views_are_private),
		cmocka_unit_test(test_nobody_can_change_it),
		cmocka_unit_test(test_what_is_not_sealed_is_not_mapped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
