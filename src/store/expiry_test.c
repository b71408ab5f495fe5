/* SPDX-License-Identifier: Apache-2.0 */
/* expiry_test.c - messages that were fetched by POP3 go after the days that the account's rule says, on a simulated
 * clock; those that were not, and those of others, stay; what was imported for messages that went goes with them. */
#define HOUSE_MS_MAX INT64_C(31536000000)
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>
/* after those */
#include <cmocka.h>

#define DAY_MS (24 * 3600 * 1000)

static uint64_t account;
static uint32_t handle;
static uint64_t inbox;

static void
await_start(uint32_t days)
{
	ASSERT(await_domain_add("example.org") == OK);
	account = await_account("alice@example.org", RIGHTS_USER, 0);
	struct store_maildrop_set_in in = { S("alice@example.org"), days, UINT32_MAX };
	struct store_maildrop_set_out out;
	ASSERT(await_store_maildrop_set(&house.admin, &in, &house.a, &out) == OK);
	handle = await_handle(account);
}

static uint32_t
await_message(void)
{
	struct store_delivered to;
	ASSERT(await_deliver(account, "", S("From: a@b\r\n\r\nx\r\n"), &to) == OK);
	inbox = to.mailbox;
	return to.uid;
}

static void
await_fetch(uint32_t uid)
{
	struct store_message_fetched_in in = { handle, inbox, uid_list(&uid, 1) };
	struct store_account_usage_in ask = { handle };
	struct store_account_usage_out usage;
	store_message_fetched_notify(&house.user, &in);
	ASSERT(await_store_account_usage(&house.user, &ask, &house.a, &usage) == OK);
	await_sleep(1000);
}

static uint64_t
await_count(void)
{
	struct store_account_usage_in ask = { handle };
	struct store_account_usage_out usage;
	ASSERT(await_store_account_usage(&house.user, &ask, &house.a, &usage) == OK);
	return usage.usage.messages;
}

static void
fetched_messages_go_body(void)
{
	await_start(3);
	uint32_t first = await_message(), second = await_message();
	await_message();
	await_fetch(first);
	await_sleep(DAY_MS);
	await_fetch(second);
	await_fetch(first); /* once more: the first time counts */
	await_sleep(2 * DAY_MS - 2 * 3600 * 1000);
	ASSERT(await_count() == 3);
	unsigned heard = house.changed;
	await_sleep(4 * 3600 * 1000);
	ASSERT(await_count() == 2);
	ASSERT(house.changed == heard + 1 && house.last_changed.account == account);
	await_sleep(DAY_MS);
	ASSERT(await_count() == 1);
	await_sleep((int64_t)100 * DAY_MS);
	ASSERT(await_count() == 1);
}

static void
only_with_the_rule_body(void)
{
	await_start(0);
	uint32_t first = await_message(), second = await_message();
	await_fetch(first);
	struct store_maildrop_set_in in = { S("alice@example.org"), 1, UINT32_MAX };
	struct store_maildrop_set_out out;
	ASSERT(await_store_maildrop_set(&house.admin, &in, &house.a, &out) == OK);
	await_sleep((int64_t)3 * DAY_MS);
	ASSERT(await_count() == 2); /* what was fetched before the rule was not counted */
	await_fetch(second);
	in.expire_days = 0;
	ASSERT(await_store_maildrop_set(&house.admin, &in, &house.a, &out) == OK);
	await_sleep((int64_t)3 * DAY_MS);
	ASSERT(await_count() == 2);
	in.expire_days = 1;
	ASSERT(await_store_maildrop_set(&house.admin, &in, &house.a, &out) == OK);
	await_sleep(2 * 3600 * 1000);
	ASSERT(await_count() == 1);
	in.expire_days = 40000;
	ASSERT(await_store_maildrop_set(&house.admin, &in, &house.a, &out) == ERR_LIMIT);
}

static enum err
has_row(struct store *s, struct txn *t, void *arg)
{
	struct slice k, value;
	struct range *r = range_begin(t, S("y"), S("z"), false);
	while (range_next(r, &k, &value))
		++*(unsigned *)arg;
	return range_end(&r);
}

static unsigned
rows(void)
{
	unsigned n = 0;
	ASSERT(store_view(&house.s, has_row, &n) == OK);
	return n;
}

static void
await_set_uidl(uint32_t uid, const char *uidl)
{
	struct store_uidl one = { .uid = uid, .uidl = slice_text(uidl) };
	struct store_uidls_set_in in = { S("alice@example.org"), 0, &one, 1 };
	struct store_uidls_set_out out;
	ASSERT(await_store_uidls_set(&house.admin, &in, &house.a, &out) == OK && out.found == 1);
}

static void
rows_of_what_is_gone_go_body(void)
{
	await_start(0);
	uint32_t uids[1200];
	char uidl[20];
	for (size_t i = 0; i < COUNT_OF(uids); i++)
		uids[i] = await_message();
	for (size_t i = 0; i < COUNT_OF(uids); i += 2) {
		snprintf(uidl, sizeof uidl, "old%zu", i);
		await_set_uidl(uids[i], uidl);
	}
	ASSERT(rows() == COUNT_OF(uids) / 2);
	struct store_message_expunge_in in = { handle, inbox, uid_list(uids, COUNT_OF(uids) - 2), true };
	struct store_message_expunge_out out;
	ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &out) == OK);
	await_sleep(3 * 3600 * 1000);
	ASSERT(await_count() == 2 && rows() == 1);
	await_reopen();
	ASSERT(rows() == 1);
	struct store_account_delete_in gone = { S("alice@example.org") };
	struct store_account_delete_out deleted;
	ASSERT(await_store_account_delete(&house.admin, &gone, &house.a, &deleted) == OK);
	await_sleep(3 * 3600 * 1000);
	ASSERT(rows() == 0);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(fetched_messages_go)
HOUSE_TEST(only_with_the_rule)
HOUSE_TEST(rows_of_what_is_gone_go)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetched_messages_go),
		cmocka_unit_test(only_with_the_rule),
		cmocka_unit_test(rows_of_what_is_gone_go),
	};
	loop_sim_start(1700000000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
