/* SPDX-License-Identifier: Apache-2.0 */
/* history_test.c - account_changes: what others changed in an account, and what of it is forgotten. */
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t account;
static uint32_t mine, other;
static uint64_t upto;

static void
await_start(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	account = await_account("a@x.test", RIGHTS_USER, 0);
	mine = await_handle(account);
	other = await_handle(account);
}

static struct store_account_changes_out
await_changes(uint32_t handle, uint64_t since)
{
	struct store_account_changes_in in = { handle, since };
	struct store_account_changes_out out = { 0 };
	ASSERT(await_store_account_changes(&house.user, &in, &house.a, &out) == OK);
	upto = out.upto;
	return out;
}

static void
await_create(uint32_t handle, const char *name)
{
	struct store_mailbox_create_in in = { handle, slice_text(name), 0 };
	struct store_mailbox_create_out out;
	ASSERT(await_store_mailbox_create(&house.user, &in, &house.a, &out) == OK);
}

static void
await_rename(uint32_t handle, const char *from, const char *to)
{
	struct store_mailbox_rename_in in = { handle, slice_text(from), slice_text(to) };
	struct store_mailbox_rename_out out;
	ASSERT(await_store_mailbox_rename(&house.user, &in, &house.a, &out) == OK);
}

static void
await_flags(uint32_t handle, const struct store_delivered *d, uint32_t op, uint32_t flags)
{
	uint32_t uid = d->uid;
	struct store_message_store_in in = { .handle = handle,
		                                 .mailbox = d->mailbox,
		                                 .uids = uid_list(&uid, 1),
		                                 .op = op,
		                                 .flags = flags,
		                                 .unchanged_since = STORE_MODSEQ_ANY,
		                                 .into = in_region() };
	struct store_message_store_out out;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == OK);
}

static void
await_messages(void)
{
	struct store_delivered d;
	await_start();
	(void)await_changes(mine, 0);
	uint64_t begun = upto;
	ASSERT(await_deliver(account, "INBOX", S("a"), &d) == OK);
	ASSERT(await_deliver(account, "INBOX", S("b"), &d) == OK);
	struct store_account_changes_out out = await_changes(mine, upto);
	ASSERT(out.nchanges == 1 && out.changes[0].what == CHANGED_NEW && out.changes[0].mailbox.messages == 2);
	ASSERT(slice_equal(out.changes[0].mailbox.name, S("INBOX")) && !out.more && !out.lost);
	ASSERT(await_changes(mine, upto).nchanges == 0);
	await_flags(other, &d, FLAGS_ADD, MESSAGE_SEEN);
	await_flags(mine, &d, FLAGS_ADD, MESSAGE_FLAGGED);
	out = await_changes(mine, upto);
	ASSERT(out.nchanges == 1 && out.changes[0].what == CHANGED_FLAGS);
	await_flags(mine, &d, FLAGS_REMOVE, MESSAGE_FLAGGED);
	ASSERT(await_changes(mine, upto).nchanges == 0); /* who did it knows */
	ASSERT(await_changes(other, upto - 1).nchanges == 1);
	out = await_changes(mine, begun);
	ASSERT(out.nchanges == 1 && out.changes[0].what == (CHANGED_NEW | CHANGED_FLAGS));
}

static void
await_names(void)
{
	await_start();
	(void)await_changes(mine, 0);
	await_create(other, "one/two");
	struct store_account_changes_out out = await_changes(mine, upto);
	ASSERT(out.nchanges == 2 && slice_equal(out.changes[0].mailbox.name, S("one")));
	ASSERT(slice_equal(out.changes[1].mailbox.name, S("one/two")) && out.changes[1].what == CHANGED_NAME);
	await_rename(other, "one", "three");
	out = await_changes(mine, upto);
	ASSERT(out.nchanges == 1 && out.changes[0].what == CHANGED_RENAMED && slice_equal(out.changes[0].old, S("one")));
	struct store_mailbox_delete_in in = { other, S("three/two") };
	struct store_mailbox_delete_out gone;
	ASSERT(await_store_mailbox_delete(&house.user, &in, &house.a, &gone) == OK);
	out = await_changes(mine, upto);
	ASSERT(out.nchanges == 2 && out.changes[1].mailbox.id == 0 && out.changes[0].mailbox.id != 0);
	await_create(mine, "own");
	ASSERT(await_changes(mine, upto).nchanges == 0);
}

static void
await_too_many(void)
{
	char name[32];
	await_start();
	(void)await_changes(mine, 0);
	uint64_t begun = upto;
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof name, "box%d", i);
		await_create(other, name);
	}
	size_t n = 0;
	struct store_account_changes_out out = await_changes(mine, begun);
	for (n = out.nchanges; out.more; n += out.nchanges)
		out = await_changes(mine, upto);
	ASSERT(n == 400 && !out.lost);
	history_entries_max = 100; /* what is older goes with the next change */
	for (int i = 0; i < 101; i++)
		await_create(other, (snprintf(name, sizeof name, "more%d", i), name));
	ASSERT(await_changes(mine, begun).lost && await_changes(mine, begun).nchanges == 0);
	ASSERT(await_changes(mine, begun).upto == upto);
	await_create(other, "last");
	ASSERT(await_changes(mine, upto).nchanges == 1);
	history_entries_max = 4096;
}

/* Who asks for what was before the history began hears that it is lost; nothing changed: nothing is. */
static void
await_reopened(void)
{
	await_start();
	(void)await_changes(mine, 0);
	uint64_t begun = upto;
	await_reopen();
	mine = await_handle(account);
	ASSERT(!await_changes(mine, begun).lost);
	await_reopen();
	mine = await_handle(account);
	ASSERT(await_deliver(account, "INBOX", S("a"), NULL) == OK);
	ASSERT(await_changes(mine, begun).lost);
}

static void
test_messages(void **state)
{
	on_new_house(await_messages);
}
static void
test_names(void **state)
{
	on_new_house(await_names);
}
static void
test_too_many(void **state)
{
	on_new_house(await_too_many);
}
static void
test_reopened(void **state)
{
	on_new_house(await_reopened);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_reopened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
