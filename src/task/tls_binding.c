/* SPDX-License-Identifier: Apache-2.0 */
/* tls_binding.c - what SASL wants to know of the TLS below it: values that both ends have and nobody between them can
 * make (channel binding, RFC 5056), and the client's certificate. Called by sessions. Fails: the connection is not
 * under TLS, or has nothing of the kind. */
#include "task/stream_inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* RFC 9266 2: only where the master secret is bound to the handshake: TLS 1.3, or the extended master secret. */
size_t
tls_exporter(const struct stream *s, uint8_t out[TLS_EXPORTER_BYTES])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	SSL *ssl = tls_ssl(s);
	if (!ssl || (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1))
		return 0;
	int ok = SSL_export_keying_material(ssl, out, TLS_EXPORTER_BYTES, label, sizeof label - 1, NULL, 0, 1);
	ERR_clear_error();
	return ok == 1 ? TLS_EXPORTER_BYTES : 0;
}

/* RFC 5929 4.1: the hash of the certificate's signature; SHA-256 for MD5 and SHA-1; not defined for signatures that
 * have none, such as Ed25519. */
static const EVP_MD *
hash_of(X509 *x)
{
	int hash = NID_undef;
	if (X509_get_signature_info(x, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
		return NULL;
	return hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
}

size_t
tls_end_point(const struct stream *s, uint8_t out[TLS_END_POINT_BYTES_MAX])
{
	SSL *ssl = tls_ssl(s);
	X509 *mine = ssl ? SSL_get_certificate(ssl) : NULL;
	const EVP_MD *hash = mine ? hash_of(mine) : NULL;
	unsigned n = 0;
	if (!hash || !X509_digest(mine, hash, out, &n))
		n = 0;
	ERR_clear_error();
	return n;
}

/* ---- certificates of clients */

/* A phone may show a certificate that it has for another purpose: that ends no handshake. SSL_get_verify_result still
 * says what it is worth. */
static int
let_through(int good, X509_STORE_CTX *ctx)
{
	return 1;
}

bool
tls_context_ask_client(struct tls_context *c, struct slice ca_pem, const char **why)
{
	SSL_CTX *ctx = tls_context_ssl(c);
	BIO *b = BIO_new_mem_buf(ca_pem.at, (int)MIN(ca_pem.len, (size_t)INT32_MAX));
	size_t n = 0;
	ASSERT(b != NULL);
	for (X509 *x; (x = PEM_read_bio_X509(b, NULL, NULL, NULL)); X509_free(x), n++) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
		SSL_CTX_add_client_CA(ctx, x); /* clients choose by these names (RFC 8446 4.2.4) */
	}
	BIO_free(b);
	ERR_clear_error();
	*why = "no certificate is in the PEM file";
	if (n)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, let_through);
	return n > 0;
}

bool
tls_has_client(const struct stream *s)
{
	SSL *ssl = tls_ssl(s);
	return ssl && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get0_peer_certificate(ssl) &&
	       SSL_get_verify_result(ssl) == X509_V_OK;
}

struct slice
tls_client_chain(const struct stream *s, size_t bytes_max, struct arena *a)
{
	if (!tls_has_client(s))
		return S("");
	SSL *ssl = tls_ssl(s);
	struct slice all = S("");
	/* A server's SSL_get_peer_cert_chain leaves the client's own certificate out. */
	STACK_OF(X509) *others = SSL_get_peer_cert_chain(ssl);
	for (int i = -1; i < sk_X509_num(others); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(i < 0 ? SSL_get0_peer_certificate(ssl) : sk_X509_value(others, i), &der);
		if (n > 0)
			all = arena_join(a, all, slice_of(der, (size_t)n));
		OPENSSL_free(der);
		if (all.len > bytes_max)
			return S("");
	}
	ERR_clear_error();
	return all;
}
