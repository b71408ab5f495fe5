/* SPDX-License-Identifier: Apache-2.0 */
/* segment_test.c - records come back as they were written, whatever their size; places are given back; files are
 * reused; damage is found; a full disk breaks nothing. */
#include "store/segment.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int dir;
static struct segments *s;
static char *big; /* 3 MiB of pattern */
#define BIG_BYTES (3u << 20)

static void
reopen(uint32_t segment, uint64_t end)
{
	const char *why;
	segments_close(&s);
	assert_int_equal(segments_open(dir, &s, &why), OK);
	for (uint32_t n = 1; n <= segment; n++)
		segment_used(s, n);
	segments_resume(s, segment, end);
}

static int
begin(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/segment-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	reopen(0, 0);
	big = must_calloc(1, BIG_BYTES);
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (char)(i * 7 + i / 251);
	return 0;
}

static int
end(void **state)
{
	segments_close(&s);
	close(dir);
	free(big);
	char command[96];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct record
reserve(uint64_t object, uint32_t len)
{
	struct record r = { .object = object, .from = { .bytes = slice_of(big, len), .file = -1, .len = len } };
	assert_int_equal(segment_reserve(s, len, &r.at), OK);
	return r;
}

static void
check_record(const struct record *r)
{
	char *copy = must_calloc(1, r->at.bytes + 1u);
	assert_int_equal(segment_verify(s, &r->at, r->object), OK);
	assert_int_equal(segment_read(s, &r->at, 0, copy, r->at.bytes), OK);
	assert_memory_equal(copy, big, r->at.bytes);
	free(copy);
}

static void
every_size_comes_back(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 7, 8, 9, 4096, 100000, (1u << 20) - 24, 1u << 20, BIG_BYTES, 5 };
	struct record r[COUNT_OF(sizes)];
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		r[i] = reserve(i + 1, sizes[i]);
	assert_int_equal(segment_write_all(s, r, COUNT_OF(sizes)), OK);
	assert_int_equal(segment_sync(s), OK);
	reopen(1, segment_mark(s).end);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		check_record(&r[i]);
	struct place at = { 1, 0, 0 };
	uint64_t object, offset = 0;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) { /* they can be walked */
		assert_int_equal(segment_record_at(s, 1, offset, &at, &object), OK);
		assert_int_equal(object, i + 1);
		assert_int_equal(at.bytes, sizes[i]);
		offset += segment_record_bytes(at.bytes);
	}
	char c;
	assert_int_equal(segment_read(s, &r[1].at, 1, &c, 1), ERR_DAMAGED); /* past its end */
}

static void
a_body_may_come_from_a_file(void **state)
{
	char path[96];
	snprintf(path, sizeof path, "%s/spool", folder);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, big, BIG_BYTES), BIG_BYTES);
	struct record r[2] = { reserve(1, 1000), reserve(2, 2u << 20) };
	r[0].from = r[1].from = (struct body_source){ .file = fd };
	assert_int_equal(segment_write_all(s, r, 2), OK);
	check_record(&r[0]);
	check_record(&r[1]);
	/* Shortened behind our back: zeros, and a record that is whole. */
	assert_int_equal(ftruncate(fd, 10), 0);
	struct record short_one = reserve(3, 100);
	short_one.from = (struct body_source){ .file = fd };
	assert_int_equal(segment_write_all(s, &short_one, 1), OK);
	char copy[100];
	assert_int_equal(segment_verify(s, &short_one.at, 3), OK);
	assert_int_equal(segment_read(s, &short_one.at, 0, copy, 100), OK);
	assert_memory_equal(copy, big, 10);
	assert_int_equal(copy[10], 0);
	close(fd);
}

static void
a_new_segment_begins_when_one_is_full(void **state)
{
	struct place at;
	assert_int_equal(segment_reserve(s, SEGMENT_BYTES - 100, &at), OK);
	assert_int_equal(at.segment, 1);
	assert_int_equal(segment_reserve(s, 100, &at), OK);
	assert_int_equal(at.segment, 2);
	assert_int_equal(at.offset, 0);
	assert_int_equal(segment_reserve(s, SEGMENT_BYTES + 5, &at), OK); /* larger than a segment: alone */
	assert_int_equal(at.segment, 3);
	assert_int_equal(segment_reserve(s, 1, &at), OK);
	assert_int_equal(at.segment, 4);
}

static void
what_was_given_back_is_used_again(void **state)
{
	struct record first = reserve(1, 1000);
	struct segment_end mark = segment_mark(s);
	struct record second = reserve(2, SEGMENT_BYTES - 500), third;
	assert_int_equal(second.at.segment, 2);
	segment_give_back(s, mark);
	third = reserve(3, 1000);
	assert_int_equal(third.at.segment, 1);
	assert_int_equal(third.at.offset, segment_record_bytes(first.at.bytes));
	/* The file of segment 2 is free and becomes segment 3. */
	third = reserve(4, SEGMENT_BYTES - 500);
	assert_int_equal(third.at.segment, 3);
	assert_int_equal(faccessat(dir, "segments/00000002.seg", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "segments/00000003.seg", F_OK, 0), 0);
}

static void
a_freed_file_is_overwritten(void **state)
{
	struct record old = reserve(1, BIG_BYTES);
	assert_int_equal(segment_write_all(s, &old, 1), OK);
	assert_int_equal(segment_sync(s), OK);
	struct place at;
	assert_int_equal(segment_reserve(s, SEGMENT_BYTES - 100, &at), OK); /* 2 */
	segment_free(s, 1);
	struct record new = reserve(9, 5000);
	assert_int_equal(new.at.segment, 3);
	assert_int_equal(segment_write_all(s, &new, 1), OK);
	check_record(&new);
	struct stat st;
	assert_int_equal(fstatat(dir, "segments/00000003.seg", &st, 0), 0);
	assert_true(st.st_size > (off_t)BIG_BYTES); /* its old blocks are there */
	assert_int_equal(segment_verify(s, &old.at, 1), ERR_DAMAGED);
}

static void
after_a_restart_unnamed_files_are_free(void **state)
{
	struct place at;
	for (int i = 0; i < 8; i++)
		assert_int_equal(segment_reserve(s, SEGMENT_BYTES - 100, &at), OK);
	reopen(1, 40);
	struct record r = reserve(1, 8);
	assert_int_equal(r.at.segment, 1);
	assert_int_equal(r.at.offset, 40);
	int files = 0;
	for (int n = 2; n <= 8; n++) {
		char name[40];
		snprintf(name, sizeof name, "segments/%08x.seg", n);
		files += faccessat(dir, name, F_OK, 0) == 0;
	}
	assert_int_equal(files, 4); /* some are kept for reuse */
	assert_int_equal(segment_reserve(s, SEGMENT_BYTES - 50, &at), OK);
	assert_int_equal(at.segment, 9); /* numbers are not given twice while a file has them */
}

static void
damage_is_found(void **state)
{
	static const struct {
		const char *what;
		long offset;
	} rows[] = { { "magic", 0 }, { "checksum", 4 }, { "object", 8 }, { "bytes", 16 }, { "body", 24 }, { "end", 1023 } };
	struct record r = reserve(7, 1000);
	assert_int_equal(segment_write_all(s, &r, 1), OK);
	int fd;
	assert_int_equal(segment_file(s, 1, &fd), OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char was, now;
		assert_int_equal(pread(fd, &was, 1, rows[i].offset), 1);
		now = (char)(was ^ 0x10);
		assert_int_equal(pwrite(fd, &now, 1, rows[i].offset), 1);
		if (segment_verify(s, &r.at, 7) != ERR_DAMAGED)
			fail_msg("damaged %s is not found", rows[i].what);
		assert_int_equal(pwrite(fd, &was, 1, rows[i].offset), 1);
		assert_int_equal(segment_verify(s, &r.at, 7), OK);
	}
	assert_int_equal(segment_verify(s, &r.at, 8), ERR_DAMAGED); /* another's */
	struct place gone = { 77, 10, 0 };
	assert_int_equal(segment_verify(s, &gone, 1), ERR_DAMAGED); /* no such file */
}

static void
a_full_disk_breaks_nothing(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit was, tight;
	getrlimit(RLIMIT_FSIZE, &was);
	tight = (struct rlimit){ 1 << 16, was.rlim_max };
	struct record good = reserve(1, 1000);
	assert_int_equal(segment_write_all(s, &good, 1), OK);
	struct segment_end mark = segment_mark(s);
	struct record r[2] = { reserve(2, 100000), reserve(3, BIG_BYTES) };
	setrlimit(RLIMIT_FSIZE, &tight);
	assert_int_equal(segment_write_all(s, r, 1), ERR_DISK_FULL);
	assert_int_equal(segment_write_all(s, r + 1, 1), ERR_DISK_FULL);
	setrlimit(RLIMIT_FSIZE, &was);
	segment_give_back(s, mark);
	check_record(&good);
	struct record again = reserve(4, 100000);
	assert_int_equal(again.at.offset, r[0].at.offset);
	assert_int_equal(segment_write_all(s, &again, 1), OK);
	assert_int_equal(segment_sync(s), OK);
	check_record(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_size_comes_back, begin, end),
		cmocka_unit_test_setup_teardown(a_body_may_come_from_a_file, begin, end),
		cmocka_unit_test_setup_teardown(a_new_segment_begins_when_one_is_full, begin, end),
		cmocka_unit_test_setup_teardown(what_was_given_back_is_used_again, begin, end),
		cmocka_unit_test_setup_teardown(a_freed_file_is_overwritten, begin, end),
		cmocka_unit_test_setup_teardown(after_a_restart_unnamed_files_are_free, begin, end),
		cmocka_unit_test_setup_teardown(damage_is_found, begin, end),
		cmocka_unit_test_setup_teardown(a_full_disk_breaks_nothing, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
