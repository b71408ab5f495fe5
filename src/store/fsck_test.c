/* SPDX-License-Identifier: Apache-2.0 */
/* fsck_test.c - a whole store has no problems; each kind of damage is named in words that lead to the message; spool
 * files have their limits, and a body in one is stored whole. */
#include "store/fsck.h"

#include "store/object.h"
#include "store/row_io.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

static uint64_t account;
static struct store_delivered first, second;
static const char *damage; /* what the body of a test does to the store */

static enum err
await_deliver_remote(struct slice text)
{
	char id[16];
	random_bytes(id, sizeof id);
	struct store_recipient to = { .address = S("x@remote.test") };
	struct store_group group = { .domain = S("remote.test"), .recipients = &to, .nrecipients = 1 };
	struct store_mail mail = { .body = body_of(text), .facts = slice_of("\1\0\0\0\0\0\0\0", 8), .groups = &group };
	mail.ngroups = 1;
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	struct store_commit_out out;
	return await_store_commit(&house.mx, &in, &house.a, &out);
}

static void
await_filled(void)
{
	char id[16] = { 1 };
	ASSERT(await_domain_add("example.test") == OK);
	account = await_account("alice@example.test", RIGHTS_USER, 0);
	struct store_delivery d[2] = { { .account = account }, { .account = account, .mailbox = S("Lists") } };
	struct store_mail mail = { .body = body_of(S("Subject: x\r\n\r\nhello\r\n")),
		                       .facts = slice_of("\1\0\0\0\0\0\0\0", 8),
		                       .deliveries = d,
		                       .ndeliveries = 2 };
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	struct store_commit_out out;
	ASSERT(await_store_commit(&house.mx, &in, &house.a, &out) == OK && out.verdict == OK);
	first = out.delivered[0];
	second = out.delivered[1];
	ASSERT(await_deliver_remote(S("Subject: y\r\n\r\n")) == OK);
}

/* Closes the store, checks it, opens it again. */
static int
await_check(char *text, size_t text_bytes)
{
	while (house.s.npeers)
		ipc_peer_close(house.s.peers[0]);
	while (!store_idle(&house.s))
		await_sleep(1);
	int data_dir = house.s.data_dir;
	store_close(&house.s);
	close(data_dir);
	arena_release(&house.arena);
	FILE *out = fmemopen(text, text_bytes, "w");
	ASSERT(out != NULL);
	int problems = store_check(house.folder, out);
	fclose(out);
	house_open();
	return problems;
}

static void
whole(void)
{
	char text[4000];
	await_filled();
	int problems = await_check(text, sizeof text);
	if (problems)
		fail_msg("%s", text);
	assert_non_null(strstr(text, "1 accounts"));
	assert_non_null(strstr(text, "2 messages, 2 bodies, 1 queue rows: 0 problems"));
}

static void
a_whole_store_has_no_problems(void **state)
{
	on_new_house(whole);
}

struct breaking {
	struct update update;
	struct key key;
	struct slice value; /* none: deleted */
	bool done;
};

static enum err
break_run(struct store *s, struct txn *t, struct update *u)
{
	struct breaking *b = CONTAINER_OF(u, struct breaking, update);
	if (b->value.at)
		txn_put(t, key_slice(&b->key), b->value);
	else
		txn_delete(t, key_slice(&b->key));
	return OK;
}

static void
break_done(struct store *s, struct update *u, enum err e)
{
	CONTAINER_OF(u, struct breaking, update)->done = e == OK;
}

static void
await_break(struct key key, struct slice value)
{
	struct breaking b = { .update = { .run = break_run, .done = break_done }, .key = key, .value = value };
	store_update(&house.s, &b.update);
	while (!b.done)
		await_sleep(1);
}

static void
await_damage(void)
{
	struct key k;
	if (strcmp(damage, "body") == 0) {
		int fd;
		ASSERT(segment_file(house.s.segments, 1, &fd) == OK);
		ASSERT(pwrite(fd, "X", 1, SEGMENT_HEADER_BYTES + 4) == 1);
	} else if (strcmp(damage, "object") == 0) {
		await_break(key1('o', 1), SLICE_NONE);
	} else if (strcmp(damage, "references") == 0) {
		char row[21] = { 1, 1, 0, 0, 0, 21, 0, 0, 0 };
		row[17] = 9;
		await_break(key1('o', 1), slice_of(row, sizeof row));
	} else if (strcmp(damage, "facts") == 0) {
		await_break(key1('f', 1), S("junk"));
	} else if (strcmp(damage, "message") == 0) {
		await_break(key_message(account, first.mailbox, first.uid), S("junk"));
	} else if (strcmp(damage, "lost message") == 0) {
		await_break(key_message(account, second.mailbox, second.uid), SLICE_NONE);
	} else if (strcmp(damage, "mailbox") == 0) {
		await_break(key2('m', account, first.mailbox), SLICE_NONE);
	} else if (strcmp(damage, "name") == 0) {
		k = key1('n', account);
		key_bytes(&k, S("Lists"));
		await_break(k, SLICE_NONE);
	} else if (strcmp(damage, "annotation") == 0) {
		k = key_annotated(account, first.mailbox, first.uid);
		await_break(k, row_annotated_put(&house.a, &(struct row_annotated){ 3 }));
	} else if (strcmp(damage, "queue") == 0) {
		await_break(key1('q', 1), SLICE_NONE);
	} else if (strcmp(damage, "account") == 0) {
		await_break(key1('A', account), SLICE_NONE);
	} else {
		UNREACHABLE();
	}
}

static const char *expected;
static void
damaged(void)
{
	static char text[8000];
	await_filled();
	await_damage();
	int problems = await_check(text, sizeof text);
	if (problems <= 0 || !strstr(text, expected))
		fail_msg("damage of %s: '%s' is not in\n%s", damage, expected, text);
}

static void
damage_is_named(void **state)
{
	static const struct {
		const char *damage, *expected;
	} rows[] = {
		{ "body", "alice@example.test, mailbox INBOX, message 1: its body cannot be read: stored data is damaged" },
		{ "object", "alice@example.test, mailbox INBOX, message 1: its body is not there" },
		{ "references", "alice@example.test, mailbox INBOX, message 1: its body counts 9 references, there are 2" },
		{ "facts", "alice@example.test, mailbox INBOX, message 1: what is known about its parts and headers" },
		{ "message", "alice@example.test, mailbox INBOX, message 1: its row is damaged" },
		{ "lost message", "alice@example.test, mailbox Lists: it should have 1 messages and has none" },
		{ "mailbox", "alice@example.test, mailbox INBOX: it has a name, but its row is damaged or not there" },
		{ "name", "alice@example.test, mailbox Lists: nothing leads to it by its name" },
		{ "annotation",
		  "alice@example.test, mailbox 1, message 1: it has annotations, and is not there or does not say so" },
		{ "queue", "queue row 1: it is due, but is not there" },
		{ "account", "address alice@example.test: its account is not there" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		damage = rows[i].damage;
		expected = rows[i].expected;
		on_new_house(damaged);
	}
}

static void
nothing_there_is_told(void **state)
{
	char text[400] = "", folder[] = "/tmp/fsck-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	FILE *out = fmemopen(text, sizeof text, "w");
	assert_int_equal(store_check(folder, out), -1);
	assert_int_equal(store_check("/nonexistent/folder", out), -1);
	fclose(out);
	assert_non_null(strstr(text, "there is no store in this folder"));
	rmdir(folder);
}

/* ---- spool files */

static enum err
await_verdict(struct ipc_client *c, const struct store_commit_in *in)
{
	struct store_commit_out out;
	enum err e = await_store_commit(c, in, &house.a, &out);
	return e ? e : (enum err)out.verdict;
}

static void
spooled(void)
{
	struct store_spool_open_in ask = { 0 };
	struct store_spool_open_out spool;
	char id[16] = { 2 };
	ASSERT(await_domain_add("example.test") == OK);
	account = await_account("alice@example.test", RIGHTS_USER, 0);
	ASSERT(await_store_spool_open(&house.mx, &ask, &house.a, &spool) == OK);
	char *large = must_calloc(1, 5u << 20);
	memset(large, 'l', 5u << 20);
	ASSERT(pwrite(spool.file, large, 5u << 20, 0) == 5 << 20);
	close(spool.file);
	struct store_delivery d = { .account = account };
	struct store_mail mail = { .body = { spool.spool, { 0, 5u << 20 } }, .facts = slice_of("\1\0\0\0\0\0\0\0", 8) };
	mail.deliveries = &d;
	mail.ndeliveries = 1;
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	ASSERT(await_verdict(&house.mx, &in) == OK);

	struct object o;
	struct txn *t = txn_begin(house.s.engine, false);
	ASSERT(object_get(t, 1, &o) == OK && o.at.bytes == 5u << 20);
	txn_end(&t);
	ASSERT(segment_verify(house.s.segments, &o.at, 1) == OK);
	char *copy = must_calloc(1, 5u << 20);
	ASSERT(object_read(&house.s, &o, 0, copy, 5u << 20) == OK && memcmp(copy, large, 5u << 20) == 0);
	free(copy);
	free(large);

	/* Longer than the file, closed, never opened, another connection's. */
	in.id = S("3333333333333333");
	mail.body.at.len++;
	ASSERT(await_verdict(&house.mx, &in) == ERR_LIMIT);
	mail.body.at.len--;
	ASSERT(await_verdict(&house.user, &in) == ERR_STALE);
	struct store_spool_close_in end = { spool.spool };
	store_spool_close_notify(&house.mx, &end);
	ASSERT(await_verdict(&house.mx, &in) == ERR_STALE);
	while (house.s.nspools)
		await_sleep(1);
}

static void
a_body_in_a_spool_file_is_stored_whole(void **state)
{
	on_new_house(spooled);
}

static void
many_spools(void)
{
	struct store_spool_open_in ask = { 0 };
	struct store_spool_open_out spool;
	for (int i = 0; i < 256; i++) {
		ASSERT(await_store_spool_open(&house.mx, &ask, &house.a, &spool) == OK);
		close(spool.file);
	}
	ASSERT(await_store_spool_open(&house.mx, &ask, &house.a, &spool) == ERR_LIMIT);
	ASSERT(await_store_spool_open(&house.user, &ask, &house.a, &spool) == OK);
	close(spool.file);
	house.conf.v.store_reserve = UINT64_MAX / 4;
	ASSERT(await_store_spool_open(&house.user, &ask, &house.a, &spool) == ERR_DISK_FULL);
	house.conf.v.store_reserve = 0;
	await_reopen(); /* a connection that ends takes its files with it */
	ASSERT(house.s.nspools == 0);
}

static void
spool_files_are_limited(void **state)
{
	on_new_house(many_spools);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_store_has_no_problems),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(nothing_there_is_told),
		cmocka_unit_test(spool_files_are_limited),
		cmocka_unit_test(a_body_in_a_spool_file_is_stored_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
