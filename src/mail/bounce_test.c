/* SPDX-License-Identifier: Apache-2.0 */
/* bounce_test.c - bounces of many servers, well formed and not, and what is none. */
#include "mail/bounce.h"

#include "base/buf.h"
#include "mail/bounce_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- why */

static void
classes(void **state)
{
	static const struct {
		const char *status, *said;
		enum bounce_class class;
	} rows[] = {
		{ "5.1.1", "550 5.1.1 whatever", BOUNCE_NO_USER },
		{ "5.1.2", "", BOUNCE_NO_DOMAIN },
		{ "5.1.10", "556 5.1.10 takes no mail", BOUNCE_NO_DOMAIN },
		{ "5.2.1", "", BOUNCE_INACTIVE },
		{ "4.2.1", "", BOUNCE_TEMPORARY },
		{ "5.2.2", "552 5.2.2 over", BOUNCE_FULL },
		{ "5.0.0", "550 5.1.1 no", BOUNCE_NO_USER },
		{ "5.0.0", "550 User unknown in virtual alias table", BOUNCE_NO_USER },
		{ "", "550 No such user here", BOUNCE_NO_USER },
		{ "5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", BOUNCE_INACTIVE },
		{ "", "452 4.2.2 The mailbox is full", BOUNCE_FULL },
		{ "", "552 exceeded storage allocation", BOUNCE_FULL },
		{ "5.7.1", "550 5.7.1 Recipient address rejected: user bob does not exist", BOUNCE_NO_USER },
		{ "5.7.1", "554 5.7.1 Service unavailable; client host [192.0.2.1] blocked using list.example",
		  BOUNCE_BLOCKED },
		{ "5.7.1", "550 5.7.1 Relaying denied", BOUNCE_RELAY },
		{ "5.7.1", "550 5.7.1 This looks like spam", BOUNCE_SPAM },
		{ "5.7.1", "550 5.7.1 no", BOUNCE_POLICY },
		{ "5.7.26", "550 5.7.26 no", BOUNCE_AUTH },
		{ "5.7.0", "550 your sender reputation is too low", BOUNCE_REPUTATION },
		{ "", "552 Message size exceeds what we take", BOUNCE_SIZE },
		{ "5.3.4", "", BOUNCE_SIZE },
		{ "5.4.6", "", BOUNCE_LOOP },
		{ "5.6.0", "", BOUNCE_CONTENT },
		{ "4.4.1", "451 4.4.1 nobody answers", BOUNCE_TEMPORARY },
		{ "4.4.7", "too late", BOUNCE_TEMPORARY },
		{ "", "450 4.1.1 user unknown, for now", BOUNCE_TEMPORARY },
		{ "", "421 come again", BOUNCE_TEMPORARY },
		{ "", "550 no", BOUNCE_UNKNOWN },
		{ "5.0.0", "", BOUNCE_UNKNOWN },
		{ "", "", BOUNCE_UNKNOWN },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum bounce_class c = bounce_classify(slice_text(rows[i].status), slice_text(rows[i].said));
		if (c != rows[i].class)
			print_error("%s %s: %s\n", rows[i].status, rows[i].said, bounce_class_name(c));
		assert_int_equal(c, rows[i].class);
	}
	for (unsigned c = 0; c < BOUNCE_CLASSES; c++)
		assert_true(strlen(bounce_class_name(c)) > 2 && !(bounce_is_hard(c) && bounce_is_soft(c)));
}

static void
codes(void **state)
{
	static const struct {
		const char *text, *reply, *status;
	} rows[] = {
		{ "550 5.1.1 no", "550", "5.1.1" },
		{ "host [4.5.6.7] said 4521 things in 550", "550", "" },
		{ "at 5.1.1.1 on 2026-11-22: 450-4.2.200: full", "450", "4.2.200" },
		{ "v5.1.1 x550", "", "" },
		{ "#5.1.1#", "", "5.1.1" },
		{ "5.1.", "", "" },
		{ "5", "", "" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice reply, status;
		bounce_find_codes(slice_text(rows[i].text), &reply, &status);
		assert_true(slice_equal(reply, slice_text(rows[i].reply)));
		assert_true(slice_equal(status, slice_text(rows[i].status)));
	}
}

/* ---- what */

#define REPORT(fields)                                                                                                 \
	"From: postmaster@far.test\r\nSubject: something\r\nMIME-Version: 1.0\r\n"                                         \
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"                                  \
	"--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" fields                                 \
	"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: mine\r\n\r\nx\r\n--b--\r\n"

#define DAEMON "From: MAILER-DAEMON@far.test (Mail Delivery System)\r\n"

struct sample {
	const char *what, *message;
	enum bounce_kind kind;
	const char *address; /* of the first recipient; NULL: none is named */
	enum bounce_class class;
	const char *status;
	size_t recipients;
};

static const struct sample samples[] = {
	{ "a report",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nOriginal-Recipient: rfc822;was@far.test\r\nFinal-Recipient: rfc822; "
	         "none@far.test\r\n"
	         "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n  not here\r\n"),
	  BOUNCE_FAILED, "none@far.test", BOUNCE_NO_USER, "5.1.1", 1 },
	{ "a report in UTF-8 (RFC 6533)",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: utf-8; \xc3\xa4@far.test\r\nAction: "
	         "failed\r\nStatus: 5.2.2\r\n"),
	  BOUNCE_FAILED, "\xc3\xa4@far.test", BOUNCE_FULL, "5.2.2", 1 },
	{ "two recipients, one of them only late",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; a@far.test\r\nAction: delayed\r\nStatus: "
	         "4.4.1\r\n\r\n"
	         "Final-Recipient: rfc822; b@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"),
	  BOUNCE_FAILED, "a@far.test", BOUNCE_NO_USER, "5.1.1", 2 },
	{ "it is late",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; a@far.test\r\nAction: delayed\r\nStatus: "
	         "4.4.1\r\n"),
	  BOUNCE_DELAYED, "a@far.test", BOUNCE_TEMPORARY, "4.4.1", 1 },
	{ "it arrived",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; a@far.test\r\nAction: relayed\r\nStatus: "
	         "2.0.0\r\n"),
	  BOUNCE_DELIVERED, "a@far.test", BOUNCE_UNKNOWN, "2.0.0", 1 },
	{ "it expired",
	  REPORT("Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; a@far.test\r\nAction: failed\r\nStatus: "
	         "4.4.7\r\n"),
	  BOUNCE_FAILED, "a@far.test", BOUNCE_TEMPORARY, "4.4.7", 1 },
	{ "no action, fields divided wrongly, brackets",
	  REPORT("Final-Recipient: <a@far.test>\r\n\r\nStatus: 5.0.0 (permanent)\r\n\r\nDiagnostic-Code: X-Home; 550 "
	         "unknown user\r\n"),
	  BOUNCE_FAILED, "a@far.test", BOUNCE_NO_USER, "5.0.0", 1 },
	{ "a report that names nobody",
	  "From: Postmaster <postmaster@far.test>\r\nSubject: Undeliverable: news\r\nContent-Type: multipart/report; "
	  "report-type=delivery-status; boundary=b\r\n\r\n"
	  "--b\r\n\r\na@far.test\r\nThe mailbox is full.\r\n--b\r\nContent-Type: "
	  "message/delivery-status\r\n\r\nReporting-MTA: dns;far.test\r\n--b--\r\n",
	  BOUNCE_FAILED, "a@far.test", BOUNCE_FULL, "", 1 },
	{ "qmail",
	  DAEMON "Subject: failure notice\r\n\r\nHello, the mail program of far.test writes.\r\nDelivery to these "
	         "addresses has failed for good.\r\n\r\n"
	         "<none@far.test>:\r\n192.0.2.7 did not like it.\r\nRemote host said: 550 nobody by that name\r\nI give up "
	         "on 192.0.2.7.\r\n\r\n"
	         "--- Below this line is a copy of the message.\r\n\r\nReturn-Path: <x@y.test>\r\nother@far.test\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_NO_USER, "", 1 },
	{ "Exim",
	  "From: Mail Delivery System <Mailer-Daemon@far.test>\r\nX-Failed-Recipients: none@far.test\r\nAuto-Submitted: "
	  "auto-replied\r\n"
	  "Subject: Mail delivery failed: returning message to sender\r\n\r\nA message of yours did not arrive:\r\n\r\n  "
	  "none@far.test\r\n"
	  "    host mx.far.test [192.0.2.1]\r\n    SMTP error after RCPT TO:<none@far.test>:\r\n    552 5.2.2 over "
	  "quota\r\n\r\n"
	  "------ This is a copy of the message, with all headers. ------\r\n\r\nSubject: x\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_FULL, "5.2.2", 1 },
	{ "Exim, the field alone",
	  "From: a@far.test\r\nX-Failed-Recipients: none@far.test, more@far.test\r\nSubject: x\r\n\r\nUser unknown\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_NO_USER, "", 1 },
	{ "Postfix without its report",
	  DAEMON "Subject: Undelivered Mail Returned to Sender\r\n\r\nThe mail system at far.test "
	         "says:\r\n\r\n<a@far.test>: host mx.far.test[192.0.2.1] said: 554 5.7.1\r\n"
	         "    Message looks like spam (in reply to end of DATA command)\r\n\r\n<b@far.test>: Host or domain name "
	         "not found.\r\n",
	  BOUNCE_FAILED, "a@far.test", BOUNCE_SPAM, "5.7.1", 2 },
	{ "sendmail",
	  "From: Mail Delivery Subsystem <MAILER-DAEMON>\r\nSubject: Returned mail: see transcript for details\r\n\r\n   "
	  "----- Addresses with fatal errors -----\r\n"
	  "<none@far.test>\r\n    (reason: 550 5.1.1 <none@far.test>... User unknown)\r\n\r\n   ----- Transcript "
	  "-----\r\n... while talking to mx.far.test.:\r\n"
	  ">>> RCPT To:<none@far.test>\r\n<<< 550 5.1.1 <none@far.test>... User unknown\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_NO_USER, "5.1.1", 1 },
	{ "Exchange",
	  "From: System Administrator <postmaster@far.test>\r\nSubject: Undeliverable: news\r\n\r\nYour message did not "
	  "reach these people:\r\n\r\n"
	  "      none@far.test on 22.11.2026 03:00\r\n            There is no such account here.\r\n            "
	  "<mx.far.test #5.1.1 smtp;550 5.1.1 unknown>\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_NO_USER, "5.1.1", 1 },
	{ "a provider in German, base64",
	  "From: =?utf-8?Q?Mailer-Daemon?= <noreply@far.test>\r\nSubject: "
	  "=?utf-8?Q?Unzustellbar=3A_news?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: "
	  "base64\r\n\r\nRGllIE5hY2hyaWNodCBrb25udGUgbmljaHQgenVnZXN0ZWxsdCB3ZXJkZW46DQoNCm5vbmVAZmFyLnRlc3Q6IDU1MCA1LjIuMS"
	  "BnZXNwZXJydA0K\r\n",
	  BOUNCE_FAILED, "none@far.test", BOUNCE_INACTIVE, "5.2.1", 1 },
	{ "nobody is named", DAEMON "Subject: Delivery failure\r\n\r\nThe recipient's inbox is full.\r\n", BOUNCE_FAILED,
	  NULL, BOUNCE_FULL, "", 0 },
	{ "sendmail still tries",
	  DAEMON "Subject: Warning: could not send message for past 4 hours\r\n\r\n    THIS IS A WARNING MESSAGE ONLY\r\n  "
	         "YOU DO NOT NEED TO RESEND\r\n\r\n<a@far.test>... Deferred\r\n",
	  BOUNCE_DELAYED, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "Exim still tries",
	  "From: Mail Delivery System <Mailer-Daemon@far.test>\r\nSubject: Warning: message 1ab delayed 24 "
	  "hours\r\n\r\nDelivery attempts will continue.\r\n",
	  BOUNCE_DELAYED, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "on holiday",
	  "From: A <a@far.test>\r\nAuto-Submitted: auto-replied (vacation)\r\nSubject: Re: news\r\n\r\nBack on Monday. "
	  "Mail is not read, undeliverable or not.\r\n",
	  BOUNCE_AUTO_REPLY, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "on holiday, an old program", "From: A <a@far.test>\r\nSubject: Out of Office: A\r\n\r\nBack on Monday\r\n",
	  BOUNCE_AUTO_REPLY, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "it was read",
	  "From: A <a@far.test>\r\nSubject: Read\r\nContent-Type: multipart/report; report-type=disposition-notification; "
	  "boundary=b\r\n\r\n--b\r\n\r\nread\r\n--b\r\n"
	  "Content-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822; a@far.test\r\n--b--\r\n",
	  BOUNCE_AUTO_REPLY, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "a challenge", "From: A <a@far.test>\r\nSubject: Please confirm your message\r\n\r\nClick here\r\n",
	  BOUNCE_CHALLENGE, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "a person",
	  "From: A <a@far.test>\r\nSubject: Re: news\r\n\r\nI got one that could not be delivered: 550 user unknown. What "
	  "now?\r\n",
	  BOUNCE_NONE, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "a person sends a bounce on",
	  "From: A <a@far.test>\r\nSubject: Fwd\r\nContent-Type: multipart/mixed; "
	  "boundary=m\r\n\r\n--m\r\n\r\nlook\r\n--m\r\nContent-Type: message/rfc822\r\n\r\n" REPORT(
	      "Final-Recipient: rfc822; a@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n") "\r\n--m--\r\n",
	  BOUNCE_NONE, NULL, BOUNCE_UNKNOWN, "", 0 },
	{ "nothing", "", BOUNCE_NONE, NULL, BOUNCE_UNKNOWN, "", 0 },
};

static void
many_servers(void **state)
{
	struct arena a;
	struct bounce b;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		const struct sample *s = &samples[i];
		bounce_read(slice_text(s->message), &a, &b);
		bool named = s->recipients == 0 || slice_equal(b.recipients[0].address, slice_text(s->address));
		bool fits = b.kind == s->kind && b.nrecipients == s->recipients && named;
		if (s->kind == BOUNCE_FAILED || s->recipients)
			fits = fits && b.class == s->class && slice_equal(b.status, slice_text(s->status));
		if (!fits)
			fail_msg("%s: %s, %zu recipients (%.*s), %s, status '%.*s', said '%.*s'", s->what, bounce_kind_name(b.kind),
			         b.nrecipients, SLICE_ARG(b.recipients[0].address), bounce_class_name(b.class), SLICE_ARG(b.status),
			         SLICE_ARG(b.said));
		assert_false(slice_has_control(b.said));
	}
	arena_release(&a);
}

#define COMPLAINT(type)                                                                                                \
	"From: <feedback@far.test>\r\nSubject: FW: news\r\nMIME-Version: 1.0\r\n"                                          \
	"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nSomebody "              \
	"complained.\r\n"                                                                                                  \
	"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: " type "\r\nUser-Agent: x/1\r\nVersion: 1\r\n" \
	"Original-Mail-From: <bounce+one@news.test>\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"                    \
	"Return-Path: <bounce+two@news.test>\r\nX-Posthouse-Ref: three@news.test\r\nSubject: news\r\n\r\nReturn-Path: "    \
	"<no@news.test>\r\n--b--\r\n"

static void
complaints(void **state)
{
	static const char *const paths[] = { "bounce+one@news.test", "three@news.test", "bounce+two@news.test" };
	struct arena a;
	struct bounce b;
	arena_init(&a, 0);
	bounce_read(S(COMPLAINT("abuse")), &a, &b);
	assert_int_equal(b.kind, BOUNCE_COMPLAINT);
	assert_true(slice_equal(b.type, S("abuse")));
	assert_int_equal(b.npaths, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(slice_equal(b.paths[i], slice_text(paths[i])));
	bounce_read(S(COMPLAINT("not-spam")), &a, &b); /* RFC 6430 */
	assert_int_equal(b.kind, BOUNCE_NONE);
	arena_release(&a);
}

/* What strangers send is bounded in what comes of it. */
static void
too_much(void **state)
{
	struct arena a;
	struct bounce b;
	struct buf text;
	arena_init(&a, 0);
	buf_init(&text, 4 << 20);
	buf_put(&text, S(DAEMON "Subject: failure notice\r\n\r\n"));
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "<u%d@far.test>: 550 5.1.1 \x01\xff%0500d\r\n\r\n", i, i);
	bounce_read(buf_slice(&text), &a, &b);
	assert_int_equal(b.kind, BOUNCE_FAILED);
	assert_int_equal(b.nrecipients, BOUNCE_RECIPIENTS_MAX);
	for (size_t i = 0; i < b.nrecipients; i++) {
		assert_true(b.recipients[i].said.len <= BOUNCE_SAID_BYTES_MAX);
		assert_true(slice_is_utf8(b.recipients[i].said) && !slice_has_control(b.recipients[i].said));
	}
	buf_clear(&text);
	buf_put(
	    &text,
	    S("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"));
	for (int i = 0; i < 50000; i++)
		buf_printf(&text, "Final-Recipient: rfc822;u%d@far.test\r\n\r\n", i);
	bounce_read(buf_slice(&text), &a, &b);
	assert_int_equal(b.kind, BOUNCE_FAILED);
	assert_int_equal(b.nrecipients, BOUNCE_RECIPIENTS_MAX);
	buf_release(&text);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),    cmocka_unit_test(codes),    cmocka_unit_test(many_servers),
		cmocka_unit_test(complaints), cmocka_unit_test(too_much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
