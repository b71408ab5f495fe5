/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_test.c - TLS reports from the session to the report, on the stage of relay_testing.h: what is counted and
 * kept, when it is sent, by mail and by HTTPS, what happens when nobody accepts it; and the limits. */
#include "relay/relay_testing.h"

#include "relay/tls_report.h"
#include "relay/transport.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <zlib.h>

enum { MEMOS = 64 };

static struct {
	struct {
		char kind[20], name[300], value[70000];
		int64_t until;
	} memos[MEMOS];
	unsigned puts;
	uint32_t flags; /* of the envelope of the last mail */
	/* the web server */
	struct tls_context *tls;
	struct slice pem;
	const char *says;
	bool endless, hangs;
	unsigned posts;
	char head[2000];
	char body[70000];
	size_t body_len;
} web;

/* ---- memos */

static int
memo_find(struct slice kind, struct slice name)
{
	for (int i = 0; i < MEMOS; i++)
		if (web.memos[i].until > clock_wall_sec() && slice_equal(kind, slice_text(web.memos[i].kind)) &&
		    slice_equal(name, slice_text(web.memos[i].name)))
			return i;
	return -1;
}

static struct store_memo
memo_at(int i)
{
	return (struct store_memo){ slice_text(web.memos[i].kind), slice_text(web.memos[i].name),
		                        slice_text(web.memos[i].value), web.memos[i].until };
}

static void
memo_put_one(const struct store_memo *m)
{
	int at = memo_find(m->kind, m->name);
	for (int i = 0; at < 0 && i < MEMOS; i++)
		if (web.memos[i].until <= clock_wall_sec())
			at = i;
	assert_true(at >= 0);
	snprintf(web.memos[at].kind, sizeof web.memos[0].kind, "%.*s", SLICE_ARG(m->kind));
	snprintf(web.memos[at].name, sizeof web.memos[0].name, "%.*s", SLICE_ARG(m->name));
	assert_true(m->value.len < sizeof web.memos[0].value);
	snprintf(web.memos[at].value, sizeof web.memos[0].value, "%.*s", SLICE_ARG(m->value));
	web.memos[at].until = m->until;
}

static void
keep_memo_put(struct ipc_call *call, const struct store_memo_put_in *in)
{
	for (uint32_t i = 0; i < in->nmemos; i++) {
		memo_put_one(&in->memos[i]);
		web.puts += slice_equal(in->memos[i].kind, S("tls-report")) && in->memos[i].until > clock_wall_sec();
	}
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static void
keep_memo_get(struct ipc_call *call, const struct store_memo_get_in *in)
{
	int at = memo_find(in->kind, in->name);
	struct store_memo_get_out out = { .found = at >= 0 };
	if (at >= 0)
		out.memo = memo_at(at);
	store_memo_get_reply(call, &out);
}

/* The first of that kind; -1: there is none. */
static int
first_memo(struct slice kind)
{
	int first = -1;
	for (int i = 0; i < MEMOS; i++)
		if (web.memos[i].until > clock_wall_sec() && slice_equal(kind, slice_text(web.memos[i].kind)) &&
		    (first < 0 || strcmp(web.memos[i].name, web.memos[first].name) < 0))
			first = i;
	return first;
}

static void
keep_memo_list(struct ipc_call *call, const struct store_memo_list_in *in)
{
	struct store_memo memo;
	struct store_memo_list_out out = { .memos = &memo };
	int first = first_memo(in->kind);
	if (first >= 0)
		memo = memo_at(first), out.nmemos = 1;
	store_memo_list_reply(call, &out);
}

static void
keep_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	if (in->nmails)
		web.flags = in->mails[0].envelope.flags;
	play_commit(call, in);
}

static const struct store_server keep_store = { .memo_get = keep_memo_get,
	                                            .memo_put = keep_memo_put,
	                                            .memo_list = keep_memo_list,
	                                            .queue_claim = play_claim,
	                                            .queue_renew = play_renew,
	                                            .queue_body = play_body,
	                                            .resolve = fake_resolve,
	                                            .commit = keep_commit };

/* ---- the web server */

static void
certificate_make(void)
{
	const char *why = NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:web.remote.test");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	BIO *b = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());
	char *at;
	PEM_write_bio_X509(b, x);
	PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(b, &at);
	web.pem = slice_keep(&kept, slice_of(at, (size_t)n));
	n = BIO_get_mem_data(k, &at);
	web.tls = tls_server_context_with_key(web.pem, slice_of(at, (size_t)n), &why);
	assert_non_null(web.tls);
	BIO_free(b);
	BIO_free(k);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
await_answer(struct stream *io)
{
	struct slice line = S("x");
	uint64_t length = 0;
	web.head[0] = '\0';
	while (line.len > 0 && await_line(io, 2000, false, &line) == OK) {
		size_t n = strlen(web.head);
		snprintf(web.head + n, sizeof web.head - n, "%.*s\n", SLICE_ARG(line));
		if (slice_starts(line, S("Content-Length: ")))
			assert_true(slice_to_u64(slice_from(line, 16), &length));
	}
	while (stream_input(io).len < length && await_fill(io, sizeof web.body) == OK)
		;
	struct slice body = stream_input(io);
	assert_int_equal(body.len, length);
	memcpy(web.body, body.at, body.len);
	web.body_len = body.len;
	web.posts++;
	if (web.hangs)
		await_sleep(HOUR * 1000);
	do
		stream_put(io, slice_text(web.says));
	while (await_flush(io) == OK && web.endless);
}

static void
web_server(void *arg)
{
	struct stream io;
	stream_init(&io, (int)(intptr_t)arg);
	io.deadline_ms = deadline_in_ms(MINUTE * 1000);
	if (await_tls_accept(&io, web.tls) == OK)
		await_answer(&io);
	stream_release(&io);
}

static enum err
await_either(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
             int64_t deadline_ms, int *fd)
{
	int other;
	if (ntohs(((const struct sockaddr_in *)to)->sin_port) != 443)
		return await_play_connect(to, to_len, from, from_len, deadline_ms, fd);
	if (!web.says)
		return ERR_TIMEOUT;
	*fd = stage_pair(&other);
	assert_true(task_start(web_server, (void *)(intptr_t)other));
	return OK;
}

/* ---- the play */

#define RECORD(text)                                                                                                   \
	{                                                                                                                  \
		.name = "_smtp._tls.remote.test", .type = DNS_TXT, .bytes = S_ROW(text)                                        \
	}
#define HOSTS                                                                                                          \
	{ .name = "remote.test", .type = DNS_MX, .bytes = S_ROW("\0\x0a\4mx-a\6remote\4test\0") },                         \
	{                                                                                                                  \
		.name = "*", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1")                                                       \
	}

static const struct zone_row by_mail[] = { HOSTS, RECORD("\x2dv=TLSRPTv1;rua=mailto:tls@reports.remote.test") };
static const struct zone_row by_https[] = { HOSTS, RECORD("\x2av=TLSRPTv1;rua=https://web.remote.test/tls") };
static const struct zone_row two_records[] = { HOSTS, RECORD("\x2av=TLSRPTv1;rua=https://web.remote.test/tls"),
	                                           RECORD("\x2av=TLSRPTv1;rua=https://web.remote.test/tlt") };

static void
scene(const char *options, const struct zone_row *zone, size_t n)
{
	memset(&web, 0, sizeof web);
	play_open("");
	relay_close();
	relay_open(options, &keep_store, &play_resolver);
	certificate_make();
	await_connect = await_either;
	play.zone = zone;
	play.nzone = n;
	relay->transport->trusting = tls_client_context_trusting(web.pem);
	begin(&accepts);
	run_for(MINUTE);
	assert_false(play.there);
	assert_int_equal(play.taken, 1);
}

static void
scene_end(void)
{
	tls_context_free(&web.tls);
	play_down(NULL);
}

static int64_t
due_of(int memo)
{
	int64_t due;
	struct slice domain;
	assert_true(tls_report_name_read(slice_text(web.memos[memo].name), &due, &domain));
	assert_true(slice_equal(domain, S("remote.test")));
	return due;
}

static void
a_report_by_mail(void **state)
{
	(void)state;
	scene("tls-report = yes\ntls-report.contact = tls@here.test\n", by_mail, COUNT_OF(by_mail));
	int at = first_memo(S("tls-report"));
	assert_true(at >= 0);
	int64_t due = due_of(at), midnight = (BORN / DAY + 1) * DAY;
	assert_true(due > midnight && due <= midnight + 4 * HOUR); /* RFC 8460 4.1 */
	assert_non_null(strstr(web.memos[at].value, "\"total-failure-session-count\":1"));
	assert_non_null(strstr(web.memos[at].value, "\"result-type\":\"starttls-not-supported\""));
	assert_non_null(strstr(web.memos[at].value, "\"receiving-mx-hostname\":\"mx-a.remote.test\""));
	assert_non_null(strstr(web.memos[at].value, "\"receiving-ip\":\"192.0.2.1\""));
	run_for(due - clock_wall_sec() - 10);
	assert_int_equal(play.nmails, 0);
	run_for(MINUTE);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "To: <tls@reports.remote.test>\r\n");
	MAIL_HAS(0, "From: <tls@here.test>\r\n");
	MAIL_HAS(0, "TLS-Report-Submitter: here.test\r\n");
	assert_true(web.flags & ENVELOPE_TLS_OPTIONAL); /* RFC 8460 3 */
	assert_int_equal(first_memo(S("tls-report")), -1);
	at = first_memo(S("tls-sent"));
	assert_true(at >= 0);
	assert_non_null(strstr(web.memos[at].value, "\"to\":\"mailto:tls@reports.remote.test\""));
	run_for(2 * DAY);
	assert_int_equal(play.nmails, 1);
	scene_end();
}

static void
check_posted(void)
{
	char text[5000];
	z_stream z = { .next_in = (unsigned char *)web.body, .avail_in = (unsigned)web.body_len };
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	z.next_out = (unsigned char *)text;
	z.avail_out = sizeof text - 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	json_t *o = json_loadb(text, z.total_out, 0, NULL);
	inflateEnd(&z);
	assert_true(json_is_object(o));
	assert_string_equal(json_string_value(json_object_get(o, "organization-name")), "The House");
	assert_string_equal(json_string_value(json_object_get(o, "contact-info")), "postmaster@here.test");
	const json_t *range = json_object_get(o, "date-range");
	assert_string_equal(json_string_value(json_object_get(range, "start-datetime")), "2023-11-14T00:00:00Z");
	assert_string_equal(json_string_value(json_object_get(range, "end-datetime")), "2023-11-14T23:59:59Z");
	const json_t *policy = json_object_get(json_array_get(json_object_get(o, "policies"), 0), "policy");
	assert_string_equal(json_string_value(json_object_get(policy, "policy-type")), "no-policy-found");
	assert_string_equal(json_string_value(json_object_get(policy, "policy-domain")), "remote.test");
	json_decref(o);
}

static void
a_report_by_https(void **state)
{
	(void)state;
	scene("tls-report.organization = The House\n", by_https, COUNT_OF(by_https));
	web.says = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	run_for(30 * HOUR);
	assert_int_equal(web.posts, 1);
	assert_non_null(strstr(web.head, "POST /tls HTTP/1.1\nHost: web.remote.test\n"));
	assert_non_null(strstr(web.head, "Content-Type: application/tlsrpt+gzip\n"));
	check_posted();
	assert_int_equal(play.nmails, 0);
	assert_int_equal(first_memo(S("tls-report")), -1);
	assert_true(first_memo(S("tls-sent")) >= 0);
	scene_end();
}

static const struct refusal {
	const char *what, *says;
	bool endless;
	unsigned posts;
} refusals[] = {
	{ "nobody is there", NULL, false, 0 },
	{ "a refusal", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", false, TLS_REPORT_TRIES_MAX },
	{ "a redirect is not followed", "HTTP/1.1 302 There\r\nLocation: https://x.test/\r\nContent-Length: 0\r\n\r\n",
	  false, TLS_REPORT_TRIES_MAX },
	{ "no HTTP", "220 mail server\r\n", false, TLS_REPORT_TRIES_MAX },
	{ "an endless answer", "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789\r\n", true,
	  TLS_REPORT_TRIES_MAX },
};

/* RFC 8460 5.5: again, later each time, not for longer than a day. */
static void
nobody_accepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		scene("", by_https, COUNT_OF(by_https));
		int64_t due = due_of(first_memo(S("tls-report")));
		web.says = refusals[i].says;
		web.endless = refusals[i].endless;
		run_for(due - clock_wall_sec() + 23 * HOUR);
		if (web.posts != refusals[i].posts)
			fail_msg("%s: %u", refusals[i].what, web.posts);
		assert_int_equal(web.puts, TLS_REPORT_TRIES_MAX); /* the first count, and the waits between the tries */
		assert_int_equal(first_memo(S("tls-report")), -1);
		int at = first_memo(S("tls-sent"));
		assert_true(at >= 0 && strstr(web.memos[at].value, "\"to\":\"\",\"why\":\"its server"));
		scene_end();
	}
}

/* Sixteen at once, a minute each. */
static void
slow_servers_hold_nobody_up(void **state)
{
	(void)state;
	static const struct zone_row everybody[] = {
		HOSTS, { .name = "*", .type = DNS_TXT, .bytes = S_ROW("\x2av=TLSRPTv1;rua=https://web.remote.test/tls") }
	};
	scene("", everybody, COUNT_OF(everybody));
	int64_t due = due_of(first_memo(S("tls-report")));
	web.says = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	web.hangs = true;
	for (int i = 0; i < 32; i++) {
		struct store_memo m = { .kind = S("tls-report"),
			                    .value = S("{\"day\":19675,\"policies\":[]}"),
			                    .until = due + DAY };
		m.name = tls_report_name(&kept, due + 1, arena_printf(&kept, "d%d.test", i));
		memo_put_one(&m);
	}
	run_for(due - clock_wall_sec() + 4 * MINUTE);
	assert_int_equal(web.posts, 33);
	run_for(HOUR * 2);
	scene_end();
}

static void
nobody_asks(void **state)
{
	(void)state;
	static const struct zone_row none[] = { HOSTS };
	scene("tls-report = yes\n", none, COUNT_OF(none));
	assert_int_equal(first_memo(S("tls-report")), -1);
	scene_end();
	scene("", by_mail, COUNT_OF(by_mail)); /* mail would not be signed: only when it is asked for */
	assert_int_equal(first_memo(S("tls-report")), -1);
	scene_end();
	scene("", two_records, COUNT_OF(two_records)); /* RFC 8460 3: more than one is none */
	assert_int_equal(first_memo(S("tls-report")), -1);
	scene_end();
	scene("tls-report = no\n", by_https, COUNT_OF(by_https));
	assert_int_equal(first_memo(S("tls-report")), -1);
	scene_end();
}

/* ---- limits */

static void
kinds_of_sessions_are_limited(void **state)
{
	(void)state;
	scene("", by_https, COUNT_OF(by_https));
	struct tls_session s = { .domain = S("remote.test"), .policy_domain = S("remote.test") };
	for (int i = 0; i < TLS_REPORT_PENDING_MAX + 100; i++) {
		s.result = TLS_RESULT_EXPIRED;
		s.host = arena_printf(&kept, "mx%d.remote.test", i);
		tls_report_count(relay->reports, &s);
	}
	assert_int_equal(relay->reports->pending.count, TLS_REPORT_PENDING_MAX);
	assert_int_equal(relay->reports->lost, 100);
	run_for(MINUTE);
	assert_int_equal(relay->reports->pending.count, 0);
	int at = first_memo(S("tls-report"));
	assert_true(at >= 0);
	assert_non_null(
	    strstr(web.memos[at].value, "\"total-failure-session-count\":5001")); /* 5,000, and that of the play */
	scene_end();
}

static void
rows_are_limited(void **state)
{
	(void)state;
	char text[TLS_REPORT_POLICY_BYTES_MAX + 100];
	json_t *o = json_object();
	unsigned added = 0;
	uint64_t good, bad;
	memset(text, '"', sizeof text); /* what JSON writes as two */
	struct tls_session s = { .domain = S("d.test"),
		                     .type = TLS_REPORT_STS,
		                     .policy = slice_of(text, sizeof text),
		                     .mx = slice_of(text, sizeof text),
		                     .result = TLS_RESULT_VALIDATION,
		                     .host = slice_of(text, 255),
		                     .ip = slice_of(text, 64),
		                     .from_ip = slice_of(text, 64) };
	arena_init(&kept, 0);
	for (int p = 0; p < 20; p++)
		for (int d = 0; d < 100; d++) {
			s.policy_domain = arena_printf(&kept, "p%d.test", p);
			s.why = arena_printf(&kept, "%d%.*s", d, 100, text);
			added += tls_report_add(o, &s, 3);
		}
	assert_int_equal(added, 100 * TLS_REPORT_POLICIES_MAX);
	tls_report_sums(o, &good, &bad);
	assert_int_equal(bad, 3 * 100 * TLS_REPORT_POLICIES_MAX);
	char *all = json_dumps(o, JSON_COMPACT);
	size_t n = 0;
	for (const char *at = all; (at = strstr(at, "\"result-type\"")); at++)
		n++;
	assert_int_equal(n, TLS_REPORT_DETAILS_MAX);
	free(all);
	json_decref(o);
	arena_release(&kept);
}

static void
reports_are_spread(void **state)
{
	(void)state;
	unsigned hours[4] = { 0 };
	arena_init(&kept, 0);
	for (int i = 0; i < 1000; i++) {
		int64_t due = tls_report_due("here.test", arena_printf(&kept, "d%d.test", i), 20000);
		assert_true(due > 20001LL * DAY + 200 && due <= 20001LL * DAY + 4 * HOUR);
		hours[(due - 20001LL * DAY - 1) / HOUR]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(hours[i], 190, 300);
	assert_int_equal(tls_report_due("here.test", S("d1.test"), 20000),
	                 tls_report_due("here.test", S("d1.test"), 20000));
	arena_release(&kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_by_mail), cmocka_unit_test(a_report_by_https),
		cmocka_unit_test(nobody_accepts),   cmocka_unit_test(slow_servers_hold_nobody_up),
		cmocka_unit_test(nobody_asks),      cmocka_unit_test(kinds_of_sessions_are_limited),
		cmocka_unit_test(rows_are_limited), cmocka_unit_test(reports_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
