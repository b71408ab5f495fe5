/* SPDX-License-Identifier: Apache-2.0 */
/* bounced_test.c - what comes back, through the store's protocol: whom it suppresses and when, whom it does not, and
 * what goes with an account or a domain. */
#include "base/clock.h"
#include "mail/bounce.h"
#include "store/memo.h"
#include "store/rows.h"
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY_SEC 86400

static uint64_t alice;

static int64_t
today(void)
{
	return clock_wall_sec() / DAY_SEC;
}

/* The return path, or the field, of mail that alice sent to an address on a day. */
static struct slice
path_to(const char *address, int64_t day, bool field)
{
	uint8_t key[VERP_KEY_BYTES];
	struct buf b;
	verp_key(house.s.rows->verp_key, alice, day, S("x.test"), key);
	buf_init(&b, 1000);
	ASSERT((field ? verp_field_put : verp_put)(&b, key, alice, day, S("x.test"), slice_text(address)));
	struct slice kept = slice_keep(&house.a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

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
await_return(struct slice path, enum bounce_kind kind, enum bounce_class class, const char *at)
{
	struct store_returned r = { .path = path, .kind = kind, .class = class, .said = S("550 no"), .at = slice_text(at) };
	struct store_commit_in in = { .returns = &r, .nreturns = 1 };
	struct store_commit_out out = await_commit(&house.user, &in);
	ASSERT(out.verdict == OK);
	return out;
}

/* The reason; SUPPRESS_REASONS: none. */
static unsigned
await_reason(const char *address)
{
	struct store_resolve_in in = { .address = slice_text(address), .sender = S("alice@x.test") };
	struct store_resolve_out out;
	ASSERT(await_store_resolve(&house.user, &in, &house.a, &out) == OK);
	return out.suppressed.len ? out.reason : SUPPRESS_REASONS;
}

static void
await_set(const char *feedback)
{
	struct store_domain_set_in in = { S("x.test"), { .verp = true, .feedback = slice_text(feedback) } };
	struct store_domain_set_out out;
	ASSERT(await_store_domain_set(&house.admin, &in, &house.a, &out) == OK);
}

static void
await_begin(void)
{
	await_domain_add("x.test");
	alice = await_account("alice@x.test", RIGHTS_USER, 0);
	house.conf.v.suppression = house.conf.v.suppression_bounces = true;
	house.conf.v.suppression_lifetime = 180ll * DAY_SEC * 1000;
	house.conf.v.suppression_soft_bounces = 3;
	house.conf.v.suppression_soft_window = 30ll * DAY_SEC * 1000;
	await_set("");
}

static void
bounces_body(void)
{
	await_begin();
	await_return(path_to("a@far.test", today(), false), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	ASSERT(await_reason("A@far.test") == SUPPRESS_HARD);
	await_return(path_to("b@far.test", today(), false), BOUNCE_FAILED, BOUNCE_BLOCKED, "");
	ASSERT(await_reason("b@far.test") == SUPPRESS_REASONS);
	await_return(path_to("b@far.test", today() - VERP_DAYS - 1, false), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	ASSERT(await_reason("b@far.test") == SUPPRESS_REASONS);

	/* on three days of the last thirty */
	static const int64_t back[] = { 50, 40, 31, 20, 20, 10 };
	for (size_t i = 0; i < COUNT_OF(back); i++)
		await_return(path_to("s@far.test", today() - back[i], false), BOUNCE_FAILED, BOUNCE_FULL, "");
	ASSERT(await_reason("s@far.test") == SUPPRESS_REASONS);
	await_return(path_to("s@far.test", today(), false), BOUNCE_FAILED, BOUNCE_UNKNOWN, "");
	ASSERT(await_reason("s@far.test") == SUPPRESS_SOFT);
	await_return(path_to("s@far.test", today() - 1, false), BOUNCE_FAILED, BOUNCE_NO_DOMAIN, "");
	ASSERT(await_reason("s@far.test") == SUPPRESS_HARD); /* the worse reason stands */
	await_return(path_to("s@far.test", today() - 2, false), BOUNCE_FAILED, BOUNCE_FULL, "");
	ASSERT(await_reason("s@far.test") == SUPPRESS_HARD);

	/* a field is for complaints, a letter of no way signed for nobody */
	await_return(path_to("f@far.test", today(), true), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	await_return(S("bounce+aabbbbbbbbbbbbc=f=far.test@x.test"), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	ASSERT(await_reason("f@far.test") == SUPPRESS_REASONS);
	house.conf.v.suppression_bounces = false;
	await_return(path_to("f@far.test", today(), false), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	ASSERT(await_reason("f@far.test") == SUPPRESS_REASONS);
	clock_sim_step(181ll * DAY_SEC);
	ASSERT(await_reason("a@far.test") == SUPPRESS_REASONS);
}

static void
bounces(void **state)
{
	loop_sim_start(1700000000);
	on_new_house(bounces_body);
}

static void
complaints_body(void)
{
	await_begin();
	house.conf.v.breaker_complaints = 1;
	await_return(path_to("a@far.test", today(), true), BOUNCE_COMPLAINT, BOUNCE_UNKNOWN, "fbl@x.test");
	ASSERT(await_reason("a@far.test") == SUPPRESS_REASONS); /* no such address */
	await_set("fbl@x.test");
	await_return(path_to("a@far.test", today(), true), BOUNCE_COMPLAINT, BOUNCE_UNKNOWN, "other@x.test");
	ASSERT(await_reason("a@far.test") == SUPPRESS_REASONS);
	static const char *const names[] = { "a@far.test", "b@far.test", "c@far.test", "d@far.test", "e@far.test" };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct store_commit_out out;
		await_return(path_to(names[i], today(), i % 2), BOUNCE_FAILED, BOUNCE_FULL, "");
		out = await_return(path_to(names[i], today(), i % 2), BOUNCE_COMPLAINT, BOUNCE_UNKNOWN, "FBL@x.test");
		ASSERT(await_reason(names[i]) == SUPPRESS_COMPLAINT && (out.tripped.len > 0) == (i == 4));
		await_return(path_to(names[i], today(), i % 2), BOUNCE_COMPLAINT, BOUNCE_UNKNOWN, "FBL@x.test");
	}
	await_return(path_to("a@far.test", today() - 1, false), BOUNCE_FAILED, BOUNCE_NO_USER, "");
	ASSERT(await_reason("a@far.test") == SUPPRESS_COMPLAINT);
	struct store_resolve_in in = { .address = S("fbl@x.test") };
	struct store_resolve_out out;
	ASSERT(await_store_resolve(&house.mx, &in, &house.a, &out) == OK && out.feedback);
	await_set("");
	ASSERT(await_store_resolve(&house.mx, &in, &house.a, &out) == OK && !out.feedback);
}

static void
complaints(void **state)
{
	on_new_house(complaints_body);
}

/* What relay is refused at once: under the lease that it has. */
static void
refusals_body(void)
{
	await_begin();
	struct store_recipient r[] = { { .address = S("a@far.test") }, { .address = S("b@far.test") } };
	struct store_group g = { S("far.test"), r, 2 };
	struct store_mail mail = { .body = body_of(S("x")), .groups = &g, .ngroups = 1 };
	mail.envelope = (struct store_envelope){ .account = alice, .reverse_path = S("alice@x.test"), .class = CLASS_BULK };
	struct store_commit_in send = { .mails = &mail, .nmails = 1 };
	ASSERT(await_commit(&house.user, &send).verdict == OK);
	struct store_queue_claim_in ask = { clock_wall_sec() + 1, 64, 60, 0 };
	struct store_queue_claim_out rows;
	ASSERT(await_store_queue_claim(&house.relay, &ask, &house.a, &rows) == OK && rows.nrows == 1);
	ASSERT(rows.rows[0].verp.len == VERP_KEY_BYTES && !rows.rows[0].forward);
	struct store_bounced bounced = { S("a@far.test"), BOUNCE_NO_USER, S("550 no") };
	struct store_settle settle = { .id = rows.rows[0].id, .lease = rows.rows[0].lease, .gone = true, .failed = 1 };
	settle.bounced = &bounced;
	settle.nbounced = 1;
	struct store_commit_in in = { .settles = &settle, .nsettles = 1 };
	settle.lease++;
	ASSERT(await_commit(&house.relay, &in).verdict == ERR_CONFLICT && await_reason("a@far.test") == SUPPRESS_REASONS);
	settle.lease--;
	bounced.said = S("two\nlines");
	ASSERT(await_commit(&house.relay, &in).verdict == ERR_SYNTAX);
	bounced.said = S("550 no");
	ASSERT(await_commit(&house.relay, &in).verdict == OK && await_reason("a@far.test") == SUPPRESS_HARD);
	ASSERT(await_reason("b@far.test") == SUPPRESS_REASONS);
	struct store_returned bad = { .path = S("x"), .kind = BOUNCE_DELAYED };
	struct store_commit_in strange = { .returns = &bad, .nreturns = 1 };
	ASSERT(await_commit(&house.user, &strange).verdict == ERR_SYNTAX);
}

static void
refusals(void **state)
{
	on_new_house(refusals_body);
}

static uint64_t
await_count(const char *kind, const char *prefix)
{
	struct store_memo_list_in in = { .kind = slice_text(kind), .prefix = slice_text(prefix), .max = 1000 };
	struct store_memo_list_out out;
	ASSERT(await_store_memo_list(&house.admin, &in, &house.a, &out) == OK);
	return out.nmemos;
}

/* Hundreds of each kind, in steps, and through a restart in the middle. */
static void
forgotten_body(void)
{
	await_begin();
	await_domain_add("gone.test");
	for (int i = 0; i < 700; i++) {
		struct store_memo m[2] = { { S("suppress"), SLICE_NONE, S("hard x 1 x"), MEMO_FOREVER },
			                       { S("suppress"), SLICE_NONE, S("hard x 1 x"), MEMO_FOREVER } };
		m[0].name = arena_printf(&house.a, "gone.test/%d@far.test", i);
		m[1].name = arena_printf(&house.a, "x.test/%d@far.test", i);
		struct store_memo_put_in in = { m, i < 10 ? 2 : 1 };
		struct store_memo_put_out out;
		ASSERT(await_store_memo_put(&house.admin, &in, &house.a, &out) == OK);
	}
	house.conf.v.limits_distinct_per_day = 100000;
	struct store_recipient r = { .address = S("a@far.test") };
	struct store_group g = { S("far.test"), &r, 1 };
	struct store_mail mail = { .body = body_of(S("x")), .groups = &g, .ngroups = 1 };
	mail.envelope = (struct store_envelope){ .account = alice, .reverse_path = S("alice@x.test") };
	struct store_commit_in send = { .mails = &mail, .nmails = 1 };
	ASSERT(await_commit(&house.user, &send).verdict == OK);
	struct slice name = arena_printf(&house.a, "%llu", (unsigned long long)alice);
	ASSERT(await_count("known", "") == 1 && await_count("sent", name.at) == 1);
	struct store_domain_delete_in gone = { S("gone.test") };
	struct store_domain_delete_out gone_out;
	struct store_account_delete_in left = { S("alice@x.test") };
	struct store_account_delete_out left_out;
	ASSERT(await_store_domain_delete(&house.admin, &gone, &house.a, &gone_out) == OK);
	ASSERT(await_store_account_delete(&house.admin, &left, &house.a, &left_out) == OK);
	await_reopen();
	for (int i = 0; i < 1000 && await_count("forgotten", ""); i++)
		await_sleep(10);
	ASSERT(await_count("forgotten", "") == 0);
	ASSERT(await_count("suppress", "gone.test/") == 0 && await_count("suppress", "x.test/") == 10);
	ASSERT(await_count("known", "") == 0 && await_count("sent", "") == 0);
}

static void
forgotten(void **state)
{
	on_new_house(forgotten_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bounces), cmocka_unit_test(complaints),
		                                cmocka_unit_test(refusals), cmocka_unit_test(forgotten) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
