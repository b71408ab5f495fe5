/* SPDX-License-Identifier: Apache-2.0 */
/* login_test.c - the whole auth role with a store and a session of the test's making, on one loop: verdicts, grants,
 * delays, lock-out, warm credentials and what ends them. Time is real here but short; the rules of the lock-out have
 * their own test with a clock that is only a number. */
#include "auth/auth.h"

#include "base/counter.h"
#include "role/role.h"
#include "store/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct auth auth;
static struct ipc_client session, admin;
static struct ipc_peer *store_side;
static const uint8_t grant_key[GRANT_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static struct {
	char hash[PASSWORD_HASH_BYTES_MAX];
	uint64_t generation;
	uint32_t status;
	unsigned asked;
} alice;

/* ---- the store */

static void
secret_get(struct ipc_call *call, const struct store_secret_get_in *in)
{
	struct store_secret_get_out out = { 0 };
	alice.asked++;
	if (slice_equal(in->address, S("alice@example.org")))
		out = (struct store_secret_get_out){
			7, S("alice@example.org"), alice.status, alice.generation, slice_text(alice.hash), RIGHT_SEND | RIGHT_IMAP
		};
	store_secret_get_reply(call, &out);
}

static void
secret_put(struct ipc_call *call, const struct store_secret_put_in *in)
{
	if (!slice_equal(in->address, S("alice@example.org"))) {
		ipc_fail(call, ERR_NOT_FOUND);
		return;
	}
	ASSERT(in->hash.len < sizeof alice.hash);
	memcpy(alice.hash, in->hash.at, in->hash.len);
	alice.hash[in->hash.len] = '\0';
	store_secret_put_reply(call, &(struct store_secret_put_out){ 7, ++alice.generation });
}

static void
key_get(struct ipc_call *call, const struct store_grant_key_in *in)
{
	store_grant_key_reply(call, &(struct store_grant_key_out){ slice_of(grant_key, sizeof grant_key) });
}

static const struct store_server store_handlers_of_test = { .secret_get = secret_get,
	                                                        .secret_put = secret_put,
	                                                        .grant_key = key_get };

/* ---- set-up */

static struct conf *
conf_of(const char *text)
{
	struct arena a;
	struct conf_error errors[4];
	size_t n;
	arena_init(&a, 0);
	struct conf *c = conf_parse(slice_text(text), "test.conf", "/tmp", &a, errors, 4, &n);
	assert_non_null(c);
	arena_release(&a);
	return c;
}

static void
connect_client(struct ipc_client *c, uint32_t class_bit, uint32_t index)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	role_auth.serve(&auth, ROLE_SESSION_USER, class_bit, index, fds[0]);
	ipc_client_init(c, &auth_protocol, NULL, NULL);
	ipc_client_connect(c, fds[1]);
}

static int
setup(void **state)
{
	int fds[2];
	const char *why = NULL;
	loop_reset();
	memset(&auth, 0, sizeof auth);
	memset(&alice, 0, sizeof alice);
	alice.generation = 1;
	assert_int_equal(password_hash(S("right"), (struct password_cost){ 8192, 1 }, alice.hash), OK);
	struct conf *c = conf_of("auth.hash-memory = 8k\nauth.hash-passes = 1\nauth.failures-max = 3\n");
	assert_int_equal(role_auth.configure(&auth, c, &why), OK);
	conf_free(&c);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	store_side = ipc_peer_open(fds[0], &store_protocol, &store_handlers_of_test, NULL, IPC_CLASS_AUTH, 0);
	role_auth.peer(&auth, ROLE_STORE, 0, fds[1]);
	connect_client(&session, IPC_CLASS_USER, 0);
	connect_client(&admin, IPC_CLASS_ADMIN, 1);
	return 0;
}

static int
teardown(void **state)
{
	ipc_client_release(&session);
	ipc_client_release(&admin);
	ipc_client_release(&auth.store);
	for (int i = 0; i < 10; i++)
		loop_turn(1);
	role_auth.await_stop(&auth, 0);
	warm_release(&auth.warm);
	conf_free(&auth.conf);
	free(auth.lockout);
	loop_reset();
	return 0;
}

/* ---- asking */

struct question {
	const char *user, *password, *client;
	uint32_t service;
	bool done;
	enum err error, verdict;
	struct grant grant;
	bool granted;
	int64_t ms;
};

static void
ask_task(void *arg)
{
	struct question *q = arg;
	struct arena a;
	char password[40];
	snprintf(password, sizeof password, "%s", q->password);
	struct auth_login_in in = { slice_text(q->user), slice_text(password), slice_text(q->client), q->service };
	struct auth_login_out out;
	arena_init(&a, 0);
	int64_t begin = clock_mono_ms();
	q->error = await_auth_login(&session, &in, &a, &out);
	q->ms = clock_mono_ms() - begin;
	if (!q->error) {
		q->verdict = (enum err)out.verdict;
		q->granted = out.grant.len > 0 && grant_verify(out.grant, grant_key, &q->grant);
	}
	q->done = true;
	arena_release(&a);
}

static bool
is_done(void *arg)
{
	return ((struct question *)arg)->done;
}

static struct question
ask(const char *user, const char *password, const char *client, uint32_t service)
{
	struct question q = { user, password, client, service };
	assert_true(task_start(ask_task, &q));
	assert_true(loop_run_until(is_done, &q, 20000));
	assert_int_equal(q.error, OK);
	return q;
}

struct change {
	const char *password;
	bool done;
	enum err error;
};

static void
change_task(void *arg)
{
	struct change *c = arg;
	struct arena a;
	char password[40];
	snprintf(password, sizeof password, "%s", c->password);
	struct auth_password_set_in in = { .address = S("alice@example.org"), .password = slice_text(password) };
	struct auth_password_set_out out;
	arena_init(&a, 0);
	c->error = await_auth_password_set(&admin, &in, &a, &out);
	c->done = true;
	arena_release(&a);
}

static bool
change_done(void *arg)
{
	return ((struct change *)arg)->done;
}

/* ---- the tests */

static void
right_and_wrong(void **state)
{
	struct question q = ask("alice@example.org", "right", "127.0.0.1", RIGHT_IMAP);
	assert_int_equal(q.verdict, OK);
	assert_true(q.granted && q.grant.account == 7 && q.grant.generation == 1);
	assert_int_equal(q.grant.rights, RIGHT_SEND | RIGHT_IMAP);
	assert_int_equal(ask("alice@example.org", "wrong", "127.0.0.1", RIGHT_IMAP).verdict, ERR_DENIED);
	assert_int_equal(ask("nobody@example.org", "right", "127.0.0.1", RIGHT_IMAP).verdict, ERR_DENIED);
	assert_int_equal(ask("alice@example.org", "", "127.0.0.1", RIGHT_IMAP).verdict, ERR_DENIED);
	q = ask("alice@example.org", "right", "127.0.0.1", RIGHT_POP3); /* a right that alice does not have */
	assert_int_equal(q.verdict, ERR_DENIED);
	assert_false(q.granted);
}

static void
warm_credentials_need_no_hash(void **state)
{
	uint64_t before = counters[COUNTER_AUTH_HASHES];
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, OK);
	assert_int_equal(counters[COUNTER_AUTH_HASHES] - before, 1);
	assert_int_equal(alice.asked, 1);
	/* an unknown user costs as much as a known one */
	before = counters[COUNTER_AUTH_HASHES];
	ask("nobody@example.org", "right", "127.0.0.1", 0);
	assert_int_equal(counters[COUNTER_AUTH_HASHES] - before, 1);
}

static void
a_new_password_ends_the_old_one(void **state)
{
	assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, OK);
	struct change c = { "newer" };
	assert_true(task_start(change_task, &c));
	assert_true(loop_run_until(change_done, &c, 20000));
	assert_int_equal(c.error, OK);
	assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, ERR_DENIED);
	struct question q = ask("alice@example.org", "newer", "127.0.0.1", 0);
	assert_int_equal(q.verdict, OK);
	assert_int_equal(q.grant.generation, 2);
}

static void
a_notice_of_the_store_ends_warm_credentials(void **state)
{
	assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, OK);
	alice.status = ACCOUNT_SUSPENDED;
	store_revoked_notify(store_side, &(struct store_revoked_in){ 7 });
	for (int i = 0; i < 10; i++)
		loop_turn(1);
	assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, ERR_SUSPENDED);
	assert_int_equal(ask("alice@example.org", "wrong", "127.0.0.1", 0).verdict, ERR_DENIED);
}

static void
strangers_wait_and_are_locked_out(void **state)
{
	struct question q = ask("alice@example.org", "wrong1", "192.0.2.1", 0);
	assert_int_equal(q.verdict, ERR_DENIED);
	assert_true(q.ms >= LOCKOUT_DELAY_FIRST_MS - 20);
	assert_int_equal(ask("alice@example.org", "wrong2", "192.0.2.1", 0).verdict, ERR_DENIED);
	assert_int_equal(ask("alice@example.org", "wrong3", "192.0.2.1", 0).verdict, ERR_DENIED);
	assert_int_equal(ask("alice@example.org", "right", "192.0.2.1", 0).verdict, ERR_LIMIT);
	/* from elsewhere, and from a trusted address, alice gets in */
	assert_int_equal(ask("alice@example.org", "right", "192.0.2.2", 0).verdict, OK);
	for (int i = 0; i < 5; i++) {
		char password[20];
		snprintf(password, sizeof password, "wrong%d", i);
		q = ask("alice@example.org", password, "127.0.0.1", 0);
		assert_int_equal(q.verdict, ERR_DENIED);
		assert_true(q.ms < LOCKOUT_DELAY_FIRST_MS);
	}
	assert_int_equal(ask("alice@example.org", "right", "127.0.0.1", 0).verdict, OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(right_and_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(warm_credentials_need_no_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_password_ends_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_notice_of_the_store_ends_warm_credentials, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_wait_and_are_locked_out, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
