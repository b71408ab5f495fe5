/* SPDX-License-Identifier: Apache-2.0 */
/* memo_test.c - memos: put, found until their time is over, listed by prefix, refused to those who may not. */
#include "store/memo.h"

#include "base/clock.h"
#include "store/row_io.h"
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum err
await_put(struct ipc_client *who, const char *kind, const char *name, const char *value, int64_t until)
{
	struct store_memo m = { slice_text(kind), slice_text(name), slice_text(value), until };
	struct store_memo_put_in in = { &m, 1 };
	struct store_memo_put_out out;
	return await_store_memo_put(who, &in, &house.a, &out);
}

static bool
await_is(const char *kind, const char *name, const char *value)
{
	struct store_memo_get_in in = { slice_text(kind), slice_text(name) };
	struct store_memo_get_out out;
	ASSERT(await_store_memo_get(&house.relay, &in, &house.a, &out) == OK);
	return value ? out.found && slice_equal(out.memo.value, slice_text(value)) : !out.found;
}

static uint32_t
await_listed(const char *kind, const char *prefix, const char *after, uint32_t max, bool *more)
{
	struct store_memo_list_in in = { slice_text(kind), slice_text(prefix), slice_text(after), max };
	struct store_memo_list_out out;
	ASSERT(await_store_memo_list(&house.admin, &in, &house.a, &out) == OK);
	for (uint32_t i = 1; i < out.nmemos; i++)
		ASSERT(slice_compare(out.memos[i - 1].name, out.memos[i].name) < 0);
	*more = out.more;
	return out.nmemos;
}

/* As if there were so many of a kind. */
static void
set_count(struct slice kind, uint64_t count)
{
	struct txn *t = txn_begin(house.s.engine, true);
	struct row_sequence s = { .count = count };
	sequence_put(t, kind, &s);
	ASSERT(txn_commit(t) == OK);
	txn_end(&t);
}

/* What strangers can cause has a bound of its own. */
static void
full_body(void)
{
	int64_t later = clock_wall_sec() + 1000;
	ASSERT(await_put(&house.mx, "tls-received", "a", "x", later) == OK);
	set_count(S("memos tls-received"), TLS_RECEIVED_MAX);
	ASSERT(await_put(&house.mx, "tls-received", "b", "x", later) == ERR_LIMIT);
	ASSERT(await_put(&house.mx, "tls-received", "a", "y", later) == OK && await_is("tls-received", "a", "y"));
	set_count(S("memos sts"), TLS_RECEIVED_MAX);
	ASSERT(await_put(&house.relay, "sts", "b.test", "x", later) == OK);
	set_count(S("memos sts"), MEMOS_MAX);
	ASSERT(await_put(&house.relay, "sts", "c.test", "x", later) == ERR_LIMIT);
	ASSERT(await_put(&house.mx, "tls-report", "a", "x", later) == ERR_DENIED);
}

static void
full(void **state)
{
	(void)state;
	on_new_house(full_body);
}

static void
memos_body(void)
{
	int64_t now = clock_wall_sec(), later = now + 1000;
	bool more;
	ASSERT(await_put(&house.relay, "sts", "a.test", "one", later) == OK);
	ASSERT(await_put(&house.relay, "sts", "a.test", "two", later + 5) == OK && await_is("sts", "a.test", "two"));
	ASSERT(await_put(&house.relay, "sts", "b.test", "", later) == OK && await_is("sts", "b.test", ""));
	ASSERT(await_is("sts", "c.test", NULL) && await_is("host", "a.test", NULL));
	ASSERT(await_put(&house.relay, "sts", "b.test", "over", now) == OK && await_is("sts", "b.test", NULL));

	/* who may not */
	ASSERT(await_put(&house.user, "sts", "a.test", "x", later) == ERR_DENIED);
	ASSERT(await_put(&house.relay, "pause", "all", "x", later) == ERR_DENIED);
	ASSERT(await_put(&house.relay, "suppress", "a.test/x", "x", later) == ERR_DENIED);
	ASSERT(await_put(&house.user, "suppress", "a.test/x", "x", later) == ERR_DENIED);
	ASSERT(await_put(&house.relay, "nonsense", "a", "x", later) == ERR_SYNTAX);
	ASSERT(await_put(&house.relay, "sts", "", "x", later) == ERR_SYNTAX);
	ASSERT(await_put(&house.relay, "sts", "a\nb", "x", later) == ERR_SYNTAX);

	/* lists */
	for (int i = 0; i < 50; i++) {
		char name[40];
		snprintf(name, sizeof name, "x.test/%02d", i);
		ASSERT(await_put(&house.admin, "suppress", name, "why", later) == OK);
	}
	ASSERT(await_put(&house.admin, "suppress", "y.test/1", "why", later) == OK);
	ASSERT(await_listed("suppress", "", "", 1000, &more) == 51 && !more);
	ASSERT(await_listed("suppress", "x.test/", "", 1000, &more) == 50 && !more);
	ASSERT(await_listed("suppress", "x.test/", "x.test/44", 3, &more) == 3 && more);
	ASSERT(await_listed("suppress", "x.test/", "x.test/49", 3, &more) == 0 && !more);
	ASSERT(await_listed("sts", "", "", 1000, &more) == 1 && !more);

	/* time goes by: not found any more at once, and the rows go, a bounded number at a time */
	clock_sim_step(1001);
	ASSERT(await_listed("suppress", "", "", 1000, &more) == 0 && await_listed("sts", "", "", 1000, &more) == 1);
	for (int left = 52; left > 0; left -= 20) {
		struct txn *t = txn_begin(house.s.engine, true);
		ASSERT(memos_remove(t, 20, &more) == OK && more == (left >= 20));
		ASSERT(txn_commit(t) == OK);
		txn_end(&t);
	}
	struct row_sequence count;
	struct txn *t = txn_begin(house.s.engine, false);
	ASSERT(sequence_get(t, S("memos suppress"), &count) == OK && count.count == 0);
	ASSERT(sequence_get(t, S("memos sts"), &count) == OK && count.count == 1);
	txn_end(&t);
}

static void
memos(void **state)
{
	loop_sim_start(1700000000);
	on_new_house(memos_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(memos), cmocka_unit_test(full) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
