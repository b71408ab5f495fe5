/* SPDX-License-Identifier: Apache-2.0 */
/* facts_test.c - what is known about messages, ordinary ones and others. */
#include "mail/facts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/charset.h"

static void
check_facts(const char *says, struct slice message, enum facts_id id, struct slice want)
{
	struct buf record;
	struct facts f;
	buf_init(&record, FACTS_BYTES_MAX);
	assert_true(facts_of_message(message, &record));
	assert_true(facts_open(&f, buf_slice(&record)));
	struct slice got = facts_get(&f, id);
	if (!slice_equal(got, want))
		fail_msg("%s: %.*s", says, SLICE_ARG(got));
	buf_release(&record);
}

static const struct row {
	const char *says, *message;
	enum facts_id id;
	const char *value;
} rows[] = {
	{ "an envelope",
	  "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\nSubject: IMAP4rev1 "
	  "WG "
	  "mtg\r\nTo: imap@cac.washington.edu\r\nCc: minutes@CNRI.Reston.VA.US, John Klensin "
	  "<KLENSIN@MIT.EDU>\r\nMessage-Id: "
	  "<B27397-0100000@cac.washington.edu>\r\n\r\n",
	  FACTS_ENVELOPE,
	  "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg\" ((\"Terry Gray\" NIL \"gray\" "
	  "\"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" "
	  "\"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) ((NIL NIL \"minutes\" "
	  "\"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
	  "\"<B27397-0100000@cac.washington.edu>\")" },
	{ "missing fields are NIL", "\r\nx", FACTS_ENVELOPE, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "empty ones are empty, empty lists NIL", "Subject:\r\nDate: \r\nTo:\r\nMessage-ID:\r\n\r\n", FACTS_ENVELOPE,
	  "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")" },
	{ "a group", "To: friends: a@b, c@d;\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"friends\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL "
	  "NIL NIL NIL)" },
	{ "an address that lacks a part", "From: root\r\nTo: X <>\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL NIL ((NIL NIL \"root\" \"MISSING_DOMAIN\")) ((NIL NIL \"root\" \"MISSING_DOMAIN\")) ((NIL NIL \"root\" "
	  "\"MISSING_DOMAIN\")) ((\"X\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)" },
	{ "Sender and Reply-To of their own", "From: a@b\r\nSender: c@d\r\nReply-To: e@f\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"e\" \"f\")) NIL NIL NIL NIL NIL)" },
	{ "two To fields are one list", "To: a@b\r\nTo: c@d\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)" },
	{ "so are twenty Cc fields",
	  "Cc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: "
	  "a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: a@b\r\nCc: "
	  "last@b\r\n\r\n",
	  FACTS_ENVELOPE,
	  "(NIL NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")"
	  "(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL "
	  "NIL \"a\" \"b\")"
	  "(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL "
	  "NIL \"a\" \"b\")"
	  "(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"b\")(NIL NIL \"last\" \"b\")) NIL NIL NIL)" },
	{ "quotes are escaped, folds undone", "Subject: a \"b\" \\\r\n c\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL \"a \\\"b\\\" \\\\ c\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "raw 8-bit becomes UTF-8 in a literal", "Subject: J\xfcrgen\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL {7}\r\nJ\xc3\xbcrgen NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "encoded words stay as they are", "Subject: =?utf-8?q?=C3=BC?=\r\n\r\n", FACTS_ENVELOPE,
	  "(NIL \"=?utf-8?q?=C3=BC?=\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "a plain text body", "Subject: x\r\n\r\none\r\ntwo\r\n", FACTS_BODYSTRUCTURE,
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2 NIL NIL NIL NIL)" },
	{ "the same without extension data", "Subject: x\r\n\r\none\r\ntwo\r\n", FACTS_BODY,
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2)" },
	{ "a last line without an end counts", "\r\none\r\ntwo", FACTS_BODY,
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 8 2)" },
	{ "an empty message", "", FACTS_BODY, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)" },
	{ "all the fields of a part",
	  "Content-Type: IMAGE/png; name=\"a b.png\"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <i@d>\r\n"
	  "Content-Description: a picture\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; filename=x.png; "
	  "size=3\r\nContent-Language: en, de\r\nContent-Location: http://x/\r\n\r\nAAAA\r\n",
	  FACTS_BODYSTRUCTURE,
	  "(\"IMAGE\" \"png\" (\"name\" \"a b.png\") \"<i@d>\" \"a picture\" \"base64\" 6 \"Q2hlY2s=\" (\"attachment\" "
	  "(\"filename\" \"x.png\" \"size\" \"3\")) (\"en\" \"de\") \"http://x/\")" },
	{ "RFC 2231 continuations are joined",
	  "Content-Type: application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n "
	  "title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"\r\n\r\n",
	  FACTS_BODY,
	  "(\"application\" \"x-stuff\" (\"title*\" "
	  "\"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t "
	  "it!\") NIL NIL \"7bit\" 0)" },
	{ "a multipart",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: "
	  "text/html\r\n\r\n<b>\r\ntwo\r\n--b--\r\nepi\r\n",
	  FACTS_BODYSTRUCTURE,
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)(\"text\" \"html\" "
	  "(\"charset\" "
	  "\"us-ascii\") NIL NIL \"7bit\" 8 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
	{ "the same without extension data", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
	  FACTS_BODY, "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) \"mixed\")" },
	{ "a multipart without parts has an empty one", "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n",
	  FACTS_BODY, "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")" },
	{ "a multipart without boundary is text", "Content-Type: multipart/mixed\r\n\r\nx\r\n", FACTS_BODY,
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)" },
	{ "a type that is none is text", "Content-Type: rubbish\r\n\r\nx\r\n", FACTS_BODY,
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)" },
	{ "a message inside", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n", FACTS_BODYSTRUCTURE,
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" "
	  "\"plain\" "
	  "(\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)" },
	{ "a digest is made of messages",
	  "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\n1\r\n--b--\r\n", FACTS_BODY,
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" "
	  "\"plain\" "
	  "(\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 1) 3) \"digest\")" },
	{ "an encoded message is a file",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", FACTS_BODY,
	  "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 6)" },
	{ "a subject", "Subject: =?iso-8859-1?q?J=FCr?=\r\n =?iso-8859-1?q?gen?= x\r\n\r\n", FACTS_SUBJECT,
	  "J\xc3\xbcrgen x" },
	{ "its base", "Subject: Re: [x] =?utf-8?q?Fwd:_a?=\r\n\r\n", FACTS_BASE_SUBJECT, "a" },
	{ "from, for search", "From: =?utf-8?q?J=C3=BC?= <j@b>\r\n\r\n", FACTS_FROM, "J\xc3\xbc <j@b>" },
	{ "from, to be shown", "From: =?utf-8?q?J=C3=BC?= <j@b>\r\n\r\n", FACTS_DISPLAY_FROM, "J\xc3\xbc" },
	{ "an address to be shown", "To: a@b, c@d\r\n\r\n", FACTS_DISPLAY_TO, "a@b" },
	{ "from, to be sorted", "From: X <John.Doe@b>\r\n\r\n", FACTS_SORT_FROM, "John.Doe" },
	{ "an id", "Message-ID: <a@b>\r\n\r\n", FACTS_MESSAGE_ID, "a@b" },
	{ "an id with spaces", "Message-ID:\r\n <a @b> (x)\r\n\r\n", FACTS_MESSAGE_ID, "a@b" },
	{ "an id without brackets", "Message-ID: a@b\r\n\r\n", FACTS_MESSAGE_ID, "a@b" },
	{ "without References the first of In-Reply-To", "In-Reply-To: your mail <a@b> <c@d>\r\n\r\n", FACTS_REFERENCES,
	  "a@b" },
	{ "a preview", "\r\n  Hello,\r\n> old\r\n\r\nhow   are\tyou?\r\n", FACTS_PREVIEW, "Hello, how are you?" },
	{ "a preview of HTML", "Content-Type: text/html\r\n\r\n<style>x</style><p>Hello</p>&amp;\r\n", FACTS_PREVIEW,
	  "Hello &" },
	{ "a preview of quoted-printable",
	  "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	  "quoted-printable\r\n\r\nJ=FCr=\r\ngen\r\n",
	  FACTS_PREVIEW, "J\xc3\xbcrgen" },
	{ "a preview prefers plain text",
	  "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: "
	  "text/html\r\n\r\n<b>h\r\n--b\r\n\r\np\r\n"
	  "--b--\r\n",
	  FACTS_PREVIEW, "p" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_facts(rows[i].says, slice_text(rows[i].message), rows[i].id, slice_text(rows[i].value));
}

static void
test_references(void **state)
{
	check_facts("NUL between them", S("References: <a@b>\r\n <c@d><e@f> <> junk <g@h\r\n\r\n"), FACTS_REFERENCES,
	            S("a@b\0c@d\0e@f\0g@h"));
	check_facts("all of In-Reply-To", S("In-Reply-To: <a@b> <c@d>\r\n\r\n"), FACTS_IN_REPLY_TO, S("a@b\0c@d"));
}

static void
test_numbers(void **state)
{
	struct slice m =
	    S("Received: a\r\nReceived: b\r\nDate: 1 Jan 2001 01:00:00 +0100\r\nContent-Type: multipart/mixed; "
	      "boundary=b\r\n\r\n--b\r\n\r\n\xfc\r\n--b\r\nContent-Disposition: attachment\r\n\r\n\0--b\r\n"
	      "Content-Type: image/png; name=x\r\n\r\nx\r\n--b--\r\n");
	struct buf record;
	struct facts f;
	struct facts_numbers n;
	buf_init(&record, FACTS_BYTES_MAX);
	assert_true(facts_of_message(m, &record) && facts_open(&f, buf_slice(&record)) && facts_numbers(&f, &n));
	assert_true(n.date == 978307200 && n.zone == 60 && n.received == 2 && n.attachments == 1);
	assert_int_equal(f.flags, FACTS_8BIT | FACTS_NUL);
	struct facts_part p;
	assert_true(facts_part(&f, 2, &p) && p.number == 2 && p.parent == 0 && !facts_part(&f, 3, &p));
	buf_release(&record);
}

/* Whatever damage a record has, it is refused or read without reaching past it. */
static void
test_damaged_records(void **state)
{
	struct buf record;
	struct facts f;
	buf_init(&record, FACTS_BYTES_MAX);
	assert_true(facts_of_message(S("Subject: x\r\nFrom: a@b\r\n\r\nbody\r\n"), &record));
	for (size_t n = 0; n < record.len; n++) {
		char *copy = slice_dup(slice_part(buf_slice(&record), 0, n));
		assert_true(!facts_open(&f, slice_of(copy, n)));
		free(copy);
	}
	for (size_t i = 0; i < record.len; i++) {
		record.at[i] = (char)~record.at[i];
		if (facts_open(&f, buf_slice(&record)))
			for (int id = 0; id < 32; id++) {
				struct slice s = facts_get(&f, (enum facts_id)id);
				assert_true(s.len == 0 || (s.at >= record.at && s.at + s.len <= record.at + record.len));
			}
		record.at[i] = (char)~record.at[i];
	}
	buf_release(&record);
}

/* So much of everything that the record must leave something out: it still is one, and says so. */
static void
test_too_much(void **state)
{
	static const struct {
		const char *says, *head, *repeat, *tail;
		size_t times;
	} cases[] = {
		{ "addresses", "To: x@y", ", \"a long name of somebody\" <somebody@example.org>", "\r\n\r\n", 100000 },
		{ "fields", "", "X-Field: of no use to anybody\r\n", "\r\nbody\r\n", 100000 },
		{ "To fields", "", "To: somebody@example.org\r\n", "\r\nbody\r\n", 100000 },
		{ "a long subject", "Subject: ", "\"\\\"\xfc", "\r\n\r\n", 1000000 },
		{ "parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
		  "--b\r\nContent-Type: image/png; name=abcdefgh\r\n\r\nx\r\n", "--b--\r\n", 20000 },
		{ "levels", "", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "\r\nx\r\n", 10000 },
		{ "messages in messages", "", "Content-Type: message/rfc822\r\n\r\n", "\r\nx\r\n", 10000 },
		{ "parameters", "Content-Type: text/plain", "; a=\"\\\"\\\"\\\"\\\"\"", "\r\n\r\nx", 100000 },
		{ "continuations", "Content-Type: text/plain", "; a*0*=''%41", "\r\n\r\nx", 100000 },
		{ "references", "References: ", "<somebody@example.org> ", "\r\n\r\n", 100000 },
		{ "open words", "Subject: ", "=?utf-8?q?x ", "\r\n\r\n", 100000 },
		{ "open comments", "From: ", "(", "\r\n\r\n", 1000000 },
	};
	struct buf m, record;
	buf_init(&m, 64u << 20);
	buf_init(&record, FACTS_BYTES_MAX);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_clear(&m);
		buf_put(&m, slice_text(cases[i].head));
		for (size_t n = 0; n < cases[i].times; n++)
			buf_put(&m, slice_text(cases[i].repeat));
		buf_put(&m, slice_text(cases[i].tail));
		struct facts f;
		if (!facts_of_message(buf_slice(&m), &record) || !facts_open(&f, buf_slice(&record)))
			fail_msg("%s", cases[i].says);
		assert_true(facts_get(&f, FACTS_ENVELOPE).len > 0 && facts_get(&f, FACTS_BODYSTRUCTURE).len > 0);
	}
	buf_release(&m);
	buf_release(&record);
}

static int
release(void **state)
{
	charset_release();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),     cmocka_unit_test(test_references),      cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_too_much), cmocka_unit_test(test_damaged_records),
	};
	return cmocka_run_group_tests(tests, NULL, release);
}
