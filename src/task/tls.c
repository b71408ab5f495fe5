/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - TLS under a stream, by OpenSSL 3 over the non-blocking socket. A stream under TLS holds an SSL and counts its
 * context; an idle one holds no record buffers. OpenSSL's error queue belongs to the thread and so to all tasks: it is
 * emptied before each call and read before anything can wait. Fails: ERR_TLS for whatever the peer did wrong (its
 * connection ends, nobody else's), ERR_CLOSED, ERR_TIMEOUT. */
#include "task/stream_inside.h"
#include "task/tls_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

struct tls_context {
	SSL_CTX *ctx;
	struct tls_key key;
	bool verify;
	unsigned uses;
};

struct tls {
	SSL *ssl; /* NULL: the handshake failed */
	struct tls_context *context;
	char *failure;  /* why; NULL: nothing failed */
	uint32_t wants; /* LOOP_READ or LOOP_WRITE: what the last call waits for */
	enum err io;    /* what the socket did */
	enum tls_verdict verdict;
};

/* Forward secrecy only: the server's key signs, it does not decrypt (RFC 9325 4.1). AES-CBC stays for old senders:
 * without it they would send in plain. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL";
static const char groups[] = "X25519:P-256:P-384";
static const unsigned char session_context[] = "posthouse";

/* ---- bytes between OpenSSL and the socket: a BIO, since OpenSSL's own raises SIGPIPE */

static int
socket_result(struct stream *s, ssize_t n)
{
	if (n < 0 && errno != EAGAIN)
		s->tls->io = err_from_errno(errno);
	return (int)n;
}

static int
bio_read(BIO *b, char *to, int room)
{
	struct stream *s = BIO_get_data(b);
	ssize_t n;
	BIO_clear_retry_flags(b);
	do
		n = recv(s->fd, to, (size_t)room, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	if (n == 0)
		s->tls->io = ERR_CLOSED;
	return socket_result(s, n);
}

static int
bio_write(BIO *b, const char *from, int len)
{
	struct stream *s = BIO_get_data(b);
	ssize_t n;
	BIO_clear_retry_flags(b);
	do
		n = send(s->fd, from, (size_t)len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	return socket_result(s, n);
}

static long
bio_ctrl(BIO *b, int command, long number, void *at)
{
	struct stream *s = BIO_get_data(b);
	if (command == BIO_CTRL_EOF)
		return s->tls->io == ERR_CLOSED;
	return command == BIO_CTRL_FLUSH;
}

static BIO *
bio_new(struct stream *s)
{
	static BIO_METHOD *method;
	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
		ASSERT(method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
		       BIO_meth_set_ctrl(method, bio_ctrl));
	}
	BIO *b = BIO_new(method);
	ASSERT(b != NULL);
	BIO_set_data(b, s);
	BIO_set_init(b, 1);
	return b;
}

/* ---- contexts */

static struct tls_context *
context_new(const SSL_METHOD *method)
{
	struct tls_context *c = must_calloc(1, sizeof *c);
	c->uses = 1;
	c->ctx = SSL_CTX_new(method);
	ASSERT(c->ctx && SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) && SSL_CTX_set1_groups_list(c->ctx, groups));
	SSL_CTX_set_mode(c->ctx,
	                 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* These protocols say themselves where they end, so a connection cut without close_notify is just closed. */
	SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_read_ahead(c->ctx, 1); /* one system call a record, not two */
	return c;
}

struct tls_context *
tls_context_keep(struct tls_context *c)
{
	c->uses++;
	return c;
}

void
tls_context_free(struct tls_context **c)
{
	if (*c && --(*c)->uses == 0) {
		SSL_CTX_free((*c)->ctx);
		free(*c);
	}
	*c = NULL;
}

static int
no_password(char *to, int room, int writing, void *arg)
{
	return -1; /* OpenSSL would ask the terminal */
}

/* The certificate's public key (borrowed from ctx), or NULL and why. */
static EVP_PKEY *
chain_use(SSL_CTX *ctx, struct slice pem, const char **why)
{
	BIO *b = BIO_new_mem_buf(pem.at, (int)MIN(pem.len, (size_t)INT32_MAX));
	ASSERT(b != NULL);
	X509 *first = PEM_read_bio_X509(b, NULL, no_password, NULL);
	bool good = first && SSL_CTX_use_certificate(ctx, first);
	if (!good)
		*why = first ? "the certificate cannot be used" : "no certificate is in the PEM file";
	X509_free(first);
	for (X509 *next; good && (next = PEM_read_bio_X509(b, NULL, no_password, NULL));)
		if (!SSL_CTX_add0_chain_cert(ctx, next)) {
			X509_free(next);
			good = false;
			*why = "an intermediate certificate cannot be used";
		}
	BIO_free(b);
	ERR_clear_error();
	return good ? X509_get0_pubkey(SSL_CTX_get0_certificate(ctx)) : NULL;
}

static struct tls_context *
server_context_new(struct slice chain_pem, EVP_PKEY **public_key, const char **why)
{
	ERR_clear_error();
	struct tls_context *c = context_new(TLS_server_method());
	ASSERT(SSL_CTX_set_cipher_list(c->ctx, ciphers));
	SSL_CTX_set_options(c->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* Sessions resume from tickets, which the clients keep: nothing is stored here (RFC 8446 2.2, RFC 5077). */
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(c->ctx, 1);
	SSL_CTX_set_session_id_context(c->ctx, session_context, sizeof session_context - 1);
	*public_key = chain_use(c->ctx, chain_pem, why);
	if (!*public_key)
		tls_context_free(&c);
	return c;
}

/* Takes over key. */
static struct tls_context *
key_use(struct tls_context *c, EVP_PKEY *key, const char *no_key, const char **why)
{
	if (!key || !SSL_CTX_use_PrivateKey(c->ctx, key) || !SSL_CTX_check_private_key(c->ctx)) {
		*why = key ? "the private key does not belong to the certificate" : no_key;
		tls_context_free(&c);
	}
	EVP_PKEY_free(key);
	ERR_clear_error();
	return c;
}

struct tls_context *
tls_server_context(struct slice chain_pem, uint32_t key_id, tls_sign_fn *sign, void *arg, const char **why)
{
	EVP_PKEY *public_key;
	struct tls_context *c = server_context_new(chain_pem, &public_key, why);
	if (!c)
		return NULL;
	c->key = (struct tls_key){ key_id, sign, arg };
	return key_use(c, tls_key_elsewhere(public_key, &c->key), "the certificate's key is neither RSA nor ECDSA", why);
}

struct tls_context *
tls_server_context_with_key(struct slice chain_pem, struct slice key_pem, const char **why)
{
	EVP_PKEY *public_key;
	struct tls_context *c = server_context_new(chain_pem, &public_key, why);
	if (!c)
		return NULL;
	BIO *b = BIO_new_mem_buf(key_pem.at, (int)MIN(key_pem.len, (size_t)INT32_MAX));
	ASSERT(b != NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	BIO_free(b);
	return key_use(c, key, "no private key without a password is in the PEM file", why);
}

struct tls_context *
tls_client_context(const char *ca_file)
{
	ERR_clear_error();
	struct tls_context *c = context_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	c->verify = ca_file != NULL;
	ASSERT(SSL_CTX_dane_enable(c->ctx));
	SSL_CTX_set_verify(c->ctx, c->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (c->verify && !SSL_CTX_load_verify_locations(c->ctx, ca_file, NULL))
		tls_context_free(&c);
	ERR_clear_error();
	return c;
}

/* ---- a connection */

static void
failure_note(struct tls *t, const char *otherwise)
{
	char text[256];
	unsigned long number = ERR_peek_last_error();
	const char *reason = number ? ERR_reason_error_string(number) : NULL;
	long verify = t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
	int n = snprintf(text, sizeof text, "%s%s%s", reason ? reason : otherwise, verify != X509_V_OK ? ": " : "",
	                 verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "");
	free(t->failure);
	t->failure = slice_dup(slice_of(text, MIN((size_t)MAX(n, 0), sizeof text - 1)));
}

/* OK: wait for t->wants and try again; else why the stream ends (sticky). */
static enum err
tls_result(struct stream *s, int result)
{
	struct tls *t = s->tls;
	enum err e = ERR_TLS;
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ: t->wants = LOOP_READ; return OK;
	case SSL_ERROR_WANT_WRITE: t->wants = LOOP_WRITE; return OK;
	case SSL_ERROR_ZERO_RETURN: e = ERR_CLOSED; break;
	default:
		if (ERR_peek_error() == 0 && t->io)
			e = t->io;
		failure_note(t, e == ERR_TLS ? "TLS failed" : err_text(e));
		SSL_set_quiet_shutdown(t->ssl, 1);
	}
	ERR_clear_error();
	return stream_fail(s, e);
}

static void
ssl_drop(struct tls *t)
{
	SSL_free(t->ssl);
	t->ssl = NULL;
}

static enum err
await_handshake(struct stream *s)
{
	for (;;) {
		ERR_clear_error();
		int result = SSL_do_handshake(s->tls->ssl);
		if (result == 1)
			return OK;
		enum err e = tls_result(s, result);
		if (e) {
			s->error = ERR_TLS; /* a peer that hangs up in the middle of it refused TLS as well */
			return ERR_TLS;
		}
		e = await_stream_ready(s, s->tls->wants);
		if (e) {
			failure_note(s->tls, err_text(e));
			return stream_fail(s, e);
		}
	}
}

struct tls_context *
tls_client_context_trusting(struct slice ca_pem)
{
	struct tls_context *c = tls_client_context(NULL);
	BIO *b = BIO_new_mem_buf(ca_pem.at, (int)MIN(ca_pem.len, (size_t)INT32_MAX));
	size_t n = 0;
	ASSERT(b != NULL);
	for (X509 *x; (x = PEM_read_bio_X509(b, NULL, no_password, NULL)); n++) {
		(void)X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), x);
		X509_free(x);
	}
	BIO_free(b);
	ERR_clear_error();
	if (n == 0)
		tls_context_free(&c);
	return c;
}

static bool
client_prepare(SSL *ssl, const struct tls_context *c, const char *server_name)
{
	unsigned char address[16];
	if (!server_name)
		return true;
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	if (inet_pton(AF_INET, server_name, address) == 1 || inet_pton(AF_INET6, server_name, address) == 1)
		return !c->verify || X509_VERIFY_PARAM_set1_ip_asc(p, server_name) == 1; /* RFC 6066 3: no address in SNI */
	return SSL_set_tlsext_host_name(ssl, server_name) == 1 && (!c->verify || SSL_set1_host(ssl, server_name) == 1);
}

static enum err
await_tls_start(struct stream *s, struct tls_context *c, bool client, const char *server_name,
                const struct tls_check *check)
{
	if (await_flush(s))
		return s->error;
	ASSERT(!s->tls);
	stream_drop_input(s); /* RFC 3207 4.2: nothing that came in plain counts now */
	stream_rest(s);
	s->tls = must_calloc(1, sizeof *s->tls);
	s->tls->context = tls_context_keep(c);
	s->tls->ssl = SSL_new(c->ctx);
	ASSERT(s->tls->ssl != NULL);
	BIO *b = bio_new(s);
	SSL_set_bio(s->tls->ssl, b, b);
	if (client)
		SSL_set_connect_state(s->tls->ssl);
	else
		SSL_set_accept_state(s->tls->ssl);
	if (client && (!client_prepare(s->tls->ssl, c, server_name) ||
	               (check && !tls_check_prepare(s->tls->ssl, server_name, check)))) {
		s->tls->verdict = TLS_BROKEN;
		return stream_fail(s, ERR_TLS);
	}
	enum err e = await_handshake(s);
	if (check || e)
		s->tls->verdict = tls_check_verdict(s->tls->ssl, e == OK);
	if (e)
		ssl_drop(s->tls);
	return e;
}

enum err
await_tls_accept(struct stream *s, struct tls_context *c)
{
	return await_tls_start(s, c, false, NULL, NULL);
}

enum err
await_tls_connect(struct stream *s, struct tls_context *c, const char *server_name)
{
	return await_tls_start(s, c, true, server_name, NULL);
}

enum err
await_tls_connect_checked(struct stream *s, struct tls_context *c, const char *server_name,
                          const struct tls_check *check)
{
	return await_tls_start(s, c, true, server_name, check);
}

enum tls_verdict
tls_verdict(const struct stream *s)
{
	return s->tls ? s->tls->verdict : TLS_UNCHECKED;
}

enum err
tls_read_now(struct stream *s, void *to, size_t room, size_t *got)
{
	*got = 0;
	if (!s->tls->ssl)
		return stream_fail(s, ERR_TLS); /* the handshake failed: whoever goes on has nobody to talk to */
	ERR_clear_error();
	int result = SSL_read_ex(s->tls->ssl, to, room, got);
	if (result == 1) {
		s->bytes_in += *got;
		return OK;
	}
	*got = 0;
	return tls_result(s, result);
}

enum err
tls_write_now(struct stream *s, struct slice bytes, size_t *sent)
{
	*sent = 0;
	if (!s->tls->ssl)
		return stream_fail(s, ERR_TLS);
	ERR_clear_error();
	int result = SSL_write_ex(s->tls->ssl, bytes.at, bytes.len, sent);
	if (result == 1) {
		s->bytes_out += *sent;
		return OK;
	}
	*sent = 0;
	return tls_result(s, result);
}

uint32_t
tls_wants(const struct stream *s)
{
	return s->tls->wants;
}

bool
tls_has_input(const struct stream *s)
{
	return s->tls->ssl && SSL_has_pending(s->tls->ssl);
}

void
tls_release(struct stream *s)
{
	struct tls *t = s->tls;
	ERR_clear_error();
	if (t->ssl && SSL_is_init_finished(t->ssl))
		(void)SSL_shutdown(t->ssl); /* sends close_notify, does not wait for the answer (RFC 8446 6.1) */
	ERR_clear_error();
	ssl_drop(t);
	tls_context_free(&t->context);
	free(t->failure);
	free(t);
	s->tls = NULL;
}

SSL *
tls_ssl(const struct stream *s)
{
	return s->tls ? s->tls->ssl : NULL;
}

SSL_CTX *
tls_context_ssl(struct tls_context *c)
{
	return c->ctx;
}

struct tls_info
tls_info(const struct stream *s)
{
	if (!s->tls || !s->tls->ssl)
		return (struct tls_info){ .version = "", .cipher = "" };
	SSL *ssl = s->tls->ssl;
	return (struct tls_info){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
		.bits = (unsigned)SSL_get_cipher_bits(ssl, NULL),
		.resumed = SSL_session_reused(ssl),
	};
}

const char *
tls_error(const struct stream *s)
{
	return s->tls && s->tls->failure ? s->tls->failure : "";
}
