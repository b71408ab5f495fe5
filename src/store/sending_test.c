/* SPDX-License-Identifier: Apache-2.0 */
/* sending_test.c - what an account may send, through the store's protocol: many sessions, refusals that relay heard of,
 * suppressed addresses, lists that are full. */
#include "base/clock.h"
#include "store/memo.h"
#include "store/rows.h"
#include "store/rows_state.h"
#include "store/sent.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct store_commit_out
await_commit(struct ipc_client *who, struct store_commit_in *in)
{
	static char id[16];
	struct store_commit_out out = { 0 };
	random_bytes(id, sizeof id);
	in->id = slice_of(id, 16);
	ASSERT(await_store_commit(who, in, &house.a, &out) == OK);
	return out;
}

static struct store_commit_out
await_send(uint64_t account, struct slice to)
{
	struct store_recipient r = { .address = to };
	struct store_group g = { S("far.test"), &r, 1 };
	struct store_mail mail = { .body = body_of(S("x")), .groups = &g, .ngroups = 1 };
	mail.envelope.account = account;
	mail.envelope.reverse_path = S("alice@x.test");
	struct store_commit_in in = { .mails = &mail, .nmails = 1 };
	return await_commit(&house.user, &in);
}

static void
await_memo(const char *kind, const char *name, const char *value)
{
	struct store_memo m = { slice_text(kind), slice_text(name), slice_text(value), MEMO_FOREVER };
	struct store_memo_put_in in = { &m, 1 };
	struct store_memo_put_out out;
	ASSERT(await_store_memo_put(&house.admin, &in, &house.a, &out) == OK);
}

static void
fill(struct slice kind, uint64_t count)
{
	struct txn *t = txn_begin(house.s.engine, true);
	struct row_sequence s = { .count = count };
	sequence_put(t, kind, &s);
	ASSERT(txn_commit(t) == OK);
	txn_end(&t);
}

static uint64_t
await_alice(void)
{
	await_domain_add("x.test");
	return await_account("alice@x.test", RIGHTS_USER, 0);
}

static void
limits_body(void)
{
	uint64_t alice = await_alice();
	char name[30];
	snprintf(name, sizeof name, "%llu", (unsigned long long)alice);
	ASSERT(await_send(alice, S("a@far.test")).verdict == OK);
	await_memo("limits", name, "messages-per-hour=2 first-time-per-day=1");
	ASSERT(await_send(alice, S("a@far.test")).verdict == OK); /* nobody counted before */
	struct store_commit_out out = await_send(alice, S("b@far.test"));
	ASSERT(out.verdict == ERR_LIMIT && out.limit == 1 + LIMIT_FIRST_DAY && out.until > clock_wall_sec());
	ASSERT(await_send(alice, S("A@far.test")).verdict == OK);
	await_reopen();
	out = await_send(alice, S("a@far.test"));
	ASSERT(out.verdict == ERR_LIMIT && out.limit == 1 + LIMIT_MESSAGES_HOUR && !out.held);
	ASSERT(await_send(alice + 1000, S("a@far.test")).verdict == OK); /* others have none */

	/* a list of known recipients that is full: everybody new is new again */
	await_memo("limits", name, "first-time-per-day=3");
	fill(S("memos known"), MEMOS_MAX);
	ASSERT(await_send(alice, S("c@far.test")).verdict == OK && await_send(alice, S("c@far.test")).verdict == OK);
	ASSERT(await_send(alice, S("c@far.test")).limit == 1 + LIMIT_FIRST_DAY);
	await_memo("limits", name, "nonsense");
	ASSERT(await_send(alice, S("c@far.test")).verdict == ERR_DAMAGED);
}

static void
limits(void **state)
{
	on_new_house(limits_body);
}

static struct store_queue_claim_out
await_claim(void)
{
	struct store_queue_claim_in in = { clock_wall_sec() + 1, 64, 60, 0 };
	struct store_queue_claim_out out;
	ASSERT(await_store_queue_claim(&house.relay, &in, &house.a, &out) == OK);
	return out;
}

static void
bounces_body(void)
{
	uint64_t alice = await_alice();
	house.conf.v.breaker_bounces = 50;
	for (int i = 0; i < 30; i++)
		ASSERT(await_send(alice, S("a@far.test")).verdict == OK);
	struct store_queue_claim_out rows = await_claim();
	ASSERT(rows.nrows == 30);
	for (uint32_t i = 0; i < 20; i++) {
		struct store_settle settle = { .id = rows.rows[i].id, .lease = rows.rows[i].lease, .gone = true, .failed = 1 };
		struct store_commit_in in = { .settles = &settle, .nsettles = 1 };
		struct store_commit_out out = await_commit(&house.relay, &in);
		ASSERT(out.verdict == OK && (out.tripped.len > 0) == (i == 19));
		ASSERT(i < 19 || (slice_equal(out.tripped_account, S("alice@x.test")) && out.tripped_id == alice));
	}
	struct store_commit_out out = await_send(alice, S("a@far.test"));
	ASSERT(out.verdict == ERR_SUSPENDED && out.held);
	house.conf.v.breaker_bounces = 0; /* a breaker that tripped stands until it is released */
	ASSERT(await_send(alice, S("a@far.test")).held);
	clock_sim_step(1000); /* rows whose leases ended are not given */
	ASSERT(await_claim().nrows == 0);
	ASSERT(await_send(alice + 1000, S("a@far.test")).verdict == OK && await_claim().nrows == 1);
}

static void
bounces(void **state)
{
	loop_sim_start(1700000000);
	on_new_house(bounces_body);
}

static struct slice
await_suppressed(const char *sender, const char *address)
{
	struct store_resolve_in in = { slice_text(address), 0, slice_text(sender) };
	struct store_resolve_out out;
	ASSERT(await_store_resolve(&house.user, &in, &house.a, &out) == OK && !out.local);
	return out.suppressed;
}

static void
suppression_body(void)
{
	ASSERT(await_suppressed("alice@x.test", "a@far.test").len == 0);
	await_memo("suppress", "x.test/a@far.test", "complaint feedback 5 it is spam");
	ASSERT(slice_equal(await_suppressed("alice@X.test", "A@far.TEST"), S("its owner complained: it is spam")));
	ASSERT(await_suppressed("alice@y.test", "a@far.test").len == 0);
	ASSERT(await_suppressed("alice@x.test", "b@far.test").len == 0);
	ASSERT(await_suppressed("", "a@far.test").len == 0);
	fill(S("memos suppress"), MEMOS_MAX);
	struct store_memo m = { S("suppress"), S("x.test/b@far.test"), S("x"), MEMO_FOREVER };
	struct store_memo_put_in in = { &m, 1 };
	struct store_memo_put_out out;
	ASSERT(await_store_memo_put(&house.admin, &in, &house.a, &out) == ERR_LIMIT);
	ASSERT(slice_equal(await_suppressed("alice@x.test", "a@far.test"), S("its owner complained: it is spam")));
	await_memo("suppress", "x.test/a@far.test", "nonsense");
	ASSERT(slice_equal(await_suppressed("alice@x.test", "a@far.test"), S("hard bounce: nonsense")));
}

static void
suppression(void **state)
{
	on_new_house(suppression_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(limits), cmocka_unit_test(suppression),
		                                cmocka_unit_test(bounces) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
