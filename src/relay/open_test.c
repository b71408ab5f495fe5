/* SPDX-License-Identifier: Apache-2.0 */
/* open_test.c - connections to servers whose TLS is good, broken or a lie, under each policy: what is used, what is
 * refused and in which words. The test plays DNS (with the resolver's verdict about DNSSEC), the store's memos, the
 * mail server, and the web server of MTA-STS; certificates are made here. */
#include "relay/relay_testing.h"

#include "base/base64.h"
#include "relay/tls_report.h"
#include "relay/transport.h"
#include "task/task_testing.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { TLSA_NONE, TLSA_MATCH, TLSA_ANCHOR, TLSA_OTHER, TLSA_USELESS, TLSA_SILENT, TLSA_FORGED };
enum { CERT_GOOD, CERT_OTHER_NAME, CERT_EXPIRED, CERT_ODD, CERTS };
enum {
	OFFERS = 0,
	NO_TLS = 1,
	HANDSHAKE_BREAKS = 2,
	TLS_REFUSED = 4,
	INJECTS = 8,
	REQUIRES = 16,
	LOGS_IN = 32,
	LOGIN_LIES = 64
};

struct scene {
	const char *what, *route; /* a line of the configuration, or NULL */
	bool secure;              /* DNSSEC, as the resolver says */
	int tlsa, certificate;
	unsigned server;
	const char *sts; /* the policy */
	uint32_t flags;  /* of the envelope */
	bool opens, encrypted;
	const char *words; /* in the policy, or in the reply when it does not open */
};

#define STS_POLICY(mode, mx) "version: STSv1\nmode: " mode "\nmx: " mx "\nmax_age: 86400\n"
#define ENFORCE STS_POLICY("enforce", "mx.good.test")

static const struct scene scenes[] = {
	{ "opportunistic", NULL, false, TLSA_NONE, CERT_OTHER_NAME, OFFERS, NULL, 0, true, true, "TLS where it works" },
	{ "in plain", NULL, false, TLSA_NONE, CERT_GOOD, NO_TLS, NULL, 0, true, false, "TLS where it works" },
	{ "a broken handshake, then in plain", NULL, false, TLSA_NONE, CERT_GOOD, HANDSHAKE_BREAKS, NULL, 0, true, false,
	  "TLS where it works" },
	{ "STARTTLS refused, then in plain", NULL, false, TLSA_NONE, CERT_GOOD, TLS_REFUSED, NULL, 0, true, false,
	  "TLS where it works" },
	{ "bytes behind the answer to STARTTLS", NULL, false, TLSA_NONE, CERT_GOOD, INJECTS, NULL, 0, true, true,
	  "TLS where it works" },
	{ "DANE-EE", NULL, true, TLSA_MATCH, CERT_OTHER_NAME, OFFERS, NULL, 0, true, true, "DANE" },
	{ "DANE-EE does not look at the expiry", NULL, true, TLSA_MATCH, CERT_EXPIRED, OFFERS, NULL, 0, true, true,
	  "DANE" },
	{ "DANE-TA", NULL, true, TLSA_ANCHOR, CERT_GOOD, OFFERS, NULL, 0, true, true, "DANE" },
	{ "DANE-TA looks at the name", NULL, true, TLSA_ANCHOR, CERT_OTHER_NAME, OFFERS, NULL, 0, false, false,
	  "another name" },
	{ "DANE-TA looks at the expiry", NULL, true, TLSA_ANCHOR, CERT_EXPIRED, OFFERS, NULL, 0, false, false, "expired" },
	{ "another certificate than TLSA names", NULL, true, TLSA_OTHER, CERT_GOOD, OFFERS, NULL, 0, false, false, "TLSA" },
	{ "records, and no STARTTLS", NULL, true, TLSA_MATCH, CERT_GOOD, NO_TLS, NULL, 0, false, false, "DANE" },
	{ "records, and a broken handshake", NULL, true, TLSA_MATCH, CERT_GOOD, HANDSHAKE_BREAKS, NULL, 0, false, false,
	  "handshake" },
	{ "useless records: encrypted", NULL, true, TLSA_USELESS, CERT_OTHER_NAME, OFFERS, NULL, 0, true, true,
	  "not verified" },
	{ "useless records: not in plain", NULL, true, TLSA_USELESS, CERT_GOOD, NO_TLS, NULL, 0, false, false, "no TLS" },
	{ "no answer about records", NULL, true, TLSA_SILENT, CERT_GOOD, OFFERS, NULL, 0, false, false, "cannot be had" },
	{ "bogus records", NULL, true, TLSA_FORGED, CERT_GOOD, OFFERS, NULL, 0, false, false, "cannot be had" },
	{ "records without DNSSEC are none", NULL, false, TLSA_OTHER, CERT_GOOD, OFFERS, NULL, 0, true, true,
	  "TLS where it works" },
	{ "DANE goes before MTA-STS", NULL, true, TLSA_OTHER, CERT_GOOD, OFFERS, ENFORCE, 0, false, false, "TLSA" },
	{ "enforce", NULL, false, TLSA_NONE, CERT_GOOD, OFFERS, ENFORCE, 0, true, true, "MTA-STS enforce" },
	{ "enforce, another name", NULL, false, TLSA_NONE, CERT_OTHER_NAME, OFFERS, ENFORCE, 0, false, false,
	  "another name" },
	{ "enforce, expired", NULL, false, TLSA_NONE, CERT_EXPIRED, OFFERS, ENFORCE, 0, false, false, "expired" },
	{ "enforce, no TLS", NULL, false, TLSA_NONE, CERT_GOOD, NO_TLS, ENFORCE, 0, false, false, "no TLS" },
	{ "enforce, the MX is not in it", NULL, false, TLSA_NONE, CERT_GOOD, OFFERS,
	  STS_POLICY("enforce", "*.mx.good.test"), 0, false, false, "does not name the host" },
	{ "testing, another name", NULL, false, TLSA_NONE, CERT_OTHER_NAME, OFFERS, STS_POLICY("testing", "mx.good.test"),
	  0, true, true, "MTA-STS testing" },
	{ "a policy that is none", NULL, false, TLSA_NONE, CERT_OTHER_NAME, OFFERS, "<html>", 0, true, true,
	  "TLS where it works" },
	{ "configured none", "good.test mx tls=none", true, TLSA_MATCH, CERT_GOOD, OFFERS, NULL, 0, true, false, "no TLS" },
	{ "configured verify", "good.test mx tls=verify", false, TLSA_NONE, CERT_GOOD, OFFERS, NULL, 0, true, true,
	  "verified" },
	{ "configured verify, other names", "good.test mx tls=verify:other.test,mx.other.test", false, TLSA_NONE,
	  CERT_OTHER_NAME, OFFERS, NULL, 0, true, true, "verified" },
	{ "configured verify, in vain", "good.test mx tls=verify", false, TLSA_NONE, CERT_OTHER_NAME, OFFERS, NULL, 0,
	  false, false, "another name" },
	{ "configured dane, in vain", "good.test mx tls=dane", true, TLSA_NONE, CERT_GOOD, OFFERS, NULL, 0, false, false,
	  "no usable TLSA" },
	{ "what is below a domain", ".test mx tls=none", false, TLSA_NONE, CERT_GOOD, OFFERS, NULL, 0, true, false,
	  "no TLS" },
	{ "REQUIRETLS", NULL, true, TLSA_MATCH, CERT_GOOD, REQUIRES, NULL, ENVELOPE_REQUIRETLS, true, true, "REQUIRETLS" },
	{ "REQUIRETLS, by roots", NULL, true, TLSA_NONE, CERT_GOOD, REQUIRES, NULL, ENVELOPE_REQUIRETLS, true, true,
	  "REQUIRETLS" },
	{ "REQUIRETLS, not offered", NULL, true, TLSA_MATCH, CERT_GOOD, OFFERS, NULL, ENVELOPE_REQUIRETLS, false, false,
	  "550 5.7.30" },
	{ "REQUIRETLS, no TLS", NULL, true, TLSA_MATCH, CERT_GOOD, NO_TLS, NULL, ENVELOPE_REQUIRETLS, false, false,
	  "550 5.7.10" },
	{ "REQUIRETLS, nobody vouches", NULL, false, TLSA_NONE, CERT_GOOD, REQUIRES, NULL, ENVELOPE_REQUIRETLS, false,
	  false, "550 5.7.10" },
	{ "REQUIRETLS, MTA-STS vouches", NULL, false, TLSA_NONE, CERT_GOOD, REQUIRES, ENFORCE, ENVELOPE_REQUIRETLS, true,
	  true, "REQUIRETLS" },
	{ "TLS-Required: No", NULL, true, TLSA_OTHER, CERT_EXPIRED, OFFERS, ENFORCE, ENVELOPE_TLS_OPTIONAL, true, true,
	  "TLS-Required: No" },
	{ "a smarthost with a login", "* 192.0.2.1:25 tls=must auth=secret", false, TLSA_NONE, CERT_GOOD, LOGS_IN, NULL, 0,
	  true, true, "configured" },
	{ "a smarthost that refuses it", "* 192.0.2.1:25 tls=must auth=secret", false, TLSA_NONE, CERT_GOOD, LOGIN_LIES,
	  NULL, 0, false, false, "does not let us log in" },
	{ "a smarthost without TLS gets no password", "* 192.0.2.1:25 auth=secret", false, TLSA_NONE, CERT_GOOD,
	  LOGS_IN | NO_TLS, NULL, 0, false, false, "no TLS to protect" },
	{ "a smarthost without a file", "* 192.0.2.1:25 auth=lost", false, TLSA_NONE, CERT_GOOD, LOGS_IN, NULL, 0, false,
	  false, "could not be read" },
};

static struct {
	const struct scene *scene;
	struct tls_context *servers[CERTS];
	struct slice authority_pem;
	char digest[CERTS][32], authority_digest[32];
	unsigned connections, fetches, passwords;
	bool opened, secure, smtp_after_injection;
	char words[700];
	char counted[300]; /* for reports: "POLICY RESULT", each with its separator */
	char memo[70000];
	size_t memo_len;
} seen;
static EVP_PKEY *authority;

/* ---- certificates: one authority, which servers send along, and what it signed */

static struct slice
bio_text(BIO *b)
{
	char *at;
	long n = BIO_get_mem_data(b, &at);
	struct slice s = slice_keep(&kept, slice_of(at, (size_t)n));
	BIO_free(b);
	return s;
}

static X509 *
x509_make(EVP_PKEY *key, const char *name, int nid, const char *extension, long begins, long ends)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), begins);
	X509_gmtime_adj(X509_getm_notAfter(x), ends);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_NAME *issuer = X509_NAME_new();
	X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const unsigned char *)"authority", -1, -1, 0);
	X509_set_issuer_name(x, issuer);
	X509_NAME_free(issuer);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, extension);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, authority, EVP_sha256()) > 0);
	return x;
}

static struct slice
x509_take(X509 *x, char digest[32])
{
	unsigned n = 32;
	BIO *pem = BIO_new(BIO_s_mem());
	assert_int_equal(X509_digest(x, EVP_sha256(), (unsigned char *)digest, &n), 1);
	PEM_write_bio_X509(pem, x);
	X509_free(x);
	return bio_text(pem);
}

static void
authority_make(void)
{
	authority = EVP_EC_gen("P-256");
	seen.authority_pem = x509_take(x509_make(authority, "authority", NID_basic_constraints, "CA:TRUE", -9000, 9000),
	                               seen.authority_digest);
}

static void
certificate_make(int which, const char *names, long begins, long ends)
{
	const char *why = NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = x509_make(key, "server", NID_subject_alt_name, names, begins, ends);
	struct slice chain = arena_join(&kept, x509_take(x, seen.digest[which]), seen.authority_pem);
	BIO *pem = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
	seen.servers[which] = tls_server_context_with_key(chain, bio_text(pem), &why);
	assert_non_null(seen.servers[which]);
	EVP_PKEY_free(key);
}

/* ---- DNS */

static struct slice
tlsa_of(int kind, struct arena *a)
{
	int which = seen.scene->certificate;
	struct slice digest = slice_of(seen.digest[kind == TLSA_OTHER ? (which + 1) % CERTS : which], 32);
	if (kind == TLSA_ANCHOR)
		digest = slice_of(seen.authority_digest, 32);
	struct slice head = kind == TLSA_ANCHOR ? S("\2\0\1") : kind == TLSA_USELESS ? S("\1\0\1") : S("\3\0\1");
	return arena_join(a, head, digest);
}

static void
fake_lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	const struct scene *s = seen.scene;
	struct resolver_record record[2] = { 0 };
	struct resolver_lookup_out out = { .records = record, .secure = s->secure, .canonical = in->name };
	if (in->type == 15 && slice_equal(in->name, S("good.test"))) {
		record[0].bytes = S("\0\x0a\2mx\4good\4test\0");
	} else if (in->type == 1 && slice_equal(in->name, S("mx.good.test"))) {
		record[0].bytes = S("\xc0\0\2\1");
	} else if (in->type == 1 && slice_equal(in->name, S("mta-sts.good.test"))) {
		record[0].bytes = S("\xc0\0\2\x9");
	} else if (in->type == 16 && s->sts) {
		record[0].bytes = S("\x0fv=STSv1; id=123");
	} else if (in->type == 52 && s->tlsa != TLSA_NONE) {
		assert_true(slice_equal(in->name, S("_25._tcp.mx.good.test")));
		record[0].bytes = tlsa_of(s->tlsa, &call->arena);
		out.verdict = s->tlsa == TLSA_SILENT ? ERR_AGAIN : s->tlsa == TLSA_FORGED ? ERR_DAMAGED : OK;
	} else {
		out.verdict = ERR_NOT_FOUND;
		out.nodata = true;
	}
	out.nrecords = out.verdict == OK;
	resolver_lookup_reply(call, &out);
}

static const struct resolver_server fake_resolver = { .lookup = fake_lookup };

/* ---- memos */

static void
fake_memo_get(struct ipc_call *call, const struct store_memo_get_in *in)
{
	struct store_memo_get_out out = { .found = seen.memo_len > 0 };
	assert_true(slice_equal(in->kind, S("sts")) && slice_equal(in->name, S("good.test")));
	out.memo = (struct store_memo){ in->kind, in->name, slice_of(seen.memo, seen.memo_len), clock_wall_sec() + 86400 };
	store_memo_get_reply(call, &out);
}

static void
fake_memo_put(struct ipc_call *call, const struct store_memo_put_in *in)
{
	assert_int_equal(in->nmemos, 1);
	assert_int_equal(in->memos[0].until, clock_wall_sec() + 86400);
	seen.memo_len = in->memos[0].value.len;
	memcpy(seen.memo, in->memos[0].value.at, seen.memo_len);
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static const struct store_server fake_store = { .memo_get = fake_memo_get, .memo_put = fake_memo_put };

/* ---- the mail server and the web server */

static bool
await_tls(struct stream *io)
{
	unsigned server = seen.scene->server;
	if (server & TLS_REFUSED)
		return await_talk(io, "454 4.7.0 not now\r\n");
	await_talk(io, server & INJECTS ? "220 go\r\n250-mx\r\n250 REQUIRETLS\r\n" : "220 go\r\n");
	return !(server & HANDSHAKE_BREAKS) && await_tls_accept(io, seen.servers[seen.scene->certificate]) == OK;
}

static bool
await_auth(struct stream *io, struct slice line)
{
	struct slice got;
	assert_non_null(io->tls);
	seen.passwords++;
	assert_true(base64_decode(slice_from(line, strlen("AUTH PLAIN ")), &kept, &got));
	bool good = slice_equal(got, S("\0joe\0pass word")) && (seen.scene->server & LOGS_IN);
	return await_talk(io, good ? "235 2.7.0 ok\r\n" : "535 5.7.8 no\r\n");
}

static bool
await_serve_line(struct stream *io, struct slice line)
{
	unsigned server = seen.scene->server;
	if (slice_starts(line, S("EHLO"))) {
		stream_put(io, S("250-mx\r\n"));
		if (!(server & NO_TLS) && !io->tls)
			stream_put(io, S("250-STARTTLS\r\n"));
		if ((server & REQUIRES) && io->tls)
			stream_put(io, S("250-REQUIRETLS\r\n"));
		if (server & (LOGS_IN | LOGIN_LIES))
			stream_put(io, S("250-AUTH PLAIN LOGIN\r\n"));
		return await_talk(io, "250 SIZE 0\r\n");
	}
	if (slice_equal(line, S("STARTTLS")))
		return await_tls(io);
	if (slice_starts(line, S("AUTH")))
		return await_auth(io, line);
	await_talk(io, "221 bye\r\n");
	return false;
}

static void
mail_server(void *arg)
{
	struct stream io;
	struct slice line;
	stream_init(&io, (int)(intptr_t)arg);
	io.deadline_ms = deadline_in_ms(60000);
	if (await_talk(&io, "220 mx ESMTP\r\n"))
		while (await_line(&io, 2000, false, &line) == OK && await_serve_line(&io, line))
			;
	stream_release(&io);
}

static void
web_server(void *arg)
{
	struct stream io;
	struct slice line = S("x");
	stream_init(&io, (int)(intptr_t)arg);
	io.deadline_ms = deadline_in_ms(60000);
	seen.fetches++;
	if (await_tls_accept(&io, seen.servers[CERT_GOOD]) == OK) {
		while (line.len > 0 && await_line(&io, 2000, false, &line) == OK)
			;
		stream_printf(&io, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
		              strlen(seen.scene->sts), seen.scene->sts);
		(void)await_flush(&io);
	}
	stream_release(&io);
}

static enum err
await_fake_connect(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                   int64_t deadline_ms, int *fd)
{
	int other;
	(void)to_len, (void)from, (void)from_len, (void)deadline_ms;
	bool web = ntohs(((const struct sockaddr_in *)to)->sin_port) == 443;
	*fd = stage_pair(&other);
	seen.connections += !web;
	assert_true(task_start(web ? web_server : mail_server, (void *)(intptr_t)other));
	return OK;
}

/* ---- one scene */

static void
open_once(void *arg)
{
	struct remote *remote = must_calloc(1, sizeof *remote);
	struct route *route = must_calloc(1, sizeof *route);
	struct remote_reply why;
	struct job j = { .relay = relay };
	j.row.domain = S("good.test");
	j.row.envelope.flags = seen.scene->flags;
	j.row.envelope.reverse_path = S("a@here.test");
	remote->end_ms = deadline_in_ms(3600 * 1000);
	await_route(&relay->resolver, relay->conf, j.row.domain, route);
	why = route->reply;
	seen.opened = await_open(relay, &j, route, remote, &why);
	seen.secure = seen.opened && remote->secure;
	seen.smtp_after_injection = seen.opened && remote->requiretls;
	if (seen.opened)
		snprintf(seen.words, sizeof seen.words, "%s", remote->policy.words);
	else
		snprintf(seen.words, sizeof seen.words, "%u %s %s", why.code, why.status, why.text);
	await_remote_quit(remote);
	free(remote);
	free(route);
}

/* What waits to be put down for reports (RFC 8460): sorted, so that the order of the map does not show. */
static void
note_counted(void)
{
	size_t at = 0, n = 0;
	uint64_t key;
	void *value;
	seen.counted[0] = '\0';
	for (int type = TLS_REPORT_TLSA; type >= TLS_REPORT_NO_POLICY; type--)
		for (at = 0; map_each(&relay->reports->pending, &at, &key, &value);) {
			const struct tls_pending *p = value;
			if (p->s.type == (enum tls_report_policy)type)
				n += (size_t)snprintf(seen.counted + n, sizeof seen.counted - n, "%s %s;",
				                      tls_report_policy_word(p->s.type), tls_result_word(p->s.result));
		}
}

static void
stage(const struct scene *s, int times)
{
	seen.scene = s;
	seen.memo_len = seen.fetches = seen.connections = seen.passwords = 0;
	relay_open(s->route ? arena_printf(&kept, "route = %s\n", s->route).at : "", &fake_store, &fake_resolver);
	const char *auth = relay->conf->nroutes ? relay->conf->routes[0].auth : NULL;
	relay->tls = tls_client_context(NULL);
	relay->transport->trusting = tls_client_context_trusting(seen.authority_pem);
	relay->transport->secrets = must_calloc(1, sizeof(struct secret));
	relay->transport->secrets[0] =
	    (struct secret){ slice_dup(slice_text(auth && !strstr(auth, "lost") ? auth : "none")),
		                 slice_of(slice_dup(S("joe pass word\n")), 14) };
	relay->transport->nsecrets = 1;
	for (int i = 0; i < times; i++)
		test_in_task(open_once, NULL);
	note_counted();
	relay_close();
}

/* What each scene is to a report. Those that are not named are nothing: the configuration decided, or the message. */
static const char *
counted_for(const char *what)
{
	static const struct {
		const char *what, *counted;
	} rows[] = {
		{ "opportunistic", "no-policy-found success;" },
		{ "in plain", "no-policy-found starttls-not-supported;" },
		{ "a broken handshake, then in plain", "no-policy-found validation-failure;" },
		{ "STARTTLS refused, then in plain", "no-policy-found validation-failure;" },
		{ "bytes behind the answer to STARTTLS", "no-policy-found success;" },
		{ "DANE-EE", "tlsa success;" },
		{ "DANE-EE does not look at the expiry", "tlsa success;" },
		{ "DANE-TA", "tlsa success;" },
		{ "DANE-TA looks at the name", "tlsa certificate-host-mismatch;" },
		{ "DANE-TA looks at the expiry", "tlsa certificate-expired;" },
		{ "another certificate than TLSA names", "tlsa certificate-not-trusted;" },
		{ "records, and no STARTTLS", "tlsa starttls-not-supported;" },
		{ "records, and a broken handshake", "tlsa validation-failure;" },
		{ "useless records: encrypted", "tlsa tlsa-invalid;" },
		{ "useless records: not in plain", "tlsa starttls-not-supported;" },
		{ "no answer about records", "tlsa dnssec-invalid;" },
		{ "bogus records", "tlsa dnssec-invalid;" },
		{ "records without DNSSEC are none", "no-policy-found success;" },
		{ "DANE goes before MTA-STS", "tlsa certificate-not-trusted;" },
		{ "enforce", "sts success;" },
		{ "enforce, another name", "sts certificate-host-mismatch;" },
		{ "enforce, expired", "sts certificate-expired;" },
		{ "enforce, no TLS", "sts starttls-not-supported;" },
		{ "enforce, the MX is not in it", "sts validation-failure;" },
		{ "testing, another name", "sts certificate-host-mismatch;" },
		{ "a policy that is none", "sts sts-policy-invalid;no-policy-found success;" },
		{ "configured dane, in vain", "tlsa dane-required;" },
		{ "REQUIRETLS", "tlsa success;" },
		{ "REQUIRETLS, by roots", "no-policy-found success;" },
		{ "REQUIRETLS, not offered", "tlsa success;" },
		{ "REQUIRETLS, no TLS", "tlsa starttls-not-supported;" },
		{ "REQUIRETLS, MTA-STS vouches", "sts success;" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (strcmp(rows[i].what, what) == 0)
			return rows[i].counted;
	return "";
}

static void
each_scene(void **state)
{
	(void)state;
	unsigned wrong = 0;
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		const struct scene *s = &scenes[i];
		stage(s, 1);
		if (seen.opened != s->opens || seen.secure != s->encrypted || !strstr(seen.words, s->words))
			wrong++, print_error("%s: opened %d, encrypted %d, %s\n", s->what, seen.opened, seen.secure, seen.words);
		const char *counted = counted_for(s->what);
		if (strcmp(seen.counted, counted) != 0)
			wrong++, print_error("%s: counted %s, not %s\n", s->what, seen.counted, counted);
		if (s->server & INJECTS)
			assert_false(seen.smtp_after_injection);
		if (s->server & NO_TLS)
			assert_int_equal(seen.passwords, 0);
	}
	assert_int_equal(wrong, 0);
}

/* The policy is fetched once and then known; a fetch in vain is not tried again for five minutes. */
static void
policies_are_kept(void **state)
{
	(void)state;
	static const struct scene good = { .what = "kept", .sts = ENFORCE }, bad = { .what = "in vain", .sts = "what" };
	stage(&good, 5);
	assert_int_equal(seen.fetches, 1);
	assert_true(seen.opened && seen.secure);
	stage(&bad, 5);
	assert_int_equal(seen.fetches, 1);
	assert_true(seen.opened);
}

/* Names that mean the host, and such as only look like it. */
static void
odd_names(void **state)
{
	(void)state;
	static char many[40000];
	static const struct {
		const char *names;
		bool opens;
	} rows[] = {
		{ "DNS:MX.GOOD.TEST", true },
		{ "DNS:*.good.test", true },
		{ "DNS:*.*.test", false },
		{ "DNS:*.test", false },
		{ "DNS:*", false },
		{ "DNS:good.test", false },
		{ "DNS:mx.good.test.evil.test", false },
		{ "DNS:xmx.good.test", false },
		{ "email:mx@good.test", false },
		{ "URI:https://mx.good.test/", false },
		{ "IP:192.0.2.1", false },
		{ "DER:301982176d782e676f6f642e74657374002e6576696c2e74657374", false }, /* mx.good.test NUL .evil.test */
		{ "DER:3000", false },
		{ many, true },
	};
	static const struct scene odd = { .what = "odd", .route = "good.test mx tls=verify", .certificate = CERT_ODD };
	for (size_t i = 0, n = 0; i < 2000; i++)
		n += (size_t)snprintf(many + n, sizeof many - n, "DNS:h%zu.test,", i);
	snprintf(many + strlen(many), sizeof many - strlen(many), "DNS:mx.good.test");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		tls_context_free(&seen.servers[CERT_ODD]);
		certificate_make(CERT_ODD, rows[i].names, -60, 3600);
		stage(&odd, 1);
		if (seen.opened != rows[i].opens)
			fail_msg("%.60s: opened %d, %s", rows[i].names, seen.opened, seen.words);
	}
}

/* A web server that does not come to an end is left, and mail goes as without a policy. */
static void
a_policy_of_many_megabytes(void **state)
{
	(void)state;
	size_t bytes = 32 << 20;
	char *text = malloc(bytes + 1);
	memset(text, 'x', bytes);
	memcpy(text, ENFORCE, strlen(ENFORCE));
	text[bytes] = '\0';
	const struct scene large = { .what = "large", .sts = text };
	stage(&large, 1);
	assert_int_equal(seen.fetches, 1);
	assert_true(seen.opened && strstr(seen.words, "TLS where it works"));
	free(text);
}

static int
setup(void **state)
{
	(void)state;
	stage_begin();
	authority_make();
	certificate_make(CERT_GOOD, "DNS:mx.good.test,DNS:mta-sts.good.test", -60, 3600);
	certificate_make(CERT_OTHER_NAME, "DNS:mx.other.test", -60, 3600);
	certificate_make(CERT_EXPIRED, "DNS:mx.good.test", -7200, -3600);
	await_connect = await_fake_connect;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < CERTS; i++)
		tls_context_free(&seen.servers[i]);
	EVP_PKEY_free(authority);
	stage_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_scene), cmocka_unit_test(policies_are_kept),
		                                cmocka_unit_test(odd_names), cmocka_unit_test(a_policy_of_many_megabytes) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
