/* SPDX-License-Identifier: Apache-2.0 */
/* sharing_test.c - what those hear with whom an account shares mailboxes (account_changes through account_open_shared),
 * and how much of long lists of rights one call looks at. */
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t owner, friend;
static uint32_t owner_handle, friend_handle, shared;
static uint64_t upto;

static void
await_let_who(const char *mailbox, const char *who, uint32_t rights)
{
	struct store_acl_set_in in = { owner_handle, slice_text(mailbox), slice_text(who), ACL_REPLACE, rights };
	struct store_acl_set_out out;
	ASSERT(await_store_acl_set(&house.user, &in, &house.a, &out) == OK);
}

static void
await_let(const char *mailbox, uint32_t rights)
{
	await_let_who(mailbox, "friend@x.test", rights);
}

static void
await_create(const char *name)
{
	struct store_mailbox_create_in in = { owner_handle, slice_text(name), 0 };
	struct store_mailbox_create_out out;
	ASSERT(await_store_mailbox_create(&house.user, &in, &house.a, &out) == OK);
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

/* friend may look up and read Box, and watches. */
static void
await_people(void)
{
	struct store_account_open_shared_out out;
	ASSERT(await_domain_add("x.test") == OK);
	owner = await_account("owner@x.test", RIGHTS_USER, 0);
	friend = await_account("friend@x.test", RIGHTS_USER, 0);
	owner_handle = await_handle(owner);
	friend_handle = await_handle(friend);
	await_create("Box");
	await_create("Own");
	await_let("Box", ACL_LOOKUP | ACL_READ);
	struct store_account_open_shared_in in = { friend_handle, S("owner@x.test"), S("") };
	ASSERT(await_store_account_open_shared(&house.user, &in, &house.a, &out) == OK);
	shared = out.handle;
	(void)await_changes(shared, 0);
}

static void
await_messages(void)
{
	await_people();
	uint64_t begun = upto;
	ASSERT(await_deliver(owner, "Own", S("secret"), NULL) == OK);
	ASSERT(await_changes(shared, begun).nchanges == 0 && upto > begun); /* not even that there was something */
	ASSERT(await_deliver(owner, "Box", S("text"), NULL) == OK);
	struct store_account_changes_out out = await_changes(shared, upto);
	ASSERT(out.nchanges == 1 && slice_equal(out.changes[0].mailbox.name, S("Box")));
	ASSERT(out.changes[0].mailbox.messages == 1 && out.changes[0].mailbox.rights == (ACL_LOOKUP | ACL_READ));
	await_let("Box", ACL_LOOKUP); /* what is read later, too: the right counts when it is told */
	out = await_changes(shared, begun);
	ASSERT(out.nchanges == 1 && out.changes[0].what == CHANGED_RIGHTS);
	ASSERT(out.changes[0].mailbox.messages == 0 && out.changes[0].rights_was == (ACL_LOOKUP | ACL_READ));
}

static void
await_names(void)
{
	await_people();
	await_create("Own/x");
	await_create("Box/y"); /* Box, and the new one with its rights */
	struct store_account_changes_out out = await_changes(shared, upto);
	ASSERT(out.nchanges == 2 && slice_equal(out.changes[1].mailbox.name, S("Box/y")) && out.changes[1].mailbox.id);
	struct store_mailbox_delete_in in = { owner_handle, S("Box/y") };
	struct store_mailbox_delete_out gone;
	ASSERT(await_store_mailbox_delete(&house.user, &in, &house.a, &gone) == OK);
	in.name = S("Own/x");
	ASSERT(await_store_mailbox_delete(&house.user, &in, &house.a, &gone) == OK);
	out = await_changes(shared, upto);
	ASSERT(out.nchanges == 2 && out.changes[1].mailbox.id == 0 && (out.changes[1].rights_was & ACL_LOOKUP));
	struct store_mailbox_subscribe_in subscribe = { owner_handle, S("Box"), true };
	struct store_mailbox_subscribe_out done;
	ASSERT(await_store_mailbox_subscribe(&house.user, &subscribe, &house.a, &done) == OK);
	ASSERT(await_changes(shared, upto).nchanges == 0);
}

static void
await_rights(void)
{
	await_people();
	(void)await_changes(friend_handle, 0);
	uint64_t mine = upto;
	(void)await_changes(owner_handle, 0);
	uint64_t of_owner = upto;
	await_let("Own", ACL_READ); /* without l there is nothing to tell */
	ASSERT(await_changes(shared, of_owner).nchanges == 0 && await_changes(friend_handle, mine).nchanges == 0);
	await_let("Own", ACL_LOOKUP);
	struct store_account_changes_out out = await_changes(friend_handle, mine);
	ASSERT(out.nchanges == 1 && out.changes[0].what == CHANGED_SHARER);
	ASSERT(slice_equal(out.changes[0].old, S("owner@x.test")) && out.changes[0].mailbox.name.len == 0);
	mine = upto;
	out = await_changes(shared, of_owner);
	ASSERT(out.nchanges == 2 && slice_equal(out.changes[1].mailbox.name, S("Own")));
	await_let("Own", 0);
	out = await_changes(shared, upto);
	ASSERT(out.nchanges == 1 && out.changes[0].mailbox.id == 0 && out.changes[0].rights_was == ACL_LOOKUP);
	ASSERT(await_changes(friend_handle, mine).nchanges == 0);
	ASSERT(await_changes(owner_handle, of_owner).nchanges == 0); /* it is he who gives them */
	/* what an entry keeps is bounded in bytes */
	for (int i = 0; i < 3; i++)
		await_let("Own", i % 2 ? 0 : ACL_LOOKUP);
	ASSERT(!await_changes(shared, of_owner).lost);
}

/* Lists of 1,000 mailboxes that friend is named in and may not look up: in steps, and none hides what comes behind. */
static void
await_steps(void)
{
	char name[32];
	await_people();
	for (int i = 0; i < 1000; i++) {
		await_create((snprintf(name, sizeof name, "Many/%04d", i), name));
		await_let(name, ACL_READ);
	}
	await_create("Zed");
	await_let("Zed", ACL_LOOKUP);
	struct store_mailbox_list_in in = { .handle = shared, .names_only = true };
	struct store_mailbox_list_out out = { .more = true };
	size_t pages = 0, n = 0;
	while (out.more) {
		out = (struct store_mailbox_list_out){ 0 };
		ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
		in.after = slice_keep(&house.a, out.last);
		n += out.nmailboxes;
		pages++;
	}
	ASSERT(n == 2 && pages >= 2); /* Box, Zed */
	await_let("Box", 0);
	uint64_t second = await_account("second@x.test", RIGHTS_USER, 0);
	owner_handle = await_handle(second);
	await_let("INBOX", ACL_LOOKUP);
	struct store_sharer_list_in who = { friend_handle, 0 };
	struct store_sharer_list_out sharers = { .more = true };
	bool found[2] = { false, false };
	for (pages = 0; sharers.more; pages++) {
		sharers = (struct store_sharer_list_out){ 0 };
		ASSERT(await_store_sharer_list(&house.user, &who, &house.a, &sharers) == OK);
		who.after = sharers.after;
		for (uint32_t i = 0; i < sharers.nsharers; i++)
			found[sharers.sharers[i].account == second] = true;
	}
	ASSERT(found[0] && found[1] && pages <= 2);
}

/* Lists of many entries count for more. */
static void
await_long_lists(void)
{
	char name[64];
	await_people();
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof name, "p%d@x.test", i);
		(void)await_account(name, RIGHTS_USER, 0);
		await_let_who("Box", name, ACL_READ);
	}
	await_let("Box", ACL_READ);
	for (int i = 0; i < 40; i++) /* with the rights of their parent */
		await_create((snprintf(name, sizeof name, "Box/%02d", i), name));
	struct store_mailbox_list_in in = { .handle = shared, .names_only = true };
	struct store_mailbox_list_out out = { 0 };
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.more && out.nmailboxes == 0);
	(void)await_changes(shared, 0);
	for (int i = 0; i < 2000 && !await_changes(shared, 1).lost; i++) /* lists of rights in a history have a limit */
		await_let_who("Box", "p0@x.test", i % 2 ? ACL_READ : ACL_READ | ACL_SEEN);
	ASSERT(await_changes(shared, 1).lost);
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
test_rights(void **state)
{
	on_new_house(await_rights);
}
static void
test_steps(void **state)
{
	on_new_house(await_steps);
}
static void
test_long_lists(void **state)
{
	on_new_house(await_long_lists);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages), cmocka_unit_test(test_names),      cmocka_unit_test(test_rights),
		cmocka_unit_test(test_steps),    cmocka_unit_test(test_long_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
