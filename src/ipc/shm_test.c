/* SPDX-License-Identifier: Apache-2.0 */
/* shm_test.c - blocks do not overlap, come back whole, and are held back as long as a hold says; a map ends where it
 * ends. */
#include "ipc/shm.h"

#include "base/random.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void
sizes_are_powers_of_two(void **state)
{
	struct shm_pool *p = shm_pool_new(2 * SHM_BLOCK_BYTES_MAX);
	static const struct {
		size_t asked, given;
	} rows[] = { { 0, 4096 }, { 1, 4096 }, { 4096, 4096 }, { 4097, 8192 }, { 100000, 131072 }, { 4u << 20, 4u << 20 } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		void *at = shm_alloc(p, rows[i].asked);
		assert_non_null(at);
		assert_int_equal(shm_block_bytes(p, at), rows[i].given);
		assert_int_equal(shm_used(p), rows[i].given);
		memset(at, 1, rows[i].given);
		shm_free(p, at);
	}
	assert_null(shm_alloc(p, SHM_BLOCK_BYTES_MAX + 1));
	shm_free(p, NULL);
	shm_pool_free(&p);
	assert_null(p);
}

static size_t
bytes_held(const struct shm_pool *p)
{
	struct stat st;
	assert_int_equal(fstat(shm_pool_fd(p), &st), 0);
	return (size_t)st.st_blocks * 512;
}

static void
free_blocks_hold_no_memory_at_rest(void **state)
{
	struct shm_pool *p = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	char *blocks[8];
	for (size_t i = 0; i < COUNT_OF(blocks); i++)
		memset(blocks[i] = shm_alloc(p, 65536), (int)i + 1, 65536);
	uint64_t hold = 0;
	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		if (i == 6)
			hold = shm_hold(p);
		if (i != 3)
			shm_free(p, blocks[i]);
	}
	shm_rest();
	assert_int_equal(bytes_held(p), 3 * 65536); /* one is in use, a server may still write into two */
	assert_int_equal(blocks[3][65535], 4);
	shm_unhold(p, hold);
	shm_free(p, blocks[3]);
	shm_rest();
	assert_int_equal(bytes_held(p), 0);
	shm_pool_free(&p);
	shm_rest();
}

static void
a_full_pool_says_so(void **state)
{
	struct shm_pool *p = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	void *pages[1024];
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		assert_non_null(pages[i] = shm_alloc(p, 1));
	assert_null(shm_alloc(p, 1));
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		shm_free(p, pages[i]);
	assert_int_equal(shm_used(p), 0);
	assert_non_null(shm_alloc(p, SHM_BLOCK_BYTES_MAX)); /* whole again */
	shm_pool_free(&p);
}

/* Each block holds its own number in every page as long as it lives. */
static void
blocks_do_not_overlap(void **state)
{
	struct shm_pool *p = shm_pool_new(2 * SHM_BLOCK_BYTES_MAX);
	struct {
		char *at;
		size_t pages;
		uint64_t number;
	} blocks[200] = { { 0 } };
	for (uint64_t round = 1; round < 20000; round++) {
		size_t i = random_below(COUNT_OF(blocks));
		for (size_t k = 0; blocks[i].at && k < blocks[i].pages; k++)
			assert_memory_equal(blocks[i].at + k * 4096, &blocks[i].number, 8);
		shm_free(p, blocks[i].at);
		blocks[i].at = shm_alloc(p, (size_t)1 << random_below(19));
		if (!blocks[i].at)
			continue;
		blocks[i].number = round;
		blocks[i].pages = shm_block_bytes(p, blocks[i].at) / 4096;
		for (size_t k = 0; k < blocks[i].pages; k++)
			memcpy(blocks[i].at + k * 4096, &round, 8);
	}
	for (size_t i = 0; i < COUNT_OF(blocks); i++)
		shm_free(p, blocks[i].at);
	assert_int_equal(shm_used(p), 0);
	shm_pool_free(&p);
}

static void
holds_keep_blocks_back(void **state)
{
	struct shm_pool *p = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	char *a = shm_alloc(p, 2u << 20), *b = shm_alloc(p, 2u << 20);
	uint64_t first = shm_hold(p);
	shm_free(p, a);
	uint64_t second = shm_hold(p);
	shm_free(p, b);
	assert_null(shm_alloc(p, 1));
	shm_unhold(p, second); /* the older one still covers both */
	assert_null(shm_alloc(p, 1));
	uint64_t third = shm_hold(p);
	shm_unhold(p, first); /* both were freed before the third began */
	assert_ptr_equal(shm_alloc(p, 2u << 20), a);
	shm_unhold(p, third);
	assert_non_null(shm_alloc(p, 2u << 20));
	shm_pool_free(&p);
}

static void
a_map_ends_where_it_ends(void **state)
{
	struct shm_pool *p = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	struct shm_map m;
	assert_int_equal(shm_map_open(&m, fcntl(shm_pool_fd(p), F_DUPFD_CLOEXEC, 3)), OK);
	assert_int_equal(m.len, shm_pool_bytes(p));
	char *at = shm_alloc(p, 10);
	memcpy(at, "hello", 5);
	assert_memory_equal(shm_range(&m, shm_offset(p, at), 5), "hello", 5);
	static const struct {
		uint64_t offset, len;
		bool inside;
	} rows[] = {
		{ 0, SHM_BLOCK_BYTES_MAX, true },  { SHM_BLOCK_BYTES_MAX, 0, true }, { 0, SHM_BLOCK_BYTES_MAX + 1, false },
		{ SHM_BLOCK_BYTES_MAX, 1, false }, { UINT64_MAX, 2, false },         { 2, UINT64_MAX, false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(shm_range(&m, rows[i].offset, rows[i].len) != NULL, rows[i].inside);
	shm_map_close(&m);
	assert_null(shm_range(&m, 0, 0));
	shm_pool_free(&p);
}

static void
only_sealed_memory_is_mapped(void **state)
{
	struct shm_map m;
	assert_int_equal(shm_map_open(&m, memfd_create("t", MFD_CLOEXEC)), ERR_DENIED);
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(shm_map_open(&m, fd), ERR_DENIED);
	assert_int_equal(shm_map_open(&m, open("/dev/zero", O_RDWR | O_CLOEXEC)), ERR_DENIED);
	assert_null(m.at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_blocks_hold_no_memory_at_rest),
		cmocka_unit_test(sizes_are_powers_of_two),
		cmocka_unit_test(a_full_pool_says_so),
		cmocka_unit_test(blocks_do_not_overlap),
		cmocka_unit_test(holds_keep_blocks_back),
		cmocka_unit_test(a_map_ends_where_it_ends),
		cmocka_unit_test(only_sealed_memory_is_mapped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
