/* SPDX-License-Identifier: Apache-2.0 */
/* selfsigned.c - a certificate of our own, so that TLS works from the first minute: P-256, ten years, for the names
 * given and for loopback. Called by init.c. Clients must be told to trust it. */
#include "cmd/cmd.h"

#include "base/random.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define LIFE_SEC (10L * 365 * 86400)
#define BACKDATED_SEC 86400L /* for clients whose clock is behind */

static bool
add_extension(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static bool
add_extensions(X509 *x, const char *const *names, size_t nnames)
{
	struct buf san;
	buf_init(&san, 4096);
	for (size_t i = 0; i < nnames; i++)
		buf_printf(&san, "DNS:%s,", names[i]);
	buf_printf(&san, "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1%c", '\0');
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	bool ok = !san.over && add_extension(x, &ctx, NID_subject_alt_name, san.at) &&
	          add_extension(x, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	          add_extension(x, &ctx, NID_key_usage, "critical,digitalSignature") &&
	          add_extension(x, &ctx, NID_ext_key_usage, "serverAuth,clientAuth") &&
	          add_extension(x, &ctx, NID_subject_key_identifier, "hash");
	buf_release(&san);
	return ok;
}

static bool
set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
	          BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static X509 *
make(EVP_PKEY *key, const char *const *names, size_t nnames, int64_t now_sec)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	time_t begin = (time_t)now_sec - BACKDATED_SEC, end = (time_t)now_sec + LIFE_SEC;
	const char *subject = strlen(names[0]) <= 64 ? names[0] : "posthouse"; /* ub-common-name */
	bool ok = X509_set_version(x, X509_VERSION_3) && set_serial(x) && X509_set_pubkey(x, key) &&
	          X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0) &&
	          X509_set_issuer_name(x, name) && ASN1_TIME_set(X509_getm_notBefore(x), begin) &&
	          ASN1_TIME_set(X509_getm_notAfter(x), end) && add_extensions(x, names, nnames) &&
	          X509_sign(x, key, EVP_sha256()) > 0;
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

/* What the memory BIO holds, wiped after copying: it may be the key. */
static void
drain(BIO *from, struct buf *to)
{
	char *at;
	long len = BIO_get_mem_data(from, &at);
	if (len > 0) {
		buf_put(to, slice_of(at, (size_t)len));
		secret_wipe(at, (size_t)len);
	}
	BIO_free(from);
}

bool
selfsigned_make(const char *const *names, size_t nnames, int64_t now_sec, struct buf *certificate, struct buf *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? make(key, names, nnames, now_sec) : NULL;
	BIO *cert_out = BIO_new(BIO_s_mem()), *key_out = BIO_new(BIO_s_mem());
	bool ok =
	    x && PEM_write_bio_X509(cert_out, x) && PEM_write_bio_PKCS8PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL);
	drain(cert_out, certificate);
	drain(key_out, key_pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}
