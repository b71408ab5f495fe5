/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_test.c - notices, looked at as text; and that no stranger's words can break their form. */
#include "mail/dsn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct dsn_recipient one = { .address = S_ROW("bob@example.net"),
	                                      .orcpt = S_ROW("rfc822;Bob+2BX@example.net"),
	                                      .status = S_ROW("5.1.1"),
	                                      .reply = S_ROW("550 5.1.1 no such user"),
	                                      .mta = S_ROW("mx.example.net") };

static struct dsn
sample(enum dsn_action action)
{
	return (struct dsn){ .action = action,
		                 .reporting_mta = S("here.example"),
		                 .sender = S("alice@here.example"),
		                 .postmaster = S("postmaster@here.example"),
		                 .envid = S("QQ+3D1"),
		                 .arrived = 1700000000,
		                 .now = 1700000100,
		                 .give_up_at = 1700432000,
		                 .recipients = &one,
		                 .nrecipients = 1,
		                 .original = S("From: alice@here.example\r\nSubject: hi\r\n\r\nbody\r\n"),
		                 .random = 42 };
}

static void
build(const struct dsn *d, struct buf *out)
{
	buf_init(out, DSN_BYTES_MAX);
	assert_true(dsn_build(d, out));
	buf_put_char(out, '\0');
	for (size_t i = 0; i + 1 < out->len; i++) { /* no bare line ends, no control characters */
		if (out->at[i] == '\n')
			assert_true(i > 0 && out->at[i - 1] == '\r');
		if (out->at[i] == '\r')
			assert_int_equal(out->at[i + 1], '\n');
		assert_true((unsigned char)out->at[i] >= ' ' || out->at[i] == '\r' || out->at[i] == '\n' || out->at[i] == '\t');
	}
}

static void
kinds(void **state)
{
	(void)state;
	static const struct {
		enum dsn_action action;
		const char *has[8], *not ;
	} rows[] = {
		{ DSN_FAILED,
		  { "Action: failed", "Status: 5.1.1", "Original-Recipient: rfc822;Bob+X@example.net",
		    "Final-Recipient: rfc822;bob@example.net", "Original-Envelope-Id: QQ=1",
		    "Diagnostic-Code: smtp; 550 5.1.1 no such user", "text/rfc822-headers", "could not be delivered" },
		  "body" },
		{ DSN_DELAYED, { "Action: delayed", "Will-Retry-Until: ", "You need do nothing" }, "could not be delivered" },
		{ DSN_RELAYED, { "Action: relayed", "Remote-MTA: dns; mx.example.net" }, "delayed" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct dsn d = sample(rows[i].action);
		struct buf out;
		build(&d, &out);
		for (size_t k = 0; k < COUNT_OF(rows[i].has) && rows[i].has[k]; k++)
			if (!strstr(out.at, rows[i].has[k]))
				fail_msg("no '%s' in:\n%s", rows[i].has[k], out.at);
		if (strstr(out.at, rows[i].not ))
			fail_msg("'%s' is there", rows[i].not );
		buf_release(&out);
	}
}

static void
hostile(void **state)
{
	(void)state;
	struct dsn_recipient r = { .address = S("a\r\nBcc: x@y"),
		                       .reply = S("550 \r\n\r\n--=_000000000000002a--\r\n\x01\xff"),
		                       .mta = S("m\nx") };
	struct dsn d = sample(DSN_FAILED);
	struct buf out;
	d.recipients = &r;
	d.original = S("Subject: x\r\n\r\nbare\nbare\rNUL\0.\r\nno end");
	d.original_whole = true;
	build(&d, &out);
	assert_null(strstr(out.at, "\nBcc:"));
	assert_null(strstr(out.at, "\n--=_000000000000002a--\r\n\r\n"));
	assert_non_null(strstr(out.at, "bare\r\nbare\r\nNUL ."));
	buf_release(&out);
}

static void
utf8(void **state)
{
	(void)state;
	struct dsn_recipient r = { .address = S("j\xc3\xb6rg@example.net"), .status = S("5.1.1") };
	struct dsn d = sample(DSN_FAILED);
	struct buf out;
	d.recipients = &r;
	build(&d, &out);
	assert_non_null(strstr(out.at, "report-type=global-delivery-status"));
	assert_non_null(strstr(out.at, "Final-Recipient: utf-8;j\xc3\xb6rg@example.net"));
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(hostile), cmocka_unit_test(utf8) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
