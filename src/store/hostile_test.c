/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_test.c - what a session process that somebody took over may not do with the store: forge grants, use the
 * handles of others, settle queue rows, speak for accounts where nobody logs in, put lines into what relay sends, name
 * memory that is not there, or make the store end. */
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t alice, bob;

static void
await_start(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	alice = await_account("alice@x.test", RIGHTS_USER, 0);
	bob = await_account("bob@x.test", RIGHTS_USER, 0);
}

static enum err
await_verdict(struct ipc_client *c, struct store_commit_in *in)
{
	char id[16];
	struct store_commit_out out;
	random_bytes(id, sizeof id);
	in->id = slice_of(id, sizeof id);
	enum err e = await_store_commit(c, in, &house.a, &out);
	return e ? e : (enum err)out.verdict;
}

/* ---- grants and handles */

static void
grants_body(void)
{
	await_start();
	struct grant g = { alice, RIGHTS_USER, 1, 1 };
	uint8_t wrong_key[GRANT_KEY_BYTES] = { 1 }, grant[GRANT_BYTES];
	struct store_account_open_in in = { slice_of(grant, sizeof grant) };
	struct store_account_open_out out;
	grant_sign(&g, wrong_key, grant);
	ASSERT(await_store_account_open(&house.user, &in, &house.a, &out) == ERR_DENIED);
	struct store_grant_key_in ask = { 0 };
	struct store_grant_key_out key;
	ASSERT(await_store_grant_key(&house.user, &ask, &house.a, &key) == ERR_DENIED);
	ASSERT(await_store_grant_key(&house.mx, &ask, &house.a, &key) == ERR_DENIED);
	ASSERT(await_store_grant_key(&house.auth, &ask, &house.a, &key) == OK);
	for (size_t bit = 0; bit < 8 * GRANT_BYTES; bit++) {
		grant_sign(&g, (const uint8_t *)key.key.at, grant);
		grant[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ASSERT(await_store_account_open(&house.user, &in, &house.a, &out) == ERR_DENIED);
	}
	grant_sign(&g, (const uint8_t *)key.key.at, grant);
	in.grant.len--;
	ASSERT(await_store_account_open(&house.user, &in, &house.a, &out) == ERR_DENIED);
	in.grant.len++;
	ASSERT(await_store_account_open(&house.mx, &in, &house.a, &out) == ERR_DENIED); /* nobody reads mail there */
	ASSERT(await_store_account_open(&house.user, &in, &house.a, &out) == OK && out.account == alice);
}

static void
handles_body(void)
{
	await_start();
	struct ipc_client other;
	ipc_client_init(&other, &store_protocol, NULL, NULL);
	house_connect(&other, IPC_CLASS_USER);
	struct store_mailbox_list_in in = { .handle = await_handle(alice) };
	struct store_mailbox_list_out out;
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
	ASSERT(await_store_mailbox_list(&other, &in, &house.a, &out) == ERR_STALE);
	store_account_close_notify(&other, &(struct store_account_close_in){ in.handle });
	ASSERT(await_store_mailbox_list(&other, &in, &house.a, &out) == ERR_STALE);
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK); /* still open */
	ASSERT(await_store_mailbox_list(&house.mx, &in, &house.a, &out) == ERR_DENIED);
	ipc_client_release(&other);
}

/* The ids of mailboxes belong to an account: those of another mean nothing under one's own handle. */
static void
other_accounts_body(void)
{
	await_start();
	struct store_delivered to;
	ASSERT(await_deliver(bob, "Secret", S("for bob"), &to) == OK);
	struct store_message_body_in in = { await_handle(alice), to.mailbox, to.uid, 0, in_region() };
	struct store_message_body_out out;
	ASSERT(await_store_message_body(&house.user, &in, &house.a, &out) == ERR_NOT_FOUND);
	in.handle = await_handle(bob);
	ASSERT(await_store_message_body(&house.user, &in, &house.a, &out) == OK && out.total == 7);
}

/* ---- commits */

static void
classes_body(void)
{
	await_start();
	struct store_settle settle = { .id = 1, .lease = 1, .gone = true };
	struct store_commit_in in = { .settles = &settle, .nsettles = 1 };
	ASSERT(await_verdict(&house.mx, &in) == ERR_DENIED);
	ASSERT(await_verdict(&house.user, &in) == ERR_DENIED);
	ASSERT(await_verdict(&house.relay, &in) == ERR_NOT_FOUND);
	struct store_delivery to = { .account = alice };
	struct store_mail mail = { .body = body_of(S("text")), .deliveries = &to, .ndeliveries = 1 };
	struct store_commit_in commit = { .mails = &mail, .nmails = 1 };
	mail.envelope.account = bob;
	ASSERT(await_verdict(&house.mx, &commit) == ERR_SYNTAX);
	ASSERT(await_verdict(&house.user, &commit) == OK);
	struct store_queue_claim_in claim = { 0, 1, 1 };
	struct store_queue_claim_out claimed;
	ASSERT(await_store_queue_claim(&house.user, &claim, &house.a, &claimed) == ERR_DENIED);
	struct store_secret_get_in secret = { S("alice@x.test") };
	struct store_secret_get_out hash;
	ASSERT(await_store_secret_get(&house.user, &secret, &house.a, &hash) == ERR_DENIED);
	ASSERT(await_store_secret_get(&house.admin, &secret, &house.a, &hash) == ERR_DENIED);
}

static void
lines_body(void)
{
	await_start();
	const char *bad[] = { "a\r\nDATA", "a\nb", "a\rb", "a\x7f" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		for (int where = 0; where < 7; where++) {
			struct slice text = slice_text(bad[i]), good = S("a@b.test");
			struct store_recipient to = { .address = where == 0 ? text : good, .orcpt = where == 1 ? text : good };
			struct store_group group = { where == 2 ? text : S("b.test"), &to, 1, 0 };
			struct store_mail mail = { .body = body_of(S("text")), .groups = &group, .ngroups = 1 };
			mail.envelope.reverse_path = where == 3 ? text : good;
			mail.envelope.envid = where == 4 ? text : good;
			mail.envelope.session = where == 5 ? text : good;
			struct store_commit_in in = { .mails = &mail, .nmails = 1 };
			ASSERT(await_verdict(&house.user, &in) == (where == 6 ? OK : ERR_SYNTAX));
		}
}

static void
sizes_body(void)
{
	await_start();
	struct store_delivery *to = ARENA_ARRAY(&house.a, struct store_delivery, 5001);
	for (size_t i = 0; i < 5001; i++)
		to[i].account = alice;
	struct store_mail mails[2] = { { .body = body_of(S("text")), .deliveries = to, .ndeliveries = 5000 },
		                           { .body = body_of(S("text")), .deliveries = to, .ndeliveries = 5001 } };
	struct store_commit_in in = { .mails = mails, .nmails = 2 };
	ASSERT(await_verdict(&house.mx, &in) == ERR_LIMIT); /* nothing was done whose answer could not be told */
	in.nmails = 1;
	mails[0].ndeliveries = 1;
	mails[0].envelope.skip = 5;
	ASSERT(await_verdict(&house.mx, &in) == ERR_SYNTAX); /* longer than the message */
	mails[0].envelope.skip = 0;
	mails[0].body.at.len = UINT64_MAX;
	ASSERT(await_verdict(&house.mx, &in) == ERR_LIMIT);
	mails[0].body.at = (struct store_region){ UINT64_MAX - 3, 4 };
	ASSERT(await_verdict(&house.mx, &in) == ERR_LIMIT);
	mails[0].body = (struct store_body){ .spool = 77, .at = { 0, 4 } };
	ASSERT(await_verdict(&house.mx, &in) == ERR_STALE); /* no such spool */
}

/* What is no flag is nothing that a session sets: rows would say that there are annotations. */
static void
flags_body(void)
{
	await_start();
	struct store_delivery to = { .account = alice, .flags = MESSAGE_ANNOTATED };
	struct store_mail mail = { .body = body_of(S("text")), .deliveries = &to, .ndeliveries = 1 };
	struct store_commit_in in = { .mails = &mail, .nmails = 1 };
	ASSERT(await_verdict(&house.mx, &in) == ERR_SYNTAX);
	struct store_delivered first;
	ASSERT(await_deliver(alice, "", S("text"), &first) == OK);
	struct store_append a = { .body = body_of(S("text")), .flags = MESSAGE_ANNOTATED };
	struct store_message_append_in append = { await_handle(alice), S("INBOX"), &a, 1 };
	struct store_message_append_out appended;
	ASSERT(await_store_message_append(&house.user, &append, &house.a, &appended) == ERR_SYNTAX);
	struct store_message_store_in set = { .handle = append.handle,
		                                  .mailbox = first.mailbox,
		                                  .uids = uid_list(&first.uid, 1),
		                                  .op = FLAGS_ADD,
		                                  .flags = MESSAGE_ANNOTATED,
		                                  .unchanged_since = STORE_MODSEQ_ANY,
		                                  .into = in_region() };
	struct store_message_store_out stored;
	ASSERT(await_store_message_store(&house.user, &set, &house.a, &stored) == ERR_SYNTAX);
}

/* ---- regions and uids */

static void
regions_body(void)
{
	await_start();
	ASSERT(await_deliver(alice, "", S("text"), NULL) == OK);
	const struct store_region bad[] = {
		{ 0, UINT64_MAX }, { UINT64_MAX, 1 }, { shm_pool_bytes(house.shm), 8 }, { 4, 400 }, /* crooked */
	};
	struct store_mailbox_open_in in = { .handle = await_handle(alice), .name = S("INBOX"), .from_uid = 1 };
	struct store_mailbox_open_out out;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		in.into = bad[i];
		ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == ERR_LIMIT);
	}
	in.into = in_region();
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK && out.filled == 40);
	uint64_t mailbox = out.mailbox.id;
	const uint32_t twice[] = { 1, 1 }, down[] = { 2, 1 }, zero[] = { 0, 1 };
	struct slice lists[] = { uid_list(twice, 2), uid_list(down, 2), uid_list(zero, 2), S("\1\0\0\0\2") };
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		struct store_message_expunge_in expunge = { in.handle, mailbox, lists[i], true };
		struct store_message_expunge_out gone;
		ASSERT(await_store_message_expunge(&house.user, &expunge, &house.a, &gone) == ERR_SYNTAX);
		struct store_message_copy_in copy = { in.handle, mailbox, lists[i], S("Trash"), true };
		struct store_message_copy_out copied;
		ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == ERR_SYNTAX);
	}
}

/* ---- annotations of messages */

static enum err
await_annotate(uint32_t handle, uint64_t mailbox, struct slice uids, struct store_message_annotation *list, size_t n,
               struct store_region into)
{
	struct store_annotation_set_in in = { handle, mailbox, uids, list, (uint32_t)n, STORE_MODSEQ_ANY, into };
	struct store_annotation_set_out out;
	return await_store_annotation_set(&house.user, &in, &house.a, &out);
}

static enum err
await_annotations_of(uint32_t handle, uint64_t mailbox, struct slice uids, uint32_t *n)
{
	struct store_annotation_get_in in = { .handle = handle, .mailbox = mailbox, .uids = uids, .private = true };
	struct store_annotation_get_out out = { 0 };
	in.shared = true;
	enum err e = await_store_annotation_get(&house.user, &in, &house.a, &out);
	*n = out.nannotated;
	return e;
}

static void
annotations_body(void)
{
	await_start();
	struct store_delivered to;
	ASSERT(await_deliver(alice, "", S("text"), &to) == OK && await_deliver(alice, "", S("text"), NULL) == OK);
	uint32_t handle = await_handle(alice), n;
	const uint32_t twice[] = { 1, 1 }, down[] = { 2, 1 }, zero[] = { 0, 1 }, both[] = { 1, 2 };
	struct store_message_annotation a = { S("/comment"), S("value"), true, false };
	const struct slice lists[] = { uid_list(twice, 2), uid_list(down, 2), uid_list(zero, 2), S("\1\0\0\0\2"), S("\1") };
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		ASSERT(await_annotate(handle, to.mailbox, lists[i], &a, 1, in_region()) == ERR_SYNTAX);
		ASSERT(await_annotations_of(handle, to.mailbox, lists[i], &n) == ERR_SYNTAX && n == 0);
	}
	const struct slice names[] = { S(""), S("comment") };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		a.entry = names[i];
		ASSERT(await_annotate(handle, to.mailbox, uid_list(both, 2), &a, 1, in_region()) == ERR_SYNTAX);
	}
	a.entry = S("/comment");
	struct store_region small = in_region();
	small.len = INDEX_ROW_BYTES;
	ASSERT(await_annotate(handle, to.mailbox, uid_list(both, 2), &a, 1, small) == ERR_LIMIT);
	/* once more the same, and gone in the same call: it comes to nothing */
	struct store_message_annotation again[] = { a, a, { a.entry, S(""), true, true } };
	ASSERT(await_annotate(handle, to.mailbox, uid_list(both, 2), again, 3, in_region()) == OK);
	ASSERT(await_annotations_of(handle, to.mailbox, uid_list(both, 2), &n) == OK && n == 0);
	ASSERT(await_annotate(handle, to.mailbox, uid_list(both, 2), again, 2, in_region()) == OK);
	ASSERT(await_annotations_of(handle, to.mailbox, uid_list(both, 2), &n) == OK && n == 2);
	uint32_t other = await_handle(bob); /* whose own INBOX has this number, and no message */
	ASSERT(await_annotations_of(other, to.mailbox, uid_list(both, 2), &n) == OK && n == 0);
	ASSERT(await_annotate(other, UINT64_MAX, uid_list(both, 2), &a, 1, in_region()) == ERR_NOT_FOUND);
	struct store_message_expunge_in expunge = { handle, to.mailbox, uid_list(both, 2), true };
	struct store_message_expunge_out gone;
	ASSERT(await_store_message_expunge(&house.user, &expunge, &house.a, &gone) == OK);
	ASSERT(await_annotate(handle, to.mailbox, uid_list(both, 2), &a, 1, in_region()) == OK); /* there are none */
	ASSERT(await_annotations_of(handle, to.mailbox, uid_list(both, 2), &n) == OK && n == 0);
}

/* bob's handle of alice's account, where he has these rights on INBOX. */
static uint32_t
await_shared(uint32_t rights)
{
	struct store_acl_set_in in = { await_handle(alice), S("INBOX"), S("bob@x.test"), ACL_REPLACE, rights };
	struct store_acl_set_out set;
	ASSERT(await_store_acl_set(&house.user, &in, &house.a, &set) == OK);
	struct store_account_open_shared_in open = { await_handle(bob), S("alice@x.test"), S("") };
	struct store_account_open_shared_out out;
	ASSERT(await_store_account_open_shared(&house.user, &open, &house.a, &out) == OK);
	return out.handle;
}

/* RFC 5257 3.4: r for private annotations, which nobody else sees, and n for shared ones; where the owner's mailboxes
 * are is told to nobody else. */
static void
shared_body(void)
{
	await_start();
	struct store_delivered to;
	ASSERT(await_deliver(alice, "", S("text"), &to) == OK);
	const uint32_t one[] = { 1 };
	struct slice uid = uid_list(one, 1);
	struct store_message_annotation private = { S("/comment"), S("bob's"), false, false }, shared = private;
	shared.shared = true;
	uint32_t owner = await_handle(alice), n;
	struct store_mailbox_status_in status = { owner, S("INBOX") };
	struct store_mailbox_status_out box;
	ASSERT(await_store_mailbox_status(&house.user, &status, &house.a, &box) == OK);
	static const struct {
		uint32_t rights;
		enum err get, private, shared;
		uint32_t seen; /* afterwards, by bob */
	} rows[] = {
		{ ACL_LOOKUP, ERR_DENIED, ERR_DENIED, ERR_DENIED, 0 },
		{ ACL_ALL & ~ACL_READ, ERR_DENIED, ERR_DENIED, ERR_DENIED, 0 },
		{ ACL_READ, OK, OK, ERR_DENIED, 1 },
		{ ACL_ALL & ~ACL_ANNOTATE, OK, OK, ERR_DENIED, 1 },
		{ ACL_READ | ACL_ANNOTATE, OK, OK, OK, 2 },
		{ ACL_LOOKUP, ERR_DENIED, ERR_DENIED, ERR_DENIED, 0 }, /* taken away again */
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t handle = await_shared(rows[i].rights);
		ASSERT(await_annotate(handle, to.mailbox, uid, &private, 1, in_region()) == rows[i].private);
		ASSERT(await_annotate(handle, to.mailbox, uid, &shared, 1, in_region()) == rows[i].shared);
		ASSERT(await_annotations_of(handle, to.mailbox, uid, &n) == rows[i].get && n == rows[i].seen);
		struct store_annotation_changes_in since = { handle, to.mailbox, box.mailbox.modseq, to.uid, 0 };
		struct store_annotation_changes_out changes = { 0 };
		ASSERT(await_store_annotation_changes(&house.user, &since, &house.a, &changes) == rows[i].get);
		ASSERT(changes.nchanges == rows[i].seen);
		struct store_mailbox_referral_in where = { handle, S("INBOX") };
		struct store_mailbox_referral_out url;
		ASSERT(await_store_mailbox_referral(&house.user, &where, &house.a, &url) == ERR_DENIED);
		ASSERT(await_annotations_of(owner, to.mailbox, uid, &n) == OK && n == (i >= 4));
	}
}

/* Whoever asks for connection after connection loses his, and takes no place of others. */
static void
connections_body(void)
{
	await_start();
	int ends[2], kept[300];
	size_t before = house.s.npeers;
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
		ASSERT(store_serve(&house.s, IPC_CLASS_USER, 7, ends[0]));
		kept[i] = ends[1];
		ASSERT(house.s.npeers <= before + IPC_CONNECTIONS_OF_A_PEER_MAX);
	}
	ASSERT(await_handle(alice) != 0); /* the others go on */
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		close(kept[i]);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(grants)
HOUSE_TEST(handles)
HOUSE_TEST(other_accounts)
HOUSE_TEST(classes)
HOUSE_TEST(lines)
HOUSE_TEST(sizes)
HOUSE_TEST(flags)
HOUSE_TEST(regions)
HOUSE_TEST(annotations)
HOUSE_TEST(shared)
HOUSE_TEST(connections)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants),      cmocka_unit_test(handles),     cmocka_unit_test(other_accounts),
		cmocka_unit_test(classes),     cmocka_unit_test(lines),       cmocka_unit_test(sizes),
		cmocka_unit_test(regions),     cmocka_unit_test(connections), cmocka_unit_test(flags),
		cmocka_unit_test(annotations), cmocka_unit_test(shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
