/* SPDX-License-Identifier: Apache-2.0 */
/* request_test.c - which heads are understood and which are refused, with which status. */
#include "session/http/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what, *head;
	unsigned status;
} rows[] = {
	{ "a plain GET", "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", 0 },
	{ "an empty line before it", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 0 },
	{ "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },
	{ "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
	{ "another version", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505 },
	{ "no version", "GET /\r\nHost: x\r\n\r\n", 400 },
	{ "two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	{ "an absolute target", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	{ "a control character in the target", "GET /\001 HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	{ "a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
	{ "a folded field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400 },
	{ "bare LF", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400 },
	{ "a bare CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400 },
	{ "chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501 },
	{ "two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "a list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400 },
	{ "a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400 },
	{ "too much", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", 413 },
	{ "as much as may be", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n", 0 },
	{ "nothing", "\r\n\r\n", 400 },
};

static void
heads(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_request r;
		const char *why = NULL;
		unsigned status = http_request_parse(slice_text(rows[i].head), &r, &why);
		if (status != rows[i].status)
			fail_msg("%s: %u, not %u", rows[i].what, status, rows[i].status);
		assert_true(status == 0 || why != NULL);
	}
}

static void
what_is_kept(void **state)
{
	struct http_request r;
	const char *why;
	struct slice head = S("POST /a/b?c=d HTTP/1.1\r\nhost: x\r\nCONTENT-length: 12\r\nConnection: Close\r\n"
	                      "Expect: 100-continue\r\nContent-Type: application/json\r\n\r\n");
	assert_int_equal(http_head_bytes(head), head.len);
	assert_int_equal(http_request_parse(head, &r, &why), 0);
	assert_true(slice_equal(r.method, S("POST")) && slice_equal(r.path, S("/a/b")) && slice_equal(r.query, S("c=d")));
	assert_int_equal(r.body_bytes, 12);
	assert_true(!r.keep_alive && r.expects_continue);
	assert_true(slice_equal(r.content_type, S("application/json")));
}

static void
limits(void **state)
{
	struct arena a;
	struct http_request r;
	const char *why;
	arena_init(&a, 0);
	struct slice head = S("GET / HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		head = arena_join(&a, head, S("A: b\r\n"));
	assert_int_equal(http_request_parse(arena_join(&a, head, S("\r\n")), &r, &why), 431);
	char *path = arena_alloc(&a, HTTP_TARGET_BYTES_MAX + 1);
	memset(path, '/', HTTP_TARGET_BYTES_MAX + 1);
	struct slice line = arena_printf(&a, "GET %.*s HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_TARGET_BYTES_MAX + 1, path);
	assert_int_equal(http_request_parse(line, &r, &why), 414);
	char *big = arena_alloc(&a, HTTP_HEAD_BYTES_MAX + 1);
	memset(big, 'a', HTTP_HEAD_BYTES_MAX + 1);
	assert_int_equal(http_request_parse(slice_of(big, HTTP_HEAD_BYTES_MAX + 1), &r, &why), 431);
	arena_release(&a);
}

static void
percent_and_query(void **state)
{
	struct arena a;
	struct slice out, query = S("x=1&target=a%40b&y&target=c");
	arena_init(&a, 0);
	assert_true(http_decode(S("a%40b%2Fc"), &a, &out) && slice_equal(out, S("a@b/c")));
	assert_false(http_decode(S("a%4"), &a, &out));
	assert_false(http_decode(S("a%zz"), &a, &out));
	assert_false(http_decode(S("a%00b"), &a, &out));
	assert_false(http_decode(S("a%0ab"), &a, &out));
	assert_true(http_query_next(&query, S("target"), &a, &out) && slice_equal(out, S("a@b")));
	assert_true(http_query_next(&query, S("target"), &a, &out) && slice_equal(out, S("c")));
	assert_false(http_query_next(&query, S("target"), &a, &out));
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(limits),
		cmocka_unit_test(percent_and_query),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
