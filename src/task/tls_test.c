/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c - TLS between two tasks of one process: keys here and elsewhere, failures that cost one connection. The
 * client is the stream's own, or OpenSSL by hand where a test wants what the stream does not offer. */
#include "task/stream.h"
#include "task/task_testing.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum kind { P256, RSA2048, ED25519, KINDS };

static struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	struct slice chain_pem, key_pem;
} identities[KINDS];
static struct arena arena;

static EVP_PKEY *
key_make(enum kind k)
{
	switch (k) {
	case P256: return EVP_EC_gen("P-256");
	case RSA2048: return EVP_RSA_gen(2048);
	default: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
}

static struct slice
bio_text(BIO *b)
{
	char *at;
	long n = BIO_get_mem_data(b, &at);
	struct slice s = slice_keep(&arena, slice_of(at, (size_t)n));
	BIO_free(b);
	return s;
}

static void
identity_make(enum kind k)
{
	struct identity *id = &identities[k];
	id->key = key_make(k);
	X509 *x = id->certificate = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, id->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"mx.example.test",
	                           -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.example.test,IP:127.0.0.1");
	X509_add_ext(x, names, -1);
	X509_EXTENSION_free(names);
	assert_true(X509_sign(x, id->key, k == ED25519 ? NULL : EVP_sha256()) > 0);
	BIO *pem = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(pem, x);
	id->chain_pem = bio_text(pem);
	pem = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(pem, id->key, NULL, NULL, 0, NULL, NULL);
	id->key_pem = bio_text(pem);
}

static int
setup(void **state)
{
	arena_init(&arena, 0);
	for (enum kind k = 0; k < KINDS; k++)
		identity_make(k);
	return 0;
}

static int
teardown(void **state)
{
	for (enum kind k = 0; k < KINDS; k++) {
		EVP_PKEY_free(identities[k].key);
		X509_free(identities[k].certificate);
	}
	arena_release(&arena);
	loop_reset();
	return 0;
}

/* ---- the key that is elsewhere: it takes its time, and others use OpenSSL meanwhile */

static unsigned signatures;
static enum err sign_answer;

static enum err
await_slow_sign(void *arg, uint32_t key_id, int padding, struct slice data, struct arena *a, struct slice *signature)
{
	signatures++;
	assert_int_equal(await_sleep(5), OK);
	if (sign_answer)
		return sign_answer;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(identities[key_id].key, NULL);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	if (padding)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	size_t len = 1024;
	unsigned char *at = arena_alloc(a, len);
	assert_int_equal(EVP_PKEY_sign(ctx, at, &len, (const unsigned char *)data.at, data.len), 1);
	EVP_PKEY_CTX_free(ctx);
	*signature = slice_of(at, len);
	return OK;
}

static struct tls_context *
server_context(enum kind k, bool elsewhere)
{
	const char *why = "";
	struct identity *id = &identities[k];
	struct tls_context *c = elsewhere ? tls_server_context(id->chain_pem, k, await_slow_sign, NULL, &why)
	                                  : tls_server_context_with_key(id->chain_pem, id->key_pem, &why);
	if (!c)
		fail_msg("%s", why);
	return c;
}

/* ---- two ends */

struct end {
	struct stream s;
	struct tls_context *context;
	const char *server_name;
	struct tls_info info;
	enum err handshake;
	enum err last;
	char error[256];
	size_t bytes;
};

static void
ends_init(struct end *server, struct end *client)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	*server = *client = (struct end){ 0 };
	stream_init(&server->s, fd[0]);
	stream_init(&client->s, fd[1]);
	server->s.deadline_ms = client->s.deadline_ms = deadline_in_ms(20000);
	sign_answer = OK;
}

static void
note(struct end *e)
{
	e->info = tls_info(&e->s);
	snprintf(e->error, sizeof e->error, "%s", tls_error(&e->s));
}

/* Answers lines with themselves until the client closes. */
static void
serve_echo(void *arg)
{
	struct end *e = arg;
	e->handshake = await_tls_accept(&e->s, e->context);
	note(e);
	struct slice line;
	while (!(e->last = await_line(&e->s, 1000, false, &line))) {
		stream_put(&e->s, line);
		stream_put(&e->s, S("\r\n"));
		await_flush(&e->s);
	}
	stream_release(&e->s);
}

static void
client_echo(void *arg)
{
	struct end *e = arg;
	e->handshake = await_tls_connect(&e->s, e->context, e->server_name);
	note(e);
	struct slice line = SLICE_NONE;
	stream_put(&e->s, S("hello there\r\n"));
	await_flush(&e->s);
	e->last = await_line(&e->s, 1000, false, &line);
	if (!e->last)
		assert_true(slice_equal(line, S("hello there")));
	stream_release(&e->s);
}

/* ---- a client by hand */

struct raw {
	int fd;
	int version;
	const char *sigalgs; /* for TLS 1.2 */
	SSL_SESSION *session;
	char got[100];
	size_t len;
};

static bool
await_raw(struct raw *r, SSL *ssl, int result)
{
	int e = SSL_get_error(ssl, result);
	uint32_t events = e == SSL_ERROR_WANT_READ ? LOOP_READ : e == SSL_ERROR_WANT_WRITE ? LOOP_WRITE : 0;
	return events && await_fd(r->fd, events, deadline_in_ms(20000)) == OK;
}

static void
raw_client(void *arg)
{
	struct raw *r = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, r->version);
	if (r->sigalgs)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, r->sigalgs), 1);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, r->fd);
	if (r->session)
		SSL_set_session(ssl, r->session);
	SSL_SESSION_free(r->session);
	int result;
	while ((result = SSL_connect(ssl)) != 1 && await_raw(r, ssl, result))
		;
	assert_int_equal(SSL_write(ssl, "hello\r\n", 7), 7);
	while (r->len < 7)
		if ((result = SSL_read(ssl, r->got + r->len, (int)(sizeof r->got - r->len))) > 0)
			r->len += (size_t)result;
		else if (!await_raw(r, ssl, result))
			break;
	r->session = SSL_get1_session(ssl); /* with the ticket that came before the first answer */
	SSL_shutdown(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(r->fd);
}

static const struct key_row {
	const char *what;
	enum kind kind;
	bool elsewhere;
	int version;
	const char *sigalgs;
	const char *told;
} key_rows[] = {
	{ "ECDSA P-256 here, TLS 1.3", P256, false, TLS1_3_VERSION, NULL, "TLSv1.3" },
	{ "ECDSA P-256 here, TLS 1.2", P256, false, TLS1_2_VERSION, NULL, "TLSv1.2" },
	{ "ECDSA P-256 elsewhere, TLS 1.3", P256, true, TLS1_3_VERSION, NULL, "TLSv1.3" },
	{ "ECDSA P-256 elsewhere, TLS 1.2", P256, true, TLS1_2_VERSION, NULL, "TLSv1.2" },
	{ "RSA here, TLS 1.3 (PSS)", RSA2048, false, TLS1_3_VERSION, NULL, "TLSv1.3" },
	{ "RSA elsewhere, TLS 1.3 (PSS)", RSA2048, true, TLS1_3_VERSION, NULL, "TLSv1.3" },
	{ "RSA elsewhere, TLS 1.2 with PSS", RSA2048, true, TLS1_2_VERSION, "RSA-PSS+SHA256", "TLSv1.2" },
	{ "RSA elsewhere, TLS 1.2 with PKCS #1", RSA2048, true, TLS1_2_VERSION, "RSA+SHA256", "TLSv1.2" },
	{ "RSA elsewhere, TLS 1.2 with PKCS #1 and SHA-512", RSA2048, true, TLS1_2_VERSION, "RSA+SHA512", "TLSv1.2" },
	{ "Ed25519 here, TLS 1.3", ED25519, false, TLS1_3_VERSION, NULL, "TLSv1.3" },
};

static void
keys_sign(void **state)
{
	for (size_t i = 0; i < COUNT_OF(key_rows); i++) {
		const struct key_row *row = &key_rows[i];
		struct end server, client;
		ends_init(&server, &client);
		signatures = 0;
		server.context = server_context(row->kind, row->elsewhere);
		struct raw raw = { .fd = client.s.fd, .version = row->version, .sigalgs = row->sigalgs };
		client.s.fd = -1;
		test_start(serve_echo, &server);
		test_in_task(raw_client, &raw);
		if (server.handshake || strcmp(server.info.version, row->told) != 0 || signatures != row->elsewhere ||
		    raw.len != 7 || server.last != ERR_CLOSED)
			fail_msg("%s: %s %s %s, %u signatures, %zu bytes", row->what, err_text(server.handshake), server.error,
			         server.info.version, signatures, raw.len);
		assert_true(server.info.bits >= 128);
		SSL_SESSION_free(raw.session);
		stream_release(&client.s);
		tls_context_free(&server.context);
	}
}

static void
tickets_resume(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct tls_context *context = server_context(P256, true);
		struct raw raw = { .version = versions[i] };
		for (int round = 0; round < 2; round++) {
			struct end server, client;
			ends_init(&server, &client);
			server.context = context;
			raw.fd = client.s.fd;
			raw.len = 0;
			client.s.fd = -1;
			test_start(serve_echo, &server);
			test_in_task(raw_client, &raw);
			assert_int_equal(server.handshake, OK);
			assert_int_equal(server.info.resumed, round == 1);
			stream_release(&client.s);
		}
		SSL_SESSION_free(raw.session);
		tls_context_free(&context);
	}
}

/* ---- the stream's own client */

static void
certificates_are_verified(void **state)
{
	char path[] = "/tmp/tls_test.XXXXXX";
	int fd = mkstemp(path);
	struct slice pem = identities[P256].chain_pem;
	assert_int_equal(write(fd, pem.at, pem.len), (ssize_t)pem.len);
	close(fd);
	static const struct {
		const char *what, *name;
		bool verify;
		enum kind kind;
		enum err answer;
	} rows[] = {
		{ "the right name is accepted", "mx.example.test", true, P256, OK },
		{ "the right address is accepted", "127.0.0.1", true, P256, OK },
		{ "another name is refused", "mx2.example.test", true, P256, ERR_TLS },
		{ "another address is refused", "127.0.0.2", true, P256, ERR_TLS },
		{ "another certificate is refused", "mx.example.test", true, RSA2048, ERR_TLS },
		{ "without verification anything will do", "mx2.example.test", false, RSA2048, OK },
		{ "without a name too", NULL, false, RSA2048, OK },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct end server, client;
		ends_init(&server, &client);
		server.context = server_context(rows[i].kind, false);
		client.context = tls_client_context(rows[i].verify ? path : NULL);
		client.server_name = rows[i].name;
		test_start(serve_echo, &server);
		test_in_task(client_echo, &client);
		if (client.handshake != rows[i].answer || client.last != rows[i].answer ||
		    (client.error[0] != '\0') != (rows[i].answer != OK))
			fail_msg("%s: %s, %s", rows[i].what, err_text(client.handshake), client.error);
		tls_context_free(&server.context);
		tls_context_free(&client.context);
	}
	unlink(path);
	assert_null(tls_client_context("/nonexistent"));
}

/* ---- failures */

static void
send_garbage(void *arg)
{
	struct end *e = arg;
	stream_put(&e->s, S("GET / HTTP/1.0\r\n\r\n"));
	await_flush(&e->s);
	char ignored[64];
	e->last = await_read(&e->s, ignored, sizeof ignored); /* the alert, then the end */
	stream_release(&e->s);
}

/* While the signature of one handshake is awaited, another one fails: the first does not notice. */
static void
a_failing_handshake_costs_one_connection(void **state)
{
	struct end good_server, good_client, bad_server, bad_client;
	ends_init(&good_server, &good_client);
	ends_init(&bad_server, &bad_client);
	good_server.context = server_context(RSA2048, true);
	bad_server.context = tls_context_keep(good_server.context);
	good_client.context = tls_client_context(NULL);
	test_start(serve_echo, &good_server);
	test_start(client_echo, &good_client);
	signatures = 0;
	for (int i = 0; i < 100 && signatures == 0; i++)
		loop_turn(1);
	assert_int_equal(signatures, 1); /* and it sleeps */
	test_start(serve_echo, &bad_server);
	test_start(send_garbage, &bad_client);
	test_run_tasks();
	assert_int_equal(bad_server.handshake, ERR_TLS);
	assert_int_equal(bad_server.last, ERR_TLS);
	assert_string_not_equal(bad_server.error, "");
	assert_int_equal(good_server.handshake, OK);
	assert_int_equal(good_client.last, OK);
	tls_context_free(&good_server.context);
	tls_context_free(&bad_server.context);
	tls_context_free(&good_client.context);
}

static void
a_signature_that_cannot_be_had(void **state)
{
	static const enum kind kinds[] = { P256, RSA2048 };
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct end server, client;
		ends_init(&server, &client);
		sign_answer = ERR_AGAIN;
		server.context = server_context(kinds[i], true);
		client.context = tls_client_context(NULL);
		test_start(serve_echo, &server);
		test_in_task(client_echo, &client);
		assert_int_equal(server.handshake, ERR_TLS);
		assert_int_equal(client.handshake, ERR_TLS);
		tls_context_free(&server.context);
		tls_context_free(&client.context);
	}
}

static void
a_silent_client_times_out(void **state)
{
	struct end server, client;
	ends_init(&server, &client);
	server.context = server_context(P256, false);
	server.s.deadline_ms = deadline_in_ms(20);
	test_in_task(serve_echo, &server);
	assert_int_equal(server.handshake, ERR_TIMEOUT);
	assert_string_equal(server.error, "deadline passed");
	stream_release(&client.s);
	tls_context_free(&server.context);
}

static void
pem_that_cannot_be_used(void **state)
{
	const char *why = NULL;
	struct identity *ec = &identities[P256], *rsa = &identities[RSA2048], *ed = &identities[ED25519];
	assert_null(tls_server_context_with_key(S("nonsense"), ec->key_pem, &why));
	assert_string_equal(why, "no certificate is in the PEM file");
	assert_null(tls_server_context_with_key(ec->chain_pem, rsa->key_pem, &why));
	assert_string_equal(why, "the private key does not belong to the certificate");
	assert_null(tls_server_context_with_key(ec->chain_pem, S(""), &why));
	assert_string_equal(why, "no private key without a password is in the PEM file");
	assert_null(tls_server_context(ed->chain_pem, 0, await_slow_sign, NULL, &why));
	assert_string_equal(why, "the certificate's key is neither RSA nor ECDSA");
}

/* RFC 3207 4.2 */
static void
serve_starttls(void *arg)
{
	struct end *e = arg;
	struct slice line;
	assert_int_equal(await_line(&e->s, 1000, false, &line), OK);
	assert_true(slice_equal(line, S("STARTTLS")));
	assert_true(stream_has_input(&e->s)); /* the injected command came along */
	stream_put(&e->s, S("220 go ahead\r\n"));
	serve_echo(e);
}

static void
client_starttls(void *arg)
{
	struct end *e = arg;
	struct slice line;
	stream_put(&e->s, S("STARTTLS\r\nMAIL FROM:<injected@example.test>\r\n"));
	await_flush(&e->s);
	assert_int_equal(await_line(&e->s, 1000, false, &line), OK);
	client_echo(e); /* its first answer is to its own first line */
}

static void
what_came_before_starttls_is_dropped(void **state)
{
	struct end server, client;
	ends_init(&server, &client);
	server.context = server_context(P256, true);
	client.context = tls_client_context(NULL);
	test_start(serve_starttls, &server);
	test_in_task(client_starttls, &client);
	assert_int_equal(client.last, OK);
	tls_context_free(&server.context);
	tls_context_free(&client.context);
}

/* ---- much data, through small socket buffers */

enum { MUCH = 3 * 1024 * 1024 };

static void
serve_much(void *arg)
{
	struct end *e = arg;
	char *bytes = must_calloc(1, MUCH);
	e->handshake = await_tls_accept(&e->s, e->context);
	e->last = await_read(&e->s, bytes, MUCH);
	for (size_t i = 0; i < MUCH; i++)
		if (bytes[i] != (char)(i * 7 / 3))
			fail_msg("byte %zu is wrong", i);
	for (size_t at = 0; at < MUCH && !e->last; at += 10000) /* by the buffer */
		e->last = await_put(&e->s, slice_part(slice_of(bytes, MUCH), at, 10000));
	await_flush(&e->s);
	stream_release(&e->s);
	free(bytes);
}

static void
client_much(void *arg)
{
	struct end *e = arg;
	char *bytes = must_calloc(1, MUCH);
	for (size_t i = 0; i < MUCH; i++)
		bytes[i] = (char)(i * 7 / 3);
	e->handshake = await_tls_connect(&e->s, e->context, NULL);
	stream_put(&e->s, slice_of(bytes, 5));
	assert_int_equal(await_put(&e->s, slice_of(bytes + 5, MUCH - 5)), OK); /* from where it is */
	for (size_t left = MUCH; left > 0 && !e->last;) {
		e->last = await_fill(&e->s, 100000);
		struct slice in = stream_input(&e->s);
		if (in.len > left || memcmp(in.at, bytes + MUCH - left, in.len) != 0)
			fail_msg("wrong at %zu", MUCH - left);
		left -= in.len;
		stream_consume(&e->s, in.len);
	}
	stream_rest(&e->s);
	assert_null(e->s.in.at);
	assert_null(e->s.out.at);
	stream_release(&e->s);
	free(bytes);
}

static void
much_data_goes_both_ways(void **state)
{
	struct end server, client;
	ends_init(&server, &client);
	int small = 8192;
	setsockopt(server.s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	server.context = server_context(P256, false);
	client.context = tls_client_context(NULL);
	test_start(serve_much, &server);
	test_in_task(client_much, &client);
	assert_int_equal(server.last, OK);
	assert_int_equal(client.last, OK);
	tls_context_free(&server.context);
	tls_context_free(&client.context);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_sign),
		cmocka_unit_test(tickets_resume),
		cmocka_unit_test(certificates_are_verified),
		cmocka_unit_test(a_failing_handshake_costs_one_connection),
		cmocka_unit_test(a_signature_that_cannot_be_had),
		cmocka_unit_test(a_silent_client_times_out),
		cmocka_unit_test(pem_that_cannot_be_used),
		cmocka_unit_test(what_came_before_starttls_is_dropped),
		cmocka_unit_test(much_data_goes_both_ways),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
