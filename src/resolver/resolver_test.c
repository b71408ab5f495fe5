/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_test.c - the role, asked through its socket, against a small DNS server of this file on loopback. */
#include "resolver/resolver.h"

#include "base/counter.h"
#include "resolver_msg.h"
#include "task/task_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, TLSA = 52 };
enum { NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5, SILENT = 99 };

/* What the server knows. rdata as on the wire. */
static const struct zone_row {
	const char *name;
	uint16_t type;
	int rcode;
	struct slice rdata[3];
} zone[] = {
	{ "a.example.net", A, NOERROR, { S_ROW("\xc0\x00\x02\x01"), S_ROW("\xc0\x00\x02\x02") } },
	{ "a.example.net",
	  MX,
	  NOERROR,
	  { S_ROW("\x00\x0a\x02mx\x07"
	          "example\x03net\x00") } },
	{ "alias.example.net",
	  CNAME,
	  NOERROR,
	  { S_ROW("\x01"
	          "a\x07"
	          "example\x03net\x00") } },
	{ "text.example.net", TXT, NOERROR, { S_ROW("\x06v=spf1\x04-all"), S_ROW("\x01x") } },
	{ "inner.example.test", A, NOERROR, { S_ROW("\xc0\x00\x02\x03") } },
	{ "_25._tcp.mx.example.net", TLSA, NOERROR, { S_ROW("\x03\x01\x01hash") } },
	{ "1.2.0.192.in-addr.arpa",
	  PTR,
	  NOERROR,
	  { S_ROW("\x01"
	          "a\x07"
	          "example\x03net\x00") } },
	{ "1.0.0.10.in-addr.arpa", PTR, NOERROR, { S_ROW("\x03lan\x00") } },
	{ "fails.example.net", A, SERVFAIL, { { NULL, 0 } } },
	{ "refused.example.net", A, REFUSED, { { NULL, 0 } } },
	{ "silent.example.net", A, SILENT, { { NULL, 0 } } },
};

static struct {
	int fd;
	uint16_t port;
	unsigned questions;
	struct task *task;
} server;

/* ---- the DNS server (RFC 1035 4.1) */

static bool
take_name(struct cursor *c, struct buf *text)
{
	for (char length; take_any(c, &length) && (length & 0xc0) == 0;) {
		struct slice label;
		if (length == 0)
			return true;
		if (text->len)
			buf_put_char(text, '.');
		if (!take_bytes(c, (size_t)length, &label))
			return false;
		buf_put(text, label);
	}
	return false;
}

static void
put_record(struct buf *out, unsigned type, struct slice rdata)
{
	buf_put_be(out, 0xc00c, 2); /* the name that was asked for */
	buf_put_be(out, type, 2);
	buf_put_be(out, 1, 2);
	buf_put_be(out, 300, 4);
	buf_put_be(out, rdata.len, 2);
	buf_put(out, rdata);
}

static bool
name_is_there(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(zone); i++)
		if (slice_equal_nocase(name, slice_text(zone[i].name)))
			return true;
	return false;
}

/* A CNAME answers for every type; the resolver follows it. */
static const struct zone_row *
zone_find(struct slice name, unsigned type)
{
	for (size_t i = 0; i < COUNT_OF(zone); i++)
		if (slice_equal_nocase(name, slice_text(zone[i].name)) && (zone[i].type == type || zone[i].type == CNAME))
			return &zone[i];
	return NULL;
}

static bool
answer(struct slice question, struct buf *out)
{
	struct cursor c = cursor_of(question);
	struct slice head, tail;
	struct buf name;
	buf_init(&name, 256);
	if (!take_bytes(&c, 12, &head) || !take_name(&c, &name) || !take_bytes(&c, 4, &tail))
		return false;
	size_t question_end = question.len - cursor_left(&c);
	unsigned type = (unsigned)bytes_get_be(tail.at, 2);
	const struct zone_row *row = zone_find(buf_slice(&name), type);
	int rcode = row ? row->rcode : name_is_there(buf_slice(&name)) ? NOERROR : NXDOMAIN;
	size_t answers = 0;
	while (row && answers < COUNT_OF(row->rdata) && row->rdata[answers].len > 0)
		answers++;
	bool negative = answers == 0 && (rcode == NOERROR || rcode == NXDOMAIN);
	buf_put(out, slice_part(head, 0, 2));
	buf_put_be(out, 0x8580u | (unsigned)rcode, 2); /* an authoritative answer, recursion available */
	buf_put_be(out, 1, 2);
	buf_put_be(out, answers, 2);
	buf_put_be(out, negative, 2);
	buf_put_be(out, 0, 2);
	buf_put(out, slice_part(question, 12, question_end - 12));
	for (size_t i = 0; i < answers; i++)
		put_record(out, row->type, row->rdata[i]);
	if (negative)
		put_record(out, SOA, S("\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x3c"));
	buf_release(&name);
	return rcode != SILENT;
}

static void
serve_dns(void *arg)
{
	server.task = task_self();
	while (await_fd(server.fd, LOOP_READ, DEADLINE_NONE) == OK) {
		char question[1500];
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(server.fd, question, sizeof question, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n < 0)
			continue;
		server.questions++;
		struct buf out;
		buf_init(&out, 4096);
		if (answer(slice_of(question, (size_t)n), &out))
			(void)!sendto(server.fd, out.at, out.len, 0, (struct sockaddr *)&from, len);
		buf_release(&out);
	}
}

static void
server_start(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof here;
	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&here, sizeof here), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&here, &len), 0);
	server.port = ntohs(here.sin_port);
	test_start(serve_dns, NULL);
}

/* ---- the role */

static struct arena arena;
static struct resolver resolver;
static struct ipc_client client;

static struct conf *
conf_with(const char *lines)
{
	struct conf_error errors[4];
	size_t n = 0;
	struct slice text = arena_printf(&arena, "dns.server = 127.0.0.1@%u\n%s\n", server.port, lines);
	struct conf *c = conf_parse(text, "test.conf", "/tmp", &arena, errors, COUNT_OF(errors), &n);
	if (!c)
		fail_msg("line %u: %s", errors[0].line, errors[0].text);
	return c;
}

static void
role_start(const char *lines)
{
	struct conf *conf = conf_with(lines);
	const char *why = "";
	int fd[2];
	memset(&resolver, 0, sizeof resolver);
	assert_int_equal(role_resolver.configure(&resolver, conf, &why), OK);
	conf_free(&conf);
	if (role_resolver.before_box(&resolver, &why))
		fail_msg("%s", why);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	role_resolver.serve(&resolver, ROLE_SESSION_MX, IPC_CLASS_MX, 0, fd[0]);
	ipc_client_init(&client, &resolver_protocol, NULL, NULL);
	ipc_client_connect(&client, fd[1]);
}

static void
stop_in_task(void *arg)
{
	role_resolver.await_stop(&resolver, *(int64_t *)arg);
	ipc_client_release(&client);
}

static bool
only_server_left(void *unused)
{
	return tasks_running() == 1;
}

static void
run_all(void)
{
	assert_true(loop_run_until(only_server_left, NULL, 60000));
}

static void
role_stop(int64_t grace_ms)
{
	test_start(stop_in_task, &grace_ms);
	run_all();
	for (int i = 0; i < 5; i++)
		loop_turn(1); /* the peer hears that its connection is gone */
}

struct question {
	struct resolver_lookup_in in;
	struct resolver_lookup_out out;
	struct arena arena;
	enum err call;
};

static void
ask(void *arg)
{
	struct question *q = arg;
	arena_init(&q->arena, 0);
	q->call = await_resolver_lookup(&client, &q->in, &q->arena, &q->out);
}

static struct question
asked(const char *name, uint32_t type)
{
	struct question q = { .in = { slice_text(name), type } };
	test_start(ask, &q);
	run_all();
	assert_int_equal(q.call, OK);
	return q;
}

static const struct answer_row {
	const char *what, *name;
	uint32_t type;
	enum err verdict;
	bool nodata;
	const char *canonical;
	struct slice records[3];
} answer_rows[] = {
	{ "two addresses",
	  "a.example.net",
	  A,
	  OK,
	  false,
	  "a.example.net",
	  { S_ROW("\xc0\x00\x02\x01"), S_ROW("\xc0\x00\x02\x02") } },
	{ "a last dot changes nothing",
	  "a.example.net.",
	  A,
	  OK,
	  false,
	  "a.example.net",
	  { S_ROW("\xc0\x00\x02\x01"), S_ROW("\xc0\x00\x02\x02") } },
	{ "an MX, its name whole",
	  "a.example.net",
	  MX,
	  OK,
	  false,
	  "a.example.net",
	  { S_ROW("\x00\x0a\x02mx\x07"
	          "example\x03net\x00") } },
	{ "an alias is followed",
	  "alias.example.net",
	  A,
	  OK,
	  false,
	  "a.example.net",
	  { S_ROW("\xc0\x00\x02\x01"), S_ROW("\xc0\x00\x02\x02") } },
	{ "an alias to a name without such a record",
	  "alias.example.net",
	  AAAA,
	  ERR_NOT_FOUND,
	  true,
	  NULL,
	  { { NULL, 0 } } },
	{ "several strings",
	  "text.example.net",
	  TXT,
	  OK,
	  false,
	  "text.example.net",
	  { S_ROW("\x06v=spf1\x04-all"), S_ROW("\x01x") } },
	{ "names with underscores",
	  "_25._tcp.mx.example.net",
	  TLSA,
	  OK,
	  false,
	  "_25._tcp.mx.example.net",
	  { S_ROW("\x03\x01\x01hash") } },
	{ "an address backward",
	  "1.2.0.192.in-addr.arpa",
	  PTR,
	  OK,
	  false,
	  "1.2.0.192.in-addr.arpa",
	  { S_ROW("\x01"
	          "a\x07"
	          "example\x03net\x00") } },
	{ "a private address backward",
	  "1.0.0.10.in-addr.arpa",
	  PTR,
	  OK,
	  false,
	  "1.0.0.10.in-addr.arpa",
	  { S_ROW("\x03lan\x00") } },
	{ "names under test. go to the configured server",
	  "inner.example.test",
	  A,
	  OK,
	  false,
	  "inner.example.test",
	  { S_ROW("\xc0\x00\x02\x03") } },
	{ "a name that does not exist", "nothing.example.net", A, ERR_NOT_FOUND, false, NULL, { { NULL, 0 } } },
	{ "a name without such a record", "a.example.net", AAAA, ERR_NOT_FOUND, true, NULL, { { NULL, 0 } } },
	{ "a server that fails", "fails.example.net", A, ERR_AGAIN, false, NULL, { { NULL, 0 } } },
	{ "a server that refuses", "refused.example.net", A, ERR_AGAIN, false, NULL, { { NULL, 0 } } },
	{ "no name", "", A, ERR_NOT_FOUND, false, NULL, { { NULL, 0 } } },
	{ "a label that is too long",
	  "0123456789012345678901234567890123456789012345678901234567890123456789.net",
	  A,
	  ERR_NOT_FOUND,
	  false,
	  NULL,
	  { { NULL, 0 } } },
	{ "an empty label", "a..net", A, ERR_NOT_FOUND, false, NULL, { { NULL, 0 } } },
};

static bool
same_records(const struct answer_row *row, const struct resolver_lookup_out *out)
{
	size_t wanted = 0, found = 0;
	while (wanted < COUNT_OF(row->records) && row->records[wanted].len > 0)
		wanted++;
	for (size_t i = 0; i < wanted; i++) /* in any order */
		for (size_t k = 0; k < out->nrecords; k++)
			found += slice_equal(out->records[k].bytes, row->records[i]);
	return found == wanted && out->nrecords == wanted;
}

static void
verdicts(void **state)
{
	role_start("dns.trust-anchor = /nonexistent");
	for (size_t i = 0; i < COUNT_OF(answer_rows); i++) {
		const struct answer_row *row = &answer_rows[i];
		struct question q = asked(row->name, row->type);
		if (q.out.verdict != row->verdict || q.out.nodata != row->nodata || q.out.secure ||
		    (row->canonical && !slice_equal(q.out.canonical, slice_text(row->canonical))) || !same_records(row, &q.out))
			fail_msg("%s: %s, nodata %d, %u records, %.*s", row->what, err_text(q.out.verdict), q.out.nodata,
			         q.out.nrecords, SLICE_ARG(q.out.canonical));
		if (row->verdict == OK)
			assert_true(q.out.ttl > 0 && q.out.ttl <= 300);
		arena_release(&q.arena);
	}
	role_stop(0);
}

static void
answers_are_cached_and_counted(void **state)
{
	role_start("dns.trust-anchor = /nonexistent");
	uint64_t counted = counters[COUNTER_DNS_QUERIES];
	unsigned before = server.questions;
	for (int i = 0; i < 5; i++) {
		struct question q = asked("a.example.net", A);
		assert_int_equal(q.out.verdict, OK);
		arena_release(&q.arena);
		q = asked("nothing.example.net", A);
		assert_int_equal(q.out.verdict, ERR_NOT_FOUND);
		arena_release(&q.arena);
	}
	assert_int_equal(server.questions - before, 2);
	assert_int_equal(counters[COUNTER_DNS_QUERIES] - counted, 10);
	role_stop(0);
}

static void
silence_means_try_again(void **state)
{
	role_start("dns.trust-anchor = /nonexistent");
	resolver.query_ms = 100;
	struct question silent = { .in = { S("silent.example.net"), A } };
	test_start(ask, &silent);
	struct question other = { .in = { S("a.example.net"), A } }; /* does not wait for the silent one */
	test_start(ask, &other);
	run_all();
	assert_int_equal(silent.call, OK);
	assert_int_equal(silent.out.verdict, ERR_AGAIN);
	assert_int_equal(other.out.verdict, OK);
	assert_int_equal(resolver.nqueries, 0);
	arena_release(&silent.arena);
	arena_release(&other.arena);
	role_stop(0);
}

static bool
one_under_way(void *unused)
{
	return resolver.nqueries == 1;
}

static void
a_reload_and_a_stop_answer_what_is_under_way(void **state)
{
	role_start("dns.trust-anchor = /nonexistent");
	struct question silent = { .in = { S("silent.example.net"), A } };
	test_start(ask, &silent);
	assert_true(loop_run_until(one_under_way, NULL, 5000));
	struct conf *conf = conf_with("dns.trust-anchor = /nonexistent");
	const char *why = "";
	assert_int_equal(role_resolver.configure(&resolver, conf, &why), OK);
	conf_free(&conf);
	assert_int_equal(resolver.nqueries, 1); /* of the context before */
	struct question q = { .in = { S("a.example.net"), A } };
	test_start(ask, &q);
	for (int i = 0; i < 1000 && q.out.nrecords == 0; i++)
		loop_turn(10);
	assert_int_equal(q.out.nrecords, 2);
	arena_release(&q.arena);
	int64_t grace_ms = 20;
	test_start(stop_in_task, &grace_ms);
	run_all();
	assert_true(silent.call != OK || silent.out.verdict == ERR_AGAIN);
	arena_release(&silent.arena);
	for (int i = 0; i < 5; i++)
		loop_turn(1);
}

static void
an_anchor_that_nothing_leads_to_is_bogus(void **state)
{
	char path[] = "/tmp/resolver_test.XXXXXX";
	int fd = mkstemp(path);
	struct slice text = S("; made up\n"
	                      ". 86400 IN DS 12345 8 2 "
	                      "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D ;; comment\n\n");
	assert_int_equal(write(fd, text.at, text.len), (ssize_t)text.len);
	close(fd);
	role_start(arena_printf(&arena, "dns.trust-anchor = %s", path).at);
	unlink(path);
	struct question q = asked("a.example.net", A);
	assert_int_equal(q.out.verdict, ERR_DAMAGED);
	assert_false(q.out.secure);
	assert_int_equal(q.out.nrecords, 0);
	arena_release(&q.arena);
	role_stop(0);
}

static void
a_configuration_that_cannot_be_used(void **state)
{
	const char *why = "";
	char path[] = "/tmp/resolver_test.XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "no record\n", 10), 10);
	close(fd);
	struct conf *conf = conf_with(arena_printf(&arena, "dns.trust-anchor = %s", path).at);
	memset(&resolver, 0, sizeof resolver);
	assert_int_equal(role_resolver.configure(&resolver, conf, &why), OK);
	assert_int_equal(role_resolver.before_box(&resolver, &why), ERR_SYNTAX);
	assert_non_null(strstr(why, "does not hold one record a line"));
	unlink(path);
	conf_free(&conf);
	ipc_client_init(&client, &resolver_protocol, NULL, NULL);
	role_stop(0);
}

static int
setup(void **state)
{
	arena_init(&arena, 0);
	server_start();
	return 0;
}

static int
teardown(void **state)
{
	task_cancel(server.task);
	test_run_tasks();
	close(server.fd);
	arena_release(&arena);
	loop_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(answers_are_cached_and_counted),
		cmocka_unit_test(silence_means_try_again),
		cmocka_unit_test(a_reload_and_a_stop_answer_what_is_under_way),
		cmocka_unit_test(an_anchor_that_nothing_leads_to_is_bogus),
		cmocka_unit_test(a_configuration_that_cannot_be_used),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
