/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_test.c - dialogs over a socket pair, with store, auth and scan played by the test (session/session_testing.h).
 * Each row is a sentence, what the client sends, and the codes of the replies. What needs a real server, TLS or time
 * stands in tests/smtp. */
#include "session/session_testing.h"
#include "session/smtp/smtp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CONF                                                                                                           \
	"hostname = mx.example.test\nlogin.without-tls = yes\nmessage-bytes-max = 200k\n"                                  \
	"smtp.recipients-max = 100\nsmtp.messages-max = 5\nsmtp.received-max = 10\n"

#define EHLO "EHLO client.test\r\n"
#define LHLO "LHLO client.test\r\n"
#define FROM "MAIL FROM:<x@y.test>\r\n"
#define ALICE "RCPT TO:<alice@example.test>\r\n"
#define BOB "RCPT TO:<bob@example.test>\r\n"
#define TEXT "Subject: a\r\n\r\nb\r\n.\r\n"
#define OWN "From: alice@example.test\r\n" TEXT
#define AUTH "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"
#define FROM_ALICE "MAIL FROM:<alice@example.test>\r\n"
#define RECEIVED "Received: x\r\n"

static struct fake_house house;

struct row {
	const char *what;
	const struct protocol *face;
	const char *in, *codes;
};

#define SMTP &smtp_protocol
#define LMTP &lmtp_protocol
#define SUBM &submission_protocol

static const struct row rows[] = {
	/* the course of a session */
	{ "a message to one", SMTP, EHLO FROM ALICE "DATA\r\n" TEXT "QUIT\r\n", "220 250 250 250 354 250 221" },
	{ "HELO will do", SMTP, "HELO c\r\n" FROM ALICE "DATA\r\n" TEXT, "220 250 250 250 354 250" },
	{ "words in any case", SMTP, "ehlo c\r\nmail from:<>\r\nrcpt to:<alice@EXAMPLE.test>\r\n", "220 250 250 250" },
	{ "a space after the colon", SMTP, EHLO "MAIL FROM: <a@b.c>\r\nRCPT TO: <alice@example.test>\r\n",
	  "220 250 250 250" },
	{ "RSET forgets the message", SMTP, EHLO FROM "RSET\r\n" ALICE, "220 250 250 250 503" },
	{ "EHLO forgets it too", SMTP, EHLO FROM EHLO ALICE, "220 250 250 250 503" },
	{ "the next message", SMTP, EHLO FROM ALICE "DATA\r\n" TEXT FROM BOB "DATA\r\n" TEXT,
	  "220 250 250 250 354 250 250 250 354 250" },
	{ "NOOP, VRFY, EXPN, HELP", SMTP, EHLO "NOOP x\r\nVRFY alice\r\nEXPN all\r\nHELP\r\nHELP mail\r\nHELP x\r\n",
	  "220 250 250 252 502 214 214 504" },
	{ "arguments where none belong", SMTP, EHLO "RSET x\r\nQUIT x\r\nSTARTTLS x\r\n", "220 250 501 501 501" },
	{ "VRFY and EXPN of nothing", SMTP, EHLO "VRFY\r\nEXPN \r\n", "220 250 501 501" },
	{ "STARTTLS without a certificate", SMTP, EHLO "STARTTLS\r\n", "220 250 454" },
	/* order */
	{ "MAIL before EHLO", SMTP, FROM, "220 503" },
	{ "RCPT before MAIL", SMTP, EHLO ALICE, "220 250 503" },
	{ "DATA before MAIL", SMTP, EHLO "DATA\r\n", "220 250 503" },
	{ "DATA without recipients", SMTP, EHLO FROM "DATA\r\n", "220 250 250 554" },
	{ "MAIL twice", SMTP, EHLO FROM FROM, "220 250 250 503" },
	{ "AUTH on port 25", SMTP, EHLO AUTH, "220 250 502" },
	{ "LHLO on port 25", SMTP, LHLO, "220 500" },
	{ "EHLO by LMTP", LMTP, EHLO, "220 500" },
	/* malformed */
	{ "no such command", SMTP, "TURN\r\n\r\n", "220 500 500" },
	{ "a browser is cut off", SMTP, "GET / HTTP/1.1\r\n" EHLO, "220 554" },
	{ "EHLO without a name", SMTP, "EHLO\r\nEHLO \r\nEHLO a b\r\nEHLO a<b\r\n", "220 501 501 501 501" },
	{ "MAIL without brackets", SMTP, EHLO "MAIL FROM:a@b.c\r\nMAIL a\r\nMAIL FROM:<a\r\n", "220 250 501 501 501" },
	{ "RCPT without brackets", SMTP, EHLO FROM "RCPT TO:a@b.c\r\nRCPT a\r\nRCPT TO:<>\r\n", "220 250 250 501 501 501" },
	{ "control characters in an address", SMTP, EHLO "MAIL FROM:<a\tb@c.d>\r\n", "220 250 501" },
	{ "parameters nobody knows", SMTP, EHLO "MAIL FROM:<a@b.c> FOO=1\r\n" FROM "RCPT TO:<alice@example.test> FOO\r\n",
	  "220 250 555 250 555" },
	{ "parameters after HELO", SMTP, "HELO c\r\nMAIL FROM:<a@b.c> SIZE=1\r\n", "220 250 555" },
	{ "a parameter twice", SMTP, EHLO "MAIL FROM:<a@b.c> SIZE=1 SIZE=1\r\n", "220 250 501" },
	{ "wrong values", SMTP,
	  EHLO "MAIL FROM:<> SIZE=x\r\nMAIL FROM:<> BODY=9BIT\r\nMAIL FROM:<> SMTPUTF8=1\r\nMAIL FROM:<> RET=NO\r\n"
	       "MAIL FROM:<> ENVID=a+b\r\n",
	  "220 250 501 501 501 501 501" },
	{ "wrong values of RCPT", SMTP,
	  EHLO FROM "RCPT TO:<alice@example.test> NOTIFY=NEVER,DELAY\r\nRCPT TO:<alice@example.test> ORCPT=x\r\n",
	  "220 250 250 501 501" },
	{ "REQUIRETLS without TLS", SMTP, EHLO "MAIL FROM:<> REQUIRETLS=1\r\nMAIL FROM:<> REQUIRETLS\r\n",
	  "220 250 501 530" },
	{ "good values", SMTP,
	  EHLO "MAIL FROM:<a@b.c> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b\r\n"
	       "RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b\r\n",
	  "220 250 250 250" },
	{ "bare LF in a command", SMTP, EHLO "NOOP\nNOOP\r\n", "220 250 500 250" },
	{ "bare CR in a command", SMTP, EHLO "NOOP\rx\r\nNOOP\r\n", "220 250 500 250" },
	/* what comes back */
	{ "a bounce, and a letter to a return path", SMTP,
	  EHLO "MAIL FROM:<>\r\nRCPT TO:<bounce+x@example.test>\r\nDATA\r\n" TEXT FROM
	       "RCPT TO:<bounce+x@example.test>\r\nDATA\r\n" TEXT,
	  "220 250 250 250 354 250 250 250 354 250" },
	{ "a report to where complaints come in", SMTP, EHLO FROM "RCPT TO:<fbl@example.test>\r\nDATA\r\n" TEXT,
	  "220 250 250 250 354 250" },
	{ "suppressed: bulk mail is refused, letters go, never to what an administrator named", SUBM,
	  EHLO AUTH FROM_ALICE
	  "RCPT TO:<never@far.test>\r\nRCPT TO:<seldom@far.test>\r\nDATA\r\nList-Id: <n.x>\r\n" OWN FROM_ALICE
	  "RCPT TO:<seldom@far.test>\r\nDATA\r\n" OWN FROM_ALICE
	  "RCPT TO:<seldom@far.test>\r\nRCPT TO:<x@far.test>\r\nDATA\r\nList-Id: <n.x>\r\n" OWN,
	  "220 250 235 250 550 250 354 550 250 250 354 250 250 250 250 354 250" },
	/* who gets mail */
	{ "nobody of that name", SMTP, EHLO FROM "RCPT TO:<zoe@example.test>\r\n", "220 250 250 550" },
	{ "over quota", SMTP, EHLO FROM "RCPT TO:<full@example.test>\r\n", "220 250 250 452" },
	{ "suspended", SMTP, EHLO FROM "RCPT TO:<gone@example.test>\r\n", "220 250 250 450" },
	{ "another domain", SMTP, EHLO FROM "RCPT TO:<a@elsewhere.test>\r\n", "220 250 250 550" },
	{ "an address literal", SMTP, EHLO FROM "RCPT TO:<a@[192.0.2.1]>\r\n", "220 250 250 550" },
	{ "the %-hack", SMTP, EHLO FROM "RCPT TO:<a%elsewhere.test@example.test>\r\n", "220 250 250 550" },
	{ "a bang path", SMTP, EHLO FROM "RCPT TO:<elsewhere.test!a@example.test>\r\n", "220 250 250 550" },
	{ "a quoted local-part with an address in it", SMTP, EHLO FROM "RCPT TO:<\"a@elsewhere.test\"@example.test>\r\n",
	  "220 250 250 550" },
	{ "a source route that ends elsewhere", SMTP, EHLO FROM "RCPT TO:<@example.test:a@elsewhere.test>\r\n",
	  "220 250 250 550" },
	{ "a source route that ends here", SMTP, EHLO FROM "RCPT TO:<@relay.test:alice@example.test>\r\n",
	  "220 250 250 250" },
	{ "postmaster alone", SMTP, EHLO FROM "RCPT TO:<PostMaster>\r\n", "220 250 250 250" },
	{ "an alias with somebody elsewhere", SMTP, EHLO FROM "RCPT TO:<all@example.test>\r\nDATA\r\n" TEXT,
	  "220 250 250 250 354 250" },
	{ "not ASCII without SMTPUTF8", SMTP,
	  EHLO "MAIL FROM:<\xc3\xa9@y.test>\r\n" FROM "RCPT TO:<\xc3\xa9@example.test>\r\n", "220 250 553 250 553" },
	{ "not ASCII with SMTPUTF8", SMTP, EHLO "MAIL FROM:<\xc3\xa9@y.test> SMTPUTF8\r\n" ALICE, "220 250 250 250" },
	{ "not UTF-8", SMTP, EHLO "MAIL FROM:<\xff@y.test> SMTPUTF8\r\n", "220 250 501" },
	/* the body */
	{ "declared too large", SMTP, EHLO "MAIL FROM:<a@b.c> SIZE=300000\r\n", "220 250 552" },
	{ "an empty message", SMTP, EHLO FROM ALICE "DATA\r\n.\r\n", "220 250 250 250 354 250" },
	{ "bare LF in a message", SMTP, EHLO FROM ALICE "DATA\r\na\nb\r\n.\r\nNOOP\r\n", "220 250 250 250 354 550 250" },
	{ "bare CR in a message", SMTP, EHLO FROM ALICE "DATA\r\na\rb\r\n.\r\n", "220 250 250 250 354 550" },
	{ "smuggling: LF dot LF ends nothing", SMTP,
	  EHLO FROM ALICE "DATA\r\na\n.\nMAIL FROM:<evil@y.test>\r\n.\r\nNOOP\r\n", "220 250 250 250 354 550 250" },
	{ "smuggling: LF dot CRLF ends nothing", SMTP,
	  EHLO FROM ALICE "DATA\r\na\n.\r\nMAIL FROM:<evil@y.test>\r\n.\r\nNOOP\r\n", "220 250 250 250 354 550 250" },
	{ "a message that goes in circles", SMTP,
	  EHLO FROM ALICE "DATA\r\n" RECEIVED RECEIVED RECEIVED RECEIVED RECEIVED RECEIVED RECEIVED RECEIVED RECEIVED
	      RECEIVED RECEIVED TEXT,
	  "220 250 250 250 354 554" },
	/* BDAT */
	{ "one chunk", SMTP, EHLO FROM ALICE "BDAT 6 LAST\r\na\r\nb\r\nNOOP\r\n", "220 250 250 250 250 250" },
	{ "three chunks", SMTP, EHLO FROM ALICE "BDAT 3\r\na\r\nBDAT 3\r\nb\r\nBDAT 0 LAST\r\n",
	  "220 250 250 250 250 250 250" },
	{ "bare LF in a chunk", SMTP, EHLO FROM ALICE "BDAT 4 LAST\r\na\nb\nNOOP\r\n", "220 250 250 250 550 250" },
	{ "CR and LF in two chunks are a line end", SMTP, EHLO FROM ALICE "BDAT 2\r\na\rBDAT 1 LAST\r\n\n",
	  "220 250 250 250 250 250" },
	{ "bare LF in BINARYMIME", SMTP, EHLO "MAIL FROM:<> BODY=BINARYMIME\r\n" ALICE "BDAT 4 LAST\r\na\nb\n",
	  "220 250 250 250 250" },
	{ "BINARYMIME with DATA", SMTP, EHLO "MAIL FROM:<> BODY=BINARYMIME\r\n" ALICE "DATA\r\n", "220 250 250 250 503" },
	{ "DATA after BDAT", SMTP, EHLO FROM ALICE "BDAT 3\r\na\r\nDATA\r\n", "220 250 250 250 250 503" },
	{ "RCPT after BDAT", SMTP, EHLO FROM ALICE "BDAT 3\r\na\r\n" BOB, "220 250 250 250 250 503" },
	{ "BDAT without recipients reads its chunk", SMTP, EHLO FROM "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	  "220 250 250 554 250" },
	{ "BDAT out of order reads its chunk", SMTP, "BDAT 6\r\nQUIT\r\nNOOP\r\n", "220 503 250" },
	{ "BDAT of who knows what", SMTP, EHLO FROM ALICE "BDAT x LAST\r\nNOOP\r\n", "220 250 250 250 501" },
	{ "BDAT FIRST", SMTP, EHLO FROM ALICE "BDAT 1 FIRST\r\nNOOP\r\n", "220 250 250 250 501" },
	{ "BDAT of far too much", SMTP, EHLO FROM ALICE "BDAT 99999999999 LAST\r\nNOOP\r\n", "220 250 250 250 552" },
	/* limits */
	{ "more messages than one session has", SMTP,
	  EHLO FROM "RSET\r\n" FROM "RSET\r\n" FROM "RSET\r\n" FROM "RSET\r\n" FROM "RSET\r\n" FROM,
	  "220 250 250 250 250 250 250 250 250 250 250 250 421" },
	{ "too many errors", SMTP,
	  "A\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nNOOP\r"
	  "\n",
	  "220 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 421" },
	/* LMTP */
	{ "LMTP answers for each", LMTP, LHLO FROM ALICE BOB "DATA\r\n" TEXT, "220 250 250 250 250 354 250 250" },
	{ "LMTP without recipients", LMTP, LHLO FROM "DATA\r\n", "220 250 250 503" },
	{ "LMTP with chunks", LMTP, LHLO FROM ALICE BOB "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n",
	  "220 250 250 250 250 250 250 250" },
	{ "LMTP relays nothing", LMTP, LHLO FROM "RCPT TO:<a@elsewhere.test>\r\n", "220 250 250 550" },
	{ "LMTP refuses for each", LMTP, LHLO FROM ALICE BOB "DATA\r\na\nb\r\n.\r\n", "220 250 250 250 250 354 550 550" },
	/* submission */
	{ "who are you?", SUBM, EHLO FROM_ALICE "BDAT 6 LAST\r\nQUIT\r\nVRFY a\r\n", "220 250 530 530 530" },
	{ "PLAIN", SUBM, EHLO AUTH, "220 250 235" },
	{ "PLAIN with a challenge", SUBM, EHLO "AUTH PLAIN\r\nAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n",
	  "220 250 334 235" },
	{ "LOGIN", SUBM, EHLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\n", "220 250 334 334 235" },
	{ "LOGIN with the name at once", SUBM, EHLO "AUTH LOGIN YWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\n",
	  "220 250 334 235" },
	{ "a wrong password", SUBM, EHLO "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==\r\n", "220 250 535" },
	{ "as somebody else", SUBM, EHLO "AUTH PLAIN Ym9iAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n", "220 250 535" },
	{ "no base64", SUBM, EHLO "AUTH PLAIN a\r\nAUTH PLAIN =\r\nAUTH PLAIN AAAA\r\n", "220 250 501 501 501" },
	{ "given up", SUBM, EHLO "AUTH LOGIN\r\n*\r\n", "220 250 334 501" },
	{ "no such mechanism", SUBM, EHLO "AUTH CRAM-MD5\r\nAUTH\r\n", "220 250 504 501" },
	{ "AUTH twice", SUBM, EHLO AUTH AUTH, "220 250 235 503" },
	{ "AUTH after HELO", SUBM, "HELO c\r\n" AUTH, "220 250 503" },
	{ "AUTH in a message", SUBM, EHLO AUTH FROM_ALICE AUTH, "220 250 235 250 503" },
	{ "STARTTLS after AUTH", SUBM, EHLO AUTH "STARTTLS\r\n", "220 250 235 503" },
	{ "passwords are not guessed here", SUBM,
	  EHLO "AUTH PLAIN AGEAYQ==\r\nAUTH PLAIN AGEAYQ==\r\nAUTH PLAIN AGEAYQ==\r\nAUTH PLAIN AGEAYQ==\r\nAUTH PLAIN "
	       "AGEAYQ==\r\nNOOP\r\n",
	  "220 250 535 535 535 535 535" },
	{ "another's address", SUBM, EHLO AUTH FROM, "220 250 235 550" },
	{ "mail for elsewhere", SUBM,
	  EHLO AUTH FROM_ALICE "RCPT TO:<a@elsewhere.test>\r\nDATA\r\nFrom: Alice <alice@example.test>\r\n\r\nb\r\n.\r\n",
	  "220 250 235 250 250 354 250" },
	{ "AUTH= of MAIL", SUBM, EHLO AUTH "MAIL FROM:<alice@example.test> AUTH=<>\r\n", "220 250 235 250" },
	{ "From of somebody else", SUBM, EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: bob@example.test\r\n\r\nb\r\n.\r\n",
	  "220 250 235 250 250 354 550" },
	{ "one of two in From is somebody else", SUBM,
	  EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: alice@example.test,\r\n bob@example.test\r\n\r\nb\r\n.\r\n",
	  "220 250 235 250 250 354 550" },
	{ "no From", SUBM, EHLO AUTH FROM_ALICE BOB "DATA\r\nTo: x@y.z\r\n\r\nb\r\n.\r\n", "220 250 235 250 250 354 550" },
	{ "two From", SUBM,
	  EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: alice@example.test\r\nFrom: alice@example.test\r\n\r\nb\r\n.\r\n",
	  "220 250 235 250 250 354 550" },
	{ "a header without a body", SUBM, EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: alice@example.test\r\n.\r\n",
	  "220 250 235 250 250 354 250" },
};

/* The code of each reply, from its last line. */
static void
codes_of(struct slice out, struct buf *codes)
{
	while (out.len >= 4) {
		ptrdiff_t end = slice_find(out, S("\r\n"));
		assert_true(end >= 4);
		if (out.at[3] == ' ') {
			if (codes->len)
				buf_put_char(codes, ' ');
			buf_put(codes, slice_part(out, 0, 3));
		}
		out = slice_from(out, (size_t)end + 2);
	}
}

static void
converse(const struct row *r, size_t step)
{
	struct buf out, codes;
	buf_init(&out, 1 << 20);
	buf_init(&codes, 1 << 16);
	fake_dialog(&house, LISTEN_SMTP, r->face, slice_text(r->in), step, &out);
	codes_of(buf_slice(&out), &codes);
	if (!slice_equal(buf_slice(&codes), slice_text(r->codes)))
		fail_msg("%s (in steps of %zu): wanted %s, got %.*s\n%.*s", r->what, step, r->codes,
		         SLICE_ARG(buf_slice(&codes)), SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
	buf_release(&codes);
}

static void
test_dialogs(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		converse(&rows[i], 100000); /* all at once */
		converse(&rows[i], 1);      /* byte by byte */
		converse(&rows[i], 7);
	}
}

/* A client that goes away after each byte of a session: nothing is left behind, and what was not answered with 250 was
 * not kept. */
static void
test_cut(void **state)
{
	static const char whole[] = EHLO FROM ALICE "DATA\r\n" TEXT FROM BOB "BDAT 6 LAST\r\na\r\nb\r\nQUIT\r\n";
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		struct buf out;
		buf_init(&out, 1 << 16);
		unsigned before = house.commits;
		fake_dialog(&house, LISTEN_SMTP, SMTP, slice_of(whole, n), 1 << 16, &out);
		unsigned accepted = 0;
		struct slice rest = buf_slice(&out);
		for (ptrdiff_t at; (at = slice_find(rest, S("accepted as"))) >= 0; rest = slice_from(rest, (size_t)at + 1))
			accepted++;
		assert_int_equal(house.commits - before, accepted);
		assert_int_equal(shm_used(house.s.shm), 0);
		buf_release(&out);
	}
}

/* ---- what the store gets */

static struct slice
deliver(const struct protocol *face, const char *in)
{
	static struct buf out;
	buf_init(&out, 1 << 20);
	buf_clear(&house.body);
	fake_dialog(&house, LISTEN_SMTP, face, slice_text(in), 1 << 20, &out);
	buf_release(&out);
	return buf_slice(&house.body);
}

static void
test_trace(void **state)
{
	struct slice body = deliver(SMTP, EHLO FROM ALICE "DATA\r\n..a\r\n.\r\n");
	assert_true(slice_starts(body, S("Return-Path: <x@y.test>\r\nReceived: from client.test ([192.0.2.1])\r\n\tby "
	                                 "mx.example.test with ESMTP\r\n\tid smtp-")));
	assert_int_equal(house.skip, 25);
	assert_true(slice_find(body, S("\r\n\tfor <alice@example.test>; ")) > 0);
	assert_true(slice_ends(body, S(" +0000\r\n.a\r\n")));
	body = deliver(SMTP, EHLO "MAIL FROM:<\"a b\"@y.test>\r\n" ALICE BOB "DATA\r\na\r\n.\r\n");
	assert_true(slice_starts(body, S("Return-Path: <\"a b\"@y.test>\r\n")));
	assert_true(slice_find(body, S("for <")) < 0);
	body = deliver(SMTP, "HELO c\r\nMAIL FROM:<>\r\n" ALICE "DATA\r\na\r\n.\r\n");
	assert_true(slice_starts(body, S("Return-Path: <>\r\n")) && slice_find(body, S(" with SMTP\r\n")) > 0);
	body = deliver(SMTP, EHLO "MAIL FROM:<> SMTPUTF8\r\n" ALICE "DATA\r\na\r\n.\r\n");
	assert_true(slice_find(body, S(" with UTF8SMTP\r\n")) > 0);
	body = deliver(LMTP, LHLO FROM ALICE "DATA\r\na\r\n.\r\n");
	assert_true(slice_find(body, S(" with LMTP\r\n")) > 0);
}

static void
test_submission_header(void **state)
{
	struct slice body =
	    deliver(SUBM, EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: alice@example.test\r\nSubject: s\r\n\r\nb\r\n.\r\n");
	assert_true(slice_find(body, S(" with ESMTPA\r\n")) > 0);
	assert_true(slice_find(body, S("\r\nDate: ")) > 0);
	assert_true(slice_find(body, S("\r\nMessage-ID: <")) > 0);
	assert_true(slice_ends(body, S("@mx.example.test>\r\nFrom: alice@example.test\r\nSubject: s\r\n\r\nb\r\n")));
	body = deliver(SUBM, EHLO AUTH FROM_ALICE BOB
	               "DATA\r\nFrom: alice@example.test\r\nDate: x\r\nMessage-Id: <1@2>\r\n\r\nDate: y\r\n.\r\n");
	assert_true(
	    slice_ends(body, S(" +0000\r\nFrom: alice@example.test\r\nDate: x\r\nMessage-Id: <1@2>\r\n\r\nDate: y\r\n")));
}

static void
test_targets(void **state)
{
	house.deliveries = house.rows = house.notices = 0;
	deliver(SMTP, EHLO FROM ALICE ALICE "RCPT TO:<all@example.test>\r\nDATA\r\n" TEXT);
	assert_int_equal(house.deliveries, 2); /* alice once, bob */
	assert_int_equal(house.rows, 1);
	deliver(SUBM, EHLO AUTH FROM_ALICE
	        "RCPT TO:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<c@X.TEST>\r\nRCPT TO:<a@x.test>\r\n"
	        "DATA\r\nFrom: alice@example.test\r\n\r\n.\r\n");
	assert_int_equal(house.rows, 3);
	deliver(SMTP, EHLO "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test> NOTIFY=SUCCESS\r\nDATA\r\n" TEXT);
	assert_int_equal(house.notices, 0); /* a stranger: alice may know nothing of it */
	deliver(SUBM, EHLO AUTH FROM_ALICE "RCPT TO:<bob@example.test> NOTIFY=SUCCESS\r\n"
	                                   "DATA\r\nFrom: alice@example.test\r\n\r\n.\r\n");
	assert_int_equal(house.notices, 1);
	deliver(SMTP, EHLO "MAIL FROM:<>\r\nRCPT TO:<bob@example.test> NOTIFY=SUCCESS\r\nDATA\r\n" TEXT);
	assert_int_equal(house.notices, 1);
}

static void
test_trouble(void **state)
{
	static const struct row lmtp = { "the culprit alone is refused", LMTP, LHLO FROM ALICE BOB "DATA\r\n" TEXT,
		                             "220 250 250 250 250 354 250 452" };
	static const struct row smtp = { "SMTP has one answer for all", SMTP, EHLO FROM ALICE BOB "DATA\r\n" TEXT,
		                             "220 250 250 250 250 354 452" };
	static const struct row alone = { "the culprit is all", LMTP, LHLO FROM BOB "DATA\r\n" TEXT,
		                              "220 250 250 250 354 452" };
	house.commit_culprit = 2;
	converse(&lmtp, 1000);
	converse(&smtp, 1000);
	converse(&alone, 1000);
	house.commit_culprit = 0;
	static const struct {
		enum err commit, scan, store;
		struct row row;
	} troubles[] = {
		{ ERR_DISK_FULL, OK, OK, { "disk full", SMTP, EHLO FROM ALICE "DATA\r\n" TEXT, "220 250 250 250 354 452" } },
		{ ERR_IO, OK, OK, { "engine broken", SMTP, EHLO FROM ALICE "DATA\r\n" TEXT, "220 250 250 250 354 451" } },
		{ OK, ERR_AGAIN, OK, { "scan away", SMTP, EHLO FROM ALICE "DATA\r\n" TEXT, "220 250 250 250 354 451" } },
		{ OK, OK, ERR_AGAIN, { "store away", SMTP, EHLO FROM ALICE "DATA\r\n", "220 250 250 451 554" } },
	};
	for (size_t i = 0; i < COUNT_OF(troubles); i++) {
		house.commit_verdict = troubles[i].commit;
		house.scan_error = troubles[i].scan;
		house.store_error = troubles[i].store;
		converse(&troubles[i].row, 1000);
	}
	house.commit_verdict = house.scan_error = house.store_error = OK;
}

/* ---- limits that take many bytes */

static void
repeat(struct buf *to, const char *text, size_t bytes)
{
	for (size_t n = strlen(text), put = 0; put < bytes; put += n)
		buf_put(to, slice_text(text));
}

static void
check_large(const char *what, const struct protocol *face, const char *before, const char *repeated, size_t bytes,
            const char *after, const char *codes)
{
	struct buf in;
	buf_init(&in, 8 << 20);
	buf_put(&in, slice_text(before));
	repeat(&in, repeated, bytes);
	buf_put(&in, slice_text(after));
	buf_put_char(&in, 0);
	struct row r = { what, face, in.at, codes };
	converse(&r, 50000);
	buf_release(&in);
}

static void
test_large(void **state)
{
	check_large("too large", SMTP, EHLO FROM ALICE "DATA\r\n", "abcdefgh\r\n", 250000, ".\r\nNOOP\r\n",
	            "220 250 250 250 354 552 250");
	check_large("without end", SMTP, EHLO FROM ALICE "DATA\r\n", "abcdefgh\r\n", 3000000, "",
	            "220 250 250 250 354 552");
	check_large("just fits", SMTP, EHLO FROM ALICE "DATA\r\n", "abcdefgh\r\n", 204800, ".\r\n",
	            "220 250 250 250 354 250");
	check_large("a line of a command", SMTP, EHLO "NOOP ", "x", 3000, "\r\nNOOP\r\n", "220 250 500 250");
	check_large("a local-part", SMTP, EHLO "MAIL FROM:<", "x", 65, "@y.z>\r\n", "220 250 501");
	check_large("a domain", SMTP, EHLO FROM "RCPT TO:<x@", "abc.", 256, "abc>\r\n", "220 250 250 501");
	check_large("a name in EHLO", SMTP, "EHLO ", "x", 256, "\r\n", "220 501");
	check_large("ENVID", SMTP, EHLO "MAIL FROM:<> ENVID=", "x", 101, "\r\n", "220 250 501");
	check_large("ORCPT", SMTP, EHLO FROM "RCPT TO:<alice@example.test> ORCPT=rfc822;", "x", 500, "\r\n",
	            "220 250 250 501");
	check_large("an answer to AUTH", SUBM, EHLO "AUTH PLAIN\r\n", "A", 20000, "\r\nNOOP\r\n", "220 250 334 500 250");
	check_large("the header of a submission", SUBM, EHLO AUTH FROM_ALICE BOB "DATA\r\nFrom: alice@example.test\r\n",
	            "X: abcdefgh\r\n", 190000, "\r\n.\r\n", "220 250 235 250 250 354 552");
}

static void
test_recipients_max(void **state)
{
	struct buf in, codes;
	buf_init(&in, 1 << 20);
	buf_init(&codes, 1 << 20);
	buf_put(&in, slice_text(EHLO FROM));
	buf_put(&codes, S("220 250 250"));
	for (int i = 0; i < 101; i++) {
		buf_put(&in, slice_text(ALICE));
		buf_put(&codes, i < 100 ? S(" 250") : S(" 452"));
	}
	buf_put_char(&in, 0);
	buf_put_char(&codes, 0);
	struct row r = { "recipients-max", SMTP, in.at, codes.at };
	converse(&r, 1 << 16);
	buf_release(&in);
	buf_release(&codes);
}

/* A body that is larger than shared memory takes goes through a spool file and arrives whole. */
static void
test_spool(void **state)
{
	struct fake_house big;
	fake_house_close(&house);
	fake_house_open(&big, "hostname = mx.example.test\nmessage-bytes-max = 10m\n");
	struct buf in, out;
	buf_init(&in, 16 << 20);
	buf_init(&out, 1 << 16);
	buf_put(&in, slice_text(EHLO FROM ALICE "DATA\r\n"));
	repeat(&in, "abcdefgh\r\n", 5 << 20);
	buf_put(&in, slice_text(".\r\nQUIT\r\n"));
	fake_dialog(&big, LISTEN_SMTP, SMTP, buf_slice(&in), 1 << 16, &out);
	assert_true(slice_find(buf_slice(&out), S("250 2.0.0 accepted")) > 0);
	assert_int_equal(big.commits, 1);
	buf_release(&in);
	buf_release(&out);
	fake_house_close(&big);
	fake_house_open(&house, CONF);
}

/* ---- time */

static void
wait_closed(int fd, struct buf *out)
{
	for (int turns = 0; house.s.open > 0; turns++) {
		assert_true(turns < 100000);
		loop_turn(1000);
		fake_drain(fd, out);
	}
	fake_drain(fd, out);
	close(fd);
}

static void
test_silence(void **state)
{
	static const struct {
		const char *what;
		const struct protocol *face;
		const char *in, *end;
		int64_t ms;
	} waits[] = {
		{ "after the greeting", SMTP, "", "421 4.4.2", 300000 },
		{ "in a command", SMTP, "EHL", "421 4.4.2", 300000 },
		{ "in a message", SMTP, EHLO FROM ALICE "DATA\r\nabc", "421 4.4.2", 300000 },
		{ "in a chunk", SMTP, EHLO FROM ALICE "BDAT 10\r\nabc", "421 4.4.2", 300000 },
		{ "nobody logged in", SUBM, EHLO, "421 4.4.2", 60000 },
		{ "in AUTH", SUBM, EHLO "AUTH LOGIN\r\n", "421 4.4.2", 60000 },
		{ "somebody logged in", SUBM, EHLO AUTH, "421 4.4.2", 300000 },
	};
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		struct buf out;
		buf_init(&out, 1 << 16);
		int64_t began = clock_mono_ms();
		int fd = fake_client(&house, LISTEN_SMTP, waits[i].face);
		struct slice in = slice_text(waits[i].in);
		assert_true(send(fd, in.at, in.len, MSG_NOSIGNAL) == (ssize_t)in.len);
		wait_closed(fd, &out);
		int64_t took = clock_mono_ms() - began;
		if (slice_find(buf_slice(&out), slice_text(waits[i].end)) < 0 || took < waits[i].ms ||
		    took > waits[i].ms + 1000)
			fail_msg("%s: after %lld ms\n%.*s", waits[i].what, (long long)took, SLICE_ARG(buf_slice(&out)));
		buf_release(&out);
	}
}

/* One byte a minute keeps no message open for ever. */
static void
test_dripping(void **state)
{
	struct buf out;
	buf_init(&out, 1 << 16);
	int fd = fake_client(&house, LISTEN_SMTP, SMTP);
	static const char in[] = EHLO FROM ALICE "DATA\r\n";
	assert_true(send(fd, in, sizeof in - 1, MSG_NOSIGNAL) > 0);
	int64_t began = clock_mono_ms(), next = began;
	while (house.s.open > 0) {
		assert_true(clock_mono_ms() - began < 2 * SMTP_DATA_MS_MAX);
		if (clock_mono_ms() >= next) {
			next += 60000;
			ssize_t n = send(fd, "a", 1, MSG_NOSIGNAL);
			(void)n;
		}
		loop_turn(1000);
	}
	fake_drain(fd, &out);
	close(fd);
	assert_true(slice_find(buf_slice(&out), S("421 4.4.2")) > 0);
	buf_release(&out);
}

static void
test_early_talker(void **state)
{
	struct fake_house slow;
	fake_house_close(&house);
	fake_house_open(&slow, "hostname = mx.example.test\nsmtp.greeting-delay = 5s\n");
	struct buf out;
	buf_init(&out, 1 << 16);
	fake_dialog(&slow, LISTEN_SMTP, SMTP, S(EHLO), 1000, &out);
	assert_true(slice_starts(buf_slice(&out), S("554 5.5.1 ")));
	buf_release(&out);
	fake_house_close(&slow);
	fake_house_open(&house, CONF);
}

static void
stop_task(void *unused)
{
	await_conns_end(&house.s, 1000);
}

static void
test_stop(void **state)
{
	struct buf out;
	buf_init(&out, 1 << 16);
	int idle = fake_client(&house, LISTEN_SMTP, SMTP), busy = fake_client(&house, LISTEN_SMTP, SMTP);
	static const char in[] = EHLO FROM ALICE "DATA\r\nabc";
	assert_true(send(busy, in, sizeof in - 1, MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 20; i++)
		loop_turn(0);
	assert_int_equal(house.s.open, 2);
	assert_true(task_start(stop_task, NULL));
	wait_closed(idle, &out);
	close(busy);
	assert_true(slice_find(buf_slice(&out), S("421 4.3.2")) > 0);
	buf_release(&out);
	house.s.stopping = false;
}

static void
test_revoked(void **state)
{
	struct buf out;
	buf_init(&out, 1 << 16);
	int fd = fake_client(&house, LISTEN_SMTP, SUBM);
	static const char in[] = EHLO AUTH;
	assert_true(send(fd, in, sizeof in - 1, MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 20; i++)
		loop_turn(0);
	session_revoked(&house.s, 2);
	loop_turn(0);
	assert_int_equal(house.s.open, 1);
	session_revoked(&house.s, 1);
	wait_closed(fd, &out);
	assert_true(slice_find(buf_slice(&out), S("421 4.7.0")) > 0);
	buf_release(&out);
}

/* What an idle connection costs (DESIGN.md: at most 8 KiB). */
static void
test_idle_bytes(void **state)
{
	assert_true(sizeof(struct conn) + sizeof(struct smtp) <= 2048);
}

/* ---- parsers */

static void
test_params(void **state)
{
	uint32_t bits;
	assert_true(notify_of(S("never"), &bits) && bits == NOTIFY_NEVER);
	assert_true(notify_of(S("SUCCESS,DELAY"), &bits) && bits == (NOTIFY_SUCCESS | NOTIFY_DELAY));
	assert_false(notify_of(S("NEVER,SUCCESS"), &bits) || notify_of(S(""), &bits) || notify_of(S("DELAY,"), &bits));
	assert_true(is_xtext(S("a+2Bb")) && is_xtext(S("abc")));
	assert_false(is_xtext(S("")) || is_xtext(S("a b")) || is_xtext(S("a=b")) || is_xtext(S("a+2")) ||
	             is_xtext(S("+2b")));
	assert_true(is_orcpt(S("rfc822;a@b"), false) && is_orcpt(S("utf-8;a\\x{E9}@b"), false));
	assert_true(is_orcpt(S("utf-8;\xc3\xa9@b"), true));
	assert_false(is_orcpt(S("utf-8;\xc3\xa9@b"), false) || is_orcpt(S("rfc822"), false) || is_orcpt(S(";a"), false));
}

static int
setup(void **state)
{
	log_setup("test", LOG_ERROR, false);
	loop_sim_start(1700000000);
	fake_house_open(&house, CONF);
	return 0;
}

static int
teardown(void **state)
{
	fake_house_close(&house);
	loop_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_dialogs),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_submission_header),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_recipients_max),
		cmocka_unit_test(test_spool),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_dripping),
		cmocka_unit_test(test_early_talker),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_idle_bytes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
