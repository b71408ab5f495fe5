/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_test.c - reports, looked at with our own parsers. */
#include "mail/dsn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/header.h"
#include "mail/mime.h"

static const struct slice original = S_ROW(
    "From: sender@example.com\r\nSubject: =?utf-8?q?J=C3=BCrgen?=\r\nMessage-ID: <1@example.com>\r\n\r\nthe body\r\n");

static struct dsn
report_on(const struct dsn_recipient *r, size_t n)
{
	return (struct dsn){ .hostname = S("mail.example.com"),
		                 .id = S("abc.123"),
		                 .sender = S("sender@example.com"),
		                 .arrived_sec = 978307200,
		                 .now_sec = 978307260,
		                 .message = original,
		                 .recipients = r,
		                 .nrecipients = n };
}

struct parsed {
	struct buf text;
	struct mime mime;
	struct arena arena;
};

static struct slice
part_bytes(const struct parsed *p, size_t i)
{
	const struct facts_part *f = &mime_part(&p->mime, i)->at;
	return slice_of(p->text.at + f->body, f->end - f->body);
}

static void
build(struct parsed *p, const struct dsn *d)
{
	buf_init(&p->text, 1u << 20);
	mime_init(&p->mime);
	arena_init(&p->arena, 0);
	assert_true(dsn_build(d, &p->text));
	mime_parse(&p->mime, buf_slice(&p->text), &p->arena);
	assert_int_equal(mime_part(&p->mime, 0)->at.children, 3);
	assert_true(slice_find(buf_slice(&p->text), S("\0")) < 0);
	size_t line = 0;
	for (size_t i = 0; i < p->text.len; i++) { /* no bare line ends, no line above 998 (RFC 5322 2.1.1) */
		assert_true(p->text.at[i] != '\n' || (i > 0 && p->text.at[i - 1] == '\r'));
		line = p->text.at[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 999);
	}
}

static void
drop(struct parsed *p)
{
	buf_release(&p->text);
	mime_release(&p->mime);
	arena_release(&p->arena);
}

static void
assert_has(struct slice text, const char *what)
{
	if (slice_find(text, slice_text(what)) < 0)
		fail_msg("%s is not in:\n%.*s", what, SLICE_ARG(text));
}

static void
test_failed(void **state)
{
	struct dsn_recipient r = { .address = S("user@example.org"),
		                       .original = S("rfc822;alias@example.org"),
		                       .action = DSN_FAILED,
		                       .status = S("5.1.1"),
		                       .diagnostic = S("550 5.1.1 no\r\nsuch\x01 user"),
		                       .remote = S("mx.example.org"),
		                       .last_try_sec = 978307230 };
	struct dsn d = report_on(&r, 1);
	d.envelope = S("env-1");
	struct parsed p;
	build(&p, &d);
	struct slice all = buf_slice(&p.text), people = part_bytes(&p, 1), programs = part_bytes(&p, 2);
	assert_has(all, "Auto-Submitted: auto-replied\r\n");
	assert_has(all, "To: <sender@example.com>\r\n");
	assert_has(all, "References: <1@example.com>\r\n");
	assert_has(all, "Content-Type: multipart/report; report-type=delivery-status;\r\n");
	assert_has(people, "Your message was not delivered to <user@example.org>, and it will not be tried again.\r\nThere "
	                   "is no such address. Look ");
	assert_has(people, "mx.example.org said: 550 5.1.1 no  such  user\r\n");
	assert_has(people, "There is no such address.");
	assert_has(people, "Subject of your message: J\xc3\xbcrgen\r\n");
	assert_true(
	    slice_equal(programs, S("Original-Envelope-Id: env-1\r\nReporting-MTA: dns; mail.example.com\r\n"
	                            "Arrival-Date: Mon, 1 Jan 2001 00:00:00 +0000\r\n\r\n"
	                            "Original-Recipient: rfc822;alias@example.org\r\n"
	                            "Final-Recipient: rfc822; user@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	                            "Remote-MTA: dns; mx.example.org\r\n"
	                            "Diagnostic-Code: smtp; 550 5.1.1 no  such  user\r\n"
	                            "Last-Attempt-Date: Mon, 1 Jan 2001 00:00:30 +0000\r\n")));
	assert_true(slice_equal_nocase(mime_part(&p.mime, 3)->subtype, S("rfc822-headers")));
	assert_true(slice_find(all, S("the body")) < 0);
	drop(&p);
}

static void
test_delayed(void **state)
{
	struct dsn_recipient r[2] = {
		{ .address = S("a@example.org"),
		  .action = DSN_DELAYED,
		  .status = S("4.4.1"),
		  .reason = S("no server answered"),
		  .until_sec = 978739200 },
		{ .address = S("b@example.org"), .action = DSN_RELAYED, .status = S("2.0.0") },
	};
	struct dsn d = report_on(r, 2);
	d.full = true;
	struct parsed p;
	build(&p, &d);
	assert_has(buf_slice(&p.text), "Subject: Your message is delayed\r\n");
	assert_has(part_bytes(&p, 1),
	           "You need not do anything: it will be tried again until 2001-01-06 00:00 UTC. You are told if it "
	           "cannot be delivered.\r\nReason: no server answered\r\n");
	assert_has(part_bytes(&p, 2), "Will-Retry-Until: Sat, 6 Jan 2001 00:00:00 +0000\r\n");
	assert_has(part_bytes(&p, 2), "Action: relayed\r\nStatus: 2.0.0\r\n");
	assert_true(slice_equal(part_bytes(&p, 3), original));
	drop(&p);
}

/* RFC 6533: addresses in UTF-8 make an international report; elsewhere what is not ASCII is replaced. */
static void
test_utf8(void **state)
{
	struct dsn_recipient r = { .address = S("\xc3\xbc@example.org"),
		                       .action = DSN_FAILED,
		                       .status = S("5.1.1"),
		                       .diagnostic = S("550 nicht gefunden: \xc3\xbc") };
	struct dsn d = report_on(&r, 1);
	assert_false(dsn_needs_utf8(&d));
	struct parsed p;
	build(&p, &d);
	assert_true(slice_is_ascii(part_bytes(&p, 2)));
	drop(&p);
	d.utf8 = true;
	d.message = S("Subject: \xc3\xbc\r\n\r\n");
	assert_true(dsn_needs_utf8(&d));
	build(&p, &d);
	assert_has(buf_slice(&p.text), "report-type=global-delivery-status");
	assert_has(part_bytes(&p, 2), "Final-Recipient: utf-8; \xc3\xbc@example.org\r\n");
	assert_true(slice_equal_nocase(mime_part(&p.mime, 2)->subtype, S("global-delivery-status")));
	assert_true(slice_equal_nocase(mime_part(&p.mime, 3)->subtype, S("global-headers")));
	drop(&p);
}

static void
test_limits(void **state)
{
	struct dsn_recipient r = { .address = S("a@b"), .action = DSN_FAILED };
	struct dsn d = report_on(&r, 1);
	struct buf small;
	buf_init(&small, 200);
	assert_false(dsn_build(&d, &small)); /* does not fit */
	d.nrecipients = 0;
	assert_false(dsn_build(&d, &small)); /* nobody to report on */
	buf_release(&small);
	d = report_on(&r, 1); /* a message that holds the boundary */
	d.message = S("Subject: x\r\n\r\n--=_abc.123.0\r\n--=_abc.123.0--\r\n");
	d.full = true;
	struct parsed p;
	build(&p, &d);
	assert_has(part_bytes(&p, 3), "--=_abc.123.0--");
	drop(&p);
	char *long_text = malloc(5000); /* what strangers say is shortened */
	memset(long_text, 0xfc, 5000);
	d = report_on(&r, 1);
	r.diagnostic = r.remote = r.original = r.address = slice_of(long_text, 5000);
	d.sender = d.envelope = r.address;
	d.utf8 = true;
	build(&p, &d);
	assert_true(p.text.len < 10000);
	drop(&p);
	free(long_text);
}

static void
test_languages(void **state)
{
	static const struct {
		struct slice language;
		const char *says;
	} rows[] = { { S_ROW("de-AT"), "Ihre Nachricht an <a@example.org> wurde nicht zugestellt; es" },
		         { S_ROW("FR"), "Votre message n'a pas" },
		         { S_ROW("tlh"), "Your message was not delivered to <a@example.org>" },
		         { S_ROW(""), "Your message was not delivered to <a@example.org>" } };
	struct dsn_recipient r = { .address = S("a@example.org"), .action = DSN_FAILED, .status = S("5.1.1") };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct dsn d = report_on(&r, 1);
		struct parsed p;
		d.language = rows[i].language;
		d.by_sec = 978307200;
		build(&p, &d);
		assert_has(part_bytes(&p, 1), rows[i].says);
		assert_has(part_bytes(&p, 2), "Deliver-By-Date: Mon, "); /* programs read no language */
		drop(&p);
	}
}

/* Nothing of what people read stays English: each line of a report differs from the English one, but for what others
 * said. */
static void
assert_translated(struct slice english, struct slice other)
{
	while (english.len) {
		struct slice a, b;
		slice_cut(english, '\n', &a, &english);
		slice_cut(other, '\n', &b, &other);
		bool ours = slice_trim(a).len > 0 && !slice_starts(a, S("  "));
		if (ours && slice_equal(a, b))
			fail_msg("not translated: %.*s", SLICE_ARG(a));
	}
}

static void
test_every_text_is_translated(void **state)
{
	(void)state;
	static const char *const codes[] = { "5.1.1", "5.1.2", "5.1.3", "5.1.6",  "5.1.10", "5.2.1", "5.2.2",
		                                 "5.2.3", "5.3.4", "4.4.1", "4.4.3",  "5.4.4",  "5.4.6", "5.4.7",
		                                 "5.5.3", "5.6.7", "5.7.5", "5.7.30", "5.0.0",  "4.0.0" };
	static const struct slice languages[] = { S_ROW("de"), S_ROW("fr") };
	for (int action = DSN_FAILED; action <= DSN_EXPANDED; action++)
		for (size_t i = 0; i < COUNT_OF(codes) * 8; i++) {
			bool late = i & 1, until = i & 2;
			struct dsn_recipient r[2] = { { .address = S("a@example.org"), .action = (enum dsn_action)action } };
			r[0].status = slice_text(codes[i / 8]);
			r[0].until_sec = until ? 978739200 : 0;
			r[0].late = late;
			if (i & 1)
				r[0].diagnostic = S("550 no");
			else
				r[0].reason = S("nobody is there");
			r[1] = r[0];
			struct dsn d = report_on(r, i & 4 ? 2 : 1);
			d.full = late;
			struct parsed english, other;
			build(&english, &d);
			for (size_t k = 0; k < COUNT_OF(languages); k++) {
				d.language = languages[k];
				build(&other, &d);
				assert_translated(part_bytes(&english, 1), part_bytes(&other, 1));
				drop(&other);
			}
			drop(&english);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed), cmocka_unit_test(test_delayed),   cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_languages), cmocka_unit_test(test_every_text_is_translated)
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
