/* SPDX-License-Identifier: Apache-2.0 */
/* notice_test.c - who is told what, and when: delayed and failed to the second for each class of mail and for routes of
 * their own, NOTIFY, RET, ORCPT and ENVID (RFC 3461), DELIVERBY (RFC 2852), mail that was sent for a later time (RFC
 * 4865), addresses in UTF-8 (RFC 6533), and who is never told: whoever may have been made up. */
#include "relay/relay_testing.h"

static const struct script knows_no_dsn = { .says[AT_EHLO] = S_ROW("250-remote.test\r\n250 SIZE 1000000\r\n") };
static const struct script knows_deliverby = { .says[AT_EHLO] =
	                                               S_ROW("250-remote.test\r\n250-DSN\r\n250 DELIVERBY\r\n") };
static const struct script knows_deliverby_and_defers = { .says[AT_EHLO] =
	                                                          S_ROW("250-remote.test\r\n250-DSN\r\n250 DELIVERBY\r\n"),
	                                                      .says[AT_RCPT] = S_ROW("450 4.2.1 later\r\n") };
static const struct script defers_once = { .says[AT_RCPT] = S_ROW("450 4.2.1 later\r\n"), .tries = 1 };
static const struct script speaks_utf8 = { .says[AT_EHLO] =
	                                           S_ROW("250-remote.test\r\n250-DSN\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
	                                       .says[AT_RCPT] = S_ROW("550 5.1.1 niemand da\r\n") };

static void
put_row_back(void)
{
	play.there = true;
	play.due = clock_wall_sec();
	play.tries_kept = play.notices_kept = 0;
	play.nmails = play.tries = 0;
	play.nrecipients = 1;
	play.recipients[0] = (struct store_recipient){ .address = S("user@remote.test") };
}

/* ---- when */

static const struct life {
	const char *what, *options;
	uint32_t class;
	int64_t delayed, failed; /* 0: nobody hears that it is delayed */
	int64_t waits[4];
} lives[] = {
	{ "as it comes", "", CLASS_PERSONAL, 4 * HOUR, 5 * DAY, { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE } },
	{ "all by the configuration",
	  "relay.retry = 1m 2m 1h\nrelay.delayed-after = 1h\nrelay.lifetime = 1d\n",
	  CLASS_PERSONAL,
	  HOUR,
	  DAY,
	  { MINUTE, 2 * MINUTE, 57 * MINUTE, HOUR } },
	{ "bulk as the rest", "", CLASS_BULK, 4 * HOUR, 5 * DAY, { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE } },
	{ "bulk of its own",
	  "relay.retry-bulk = 30m 1h\nrelay.lifetime-bulk = 2d\n",
	  CLASS_BULK,
	  4 * HOUR,
	  2 * DAY,
	  { 30 * MINUTE, HOUR, HOUR, HOUR } },
	{ "bulk of its own does not touch letters",
	  "relay.retry-bulk = 30m 1h\nrelay.lifetime-bulk = 2d\n",
	  CLASS_PERSONAL,
	  4 * HOUR,
	  5 * DAY,
	  { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE } },
	{ "notices of their own",
	  "relay.retry-notice = 10m\nrelay.lifetime-notice = 12h\n",
	  CLASS_NOTICE,
	  4 * HOUR,
	  12 * HOUR,
	  { 10 * MINUTE, 10 * MINUTE, 10 * MINUTE, 10 * MINUTE } },
	{ "given up before anybody is told of a delay",
	  "relay.lifetime = 3h\n",
	  CLASS_PERSONAL,
	  0,
	  3 * HOUR,
	  { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE } },
	{ "a route",
	  "route = remote.test mx retry=15m,45m lifetime=6h delayed-after=30m\n",
	  CLASS_PERSONAL,
	  30 * MINUTE,
	  6 * HOUR,
	  { 15 * MINUTE, 15 * MINUTE, 45 * MINUTE, 45 * MINUTE } },
	{ "a route goes before the class",
	  "relay.retry-bulk = 3m\nrelay.lifetime-bulk = 2d\nroute = remote.test mx retry=1h\n",
	  CLASS_BULK,
	  4 * HOUR,
	  2 * DAY,
	  { HOUR, HOUR, HOUR, HOUR } },
	{ "the route of another domain",
	  "route = other.test mx retry=1h lifetime=1h\n",
	  CLASS_PERSONAL,
	  4 * HOUR,
	  5 * DAY,
	  { 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE } },
};

static void
each_life(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(lives); i++) {
		const struct life *l = &lives[i];
		unsigned told = l->delayed != 0;
		play_open(l->options);
		play.envelope.class = l->class;
		run_script(&defers);
		print_message("%s\n", l->what);
		for (size_t k = 0; k < COUNT_OF(l->waits); k++)
			assert_int_equal(play.try_at[k + 1] - play.try_at[k], l->waits[k]);
		assert_int_equal(play.nmails, 1 + told);
		if (told) {
			assert_int_equal(play.mails[0].at - BORN, l->delayed);
			MAIL_HAS(0, "Action: delayed");
		}
		MAIL_HAS(told, "Action: failed");
		assert_int_equal(play.mails[told].at - BORN, l->failed);
		assert_int_equal(play.try_at[play.tries - 1] - BORN, l->failed); /* once more before it is given up */
		play_down(state);
	}
}

/* Mail for a later time ages from then on, and the report says for when it was sent. */
static void
held_for_a_week(void **state)
{
	(void)state;
	play.due = BORN + 7 * DAY;
	play.envelope.hold_until = BORN + 7 * DAY;
	play.envelope.hold_for = 7 * DAY;
	begin(&defers);
	run_for(7 * DAY - 1);
	assert_int_equal(play.tries, 0);
	run_for(6 * DAY);
	assert_false(play.there);
	assert_int_equal(play.try_at[0] - BORN, 7 * DAY);
	assert_int_equal(play.nmails, 2);
	assert_int_equal(play.mails[0].at - BORN, 7 * DAY + 4 * HOUR);
	assert_int_equal(play.mails[1].at - BORN, 12 * DAY);
	MAIL_HAS(1, "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nFuture-Release-Request: for;604800\r\n");
	put_row_back();
	play.envelope.hold_for = 0;
	run_script(&refuses);
	MAIL_HAS(0, "Future-Release-Request: until;2023-11-21T22:13:20Z\r\n");
}

/* ---- what is asked for */

struct wish {
	const char *what;
	uint32_t notify;
	const struct script *script;
	unsigned mails;
	const char *action; /* of the last notice */
	const char *rcpt;   /* what the next server hears */
};

static void
each_notify(void **state)
{
	(void)state;
	static const struct wish wishes[] = {
		{ "nothing said, refused", 0, &refuses, 1, "failed", NULL },
		{ "nothing said, taken", 0, &accepts, 0, NULL, NULL },
		{ "nothing said, five days", 0, &defers, 2, "failed", NULL },
		{ "never, refused", NOTIFY_NEVER, &refuses, 0, NULL, "NOTIFY=NEVER" },
		{ "never, taken", NOTIFY_NEVER, &accepts, 0, NULL, "NOTIFY=NEVER" },
		{ "never, taken by one who knows no DSN", NOTIFY_NEVER, &knows_no_dsn, 0, NULL, NULL },
		{ "never, five days", NOTIFY_NEVER, &defers, 0, NULL, "NOTIFY=NEVER" },
		{ "success, taken over", NOTIFY_SUCCESS, &accepts, 0, NULL, "NOTIFY=SUCCESS" },
		{ "success, by one who knows no DSN", NOTIFY_SUCCESS, &knows_no_dsn, 1, "relayed", NULL },
		{ "success, refused", NOTIFY_SUCCESS, &refuses, 0, NULL, "NOTIFY=SUCCESS" },
		{ "success, five days", NOTIFY_SUCCESS, &defers, 0, NULL, "NOTIFY=SUCCESS" },
		{ "failure, refused", NOTIFY_FAILURE, &refuses, 1, "failed", "NOTIFY=FAILURE" },
		{ "failure, five days", NOTIFY_FAILURE, &defers, 1, "failed", "NOTIFY=FAILURE" },
		{ "failure, taken", NOTIFY_FAILURE, &accepts, 0, NULL, "NOTIFY=FAILURE" },
		{ "delay, five days", NOTIFY_DELAY, &defers, 1, "delayed", "NOTIFY=DELAY" },
		{ "delay, refused", NOTIFY_DELAY, &refuses, 0, NULL, "NOTIFY=DELAY" },
		{ "all, five days", NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, &defers, 2, "failed",
		  "NOTIFY=SUCCESS,FAILURE,DELAY" },
		{ "all, by one who knows no DSN", NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, &knows_no_dsn, 1, "relayed",
		  NULL },
	};
	for (size_t i = 0; i < COUNT_OF(wishes); i++) {
		const struct wish *w = &wishes[i];
		char action[40];
		put_row_back();
		play.recipients[0].notify = w->notify;
		play.due = BORN;
		if (i > 0) {
			play_down(state);
			play_up(state);
			play.recipients[0].notify = w->notify;
		}
		run_script(w->script);
		print_message("%s\n", w->what);
		assert_int_equal(play.nmails, w->mails);
		if (w->mails) {
			snprintf(action, sizeof action, "Action: %s\r\n", w->action);
			MAIL_HAS(w->mails - 1, action);
		}
		assert_true(!w->rcpt == !strstr(play.rcpts, "NOTIFY"));
		assert_true(!w->rcpt || strstr(play.rcpts, w->rcpt));
	}
}

/* RFC 3461 5.2.1, 6.3: what was said in MAIL and RCPT goes on, and stands in reports without its xtext. */
static void
names_and_return(void **state)
{
	(void)state;
	play.envelope.envid = S("QQ+2B314159");
	play.envelope.ret = RET_HDRS;
	play.recipients[0].orcpt = S("rfc822;Dana+2Bx@Ivory.EDU");
	run_script(&refuses);
	assert_non_null(strstr(play.mail_from, " RET=HDRS"));
	assert_non_null(strstr(play.mail_from, " ENVID=QQ+2B314159"));
	assert_non_null(strstr(play.rcpts, " ORCPT=rfc822;Dana+2Bx@Ivory.EDU"));
	MAIL_HAS(0, "Original-Envelope-Id: QQ+314159\r\n");
	MAIL_HAS(0, "Original-Recipient: rfc822;Dana+x@Ivory.EDU\r\n");
	MAIL_HAS(0, "Content-Type: text/rfc822-headers\r\n");
	assert_null(strstr(play.mails[0].text, ".dot"));
	put_row_back();
	play.envelope.ret = RET_FULL;
	run_script(&refuses);
	assert_non_null(strstr(play.mail_from, " RET=FULL"));
	MAIL_HAS(0, "Content-Type: message/rfc822\r\n");
	MAIL_HAS(0, ".dot\r\nlast");
	put_row_back(); /* a server that knows none of it hears none of it */
	play.recipients[0].orcpt = S("rfc822;x@y.test");
	run_script(&knows_no_dsn);
	assert_null(strstr(play.mail_from, "RET="));
	assert_null(strstr(play.mail_from, "ENVID="));
	assert_null(strstr(play.rcpts, "ORCPT="));
}

/* Whole messages are sent back with failures alone (RFC 3461 4.3). */
static void
delays_have_the_header(void **state)
{
	(void)state;
	play.envelope.ret = RET_FULL;
	run_script(&defers);
	assert_int_equal(play.nmails, 2);
	MAIL_HAS(0, "Content-Type: text/rfc822-headers\r\n");
	MAIL_HAS(0, "Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000\r\n");
	MAIL_HAS(1, "Content-Type: message/rfc822\r\n");
}

/* ---- DELIVERBY */

static void
by_return(void **state)
{
	(void)state;
	play.envelope.by_mode = BY_RETURN;
	play.envelope.by_time = BORN + 40 * MINUTE;
	run_script(&knows_deliverby_and_defers);
	assert_int_equal(play.nmails, 1);
	assert_int_equal(play.mails[0].at - BORN, 40 * MINUTE);
	MAIL_HAS(0, "Action: failed\r\nStatus: 5.4.7\r\n");
	MAIL_HAS(0, "Deliver-By-Date: Tue, 14 Nov 2023 22:53:20 +0000\r\n");
	MAIL_HAS(0, "The time in which it had to be delivered is over.");
}

static void
by_notify(void **state)
{
	(void)state;
	play.envelope.by_mode = BY_NOTIFY;
	play.envelope.by_time = BORN + 40 * MINUTE;
	run_script(&defers);
	assert_int_equal(play.nmails, 2); /* the one that it is late tells that it is delayed, too */
	assert_int_equal(play.mails[0].at - BORN, 40 * MINUTE);
	MAIL_HAS(0, "Action: delayed\r\nStatus: 4.4.7\r\n");
	MAIL_HAS(0, "in the time that you asked for.\r\n");
	assert_int_equal(play.mails[1].at - BORN, 5 * DAY);
	MAIL_HAS(1, "Action: failed");
}

static void
by_trace(void **state)
{
	(void)state;
	play.envelope.by_mode = BY_NOTIFY | BY_TRACE;
	play.envelope.by_time = BORN + HOUR;
	run_script(&knows_deliverby);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Action: relayed");
	assert_non_null(strstr(play.mail_from, " BY=3600;NT"));
}

/* RFC 2852 4.1.4.1: it cannot be left to one who would not return it. */
static void
by_return_to_one_who_does_not_know_it(void **state)
{
	(void)state;
	play.envelope.by_mode = BY_RETURN;
	play.envelope.by_time = BORN + 40 * MINUTE;
	run_script(&accepts);
	assert_int_equal(play.taken, 0);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Action: failed");
}

/* The next server does not know it: that it went on in time is told (RFC 2852 4.1.4.2). */
static void
by_notify_to_one_who_does_not_know_it(void **state)
{
	(void)state;
	play.envelope.by_mode = BY_NOTIFY;
	play.envelope.by_time = BORN + HOUR;
	run_script(&accepts);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Action: relayed");
}

/* ---- mail for mailboxes of ours that waited for its time */

static void
delivered_here_later(void **state)
{
	(void)state;
	play.local = true;
	play.due = play.envelope.hold_until = BORN + DAY;
	play.recipients[0] = (struct store_recipient){ .address = S("bob@here.test"), .notify = NOTIFY_SUCCESS };
	play.recipients[1] = (struct store_recipient){ .address = S("eve@here.test") };
	play.recipients[2] = (struct store_recipient){ .address = S("gone@here.test") };
	play.recipients[3] = (struct store_recipient){ .address = S("full@here.test"), .notify = NOTIFY_FAILURE };
	play.nrecipients = 4;
	begin(&accepts);
	run_for(DAY + 1);
	assert_int_equal(play.connections, 0);
	assert_int_equal(play.nmails, 2);
	MAIL_HAS(0, "Final-Recipient: rfc822; gone@here.test\r\nAction: failed\r\nStatus: 5.1.1\r\n");
	MAIL_HAS(1, "Final-Recipient: rfc822; bob@here.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n");
	assert_null(strstr(play.mails[1].text, "eve@"));
	assert_int_equal(play.nrecipients, 1); /* whose mailbox is full waits on */
	run_script(&accepts);
	assert_int_equal(play.nmails, 3); /* he did not want to hear of the delay */
	MAIL_HAS(2, "Action: failed\r\nStatus: 4.2.2\r\n");
	MAIL_HAS(2, "The mailbox is full.");
	assert_int_equal(play.mails[2].at - BORN, DAY + 5 * DAY);
}

/* ---- languages and characters */

static void
languages(void **state)
{
	(void)state;
	static const struct {
		const char *language, *says, *subject;
	} rows[] = {
		{ "",
		  "\r\n\r\nYour message was not delivered to <user@remote.test>, and it will not be tried again.\r\nThere is "
		  "no "
		  "such address. Look for a spelling mistake",
		  "Subject: Your message was not delivered\r\n" },
		{ "de-CH",
		  "\r\n\r\nIhre Nachricht an <user@remote.test> wurde nicht zugestellt; es wird nicht weiter versucht.\r\n",
		  "Subject: Ihre Nachricht wurde nicht zugestellt\r\n" },
		{ "fr", "\r\n\r\nVotre message n'a pas été remis à <user@remote.test>", "Subject: =?" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		put_row_back();
		play.envelope.language = slice_text(rows[i].language);
		if (i)
			store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ play.due });
		run_script(&refuses);
		MAIL_HAS(0, rows[i].says);
		MAIL_HAS(0, rows[i].subject);
	}
}

/* RFC 6533 3 */
static void
utf8_addresses(void **state)
{
	(void)state;
	play.envelope.flags = ENVELOPE_SMTPUTF8;
	play.envelope.reverse_path = S("jürgen@here.test");
	play.recipients[0].address = S("grün@remote.test");
	play.recipients[0].orcpt = S("utf-8;gr\\x{FC}n@remote.test");
	run_script(&speaks_utf8);
	assert_non_null(strstr(play.mail_from, "SMTPUTF8"));
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "report-type=global-delivery-status");
	MAIL_HAS(0, "Content-Type: message/global-delivery-status\r\n");
	MAIL_HAS(0, "Final-Recipient: utf-8; grün@remote.test\r\n");
	MAIL_HAS(0, "To: <jürgen@here.test>\r\n");
}

/* ---- who is never told */

static void
never(void **state)
{
	(void)state;
	static const struct script *const scripts[] = { &refuses, &defers, &knows_no_dsn };
	static const struct {
		const char *what, *reverse_path;
		uint64_t account;
		uint32_t flags;
		bool told;
	} rows[] = {
		{ "a notice", "", 1, 0, false },
		{ "a notice from a trusted host", "", 0, ENVELOPE_TRUSTED, false },
		{ "nobody logged in: the sender may be made up", "victim@elsewhere.test", 0, 0, false },
		{ "a trusted host vouches", "a@here.test", 0, ENVELOPE_TRUSTED, true },
		{ "who logged in", "a@here.test", 1, 0, true },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t k = 0; k < COUNT_OF(scripts); k++) {
			play_down(state);
			play_up(state);
			play.envelope.reverse_path = slice_text(rows[i].reverse_path);
			play.envelope.account = rows[i].account;
			play.envelope.flags = rows[i].flags;
			play.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
			run_script(scripts[k]);
			print_message("%s\n", rows[i].what);
			assert_int_equal(play.nmails > 0, rows[i].told);
		}
}

/* A notice says that nobody may answer it automatically, and asks for none about itself. */
static void
a_notice_asks_for_nothing(void **state)
{
	(void)state;
	play.envelope.reverse_path = S("a@elsewhere.test");
	run_script(&refuses);
	MAIL_HAS(0, "Return-Path: <>\r\n");
	MAIL_HAS(0, "Auto-Submitted: auto-replied\r\n");
}

/* Given up at the first delay: one notice says it all. */
static void
one_notice_for_one_event(void **state)
{
	(void)state;
	run_script(&defers_once);
	assert_int_equal(play.nmails, 0);
	put_row_back();
	play.nrecipients = 3;
	for (int i = 0; i < 3; i++)
		play.recipients[i] = (struct store_recipient){ .address = arena_printf(&kept, "u%d@remote.test", i) };
	run_script(&refuses);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Your message was not delivered to these recipients, and it will not be tried again:\r\n");
	MAIL_HAS(0, "<u0@remote.test>: not delivered\r\nThere is no such address.");
	MAIL_HAS(0, "Final-Recipient: rfc822; u2@remote.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_life),
		STAGED(held_for_a_week),
		STAGED(each_notify),
		STAGED(names_and_return),
		STAGED(delays_have_the_header),
		STAGED(by_return),
		STAGED(by_return_to_one_who_does_not_know_it),
		STAGED(by_notify),
		STAGED(by_trace),
		STAGED(by_notify_to_one_who_does_not_know_it),
		STAGED(delivered_here_later),
		STAGED(languages),
		STAGED(utf8_addresses),
		STAGED(never),
		STAGED(a_notice_asks_for_nothing),
		STAGED(one_notice_for_one_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
