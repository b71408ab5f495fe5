/* SPDX-License-Identifier: Apache-2.0 */
/* relay_test.c - the relay role among scripted strangers, under the simulated clock: five days of retries in
 * milliseconds. Every retry time and every notice is asserted. */
#include "relay/relay_testing.h"

static const struct zone_row bad_zone[] = {
	{ .name = "nowhere.test", .type = DNS_ANY, .verdict = ERR_NOT_FOUND },
	{ .name = "broken.test", .type = DNS_ANY, .verdict = ERR_AGAIN },
	{ .name = "nomail.test", .type = DNS_MX, .bytes = S_ROW("\0\0\0") }, /* RFC 7505: preference 0, the root */
	{ .name = "loop.test", .type = DNS_MX, .bytes = S_ROW("\0\x0a\4here\4test\0") },
	{ .name = "tarpit.test", .type = DNS_MX, .bytes = S_ROW("\0\x14\1a\6tarpit\4test\0") },
	{ .name = "tarpit.test", .type = DNS_MX, .bytes = S_ROW("\0\x0a\1b\6tarpit\4test\0") },
	{ .name = ".tarpit.test", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1"), .times = 32 },
	{ .name = "home.test", .type = DNS_A, .bytes = S_ROW("\x7f\0\0\1") },
	{ .name = "*", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1") },
};

static void
play_in_bad_zone(const char *domain)
{
	play.domain = domain;
	play.zone = bad_zone;
	play.nzone = COUNT_OF(bad_zone);
}

static bool
tried_once(void *arg)
{
	(void)arg;
	return play.tries_kept > 0;
}

/* ---- the tests */

static void
delivered(void **state)
{
	(void)state;
	run_script(&accepts);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 0);
	assert_true(slice_equal(buf_slice(&play.received), play.body));
	assert_non_null(strstr(play.mail_from, "MAIL FROM:<a@here.test> SIZE="));
	assert_int_equal(clock_wall_sec() - BORN, 0);
}

static void
old_servers(void **state)
{
	(void)state;
	run_script(*state);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 0);
	assert_true(slice_equal(buf_slice(&play.received), play.body));
}

static void
refused(void **state)
{
	(void)state;
	run_script(&refuses);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 1);
	assert_int_equal(play.mails[0].at, BORN);
	MAIL_HAS(0, "multipart/report");
	MAIL_HAS(0, "Action: failed");
	MAIL_HAS(0, "Status: 5.1.1");
	MAIL_HAS(0, "no such user here");
	MAIL_HAS(0, "Final-Recipient: rfc822; user@remote.test");
	MAIL_HAS(0, "Subject: hello");
}

/* RFC 6531 3.2: the store puts the domain into the row in A-labels, by which DNS, policies and servers without SMTPUTF8
 * know it; who reads a notice sees the address as it was written. */
static void
domain_in_a_labels(void **state)
{
	static const struct zone_row zone[] = {
		{ .name = "xn--mnchen-3ya.test", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1") },
	};
	(void)state;
	play.zone = zone;
	play.nzone = COUNT_OF(zone);
	play.domain = "xn--mnchen-3ya.test";
	play.envelope.flags = ENVELOPE_SMTPUTF8;
	play.nrecipients = 2;
	play.recipients[0].address = S("user@münchen.test");
	play.recipients[1] = (struct store_recipient){ .address = S("bad@münchen.test") };
	run_script(&refuses_bad);
	assert_null(strstr(play.mail_from, "SMTPUTF8"));
	assert_string_equal(play.rcpts, "RCPT TO:<user@xn--mnchen-3ya.test>|RCPT TO:<bad@xn--mnchen-3ya.test>|");
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "no such user here");
	MAIL_HAS(0, "bad@münchen.test");
}

/* What each recipient of bulk mail was answered is settled every ten seconds: a crash repeats no more than that. */
static void
copies_are_settled_in_parts(void **state)
{
	static const struct script takes_long = { .slow_sec = 20 };
	(void)state;
	play.verp = S("12345678901234567890123456789012");
	play.nrecipients = 3;
	play.recipients[1] = (struct store_recipient){ .address = S("two@remote.test") };
	play.recipients[2] = (struct store_recipient){ .address = S("three@remote.test") };
	begin(&takes_long);
	run_for(30);
	assert_true(play.there && play.taken == 1 && play.nrecipients == 2 && play.tries_kept == 0);
	assert_true(slice_equal(play.recipients[0].address, S("two@remote.test")));
	run_script(&takes_long);
	assert_true(play.taken == 3 && play.nmails == 0);
	assert_int_equal(clock_wall_sec() - BORN, 60);
}

/* Who is put off waits as the schedule says, and nobody is asked twice before that. */
static void
copies_that_are_deferred(void **state)
{
	static const struct script defers_slowly = { .says[AT_DOT] = S_ROW("451 4.2.1 later\r\n"),
		                                         .slow_sec = 20,
		                                         .tries = 3 };
	(void)state;
	play.verp = S("12345678901234567890123456789012");
	play.nrecipients = 3;
	play.recipients[1] = (struct store_recipient){ .address = S("two@remote.test") };
	play.recipients[2] = (struct store_recipient){ .address = S("three@remote.test") };
	begin(&defers_slowly);
	run_for(90);
	assert_true(play.there && play.tries == 3 && play.nrecipients == 3 && play.tries_kept == 1);
	run_script(&defers_slowly);
	assert_true(play.taken == 3 && play.tries == 6 && play.nmails == 0);
}

static void
refused_sender(void **state)
{
	(void)state;
	run_script(&refuses_sender);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "not from you");
}

static void
mixed(void **state)
{
	(void)state;
	play.nrecipients = 3;
	play.recipients[1] =
	    (struct store_recipient){ .address = S("bad@remote.test"), .orcpt = S("rfc822;old+2Bname@here.test") };
	play.recipients[2] = (struct store_recipient){ .address = S("other@remote.test") };
	run_script(&refuses_bad);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Final-Recipient: rfc822; bad@remote.test");
	MAIL_HAS(0, "Original-Recipient: rfc822;old+name@here.test");
	assert_null(strstr(play.mails[0].text, "other@remote.test"));
	assert_non_null(strstr(play.rcpts, "ORCPT=rfc822;old+2Bname@here.test"));
	assert_true(slice_equal(buf_slice(&play.received), play.body));
}

/* Nobody takes the notice: the row goes all the same, and whoever has the message does not get it again. */
static void
notice_that_nobody_takes(void **state)
{
	(void)state;
	static const enum err why[] = { ERR_QUOTA, ERR_SUSPENDED, ERR_NOT_FOUND, ERR_LIMIT };
	for (size_t i = 0; i < COUNT_OF(why); i++) {
		play.there = true;
		play.claimed = false;
		play.due = clock_wall_sec();
		play.tries = play.refused = 0;
		play.nrecipients = 2;
		play.recipients[0] = (struct store_recipient){ .address = S("good@remote.test") };
		play.recipients[1] = (struct store_recipient){ .address = S("bad@remote.test") };
		play.refuse_mails = why[i];
		if (i)
			store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ play.due });
		run_script(&refuses_bad);
		assert_int_equal(play.tries, 1);
		assert_in_range(play.refused, 1, 2);
		assert_int_equal(play.nmails, 0);
	}
}

/* Greylisting: twice "later", then taken: at 0, 5 and 15 minutes. */
static void
deferred_twice(void **state)
{
	(void)state;
	run_script(&greylists);
	assert_int_equal(play.tries, 3);
	assert_int_equal(play.try_at[1] - BORN, 5 * MINUTE);
	assert_int_equal(play.try_at[2] - BORN, 15 * MINUTE);
	assert_int_equal(play.nmails, 0);
}

/* The whole life of a message that nobody takes: every try at its time, a delayed notice after 4 hours, a failure after
 * 5 days. */
static void
five_days(void **state)
{
	const struct script *script = *state;
	run_script(script);
	static const int64_t first[] = { 0,        5 * MINUTE, 15 * MINUTE, 35 * MINUTE, 75 * MINUTE, 135 * MINUTE,
		                             4 * HOUR, 8 * HOUR,   12 * HOUR };
	int64_t slack = script == &hangs     ? 10 * MINUTE * 40
	                : script == &accepts ? 0
	                                     : 2; /* a server that hangs costs its timeouts */
	if (script != &hangs)
		for (size_t i = 0; i < COUNT_OF(first); i++)
			assert_in_range(play.try_at[i] - BORN, first[i], first[i] + slack);
	assert_in_range(play.try_at[play.tries - 1] - BORN, 5 * DAY - slack, 5 * DAY + slack);
	assert_int_equal(play.nmails, 2);
	MAIL_HAS(0, "Action: delayed");
	assert_in_range(play.mails[0].at - BORN, 4 * HOUR, 4 * HOUR + MAX(slack, (int64_t)2));
	MAIL_HAS(1, "Action: failed");
	assert_in_range(play.mails[1].at - BORN, 5 * DAY, 5 * DAY + MAX(slack, (int64_t)2));
	assert_in_range(play.tries, 30, 45);
}

static void
bad_domains(void **state)
{
	static const struct {
		const char *domain, *says;
	} rows[] = {
		{ "nowhere.test", "the domain does not exist" },
		{ "nomail.test", "null MX" },
		{ "loop.test", "loops back" },
		{ "home.test", "loopback" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (i > 0) {
			play_down(state);
			play_up(state);
		}
		play_in_bad_zone(rows[i].domain);
		run_script(&accepts);
		assert_int_equal(play.connections, 0);
		assert_int_equal(play.nmails, 1);
		MAIL_HAS(0, rows[i].says);
		MAIL_HAS(0, "Action: failed");
	}
}

/* A domain with many servers, each of which takes a connection and says nothing: a try ends all the same. */
static void
tarpit(void **state)
{
	(void)state;
	play_in_bad_zone("tarpit.test");
	begin(&hangs);
	assert_true(loop_run_until(tried_once, NULL, 8LL * DAY * 1000));
	assert_in_range(clock_wall_sec() - BORN, 2 * HOUR, 2 * HOUR + 6 * MINUTE);
	assert_in_range(play.connections, 20, 30); /* five minutes each, not all 64 */
	assert_true(play.there && play.due > BORN);
}

static void
dns_is_down(void **state)
{
	(void)state;
	play_in_bad_zone("broken.test");
	run_script(&accepts);
	assert_int_equal(play.connections, 0);
	assert_int_equal(play.nmails, 2); /* delayed, failed after five days */
	MAIL_HAS(1, "Action: failed");
	assert_int_equal(play.mails[1].at - BORN, 5 * DAY);
}

static void
no_notice_about_a_notice(void **state)
{
	(void)state;
	play.envelope.reverse_path = SLICE_NONE;
	run_script(&refuses);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.mail_from, "MAIL FROM:<>"));
}

static void
notify_never(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_NEVER;
	run_script(&refuses);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.rcpts, "NOTIFY=NEVER"));
}

/* RFC 3461 5.2.2: the next server does not know DSN, so we say "relayed". */
static void
relayed(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_SUCCESS;
	run_script(&no_ehlo);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Action: relayed");
}

static void
success_is_passed_on(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	run_script(&accepts);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.rcpts, "NOTIFY=SUCCESS,FAILURE"));
}

static void
whole_message_when_asked(void **state)
{
	(void)state;
	play.envelope.ret = RET_FULL;
	run_script(&refuses);
	MAIL_HAS(0, ".dot\r\nlast");
}

/* The connection ends after the dot: whether it was taken is not known. It is not sent again at once. */
static void
dropped_after_data(void **state)
{
	(void)state;
	begin(&drops_after_data);
	run_for(4 * MINUTE);
	assert_int_equal(play.tries, 1);
	run_script(&accepts);
	assert_int_equal(play.tries, 2);
	assert_int_equal(play.try_at[1] - BORN, 5 * MINUTE);
}

/* ---- leases */

static void
begin_slowly(void)
{
	relay->conf->v.relay_timeout = HOUR * 1000LL;
	begin(&slow);
}

/* A try that takes longer than its lease: renewed all the time. */
static void
renewed(void **state)
{
	(void)state;
	begin_slowly();
	run_script(&slow);
	assert_int_equal(play.taken, 1);
	assert_in_range(clock_wall_sec() - BORN, 29 * MINUTE, 30 * MINUTE);
	assert_in_range(play.renewals, 7, 30);
	assert_int_equal(play.conflicts, 0);
}

/* The clock is set forward over the end of the lease: the claim brings the row again, under way it stays one. */
static void
clock_set_forward(void **state)
{
	(void)state;
	begin_slowly();
	run_for(5 * MINUTE);
	clock_sim_step(DAY);
	run_script(&slow);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.tries, 1);
	assert_in_range(play.lease, 2, 3);
	assert_int_equal(play.conflicts, 0);
}

/* Set back with a row under way: its lease ends far in the future, it is not sent twice. */
static void
clock_set_back_under_way(void **state)
{
	(void)state;
	begin_slowly();
	run_for(5 * MINUTE);
	clock_sim_step(-DAY);
	run_script(&slow);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.tries, 1);
}

/* Set back between tries: tried again within the ordinary wait, no notice comes early, nothing comes twice. */
static void
clock_set_back(void **state)
{
	(void)state;
	begin(&defers);
	run_for(6 * MINUTE);
	assert_int_equal(play.tries, 2);
	clock_sim_step(-DAY);
	int64_t set = clock_mono_ms();
	run_for(10 * MINUTE);
	assert_int_equal(play.tries, 3);
	run_for(3 * HOUR);
	assert_in_range(play.tries, 5, 8); /* the schedule goes on */
	assert_int_equal(play.nmails, 0);
	unsigned tries = play.tries;
	run_script(&accepts);
	assert_in_range(clock_mono_ms() - set, 3 * HOUR * 1000LL, 8 * HOUR * 1000LL);
	assert_int_equal(play.tries, tries + 1);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.nmails, 0);
}

/* Somebody else has the lease: what did not begin is dropped, what is under way goes on and is settled in vain. */
static void
lost_under_way(void **state)
{
	(void)state;
	begin_slowly();
	run_for(5 * MINUTE);
	play.lease += 10;
	play.leased_until = clock_wall_sec() + 2 * HOUR;
	run_for(HOUR);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.conflicts, 1);
	assert_int_equal(relay->jobs, 0);
	assert_true(play.there);
}

static void
lost_before_it_began(void **state)
{
	(void)state;
	relay->connections += relay->conf->v.relay_connections_max; /* all are busy */
	begin(&accepts);
	run_for(MINUTE);
	assert_int_equal(relay->jobs, 1);
	play.lease += 10;
	run_for(4 * MINUTE);
	assert_int_equal(relay->jobs, 0);
	assert_int_equal(play.tries, 0);
	relay->connections = 0;
	run_script(&accepts); /* the other one's lease ended */
	assert_int_equal(play.taken, 1);
}

/* The store lost the connection and the row was claimed anew before the job that has it could settle. */
static void
claimed_again_while_settling(void **state)
{
	(void)state;
	begin_slowly();
	run_for(5 * MINUTE);
	play.leased_until = 0; /* ended: as when our connection closed */
	store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ clock_wall_sec() });
	run_for(MINUTE);
	assert_int_equal(play.lease, 2);
	run_script(&slow);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.conflicts, 0);
}

/* A store that was started again hears at once what is held. */
static void
renewed_after_reconnect(void **state)
{
	(void)state;
	begin_slowly();
	run_for(MINUTE);
	unsigned renewals = play.renewals;
	struct ipc_peer *before = store_peer;
	stage_store(&play_store);
	ipc_peer_close(before);
	run_for(1);
	assert_int_equal(play.renewals, renewals + 1);
	run_script(&slow);
	assert_int_equal(play.taken, 1);
}

static void
given_back_at_the_stop(void **state)
{
	(void)state;
	relay->connections += relay->conf->v.relay_connections_max;
	begin(&accepts);
	run_for(MINUTE);
	assert_int_equal(relay->jobs, 1);
	relay->connections = 0;
	relay_stop(1);
	assert_int_equal(play.given_back, 1);
	assert_int_equal(relay->jobs, 0);
	assert_int_equal(play.tries, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(delivered),
		STAGED_WITH(old_servers, no_ehlo),
		STAGED_WITH(old_servers, no_pipelining),
		STAGED(refused),
		STAGED(domain_in_a_labels),
		STAGED(copies_are_settled_in_parts),
		STAGED(copies_that_are_deferred),
		STAGED(refused_sender),
		STAGED(mixed),
		STAGED(notice_that_nobody_takes),
		STAGED(deferred_twice),
		STAGED_WITH(five_days, defers),
		STAGED_WITH(five_days, too_busy),
		STAGED_WITH(five_days, garbage),
		STAGED_WITH(five_days, endless),
		STAGED_WITH(five_days, endless_line),
		STAGED_WITH(five_days, unreachable),
		STAGED_WITH(five_days, hangs),
		STAGED(bad_domains),
		STAGED(tarpit),
		STAGED(dns_is_down),
		STAGED(no_notice_about_a_notice),
		STAGED(notify_never),
		STAGED(relayed),
		STAGED(success_is_passed_on),
		STAGED(whole_message_when_asked),
		STAGED(dropped_after_data),
		STAGED(renewed),
		STAGED(clock_set_forward),
		STAGED(clock_set_back_under_way),
		STAGED(clock_set_back),
		STAGED(lost_under_way),
		STAGED(lost_before_it_began),
		STAGED(claimed_again_while_settling),
		STAGED(renewed_after_reconnect),
		STAGED(given_back_at_the_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
