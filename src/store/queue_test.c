/* SPDX-License-Identifier: Apache-2.0 */
/* queue_test.c - rows for remote mail: claims under a lease, settling, holding, and the counts. */
#include "base/clock.h"
#include "base/counter.h"
#include "store/rows.h"
#include "store/rows_state.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct store_commit_out
await_commit(struct store_commit_in *in)
{
	static char id[16];
	struct store_commit_out out;
	random_bytes(id, sizeof id);
	in->id = slice_of(id, 16);
	ASSERT(await_store_commit(&house.relay, in, &house.a, &out) == OK);
	return out;
}

static void
await_queue(uint32_t ngroups, int64_t due)
{
	static struct store_recipient to = { .address = S_ROW("a@remote.test"), .notify = NOTIFY_FAILURE };
	struct store_group *groups = ARENA_ARRAY(&house.a, struct store_group, ngroups);
	for (uint32_t i = 0; i < ngroups; i++)
		groups[i] = (struct store_group){ arena_printf(&house.a, "remote%u.test", i), &to, 1, due };
	struct store_mail mail = { .body = body_of(S("Return-Path: <x>\r\n\r\nbody")),
		                       .groups = groups,
		                       .ngroups = ngroups };
	mail.envelope.reverse_path = S("me@x.test");
	mail.envelope.skip = 18;
	struct store_commit_in in = { .mails = &mail, .nmails = 1 };
	struct store_commit_out out = await_commit(&in);
	ASSERT(out.verdict == OK && out.rows == ngroups && out.ndelivered == 0);
}

static struct store_queue_claim_out
await_claim(int64_t now, uint32_t max)
{
	struct store_queue_claim_in in = { now, max, 60, 86400 };
	struct store_queue_claim_out out;
	ASSERT(await_store_queue_claim(&house.relay, &in, &house.a, &out) == OK);
	return out;
}

static uint32_t
await_settle(struct store_settle settle)
{
	struct store_commit_in in = { .settles = &settle, .nsettles = 1 };
	return await_commit(&in).verdict;
}

static struct store_queue_list_out
await_list(uint64_t after, uint64_t id)
{
	struct store_queue_list_in in = { after, id };
	struct store_queue_list_out out;
	ASSERT(await_store_queue_list(&house.admin, &in, &house.a, &out) == OK);
	return out;
}

static uint64_t
await_change(uint64_t id, uint32_t op)
{
	struct store_queue_change_in in = { id, op };
	struct store_queue_change_out out;
	ASSERT(await_store_queue_change(&house.admin, &in, &house.a, &out) == OK);
	return out.changed;
}

static size_t
rows_of_kind(char kind)
{
	struct txn *t = txn_begin(house.s.engine, false);
	char from[1] = { kind }, to[1] = { (char)(kind + 1) };
	struct range *r = range_begin(t, slice_of(from, 1), slice_of(to, 1), false);
	struct slice k, value;
	size_t n = 0;
	while (range_next(r, &k, &value))
		n++;
	ASSERT(range_end(&r) == OK);
	txn_end(&t);
	return n;
}

static void
claiming_body(void)
{
	await_queue(3, 100);
	await_sleep(2);
	ASSERT(house.queue_ready >= 1);
	struct store_queue_claim_out out = await_claim(99, 10);
	ASSERT(out.nrows == 0 && out.next == 100);
	out = await_claim(100, 2);
	ASSERT(out.nrows == 2 && out.next == 100 && out.rows[0].lease && out.rows[0].bytes == 24);
	ASSERT(slice_equal(out.rows[0].domain, S("remote0.test")) && out.rows[0].envelope.skip == 18);
	ASSERT(slice_equal(out.rows[0].recipients[0].address, S("a@remote.test")));
	struct store_queue_claim_out rest = await_claim(100, 10);
	ASSERT(rest.nrows == 1 && rest.next == 160); /* what is leased is nobody else's, until then */
	ASSERT(await_claim(159, 10).nrows == 0);

	/* settled: gone, and due again */
	ASSERT(await_settle((struct store_settle){ .id = out.rows[0].id, .lease = out.rows[0].lease, .gone = true }) == OK);
	struct store_recipient left = { .address = S("a@remote.test"), .reply = S("450 no"), .status = S("4.2.0") };
	struct store_settle later = { .id = out.rows[1].id, .lease = out.rows[1].lease, .due = 500, .tries = 1 };
	later.recipients = &left;
	later.nrecipients = 1;
	ASSERT(await_settle(later) == OK);
	ASSERT(await_settle(later) == ERR_CONFLICT);
	later.id = 999;
	ASSERT(await_settle(later) == ERR_NOT_FOUND);
	await_reopen();

	/* the third one's lease ends by itself */
	struct store_queue_claim_out again = await_claim(161, 10);
	ASSERT(again.nrows == 1 && again.rows[0].id == rest.rows[0].id && again.rows[0].lease != rest.rows[0].lease);
	ASSERT(await_settle((struct store_settle){ .id = rest.rows[0].id, .lease = rest.rows[0].lease, .gone = true }) ==
	       ERR_CONFLICT);
	again = await_claim(500, 10);
	ASSERT(again.nrows == 2);
	for (uint32_t i = 0; i < 2; i++)
		if (again.rows[i].id == out.rows[1].id)
			ASSERT(again.rows[i].tries == 1 && slice_equal(again.rows[i].recipients[0].reply, S("450 no")));
	for (uint32_t i = 0; i < 2; i++)
		ASSERT(await_settle(
		           (struct store_settle){ .id = again.rows[i].id, .lease = again.rows[i].lease, .gone = true }) == OK);
	ASSERT(rows_of_kind('q') == 0 && rows_of_kind('Q') == 0 && rows_of_kind('o') == 0);
	ASSERT(await_claim(1000, 10).next == 0);
}

static void
bodies_body(void)
{
	await_queue(1, 1);
	struct store_queue_claim_out out = await_claim(1, 1);
	struct store_queue_body_in in = { out.rows[0].id, 18, in_region() };
	struct store_queue_body_out got;
	ASSERT(await_store_queue_body(&house.relay, &in, &house.a, &got) == OK);
	ASSERT(got.total == 24 && got.filled == 6 && memcmp(house.region, "\r\nbody", 6) == 0);
	in.from = 24;
	ASSERT(await_store_queue_body(&house.relay, &in, &house.a, &got) == OK && got.filled == 0);
	in.id = 77;
	ASSERT(await_store_queue_body(&house.relay, &in, &house.a, &got) == ERR_NOT_FOUND);
}

static void
people_body(void)
{
	await_queue(250, 100);
	struct store_queue_list_out out = await_list(0, 0);
	ASSERT(out.nrows == 100 && out.more);
	uint64_t id = out.rows[99].id;
	ASSERT(await_list(id, 0).rows[0].id > id && await_list(0, id).nrows == 1);
	ASSERT(await_change(id, QUEUE_HOLD) == 1 && await_change(id, QUEUE_HOLD) == 0);
	ASSERT(await_list(0, id).rows[0].held);
	size_t claimed = 0;
	for (struct store_queue_claim_out c; (c = await_claim(100, 64)).nrows;)
		claimed += c.nrows;
	ASSERT(claimed == 249);
	ASSERT(await_change(id, QUEUE_RELEASE) == 1);
	ASSERT(await_claim(clock_wall_sec() + 1, 64).nrows == 64); /* the one, and leases that ended long ago */
	ASSERT(await_change(0, QUEUE_HOLD) == 250 && rows_of_kind('Q') == 0);
	ASSERT(await_change(0, QUEUE_RELEASE) == 250 && rows_of_kind('Q') == 250);
	ASSERT(await_change(0, QUEUE_RETRY) == 250);
	ASSERT(await_change(0, QUEUE_DELETE) == 250 && rows_of_kind('q') == 0 && rows_of_kind('o') == 0);
	struct store_queue_change_in in = { id, QUEUE_HOLD };
	struct store_queue_change_out changed;
	ASSERT(await_store_queue_change(&house.admin, &in, &house.a, &changed) == ERR_NOT_FOUND);
	in.op = 99;
	ASSERT(await_store_queue_change(&house.admin, &in, &house.a, &changed) == ERR_SYNTAX);
}

static void
many_rows_body(void)
{
	for (int i = 0; i < 5; i++)
		await_queue(500, 100);
	ASSERT(await_change(0, QUEUE_HOLD) == 2500); /* in several transactions */
	ASSERT(await_change(0, QUEUE_DELETE) == 2500 && rows_of_kind('q') == 0);
	ASSERT(counters[COUNTER_QUEUE_ROWS] == 0);
}

/* The clock was a year ahead when mail came, and is right now: what waits does not wait for a year; what is being sent
 * is not sent twice. */
static void
clock_set_back_body(void)
{
	const int64_t now = 1000000, ahead = now + 365LL * 24 * 3600;
	await_queue(3, ahead);
	struct store_queue_claim_out sent = await_claim(ahead, 1);
	ASSERT(sent.nrows == 1);
	await_queue(1, now + 3600); /* a usual wait */
	struct store_queue_claim_out out = await_claim(now, 10);
	ASSERT(out.nrows == 2 && out.rows[0].id != sent.rows[0].id && out.rows[1].id != sent.rows[0].id);
	ASSERT(out.next == now + 3600);
	out = await_claim(now, 10);
	ASSERT(out.nrows == 0 && out.next == now + 60); /* the end of the leases */
	ASSERT(await_settle((struct store_settle){ .id = sent.rows[0].id, .lease = sent.rows[0].lease, .gone = true }) ==
	       OK);
}

/* ---- order, appointments, pauses, changes */

static void
await_queue_as(struct slice domain, int64_t priority, uint32_t class, int64_t appointment)
{
	struct store_recipient *to = ARENA_NEW(&house.a, struct store_recipient);
	to->address = arena_join(&house.a, S("u@"), domain);
	struct store_group group = { domain, to, 1, appointment ? appointment : 100, appointment != 0, false };
	struct store_mail mail = { .body = body_of(S("x")), .groups = &group, .ngroups = 1 };
	mail.envelope.reverse_path = S("Me@x.test");
	mail.envelope.priority = priority;
	mail.envelope.class = class;
	struct store_commit_in in = { .mails = &mail, .nmails = 1 };
	ASSERT(await_commit(&in).verdict == OK);
}

/* Of a hundred of each, the first claim brings the urgent ones, and an eighth of each other band. */
static void
order_body(void)
{
	for (int i = 0; i < 100; i++) {
		await_queue_as(S("bulk.test"), 0, CLASS_BULK, 0);
		await_queue_as(S("plain.test"), 0, CLASS_PERSONAL, 0);
		await_queue_as(S("urgent.test"), i % 2 ? 9 : 1, CLASS_PERSONAL, 0);
	}
	struct store_queue_claim_out out = await_claim(100, 64);
	uint32_t urgent = 0, plain = 0, bulk = 0;
	for (uint32_t i = 0; i < out.nrows; i++) {
		urgent += slice_equal(out.rows[i].domain, S("urgent.test"));
		plain += slice_equal(out.rows[i].domain, S("plain.test"));
		bulk += slice_equal(out.rows[i].domain, S("bulk.test"));
		ASSERT(i == 0 || out.rows[i - 1].envelope.priority >= out.rows[i].envelope.priority);
	}
	ASSERT(out.nrows == 64 && urgent == 48 && plain == 8 && bulk == 8 && out.next <= 100);
}

/* RFC 6531 3.2: what DNS is asked for; recipients keep what was written. */
static void
a_labels_body(void)
{
	await_queue_as(S("M\xc3\xbcnchen.test"), 0, CLASS_PERSONAL, 0);
	await_queue_as(S("Plain.test"), 0, CLASS_PERSONAL, 0);
	await_queue_as(S("\xc3\xbc\xff.test"), 0, CLASS_PERSONAL, 0); /* no domain at all */
	struct store_queue_claim_out out = await_claim(100, 10);
	ASSERT(out.nrows == 3 && slice_equal(out.rows[0].domain, S("xn--mnchen-3ya.test")));
	ASSERT(slice_equal(out.rows[0].recipients[0].address, S("u@M\xc3\xbcnchen.test")));
	ASSERT(slice_equal(out.rows[1].domain, S("Plain.test")) && slice_equal(out.rows[2].domain, S("\xc3\xbc\xff.test")));
}

/* A time that somebody asked for is not one of a wrong clock. */
static void
appointments_body(void)
{
	const int64_t far = 100LL * 86400;
	await_queue_as(S("later.test"), 0, CLASS_PERSONAL, far);
	struct store_queue_claim_out out = await_claim(100, 10);
	ASSERT(out.nrows == 0 && out.next == far && await_list(0, 0).rows[0].state == QUEUE_STATE_WAITING);
	ASSERT(await_claim(far, 10).nrows == 1);
}

static void
await_pause(struct slice scope, int64_t until)
{
	struct store_memo memo = { S("pause"), scope, S(""), until };
	struct store_memo_put_in in = { &memo, 1 };
	struct store_memo_put_out out;
	ASSERT(await_store_memo_put(&house.admin, &in, &house.a, &out) == OK);
}

static void
pauses_body(void)
{
	int64_t now = clock_wall_sec(), end = now + 3600;
	await_queue_as(S("Two.test"), 0, CLASS_PERSONAL, 0);
	await_queue_as(S("one.test"), 0, CLASS_PERSONAL, 0);
	await_pause(S("domain/two.test"), end);
	struct store_queue_claim_out out = await_claim(now, 10);
	ASSERT(out.nrows == 1 && slice_equal(out.rows[0].domain, S("one.test")));
	ASSERT(await_settle((struct store_settle){ .id = out.rows[0].id, .lease = out.rows[0].lease, .gone = true }) == OK);
	ASSERT(await_claim(now, 10).nrows == 0 && await_list(0, 0).rows[0].state == QUEUE_STATE_PAUSED);
	await_reopen(); /* after a restart, too */
	ASSERT(await_claim(now, 10).nrows == 0);
	await_pause(S("sender/me@x.test"), end);
	await_pause(S("domain/two.test"), 0);
	ASSERT(await_change(0, QUEUE_RESUME) == 1);
	ASSERT(await_claim(now, 10).nrows == 0); /* another scope holds it */
	await_pause(S("sender/me@x.test"), 0);
	ASSERT(await_change(0, QUEUE_RESUME) == 1 && await_change(0, QUEUE_RESUME) == 0);
	ASSERT(await_claim(now, 10).nrows == 1);
}

/* The last ten tries are remembered, and shown with the row alone. */
static void
attempts_body(void)
{
	await_queue(1, 1);
	struct store_recipient left = { .address = S("a@remote.test"), .reply = S("450 Mailbox busy") };
	uint64_t id = 0;
	for (int64_t i = 1; i <= 12; i++) {
		struct store_queue_claim_out c = await_claim(i, 1);
		ASSERT(c.nrows == 1 && c.rows[0].nattempts == 0);
		id = c.rows[0].id;
		struct store_settle s = {
			.id = id, .lease = c.rows[0].lease, .due = i + 1, .recipients = &left, .nrecipients = 1
		};
		s.attempt = (struct store_attempt){ i, S("mx.remote.test"), S("450 Mailbox busy") };
		ASSERT(await_settle(s) == OK);
	}
	struct store_queue_list_out out = await_list(0, id);
	ASSERT(out.rows[0].nattempts == 10 && out.rows[0].attempts[0].at == 3 && out.rows[0].attempts[9].at == 12);
	struct store_queue_list_in in = { .filter = { .reason = S("BUSY"), .sender = S("@X.test") } };
	ASSERT(await_store_queue_list(&house.admin, &in, &house.a, &out) == OK && out.nrows == 1 && out.last == id);
	in.filter.recipient = S("nobody@remote.test");
	ASSERT(await_store_queue_list(&house.admin, &in, &house.a, &out) == OK && out.nrows == 0 && !out.more);
}

/* ---- leases and their holders */

static struct store_queue_claim_out
await_claim_now(uint32_t lease_sec, int64_t horizon)
{
	struct store_queue_claim_in in = { clock_wall_sec(), 64, lease_sec, horizon };
	struct store_queue_claim_out out;
	ASSERT(await_store_queue_claim(&house.relay, &in, &house.a, &out) == OK);
	return out;
}

/* How many of these leases are lost. */
static uint32_t
await_renew(const struct store_queue_row *rows, uint32_t n, uint32_t lease_sec)
{
	struct store_queue_lease *leases = ARENA_ARRAY(&house.a, struct store_queue_lease, n + 1);
	for (uint32_t i = 0; i < n; i++)
		leases[i] = (struct store_queue_lease){ rows[i].id, rows[i].lease };
	struct store_queue_renew_in in = { clock_wall_sec(), lease_sec, leases, n };
	struct store_queue_renew_out out;
	ASSERT(await_store_queue_renew(&house.relay, &in, &house.a, &out) == OK);
	return out.nlost;
}

static struct store_settle
gone(const struct store_queue_row *row)
{
	return (struct store_settle){ .id = row->id, .lease = row->lease, .gone = true };
}

/* The relay process ends and another one comes. */
static void
await_new_relay(void)
{
	ipc_client_release(&house.relay);
	client_init(&house.relay);
	house_connect(&house.relay, IPC_CLASS_RELAY);
	await_sleep(20);
}

static void
holder_gone_body(void)
{
	await_queue(3, 0);
	struct store_queue_claim_out out = await_claim_now(600, 0);
	ASSERT(out.nrows == 3 && await_claim_now(600, 0).nrows == 0);
	ASSERT(await_settle(gone(&out.rows[0])) == OK);
	await_sleep(5);
	house.queue_ready = 0;
	await_new_relay();
	ASSERT(house.queue_ready == 1); /* it is told */
	struct store_queue_claim_out again = await_claim_now(600, 0);
	ASSERT(again.nrows == 2 && again.rows[0].lease != out.rows[0].lease);
	ASSERT(await_settle(gone(&out.rows[1])) == ERR_CONFLICT);
	ASSERT(await_settle(gone(&again.rows[0])) == OK && await_settle(gone(&again.rows[1])) == OK);
	ASSERT(rows_of_kind('q') == 0 && rows_of_kind('Q') == 0 && house.s.rows->held.count == 0);
}

/* No more than the connection was lost: what was held still is, as long as nobody claimed it. */
static void
connection_lost_body(void)
{
	await_queue(2, 0);
	struct store_queue_claim_out out = await_claim_now(600, 0);
	await_new_relay();
	ASSERT(await_settle(gone(&out.rows[0])) == OK);
	ASSERT(await_renew(&out.rows[1], 1, 600) == 0 && await_claim_now(600, 0).nrows == 0);
	await_new_relay(); /* held by the second one by its renewal */
	ASSERT(await_claim_now(600, 0).nrows == 1);
	ASSERT(await_renew(&out.rows[1], 1, 600) == 1);
}

static void
commit_and_die(void *arg)
{
	struct store_settle *settle = arg;
	struct store_commit_in in = { .settles = settle, .nsettles = 1, .id = S("0123456789abcdef") };
	struct store_commit_out out;
	struct arena a;
	arena_init(&a, 0);
	(void)await_store_commit(&house.relay, &in, &a, &out);
	arena_release(&a);
}

/* A settle that was asked for before the connection closed is made before the leases end. */
static void
killed_while_committing_body(void)
{
	await_queue(2, 0);
	struct store_queue_claim_out out = await_claim_now(600, 0);
	struct store_settle settle = gone(&out.rows[0]);
	ASSERT(task_start(commit_and_die, &settle));
	await_turn(); /* it is sent */
	await_new_relay();
	struct store_queue_claim_out again = await_claim_now(600, 0);
	ASSERT(again.nrows == 1 && again.rows[0].id == out.rows[1].id);
	ASSERT(house.s.rows->held.count == 1);
}

static void
claim_and_die(void *arg)
{
	struct store_queue_claim_in in = { clock_wall_sec(), 64, 600, 0 };
	struct store_queue_claim_out out;
	struct arena a;
	arena_init(&a, 0);
	(void)await_store_queue_claim(&house.relay, &in, &a, &out);
	arena_release(&a);
}

static void
killed_while_claiming_body(void)
{
	await_queue(2, 0);
	ASSERT(task_start(claim_and_die, NULL));
	await_turn();
	await_new_relay();
	uint32_t n = 0; /* the claim of who died may still be on its way to the disk */
	for (int i = 0; i < 500 && n < 2; i++) {
		n += await_claim_now(600, 0).nrows;
		await_sleep(n < 2 ? 10 : 0);
	}
	ASSERT(n == 2);
}

/* The store dies: leases stay in their rows and are known again with the next renewal. */
static void
store_killed_body(void)
{
	await_queue(2, 0);
	struct store_queue_claim_out out = await_claim_now(600, 0);
	house.s.broken = ERR_IO; /* nothing is written any more */
	await_reopen();
	ASSERT(house.s.rows->held.count == 0 && await_claim_now(600, 0).nrows == 0);
	ASSERT(await_renew(out.rows, 2, 600) == 0 && house.s.rows->held.count == 2);
	await_new_relay();
	ASSERT(await_claim_now(600, 0).nrows == 2);
}

/* A renewal may cross a settle, and the settle a new claim: it names what it is about by lease. */
static void
renewing_body(void)
{
	await_queue(4, 0);
	struct store_queue_claim_out out = await_claim_now(1, 0);
	ASSERT(out.nrows == 4 && await_renew(out.rows, 4, 600) == 0);
	await_sleep(1100);
	ASSERT(await_claim_now(600, 0).nrows == 0); /* it was renewed */
	struct store_settle later = gone(&out.rows[1]);
	later.gone = false;
	later.recipients = out.rows[1].recipients;
	later.nrecipients = 1;
	later.due = clock_wall_sec();
	ASSERT(await_settle(gone(&out.rows[0])) == OK && await_settle(later) == OK);
	ASSERT(await_renew(out.rows, 4, 600) == 2);
	struct store_queue_claim_out again = await_claim_now(600, 0);
	ASSERT(again.nrows == 1 && again.rows[0].id == out.rows[1].id);
	ASSERT(await_renew(out.rows, 4, 600) == 2); /* the old lease is no longer that of row 1 */
	ASSERT(await_settle(gone(&again.rows[0])) == OK);

	/* given back: due at once, and those that are held stay held */
	ASSERT(await_change(out.rows[2].id, QUEUE_HOLD) == 1);
	await_sleep(5);
	house.queue_ready = 0;
	ASSERT(await_renew(out.rows + 2, 2, 0) == 0);
	await_sleep(5);
	ASSERT(house.queue_ready == 1 && house.s.rows->held.count == 0);
	again = await_claim_now(600, 0);
	ASSERT(again.nrows == 1 && again.rows[0].id == out.rows[3].id);
	ASSERT(await_change(out.rows[3].id, QUEUE_DELETE) == 1);
	ASSERT(await_renew(again.rows, 1, 600) == 1 && house.s.rows->held.count == 0);
	ASSERT(await_renew(out.rows, 0, 600) == 0);
}

static void
lease_limits_body(void)
{
	for (int i = 0; i < 5; i++)
		await_queue(1000, 100);
	struct store_queue_claim_in in = { 100, 64, 60, 0 };
	struct store_queue_claim_out out;
	enum err e = OK;
	uint32_t claims = 0;
	while (claims < 100 && (e = await_store_queue_claim(&house.relay, &in, &house.a, &out)) == OK)
		claims++;
	ASSERT(e == ERR_LIMIT && claims == 64);
	in.now = -1;
	ASSERT(await_store_queue_claim(&house.relay, &in, &house.a, &out) == ERR_SYNTAX);
	in = (struct store_queue_claim_in){ 1, 1, 1, INT64_MAX };
	ASSERT(await_store_queue_claim(&house.relay, &in, &house.a, &out) == ERR_SYNTAX);
	struct store_queue_renew_in renew = { INT64_MIN, 1, NULL, 0 };
	struct store_queue_renew_out renewed;
	ASSERT(await_store_queue_renew(&house.relay, &renew, &house.a, &renewed) == ERR_SYNTAX);
	renew.now = 0;
	ASSERT(await_store_queue_renew(&house.user, &renew, &house.a, &renewed) == ERR_DENIED);
	await_new_relay(); /* all that was held ends, in several updates */
	ASSERT(house.s.rows->held.count == 0 && await_claim(100, 64).nrows == 64);
}

/* Due further ahead than the horizon: scheduled by a clock that was wrong. */
static void
horizon_body(void)
{
	const int64_t day = 86400, hour = 3600;
	int64_t now = clock_wall_sec();
	await_queue(1, now + day);
	await_queue(1, now + hour);
	struct store_queue_claim_out out = await_claim_now(600, 0);
	ASSERT(out.nrows == 0 && out.next == now + hour);
	out = await_claim_now(600, 5 * hour);
	ASSERT(out.nrows == 1 && out.rows[0].due == now + day && out.next == now + hour);
	ASSERT(await_claim_now(600, 5 * hour).nrows == 0);

	/* a lease that the wrong clock gave is not given again while somebody holds it, and is afterwards */
	struct store_queue_lease wrong = { out.rows[0].id, out.rows[0].lease };
	struct store_queue_renew_in in = { now + day, 600, &wrong, 1 };
	struct store_queue_renew_out renewed;
	ASSERT(await_store_queue_renew(&house.relay, &in, &house.a, &renewed) == OK && renewed.nlost == 0);
	struct store_queue_claim_out none = await_claim_now(600, 5 * hour);
	ASSERT(none.nrows == 0 && none.next == now + hour);
	house.s.broken = ERR_IO;
	await_reopen();
	ASSERT(await_claim_now(600, 5 * hour).nrows == 1); /* nobody holds it that we know of */
	await_new_relay();
	ASSERT(await_claim_now(600, 5 * hour).nrows == 1); /* its lease ended, whatever the row is due */
}

/* Two relays on one store, one of which is slow: no row is held by both, a lease that ended is claimed by the other,
 * and what the slow one says afterwards is not taken. A row is gone once. */
struct claimer {
	struct ipc_client client;
	uint64_t leases[100]; /* by row; 0: it has none */
};
static struct {
	struct claimer both[2];
	int holder[100];
	int64_t until[100];
	unsigned gone[100], conflicts, taken_over;
	uint64_t dice;
} race;

/* The same throws in each run. */
static unsigned
race_dice(unsigned below)
{
	race.dice ^= race.dice << 13;
	race.dice ^= race.dice >> 7;
	race.dice ^= race.dice << 17;
	return (unsigned)(race.dice % below);
}

static void
await_race_claim(int who, int64_t now)
{
	struct store_queue_claim_in in = { now, 1 + race_dice(5), 10, 86400 };
	struct store_queue_claim_out out;
	ASSERT(await_store_queue_claim(&race.both[who].client, &in, &house.a, &out) == OK);
	for (uint32_t i = 0; i < out.nrows; i++) {
		uint64_t id = out.rows[i].id;
		ASSERT(id < 100 && race.gone[id] == 0);
		ASSERT(race.until[id] <= now); /* nobody has it */
		race.taken_over += race.until[id] && race.holder[id] != who;
		race.holder[id] = who;
		race.until[id] = now + 10;
		race.both[who].leases[id] = out.rows[i].lease;
	}
}

static void
await_race_settle(int who, uint64_t id)
{
	static char commit[16];
	struct store_settle settle = { .id = id, .lease = race.both[who].leases[id], .gone = true };
	struct store_commit_in in = { .settles = &settle, .nsettles = 1, .id = slice_of(commit, 16) };
	struct store_commit_out out;
	random_bytes(commit, sizeof commit);
	enum err e = await_store_commit(&race.both[who].client, &in, &house.a, &out);
	e = e ? e : (enum err)out.verdict;
	bool mine = race.holder[id] == who && race.gone[id] == 0;
	ASSERT(e == (mine ? OK : race.gone[id] ? ERR_NOT_FOUND : ERR_CONFLICT));
	race.gone[id] += e == OK;
	race.conflicts += e != OK;
	race.both[who].leases[id] = 0;
}

static void
two_claimers_body(void)
{
	enum { ROWS = 60 };
	memset(&race, 0, sizeof race);
	race.dice = 88172645463325252u;
	for (int i = 0; i < 2; i++) {
		client_init(&race.both[i].client);
		house_connect(&race.both[i].client, IPC_CLASS_RELAY);
	}
	for (int i = 0; i < ROWS; i++)
		await_queue(1, 100);
	int64_t now = 100;
	for (unsigned left = ROWS; left > 0; now++) {
		ASSERT(now < 2000);
		await_race_claim((int)(now & 1), now);
		for (uint64_t id = 1; id <= ROWS; id++)
			for (int who = 0; who < 2; who++) /* 1 is slow: it often comes after its lease */
				if (race.both[who].leases[id] && race_dice(who ? 16 : 4) == 0)
					await_race_settle(who, id);
		left = ROWS;
		for (uint64_t id = 1; id <= ROWS; id++)
			left -= race.gone[id];
	}
	ASSERT(race.conflicts > 0 && race.taken_over > 0);
	ASSERT(rows_of_kind('q') == 0 && rows_of_kind('Q') == 0);
	for (int i = 0; i < 2; i++)
		ipc_client_release(&race.both[i].client);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(claiming)
HOUSE_TEST(bodies)
HOUSE_TEST(people)
HOUSE_TEST(many_rows)
HOUSE_TEST(clock_set_back)
HOUSE_TEST(holder_gone)
HOUSE_TEST(connection_lost)
HOUSE_TEST(killed_while_committing)
HOUSE_TEST(killed_while_claiming)
HOUSE_TEST(store_killed)
HOUSE_TEST(renewing)
HOUSE_TEST(lease_limits)
HOUSE_TEST(horizon)
HOUSE_TEST(order)
HOUSE_TEST(a_labels)
HOUSE_TEST(appointments)
HOUSE_TEST(pauses)
HOUSE_TEST(attempts)
HOUSE_TEST(two_claimers)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claiming),
		cmocka_unit_test(two_claimers),
		cmocka_unit_test(bodies),
		cmocka_unit_test(people),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(holder_gone),
		cmocka_unit_test(connection_lost),
		cmocka_unit_test(killed_while_committing),
		cmocka_unit_test(killed_while_claiming),
		cmocka_unit_test(store_killed),
		cmocka_unit_test(renewing),
		cmocka_unit_test(lease_limits),
		cmocka_unit_test(horizon),
		cmocka_unit_test(order),
		cmocka_unit_test(a_labels),
		cmocka_unit_test(appointments),
		cmocka_unit_test(pauses),
		cmocka_unit_test(attempts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
