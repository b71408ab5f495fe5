/* SPDX-License-Identifier: Apache-2.0 */
/* store_testing.h - for tests: a whole store in a folder that is removed afterwards, asked through its protocol by one
 * client of each class, as the other roles would. Test bodies run in a task (in_task) and check with ASSERT. */
#ifndef STORE_STORE_TESTING_H
#define STORE_STORE_TESTING_H

#include "base/random.h"
#include "ipc/grant.h"
#include "store/fsck.h"
#include "store/rows_state.h"
#include "store/store.h"
#include "store_msg.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGION_BYTES (1u << 20)
#ifndef HOUSE_MS_MAX /* of a test body; on a simulated clock more may pass */
#define HOUSE_MS_MAX 120000
#endif

struct house {
	struct store s;
	struct conf conf;
	struct arena arena; /* of the open store */
	struct arena a;     /* of answers: cleared with each test body */
	char folder[64];
	struct shm_pool *shm;
	struct ipc_client admin, mx, user, relay, auth;
	char *region;                                       /* REGION_BYTES for answers */
	unsigned changed, revoked, auth_heard, queue_ready; /* auth_heard: revocations that auth heard of */
	struct store_changed_in last_changed;
};

static struct house house;

static inline void
hear_changed(struct ipc_client *c, const struct store_changed_in *in)
{
	house.changed++;
	house.last_changed = *in;
}

static inline void
hear_revoked(struct ipc_client *c, const struct store_revoked_in *in)
{
	house.revoked += c != &house.auth;
	house.auth_heard += c == &house.auth;
}

static inline void
hear_queue(struct ipc_client *c, const struct store_queue_ready_in *in)
{
	house.queue_ready++;
}

static const struct store_listener house_listener = { .changed = hear_changed,
	                                                  .revoked = hear_revoked,
	                                                  .queue_ready = hear_queue };

static inline void
house_connect(struct ipc_client *c, uint32_t class_bit)
{
	int ends[2];
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	ASSERT(store_serve(&house.s, class_bit, 0, ends[0]));
	ipc_client_connect(c, ends[1]);
}

static inline void
house_open(void)
{
	char path[96];
	const char *why = "";
	int data_dir = open(house.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/engine", house.folder);
	house.s = (struct store){ 0 };
	arena_init(&house.arena, 0);
	ASSERT(store_open(&house.s, &house.conf, data_dir, path, &house.arena, &why) == OK);
	house_connect(&house.admin, IPC_CLASS_ADMIN);
	house_connect(&house.mx, IPC_CLASS_MX);
	house_connect(&house.user, IPC_CLASS_USER);
	house_connect(&house.relay, IPC_CLASS_RELAY);
	house_connect(&house.auth, IPC_CLASS_AUTH);
}

static inline bool
house_idle(void *arg)
{
	return store_idle(&house.s);
}

static inline void
house_close(void)
{
	while (house.s.npeers)
		ipc_peer_close(house.s.peers[0]);
	ASSERT(loop_run_until(house_idle, NULL, 60000));
	int data_dir = house.s.data_dir;
	store_close(&house.s);
	close(data_dir);
	arena_release(&house.arena);
}

static inline void
client_init(struct ipc_client *c)
{
	ipc_client_init(c, &store_protocol, &house_listener, NULL);
	c->shm = house.shm;
}

static inline void
house_new(void)
{
	house = (struct house){ .folder = "/tmp/store-test-XXXXXX" };
	ASSERT(mkdtemp(house.folder));
	house.conf.v.store_cache = 8u << 20;
	house.conf.v.store_index_cache = 8u << 20;
	house.conf.v.store_write_buffer = 8u << 20;
	house.conf.v.subaddress = "+";
	house.conf.v.postmaster = "";
	house.shm = shm_pool_new(16u << 20);
	house.region = shm_alloc(house.shm, REGION_BYTES);
	arena_init(&house.a, 1u << 30);
	client_init(&house.admin);
	client_init(&house.mx);
	client_init(&house.user);
	client_init(&house.relay);
	client_init(&house.auth);
	house_open();
}

static inline int
house_remove(void)
{
	char command[96];
	snprintf(command, sizeof command, "rm -rf %s", house.folder);
	house_close();
	ipc_client_release(&house.admin);
	ipc_client_release(&house.mx);
	ipc_client_release(&house.user);
	ipc_client_release(&house.relay);
	ipc_client_release(&house.auth);
	for (int i = 0; i < 4; i++)
		loop_turn(0); /* connections that ended are freed by the loop */
	shm_pool_free(&house.shm);
	arena_release(&house.a);
	loop_reset();
	return system(command);
}

static bool task_ended;
static void (*task_body)(void);

static inline void
run_body(void *arg)
{
	task_body();
	task_ended = true;
}

static inline bool
body_ended(void *arg)
{
	return task_ended;
}

/* Runs a test body in a task, on a new store. */
static inline void
on_new_house(void (*body)(void))
{
	house_new();
	task_body = body;
	task_ended = false;
	ASSERT(task_start(run_body, NULL));
	ASSERT(loop_run_until(body_ended, NULL, HOUSE_MS_MAX));
	ASSERT(house_remove() == 0);
}
/* In between, from inside the body: the store ends and starts again. Every second time it packs its indexes before. */
static inline void
await_reopen(void)
{
	static unsigned times;
	while (house.s.npeers)
		ipc_peer_close(house.s.peers[0]);
	if (times++ % 2)
		indexes_pack(&house.s);
	while (!store_idle(&house.s))
		await_sleep(1);
	int data_dir = house.s.data_dir;
	store_close(&house.s);
	close(data_dir);
	arena_release(&house.arena);
	house_open();
}

/* ---- asking */

static inline struct store_region
in_region(void)
{
	return (struct store_region){ shm_offset(house.shm, house.region), REGION_BYTES };
}

static inline struct store_body
body_of(struct slice text)
{
	static char *at;
	static struct shm_pool *of;
	if (of != house.shm) {
		at = shm_alloc(house.shm, REGION_BYTES);
		of = house.shm;
	}
	static size_t used;
	if (used + text.len > REGION_BYTES)
		used = 0;
	memcpy(at + used, text.at, text.len);
	struct store_body b = { .at = { shm_offset(house.shm, at) + used, text.len } };
	used += (text.len + 7) & ~(size_t)7;
	return b;
}

static inline enum err
await_domain_add(const char *domain)
{
	struct store_domain_add_in in = { slice_text(domain) };
	struct store_domain_add_out out;
	return await_store_domain_add(&house.admin, &in, &house.a, &out);
}

static inline uint64_t
await_account(const char *address, uint64_t rights, uint64_t quota)
{
	struct store_account_add_in in = { slice_text(address), S("$hash$"), rights, quota };
	struct store_account_add_out out;
	ASSERT(await_store_account_add(&house.admin, &in, &house.a, &out) == OK);
	return out.account;
}

static inline enum err
await_grant_open(uint64_t account, uint64_t generation, struct store_account_open_out *out)
{
	struct store_grant_key_in ask = { 0 };
	struct store_grant_key_out key;
	struct grant g = { account, RIGHTS_USER, generation, 1 };
	uint8_t grant[GRANT_BYTES];
	ASSERT(await_store_grant_key(&house.auth, &ask, &house.a, &key) == OK && key.key.len == GRANT_KEY_BYTES);
	grant_sign(&g, (const uint8_t *)key.key.at, grant);
	struct store_account_open_in in = { slice_of(grant, sizeof grant) };
	return await_store_account_open(&house.user, &in, &house.a, out);
}

static inline uint32_t
await_handle(uint64_t account)
{
	struct store_account_open_out out;
	ASSERT(await_grant_open(account, 1, &out) == OK);
	return out.handle;
}

/* One message into one mailbox; the verdict of the commit. */
static inline enum err
await_deliver_with(uint64_t account, const char *mailbox, struct slice text, struct slice facts,
                   struct store_delivered *to)
{
	char id[16];
	random_bytes(id, sizeof id);
	struct store_delivery d = { .account = account, .mailbox = slice_text(mailbox) };
	struct store_mail mail = { .body = body_of(text), .facts = facts, .received = 1000, .deliveries = &d };
	mail.ndeliveries = 1;
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	struct store_commit_out out;
	ASSERT(await_store_commit(&house.mx, &in, &house.a, &out) == OK);
	if (out.verdict)
		return out.verdict;
	ASSERT(out.ndelivered == 1);
	if (to)
		*to = out.delivered[0];
	return OK;
}

static inline enum err
await_deliver(uint64_t account, const char *mailbox, struct slice text, struct store_delivered *to)
{
	return await_deliver_with(account, mailbox, text, S("facts"), to);
}

static inline struct slice
uid_list(const uint32_t *uids, size_t n)
{
	char *at = arena_alloc(&house.a, 4 * n + 1);
	for (size_t i = 0; i < n; i++)
		bytes_set_le(at + 4 * i, uids[i], 4);
	return slice_of(at, 4 * n);
}

static inline size_t
rows_of(char kind)
{
	struct txn *t = txn_begin(house.s.engine, false);
	char from[1] = { kind }, to[1] = { (char)(kind + 1) };
	struct slice k, value;
	size_t n = 0;
	struct range *r = range_begin(t, slice_of(from, 1), slice_of(to, 1), false);
	while (range_next(r, &k, &value))
		n++;
	ASSERT(range_end(&r) == OK);
	txn_end(&t);
	return n;
}

static inline void
await_removed(void)
{
	while (rows_of('D'))
		await_sleep(1);
}

/* A body, and fsck over the store that it leaves behind. */
static void (*checked_body)(void);

static inline void
await_checked(void)
{
	char line[200];
	int problems = 0;
	checked_body();
	await_removed();
	while (house.s.npeers)
		ipc_peer_close(house.s.peers[0]);
	while (!store_idle(&house.s))
		await_sleep(1);
	int data_dir = house.s.data_dir;
	store_close(&house.s);
	FILE *out = tmpfile();
	ASSERT(out);
	ASSERT(store_check(house.folder, out) >= 0);
	rewind(out);
	while (fgets(line, sizeof line, out)) {
		if (strstr(line, "its parts and headers") || strstr(line, " problems")) /* facts are made up here */
			continue;
		fprintf(stderr, "%s", line);
		problems++;
	}
	fclose(out);
	ASSERT(problems == 0);
	close(data_dir);
	arena_release(&house.arena);
	house_open();
}

static inline void
on_checked_house(void (*body)(void))
{
	checked_body = body;
	on_new_house(await_checked);
}

#endif
