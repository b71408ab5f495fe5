/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_test.c - records that ask for TLS reports, the mail that carries one, and what is read from it again. */
#include "mail/tls_report.h"
#include "mail/tls_report_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zlib.h>

#include <cmocka.h>

static const struct {
	const char *what, *record;
	bool good;
	const char *uris; /* each with a space behind it */
} records[] = {
	{ "one address", "v=TLSRPTv1;rua=mailto:reports@example.com", true, "reports@example.com " },
	{ "one URL", "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", true,
	  "reporting.example.com:0/v1/tlsrpt " },
	{ "both", "v=TLSRPTv1; rua=mailto:a@b.test , https://c.test;", true, "a@b.test c.test:0/ " },
	{ "a port and a query", "v=TLSRPTv1;rua=https://c.test:8443?x=1", true, "c.test:8443/?x=1 " },
	{ "fields that nobody knows", "v=TLSRPTv1; x=1; rua=mailto:a@b.test; y=2", true, "a@b.test " },
	{ "an encoded comma", "v=TLSRPTv1;rua=mailto:a%2Cb@b.test", true, "" },
	{ "an encoded sign", "v=TLSRPTv1;rua=mailto:a%21c@b.test?subject=x", true, "a!c@b.test " },
	{ "the first rua counts", "v=TLSRPTv1;rua=mailto:a@b.test;rua=mailto:c@b.test", true, "a@b.test " },
	{ "another version", "v=TLSRPTv2;rua=mailto:a@b.test", false, "" },
	{ "the version in other letters", "v=tlsrptv1;rua=mailto:a@b.test", false, "" },
	{ "no rua", "v=TLSRPTv1;x=1", false, "" },
	{ "no field", "v=TLSRPTv1;rua", false, "" },
	{ "nothing", "", false, "" },
	{ "other schemes", "v=TLSRPTv1;rua=http://c.test,ftp://c.test,mailto:", true, "" },
	{ "bad hosts",
	  "v=TLSRPTv1;rua=https://u@c.test,https://[::1]/,https://127.0.0.1/,https://localhost/,https://c.test:0/,"
	  "https://c.test:99999/,https://c.testx:y/,https://c.test/a#b,https:///",
	  true, "" },
	{ "line ends in it", "v=TLSRPTv1;rua=mailto:a%0d%0aX:y@b.test,https://c.test/a\r\nX: y,mailto:a@b.te%zzst", true,
	  "" },
	{ "a bare address literal", "v=TLSRPTv1;rua=mailto:a@[127.0.0.1]", true, "" },
	{ "the unencoded sign", "v=TLSRPTv1;rua=mailto:a@b.test!10m", true, "" },
};

static void
each_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(records); i++) {
		struct tls_report_uris uris;
		struct arena a;
		char got[500] = "";
		size_t n = 0;
		arena_init(&a, 0);
		bool good = tls_report_record(slice_text(records[i].record), &a, &uris);
		for (size_t k = 0; k < uris.count; k++) {
			const struct tls_report_uri *u = &uris.rows[k];
			n += (size_t)(u->address.len
			                  ? snprintf(got + n, sizeof got - n, "%.*s ", SLICE_ARG(u->address))
			                  : snprintf(got + n, sizeof got - n, "%s:%u%.*s ", u->host, u->port, SLICE_ARG(u->path)));
		}
		if (good != records[i].good || strcmp(got, records[i].uris) != 0)
			fail_msg("%s: %d \"%s\"", records[i].what, good, got);
		arena_release(&a);
	}
}

/* RFC 8460 has no limit on URIs; we have. */
static void
a_thousand_uris(void **state)
{
	struct tls_report_uris uris;
	struct arena a;
	struct buf text;
	(void)state;
	arena_init(&a, 0);
	buf_init(&text, 1 << 20);
	buf_put(&text, S("v=TLSRPTv1;rua=mailto:"));
	for (int i = 0; i < 1100; i++)
		buf_put_char(&text, 'x');
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, ",mailto:a%d@b.test", i);
	assert_true(tls_report_record(buf_slice(&text), &a, &uris));
	assert_int_equal(uris.count, TLS_REPORT_URIS_MAX);
	assert_true(slice_equal(uris.rows[0].address, S("a0@b.test"))); /* the one that is too long is left out */
	buf_release(&text);
	arena_release(&a);
}

static void
zip(const char *text, struct buf *to)
{
	z_stream z = { 0 };
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_true(buf_room(to, 5000));
	z.next_in = (unsigned char *)text;
	z.avail_in = (unsigned)strlen(text);
	z.next_out = (unsigned char *)to->at;
	z.avail_out = 5000;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	to->len = z.total_out;
	deflateEnd(&z);
}

/* What we send can be read by us. */
static void
round_trip(void **state)
{
	struct buf gz, mail, name, out;
	(void)state;
	buf_init(&gz, 5000);
	buf_init(&mail, 100000);
	buf_init(&name, TLS_REPORT_NAME_BYTES_MAX);
	buf_init(&out, TLS_REPORT_READ_BYTES_MAX);
	zip("{\"organization-name\":\"O & Co\",\"contact-info\":\"p@o.test\",\"report-id\":\"1@o.test\",\"date-range\":"
	    "{\"start-datetime\":\"2026-11-20T00:00:00Z\",\"end-datetime\":\"2026-11-20T23:59:59Z\"},\"policies\":[{"
	    "\"policy\":"
	    "{\"policy-type\":\"tlsa\",\"policy-domain\":\"mx.d.test\"},\"summary\":{\"total-successful-session-count\":3,"
	    "\"total-failure-session-count\":-5}}]}",
	    &gz);
	struct tls_report_mail m = { .from = "p@o.test",
		                         .host = "h.test",
		                         .to = S("r@d.test"),
		                         .domain = S("d.test"),
		                         .submitter = S("o.test"),
		                         .id = S("1@o.test"),
		                         .filename = S("o.test!d.test!1!2.json.gz"),
		                         .gzip = buf_slice(&gz),
		                         .now_sec = 1795219199 };
	tls_report_mail_put(&mail, &m);
	struct slice text = buf_slice(&mail);
	assert_true(
	    slice_find(text, S("Subject: Report Domain: d.test\r\n Submitter: o.test\r\n Report-ID: <1@o.test>\r\n")) > 0);
	assert_true(slice_find(text, S("TLS-Report-Domain: d.test\r\nTLS-Report-Submitter: o.test\r\n")) > 0);
	assert_true(slice_find(text, S("multipart/report; report-type=\"tlsrpt\"")) > 0);
	assert_true(slice_find(text, S("TLS-Required: No\r\n")) > 0);
	assert_int_equal(tls_report_read(text, &name, &out), TLS_REPORT_FOUND);
	assert_true(slice_equal(buf_slice(&name), S("0020777 mx.d.test o---co 1@o.test")));
	assert_true(slice_find(buf_slice(&out), S("\"success\":3,\"failure\":0")) > 0);
	assert_int_equal(tls_report_read(S("Subject: x\r\n\r\nhello\r\n"), &name, &out), TLS_REPORT_NONE);
	buf_release(&gz);
	buf_release(&mail);
	buf_release(&name);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_record), cmocka_unit_test(a_thousand_uris),
		                                cmocka_unit_test(round_trip) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
