/* SPDX-License-Identifier: Apache-2.0 */
/* sts_policy_test.c - the texts of MTA-STS (RFC 8461 3), and the HTTP answers that bring them. */
#include "base/buf.h"
#include "relay/http_reply.h"
#include "relay/sts_policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GOOD "version: STSv1\nmode: enforce\nmx: mx.example.test\nmax_age: 604800\n"

static void
policies(void **state)
{
	(void)state;
	static const struct {
		const char *what, *text;
		int mode; /* -1: no policy */
		size_t nmx;
	} rows[] = {
		{ "as in the RFC", "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n",
		  STS_ENFORCE, 2 },
		{ "CRLF, no last line end", "version: STSv1\r\nmode: testing\r\nmx: a.test\r\nmax_age: 0", STS_TESTING, 1 },
		{ "none needs no mx", "version: STSv1\nmode: none\nmax_age: 86400\n", STS_NONE, 0 },
		{ "unknown keys are skipped", GOOD "future: thing\n", STS_ENFORCE, 1 },
		{ "of a key that comes twice the first counts", GOOD "mode: none\nmax_age: x\nversion: STSv9\n", STS_ENFORCE,
		  1 },
		{ "no version", "mode: enforce\nmx: a.test\nmax_age: 1\n", -1, 0 },
		{ "another version", "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1\n", -1, 0 },
		{ "no mode", "version: STSv1\nmx: a.test\nmax_age: 1\n", -1, 0 },
		{ "an unknown mode", "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1\n", -1, 0 },
		{ "no max_age", "version: STSv1\nmode: enforce\nmx: a.test\n", -1, 0 },
		{ "max_age beyond a year", "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 31557601\n", -1, 0 },
		{ "max_age that overflows", "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 99999999999999\n", -1, 0 },
		{ "enforce without mx", "version: STSv1\nmode: enforce\nmax_age: 1\n", -1, 0 },
		{ "an mx that is no name", GOOD "mx: a b\n", -1, 0 },
		{ "an mx with a star in the middle", GOOD "mx: a.*.test\n", -1, 0 },
		{ "a line without a colon", GOOD "what\n", -1, 0 },
		{ "a page", "<html>404</html>", -1, 0 },
		{ "nothing", "", -1, 0 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sts_policy p;
		int mode = sts_policy_parse(slice_text(rows[i].text), &p) ? (int)p.mode : -1;
		if (mode != rows[i].mode || (mode >= 0 && p.nmx != rows[i].nmx))
			fail_msg("%s: %d", rows[i].what, mode);
	}
}

static void
too_much(void **state)
{
	(void)state;
	struct buf b;
	struct sts_policy p;
	buf_init(&b, 1 << 20);
	buf_put(&b, S(GOOD));
	for (int i = 1; i < STS_MX_MAX; i++)
		buf_put(&b, S("mx: a.test\n"));
	assert_true(sts_policy_parse(buf_slice(&b), &p));
	buf_put(&b, S("mx: a.test\n"));
	assert_false(sts_policy_parse(buf_slice(&b), &p));
	buf_clear(&b);
	buf_put(&b, S(GOOD));
	while (b.len <= STS_POLICY_BYTES_MAX)
		buf_put(&b, S("key: value\n"));
	assert_false(sts_policy_parse(buf_slice(&b), &p));
	buf_release(&b);
}

static void
names(void **state)
{
	(void)state;
	struct sts_policy p;
	assert_true(
	    sts_policy_parse(S("version: STSv1\nmode: enforce\nmx: Mail.example.com\nmx: *.example.net\nmax_age: 1"), &p));
	assert_true(sts_policy_names(&p, S("mail.EXAMPLE.com")));
	assert_true(sts_policy_names(&p, S("mx.example.net")));
	assert_false(sts_policy_names(&p, S("a.mx.example.net"))); /* one label only */
	assert_false(sts_policy_names(&p, S("example.net")));
	assert_false(sts_policy_names(&p, S(".example.net")));
	assert_false(sts_policy_names(&p, S("x.mail.example.com")));
	assert_false(sts_policy_names(&p, S("")));
}

static void
ids(void **state)
{
	(void)state;
	static const struct {
		const char *text, *id;
	} rows[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
		{ "v=STSv1;id=1", "1" },
		{ "v=STSv1; future=x; id=a1 ;", "a1" },
		{ "v=STSv1;", NULL },
		{ "v=STSv1; id=;", NULL },
		{ "v=STSv1; id=a-b;", NULL },
		{ "v=STSv1; id=123456789012345678901234567890123;", NULL },
		{ "id=1; v=STSv1", NULL },
		{ "v=STSv2; id=1", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice id;
		bool good = sts_record_id(slice_text(rows[i].text), &id);
		if (good != (rows[i].id != NULL) || (good && !slice_equal(id, slice_text(rows[i].id))))
			fail_msg("%s", rows[i].text);
	}
	char room[20];
	assert_true(slice_equal(txt_join(S("\3abc\0\2de"), room), S("abcde")));
	assert_true(slice_equal(txt_join(S("\377abc"), room), S("abc"))); /* a length that lies */
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

static void
answers(void **state)
{
	(void)state;
	static const struct {
		const char *what, *text;
		enum http_state state;
		const char *body;
	} rows[] = {
		{ "with a length", HEAD "Content-Length: 3\r\n\r\nabcd", HTTP_WHOLE, "abc" },
		{ "not all of it", HEAD "Content-Length: 3\r\n\r\nab", HTTP_MORE, NULL },
		{ "not all of its head", HEAD "Content-Length: 3\r\n", HTTP_MORE, NULL },
		{ "in chunks", HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", HTTP_WHOLE, "abc" },
		{ "in chunks, the last is missing", HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", HTTP_MORE, NULL },
		{ "a chunk of another size", HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", HTTP_BAD, NULL },
		{ "a chunk too large", HEAD "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", HTTP_BAD, NULL },
		{ "a size of a chunk that overflows", HEAD "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n",
		  HTTP_BAD, NULL },
		{ "too large", HEAD "Content-Length: 1000001\r\n\r\n", HTTP_BAD, NULL },
		{ "gigabytes", HEAD "Content-Length: 99999999999999999999999\r\n\r\n", HTTP_BAD, NULL },
		{ "two lengths", HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", HTTP_BAD, NULL },
		{ "a length and chunks", HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", HTTP_BAD, NULL },
		{ "no length", HEAD "\r\nabc", HTTP_BAD, NULL },
		{ "another coding", HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP_BAD, NULL },
		{ "SMTP", "220 hello\r\n\r\n", HTTP_BAD, NULL },
		{ "a line that is no field", HEAD "what\r\n\r\n", HTTP_BAD, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_reply r;
		struct arena a;
		arena_init(&a, 0);
		enum http_state s = http_reply_take(slice_text(rows[i].text), 1000000, &a, &r);
		if (s != rows[i].state || (s == HTTP_WHOLE && !slice_equal(r.body, slice_text(rows[i].body))))
			fail_msg("%s: %d", rows[i].what, s);
		arena_release(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(policies), cmocka_unit_test(too_much), cmocka_unit_test(names),
		                                cmocka_unit_test(ids), cmocka_unit_test(answers) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
