/* SPDX-License-Identifier: Apache-2.0 */
/* delivery_test.c - the commit call: all or nothing, once for each id, one body for all recipients. */
#include "base/clock.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t a, b, c;

static void
await_start(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	a = await_account("a@x.test", RIGHTS_USER, 0);
	b = await_account("b@x.test", RIGHTS_USER, 0);
	c = await_account("c@x.test", RIGHTS_USER, 10);
}

static struct store_commit_out
await_commit(const char *id, struct store_mail *mails, uint32_t n)
{
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = mails, .nmails = n };
	struct store_commit_out out;
	ASSERT(await_store_commit(&house.mx, &in, &house.a, &out) == OK);
	return out;
}

static uint64_t
await_messages(uint64_t *bodies)
{
	struct store_store_status_in ask = { 0 };
	struct store_store_status_out out;
	ASSERT(await_store_store_status(&house.admin, &ask, &house.a, &out) == OK);
	if (bodies)
		*bodies = out.body_bytes;
	return out.messages;
}

static struct store_mail
mail_to(struct slice text, struct store_delivery *d, uint32_t n)
{
	return (struct store_mail){ .body = body_of(text), .facts = S("facts"), .deliveries = d, .ndeliveries = n };
}

static void
all_or_nothing_body(void)
{
	await_start();
	struct store_delivery to[3] = { { .account = a }, { .account = b, .mailbox = S("Lists/New") }, { .account = c } };
	struct store_mail mail = mail_to(S("too much for one of them"), to, 3);
	struct store_commit_out out = await_commit("0123456789abcde0", &mail, 1);
	ASSERT(out.verdict == ERR_QUOTA && out.culprit == 2 && out.ndelivered == 0);
	ASSERT(await_messages(NULL) == 0);
	mail.ndeliveries = 2;
	out = await_commit("0123456789abcde0", &mail, 1);
	ASSERT(out.verdict == OK && out.ndelivered == 2 && out.delivered[0].uid == 1 && out.delivered[1].account == b);
	ASSERT(out.culprit == STORE_NO_CULPRIT && await_messages(NULL) == 2);
	to[1].account = 999;
	out = await_commit("0123456789abcde1", &mail, 1);
	ASSERT(out.verdict == ERR_NOT_FOUND && out.culprit == 1);
	to[1] = (struct store_delivery){ .account = b, .mailbox = S("bad//name") };
	out = await_commit("0123456789abcde2", &mail, 1);
	ASSERT(out.verdict == ERR_SYNTAX && out.culprit == 1);
	to[1] = (struct store_delivery){ .account = b, .flags = 1u << 20 };
	ASSERT(await_commit("0123456789abcde3", &mail, 1).verdict == ERR_SYNTAX);
	struct store_mail nothing = mail_to(S(""), to, 1);
	ASSERT(await_commit("0123456789abcde4", &nothing, 1).verdict == ERR_SYNTAX);
	nothing.body.at.off = 1u << 30;
	nothing.body.at.len = 10;
	ASSERT(await_commit("0123456789abcde5", &nothing, 1).verdict != OK);
	struct store_mail no_spool = mail_to(S("x"), to, 1);
	no_spool.body.spool = 7;
	ASSERT(await_commit("0123456789abcde6", &no_spool, 1).verdict == ERR_STALE);
	ASSERT(await_messages(NULL) == 2);
}

static void
once_for_each_id_body(void)
{
	await_start();
	struct store_delivery to[2] = { { .account = a }, { .account = a } };
	struct store_recipient remote = { .address = S("z@z.test") };
	struct store_group group = { S("z.test"), &remote, 1, 0 };
	struct store_mail mail = mail_to(S("once"), to, 2);
	mail.groups = &group;
	mail.ngroups = 1;
	struct store_commit_out first = await_commit("an id of a mail.", &mail, 1);
	ASSERT(first.verdict == OK && first.ndelivered == 2 && first.delivered[1].uid == 2 && first.rows == 1);
	await_reopen();
	struct store_commit_out again = await_commit("an id of a mail.", &mail, 1);
	ASSERT(again.verdict == OK && again.ndelivered == 2 && again.rows == 1);
	ASSERT(memcmp(again.delivered, first.delivered, 2 * sizeof *again.delivered) == 0);
	ASSERT(await_messages(NULL) == 2);
	struct store_commit_in in = { .id = S("short") };
	struct store_commit_out out;
	ASSERT(await_store_commit(&house.mx, &in, &house.a, &out) == OK && out.verdict == ERR_SYNTAX);
}

static void
one_body_for_all_body(void)
{
	await_start();
	char text[2000];
	memset(text, 'b', sizeof text);
	uint64_t bodies;
	struct store_delivery to[20];
	for (size_t i = 0; i < 20; i++)
		to[i] = (struct store_delivery){ .account = i % 2 ? a : b };
	struct store_mail mails[2] = { mail_to(slice_of(text, sizeof text), to, 20), mail_to(S("second"), to, 1) };
	struct store_commit_out out = await_commit("0123456789abcdef", mails, 2);
	ASSERT(out.verdict == OK && out.ndelivered == 21);
	ASSERT(await_messages(&bodies) == 21 && bodies < 2200);

	/* gone with the last of them */
	uint32_t handle = await_handle(a);
	struct store_message_expunge_in in = { handle, out.delivered[1].mailbox, SLICE_NONE, true };
	struct store_message_expunge_out gone;
	ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &gone) == OK && gone.vanished.len == 40);
	ASSERT(await_messages(&bodies) == 11 && bodies > 2000);
	in.handle = await_handle(b);
	in.mailbox = out.delivered[0].mailbox;
	ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &gone) == OK && gone.vanished.len == 44);
	ASSERT(await_messages(&bodies) == 0 && bodies == 0);
}

/* Many at once share commits and see each other's changes. */
static unsigned running;

static void
one_of_many(void *arg)
{
	char id[16];
	random_bytes(id, sizeof id);
	struct arena arena;
	arena_init(&arena, 0);
	struct store_delivery to = { .account = a };
	struct store_mail mail = mail_to(S("one of many"), &to, 1);
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	struct store_commit_out out;
	ASSERT(await_store_commit(&house.mx, &in, &arena, &out) == OK && out.verdict == OK);
	((uint8_t *)arg)[out.delivered[0].uid]++;
	arena_release(&arena);
	running--;
}

static void
many_at_once_body(void)
{
	static uint8_t seen[501];
	memset(seen, 0, sizeof seen);
	await_start();
	for (int i = 0; i < 500; i++) {
		running++;
		ASSERT(task_start(one_of_many, seen));
	}
	while (running)
		await_sleep(1);
	for (int i = 1; i <= 500; i++)
		ASSERT(seen[i] == 1);
	ASSERT(await_messages(NULL) == 500);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(all_or_nothing)
HOUSE_TEST(once_for_each_id)
HOUSE_TEST(one_body_for_all)
HOUSE_TEST(many_at_once)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(once_for_each_id),
		cmocka_unit_test(one_body_for_all),
		cmocka_unit_test(many_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
