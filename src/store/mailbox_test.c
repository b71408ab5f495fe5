/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_test.c - the names of mailboxes as RFC 9051 6.3.4 to 6.3.11 has them, UIDVALIDITY, \Recent, notices. */
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t account;
static uint32_t handle;

static void
await_start(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	account = await_account("a@x.test", RIGHTS_USER, 0);
	handle = await_handle(account);
}

static enum err
await_create(const char *name)
{
	struct store_mailbox_create_in in = { handle, slice_text(name), 0 };
	struct store_mailbox_create_out out;
	return await_store_mailbox_create(&house.user, &in, &house.a, &out);
}

static enum err
await_delete(const char *name)
{
	struct store_mailbox_delete_in in = { handle, slice_text(name) };
	struct store_mailbox_delete_out out;
	return await_store_mailbox_delete(&house.user, &in, &house.a, &out);
}

static enum err
await_rename(const char *from, const char *to)
{
	struct store_mailbox_rename_in in = { handle, slice_text(from), slice_text(to) };
	struct store_mailbox_rename_out out;
	return await_store_mailbox_rename(&house.user, &in, &house.a, &out);
}

static enum err
await_subscribe(const char *name, bool on)
{
	struct store_mailbox_subscribe_in in = { handle, slice_text(name), on };
	struct store_mailbox_subscribe_out out;
	return await_store_mailbox_subscribe(&house.user, &in, &house.a, &out);
}

static enum err
await_status(const char *name, struct store_mailbox *m)
{
	struct store_mailbox_status_in in = { handle, slice_text(name) };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_store_mailbox_status(&house.user, &in, &house.a, &out);
	*m = out.mailbox;
	return e;
}

static struct store_mailbox_list_out
await_list(const char *after)
{
	struct store_mailbox_list_in in = { handle, slice_text(after) };
	struct store_mailbox_list_out out;
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
	return out;
}

/* The row of a name in the list; attributes UINT32_MAX: not listed. */
static struct store_mailbox
await_listed(const char *name)
{
	struct store_mailbox_list_out out = await_list("");
	for (uint32_t i = 0; i < out.nmailboxes; i++)
		if (slice_equal(out.mailboxes[i].name, slice_text(name)))
			return out.mailboxes[i];
	return (struct store_mailbox){ .attributes = UINT32_MAX };
}

static void
names_body(void)
{
	static const struct {
		const char *name;
		enum err e;
	} rows[] = {
		{ "Work", OK },
		{ "Work", ERR_EXISTS },
		{ "inbox", ERR_EXISTS },
		{ "Inbox/Lists", OK },
		{ "INBOX/Lists", ERR_EXISTS },
		{ "trailing/", OK },
		{ "trailing", ERR_EXISTS },
		{ "", ERR_SYNTAX },
		{ "/", ERR_SYNTAX },
		{ "a//b", ERR_SYNTAX },
		{ "/a", ERR_SYNTAX },
		{ "tab\there", ERR_SYNTAX },
		{ "c1\xc2\x80", ERR_SYNTAX },
		{ "bad\xff", ERR_SYNTAX },
		{ "\xc3\x9c"
		  "mlaute",
		  OK },
		{ "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6", OK },
		{ "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6/7", ERR_SYNTAX },
	};
	await_start();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		ASSERT(await_create(rows[i].name) == rows[i].e);
	char component[258];
	memset(component, 'x', sizeof component);
	component[256] = 0;
	ASSERT(await_create(component) == ERR_SYNTAX);
	component[255] = 0;
	ASSERT(await_create(component) == OK);
	ASSERT(await_listed("a/b/c").id != 0 && (await_listed("a/b/c").attributes & MAILBOX_HAS_CHILDREN));
	ASSERT(await_listed("Drafts").attributes == (MAILBOX_SUBSCRIBED | MAILBOX_SPECIAL_DRAFTS));
	struct store_mailbox m;
	ASSERT(await_status("iNbOx", &m) == OK && slice_equal(m.name, S("INBOX")) && m.uidnext == 1);
	ASSERT(await_status("no such", &m) == ERR_NOT_FOUND && await_status("//", &m) == ERR_NOT_FOUND);
}

static void
deleting_body(void)
{
	struct store_mailbox m, again;
	await_start();
	ASSERT(await_create("foo/bar") == OK && await_create("blurdybloop") == OK);
	ASSERT(await_delete("inbox") == ERR_DENIED && await_delete("nothing") == ERR_NOT_FOUND);
	/* the examples of RFC 9051 6.3.5 */
	ASSERT(await_delete("blurdybloop") == OK && await_listed("blurdybloop").attributes == UINT32_MAX);
	ASSERT(await_delete("foo") == OK);
	m = await_listed("foo");
	ASSERT(m.id == 0 && (m.attributes & MAILBOX_NOSELECT) && (m.attributes & MAILBOX_HAS_CHILDREN));
	ASSERT(await_status("foo", &m) == ERR_NOT_FOUND && await_delete("foo") == ERR_BUSY);
	ASSERT(await_delete("foo/bar") == OK && await_delete("foo") == OK);
	ASSERT(await_listed("foo").attributes == UINT32_MAX);

	/* a subscription stays */
	ASSERT(await_create("list") == OK && await_subscribe("list", true) == OK && await_status("list", &m) == OK);
	ASSERT(await_delete("list") == OK);
	again = await_listed("list");
	ASSERT(again.id == 0 && again.attributes == (MAILBOX_SUBSCRIBED | MAILBOX_NOSELECT));
	ASSERT(await_delete("list") == ERR_NOT_FOUND);
	ASSERT(await_create("list") == OK && await_status("list", &again) == OK);
	ASSERT(again.uidvalidity > m.uidvalidity && again.id > m.id && (again.attributes & MAILBOX_SUBSCRIBED));
	ASSERT(await_delete("list") == OK && await_subscribe("list", false) == OK);
	ASSERT(await_listed("list").attributes == UINT32_MAX);

	/* the quota is free at once */
	struct store_account_usage_in use = { .handle = handle };
	struct store_account_usage_out used;
	ASSERT(await_deliver(account, "full", S("0123456789"), NULL) == OK);
	ASSERT(await_store_account_usage(&house.user, &use, &house.a, &used) == OK && used.usage.bytes == 10 &&
	       used.usage.messages == 1);
	ASSERT(await_delete("full") == OK);
	ASSERT(await_store_account_usage(&house.user, &use, &house.a, &used) == OK && used.usage.bytes == 0 &&
	       used.usage.messages == 0);
}

static void
renaming_body(void)
{
	struct store_mailbox before, after, m;
	await_start();
	ASSERT(await_create("old/child/leaf") == OK && await_subscribe("old/child", true) == OK);
	ASSERT(await_deliver(account, "old/child", S("hello"), NULL) == OK);
	ASSERT(await_status("old/child", &before) == OK && before.messages == 1);
	ASSERT(await_rename("old", "new/place") == OK);
	ASSERT(await_status("old", &m) == ERR_NOT_FOUND && await_status("old/child", &m) == ERR_NOT_FOUND);
	ASSERT(await_status("new/place/child", &after) == OK && after.id == before.id && after.messages == 1);
	ASSERT(after.uidvalidity == before.uidvalidity && (after.attributes & MAILBOX_SUBSCRIBED));
	ASSERT(await_status("new", &m) == OK && await_status("new/place/child/leaf", &m) == OK);

	ASSERT(await_rename("no such", "x") == ERR_NOT_FOUND && await_rename("new", "INBOX") == ERR_EXISTS);
	ASSERT(await_rename("new", "new/below") == ERR_DENIED && await_rename("new", "bad//name") == ERR_SYNTAX);
	ASSERT(await_create("taken/place/child") == OK && await_delete("taken") == OK && await_delete("taken/place") == OK);
	ASSERT(await_rename("new/place", "taken/place") == ERR_EXISTS); /* a child's name is taken: nothing moves */
	ASSERT(await_status("new/place/child", &m) == OK && m.id == before.id);

	/* a name never gets a smaller UIDVALIDITY than it had */
	ASSERT(await_create("first") == OK && await_create("second") == OK);
	ASSERT(await_status("second", &before) == OK && await_delete("second") == OK);
	ASSERT(await_rename("first", "second") == OK && await_status("second", &after) == OK);
	ASSERT(after.uidvalidity > before.uidvalidity);
}

static void
renaming_the_inbox_body(void)
{
	struct store_mailbox before, after, m;
	struct store_delivered to;
	await_start();
	ASSERT(await_deliver(account, "", S("one"), NULL) == OK && await_create("INBOX/sub") == OK);
	ASSERT(await_status("INBOX", &before) == OK && before.messages == 1);
	ASSERT(await_rename("inbox", "Saved/2026") == OK);
	ASSERT(await_status("INBOX", &after) == OK && after.messages == 0 && after.uidvalidity > before.uidvalidity);
	ASSERT(await_status("Saved/2026", &m) == OK && m.messages == 1 && m.id == before.id);
	ASSERT(await_status("INBOX/sub", &m) == OK && (after.attributes & MAILBOX_SUBSCRIBED));
	ASSERT(await_deliver(account, "", S("two"), &to) == OK && to.uidvalidity == after.uidvalidity && to.uid == 1);
}

static void
recent_body(void)
{
	await_start();
	for (int i = 0; i < 3; i++)
		ASSERT(await_deliver(account, "", S("x"), NULL) == OK);
	struct store_mailbox_open_in in = { handle, S("INBOX"), 1, false, in_region() };
	struct store_mailbox_open_out out;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.mailbox.recent == 3 && out.first_recent == 1 && out.filled == 3 * INDEX_ROW_BYTES && !out.more);
	in.write = true;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.mailbox.recent == 3 && out.first_recent == 1 && out.filled == 3 * INDEX_ROW_BYTES);
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.mailbox.recent == 0 && out.first_recent == 0);
	ASSERT(await_deliver(account, "", S("x"), NULL) == OK);
	in.from_uid = 2;
	in.into.len = 2 * INDEX_ROW_BYTES + 7;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.mailbox.recent == 1 && out.first_recent == 4 && out.filled == 2 * INDEX_ROW_BYTES && out.more);
	ASSERT(((struct index_row *)(void *)house.region)[1].uid == 3);
	in.into.off = 1u << 30;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == ERR_LIMIT);
}

static void
listing_pages_body(void)
{
	await_start();
	for (int i = 0; i < 1100; i++)
		ASSERT(await_create(arena_printf(&house.a, "m%04d", i).at) == OK);
	struct store_mailbox_list_out out = await_list("");
	ASSERT(out.more && out.nmailboxes == 1000);
	struct slice last = out.mailboxes[999].name;
	out = await_list(arena_printf(&house.a, "%.*s", SLICE_ARG(last)).at);
	ASSERT(!out.more && out.nmailboxes == 106);
	ASSERT(slice_compare(out.mailboxes[0].name, last) > 0);
}

static void
notices_body(void)
{
	await_start();
	uint64_t other = await_account("b@x.test", RIGHTS_USER, 0);
	struct store_delivered to;
	house.changed = 0;
	ASSERT(await_deliver(account, "", S("x"), &to) == OK);
	await_sleep(5);
	ASSERT(house.changed == 1 && house.last_changed.account == account && house.last_changed.mailbox == to.mailbox);
	ASSERT(await_deliver(other, "", S("x"), NULL) == OK);
	await_sleep(5);
	ASSERT(house.changed == 1); /* nobody has that account open */
	ASSERT(await_create("new") == OK);
	await_sleep(5);
	ASSERT(house.changed == 2 && house.last_changed.mailbox == 0);
	store_account_close_notify(&house.user, &(struct store_account_close_in){ handle });
	ASSERT(await_deliver(account, "", S("x"), NULL) == OK);
	await_sleep(5);
	ASSERT(house.changed == 2);
}

static uint32_t
await_append(const char *mailbox)
{
	struct store_append append = { .body = body_of(S("x")), .facts = S("facts") };
	struct store_message_append_in in = { handle, slice_text(mailbox), &append, 1 };
	struct store_message_append_out out;
	ASSERT(await_store_message_append(&house.user, &in, &house.a, &out) == OK);
	return (uint32_t)bytes_get_le(out.uids.at, 4);
}

/* The clock is set back by a day: whatever grows goes on growing. */
static void
clock_set_back_body(void)
{
	await_start();
	ASSERT(await_create("kept") == OK && await_create("made again") == OK);
	struct store_mailbox kept, made, kept_after, made_after;
	uint32_t uid = await_append("kept");
	await_append("made again");
	ASSERT(await_status("kept", &kept) == OK && await_status("made again", &made) == OK);
	int64_t before = clock_wall_sec();
	clock_sim_step(-86400);
	ASSERT(clock_wall_sec() < before - 86000);

	ASSERT(await_delete("made again") == OK && await_create("made again") == OK);
	ASSERT(await_status("made again", &made_after) == OK && made_after.uidvalidity > made.uidvalidity);
	ASSERT(await_append("made again") >= 1);
	ASSERT(await_status("made again", &made_after) == OK && made_after.modseq > made.modseq);

	ASSERT(await_append("kept") > uid);
	ASSERT(await_status("kept", &kept_after) == OK);
	ASSERT(kept_after.uidvalidity == kept.uidvalidity && kept_after.modseq > kept.modseq);
	ASSERT(kept_after.uidnext > kept.uidnext);

	/* a name that comes by renaming is new, too */
	ASSERT(await_rename("kept", "elsewhere") == OK && await_create("kept") == OK);
	struct store_mailbox again;
	ASSERT(await_status("kept", &again) == OK && again.uidvalidity > kept.uidvalidity);
}

/* Subscriptions and parents count, too; what goes makes room. */
static void
too_many_names_body(void)
{
	uint32_t most = mailbox_names_max;
	await_start();
	ASSERT(await_create("one") == OK);
	mailbox_names_max = 9; /* an account begins with six */
	ASSERT(await_create("two/below") == OK && await_create("three") == ERR_LIMIT);
	ASSERT(await_subscribe("three", true) == ERR_LIMIT && await_create("one/below") == ERR_LIMIT);
	ASSERT(await_deliver(account, "three", S("0123456789"), NULL) == ERR_LIMIT);
	ASSERT(await_rename("one", "three") == OK && await_delete("three") == OK && await_create("four") == OK);
	mailbox_names_max = most;
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(names)
HOUSE_TEST(deleting)
HOUSE_TEST(renaming)
HOUSE_TEST(renaming_the_inbox)
HOUSE_TEST(recent)
HOUSE_TEST(listing_pages)
HOUSE_TEST(notices)
HOUSE_TEST(too_many_names)

static void
clock_set_back(void **state)
{
	loop_sim_start(1700000000);
	on_new_house(clock_set_back_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),          cmocka_unit_test(deleting),
		cmocka_unit_test(renaming),       cmocka_unit_test(renaming_the_inbox),
		cmocka_unit_test(recent),         cmocka_unit_test(listing_pages),
		cmocka_unit_test(too_many_names), cmocka_unit_test(notices),
		cmocka_unit_test(clock_set_back), /* last: the clock stays simulated */
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
