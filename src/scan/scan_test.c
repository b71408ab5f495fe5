/* SPDX-License-Identifier: Apache-2.0 */
/* scan_test.c - the role, asked through its socket: messages in shared memory and in files, whole ones, and ranges and
 * descriptors that lie. */
#include "scan/rows.h"

#include "mail/charset.h"
#include "mail/facts.h"
#include "role/role.h"
#include "scan_msg.h"
#include "task/task_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	void *self;
	struct ipc_client client;
	struct shm_pool *pool;
	struct arena arena;
} t;

static const char message[] = "Subject: one\r\n\r\ntwo\r\n";
enum { MESSAGE_BYTES = sizeof message - 1, BYTES_MAX = 10000 };

static int
setup(void **state)
{
	int ends[2];
	struct conf conf = { .v = { .message_bytes_max = BYTES_MAX } };
	const char *why = NULL;
	arena_init(&t.arena, 0);
	t.self = must_calloc(1, role_scan.state_bytes);
	assert_int_equal(role_scan.configure(t.self, &conf, &why), OK);
	assert_int_equal(role_scan.before_box(t.self, &why), OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	t.pool = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	ipc_client_init(&t.client, &scan_protocol, NULL, NULL);
	t.client.shm = t.pool;
	role_scan.serve(t.self, ROLE_SESSION_USER, IPC_CLASS_USER, 0, ends[0]);
	ipc_client_connect(&t.client, ends[1]);
	return 0;
}

static void
stop_role(void *unused)
{
	role_scan.await_stop(t.self, 0);
}

static int
teardown(void **state)
{
	ipc_client_release(&t.client);
	loop_turn(0);
	loop_turn(0);
	test_in_task(stop_role, NULL);
	free(t.self);
	shm_pool_free(&t.pool);
	arena_release(&t.arena);
	loop_reset();
	return 0;
}

static enum err
await_facts_of(int file, uint64_t off, uint64_t bytes, struct facts *f)
{
	struct scan_facts_in in = { .file = file, .off = off, .bytes = bytes };
	struct scan_facts_out out = { 0 };
	enum err e = await_scan_facts(&t.client, &in, &t.arena, &out);
	if (e == OK)
		assert_true(facts_open(f, out.facts));
	return e;
}

static int
file_of(struct slice s)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	assert_true(fd >= 0 && write(fd, s.at, s.len) == (ssize_t)s.len);
	return fd;
}

static void
ask_facts(void *unused)
{
	struct facts f;
	char *at = shm_alloc(t.pool, MESSAGE_BYTES);
	memcpy(at, message, MESSAGE_BYTES);
	assert_int_equal(await_facts_of(-1, shm_offset(t.pool, at), MESSAGE_BYTES, &f), OK);
	assert_true(slice_equal(facts_get(&f, FACTS_SUBJECT), S("one")));
	int file = file_of(slice_of(message, MESSAGE_BYTES));
	assert_int_equal(await_facts_of(file, 0, MESSAGE_BYTES, &f), OK);
	assert_true(slice_equal(facts_get(&f, FACTS_PREVIEW), S("two")));
	assert_int_equal(await_facts_of(file, 3, MESSAGE_BYTES - 3, &f), OK);
	assert_true(facts_get(&f, FACTS_SUBJECT).len == 0);
	close(file);
	assert_int_equal(await_facts_of(-1, 0, 0, &f), OK); /* an empty message is one */
	shm_free(t.pool, at);
}

static void
test_facts(void **state)
{
	test_in_task(ask_facts, NULL);
}

static void
ask_badly(void *unused)
{
	struct facts f;
	size_t pool = shm_pool_bytes(t.pool);
	int file = file_of(slice_of(message, MESSAGE_BYTES)), ends[2];
	assert_int_equal(await_facts_of(-1, pool - 1, 2, &f), ERR_DENIED);    /* past the shared memory */
	assert_int_equal(await_facts_of(-1, UINT64_MAX, 2, &f), ERR_DENIED);  /* wraps */
	assert_int_equal(await_facts_of(file, 1, MESSAGE_BYTES, &f), ERR_IO); /* past the file */
	assert_int_equal(await_facts_of(file, UINT64_MAX, 1, &f), ERR_IO);    /* wraps */
	assert_int_equal(await_facts_of(-1, 0, 1u << 20, &f), ERR_LIMIT);     /* larger than a message may be */
	assert_int_equal(await_facts_of(-1, 0, UINT64_MAX, &f), ERR_LIMIT);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(await_facts_of(ends[0], 0, 1, &f), ERR_DENIED);  /* would wait */
	assert_int_equal(await_facts_of(file, 0, MESSAGE_BYTES, &f), OK); /* and still serves */
	close(ends[0]);
	close(ends[1]);
	close(file);
}

static void
test_bad_ranges(void **state)
{
	test_in_task(ask_badly, NULL);
}

static void
ask_match(void *unused)
{
	struct scan_key keys[] = { { SCAN_IN_TEXT, S(""), S("ONE") },
		                       { SCAN_IN_BODY, S(""), S("one") },
		                       { SCAN_IN_BODY, S(""), S("two") },
		                       { SCAN_IN_HEADER, S("subject"), S("") } };
	int file = file_of(slice_of(message, MESSAGE_BYTES));
	struct scan_match_in in = { .file = file, .bytes = MESSAGE_BYTES, .keys = keys, .nkeys = COUNT_OF(keys) };
	struct scan_match_out out = { 0 };
	assert_int_equal(await_scan_match(&t.client, &in, &t.arena, &out), OK);
	assert_int_equal(out.hits, 1 | 4 | 8);
	keys[0].where = SCAN_IN_HEADER + 1;
	assert_int_equal(await_scan_match(&t.client, &in, &t.arena, &out), ERR_SYNTAX);
	in.off = 5;
	assert_int_equal(await_scan_match(&t.client, &in, &t.arena, &out), ERR_IO);
	close(file);
}

static void
test_match(void **state)
{
	test_in_task(ask_match, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_match, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
