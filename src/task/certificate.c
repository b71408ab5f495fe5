/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.c - OpenSSL's PEM and X.509, turned into one question: can this pair serve, and if not, why? Called by
 * auth and by the command. Owns what it read until certificate_release. Fails by words, not by error stacks. */
#include "task/certificate.h"

#include "base/random.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <time.h>

static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return 0; /* never ask on a terminal */
}

static X509 *
read_leaf(struct slice pem)
{
	BIO *b = BIO_new_mem_buf(pem.at, (int)pem.len);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;
	BIO_free(b);
	ERR_clear_error();
	return x;
}

static EVP_PKEY *
read_key(struct slice pem)
{
	BIO *b = BIO_new_mem_buf(pem.at, (int)pem.len);
	EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	BIO_free(b);
	ERR_clear_error();
	return k;
}

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };
	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static void
add_name(struct certificate *c, struct slice name)
{
	size_t have = strlen(c->names);
	if (name.len == 0 || slice_has_control(name) || slice_find_char(name, ' ') >= 0 ||
	    have + name.len + 1 > CERTIFICATE_NAMES_BYTES_MAX)
		return;
	if (have)
		c->names[have++] = ' ';
	memcpy(c->names + have, name.at, name.len);
	c->names[have + name.len] = '\0';
}

/* RFC 6125 6.4: the DNS names among the alternative names; the common name counts no more. */
static void
read_names(struct certificate *c, X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		if (g->type == GEN_DNS)
			add_name(c, slice_of(ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName)));
	}
	GENERAL_NAMES_free(all);
}

static const char *
day_of(struct arena *a, int64_t sec)
{
	char text[40];
	time_t t = (time_t)sec;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		return "an unknown day";
	return slice_keep_text(a, slice_text(text));
}

static enum certificate_state
judge_time(const struct certificate *c, int64_t now_sec, struct arena *a, const char **why)
{
	if (now_sec >= c->expires) {
		*why = arena_printf(a, "the certificate expired on %s: renew it, then reload the server (SIGHUP)",
		                    day_of(a, c->expires))
		           .at;
		return CERTIFICATE_EXPIRED;
	}
	if (now_sec < c->begins) {
		*why = arena_printf(a, "the certificate is not valid before %s: is the clock of this machine right?",
		                    day_of(a, c->begins))
		           .at;
		return CERTIFICATE_EARLY;
	}
	if (c->expires - now_sec >= CERTIFICATE_SOON_SEC)
		return CERTIFICATE_GOOD;
	*why = arena_printf(a, "the certificate expires soon, on %s: renew it, then reload the server (SIGHUP)",
	                    day_of(a, c->expires))
	           .at;
	return CERTIFICATE_SOON;
}

static const char *
judge_pair(struct slice chain_pem, struct slice key_pem, X509 *leaf, EVP_PKEY *key)
{
	if (chain_pem.len > CERTIFICATE_PEM_BYTES_MAX || key_pem.len > CERTIFICATE_PEM_BYTES_MAX)
		return "the file is larger than any certificate or key: is it the right one?";
	if (!leaf)
		return "there is no certificate in the file (PEM, \"-----BEGIN CERTIFICATE-----\"): is it the right one?";
	if (!key)
		return "there is no private key in the key's file (PEM, \"-----BEGIN PRIVATE KEY-----\"), or it has a "
		       "passphrase: give one without";
	if (X509_check_private_key(leaf, key) != 1)
		return "the private key does not belong to the certificate: the first certificate of the file must be the "
		       "server's own, and the key the one it was made for";
	return NULL;
}

enum certificate_state
certificate_read(struct certificate *c, struct slice chain_pem, struct slice key_pem, int64_t now_sec, struct arena *a,
                 const char **why)
{
	*c = (struct certificate){ 0 };
	*why = NULL;
	bool fits = chain_pem.len <= CERTIFICATE_PEM_BYTES_MAX && key_pem.len <= CERTIFICATE_PEM_BYTES_MAX;
	X509 *leaf = fits && chain_pem.len ? read_leaf(chain_pem) : NULL;
	EVP_PKEY *key = fits && key_pem.len ? read_key(key_pem) : NULL;
	*why = judge_pair(chain_pem, key_pem, leaf, key);
	if (*why) {
		ERR_clear_error();
		EVP_PKEY_free(key);
		X509_free(leaf);
		return CERTIFICATE_BAD;
	}
	c->key = key;
	c->chain = slice_dup(chain_pem);
	c->chain_len = chain_pem.len;
	c->begins = seconds_of(X509_get0_notBefore(leaf));
	c->expires = seconds_of(X509_get0_notAfter(leaf));
	read_names(c, leaf);
	X509_free(leaf);
	return judge_time(c, now_sec, a, why);
}

struct certificate
certificate_share(const struct certificate *c)
{
	struct certificate twin = *c;
	ASSERT(EVP_PKEY_up_ref(c->key) == 1);
	twin.chain = slice_dup(slice_of(c->chain, c->chain_len));
	return twin;
}

void
certificate_release(struct certificate *c)
{
	EVP_PKEY_free(c->key);
	free(c->chain);
	*c = (struct certificate){ 0 };
}

bool
certificate_signs_slowly(const struct certificate *c)
{
	return EVP_PKEY_get_base_id(c->key) == EVP_PKEY_RSA;
}

/* Ed25519 signs the data itself, not a digest of it (RFC 8032). */
static bool
sign_whole(EVP_PKEY *key, struct slice data, uint8_t *to, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) > 0 &&
	          EVP_DigestSign(ctx, to, len, (const uint8_t *)data.at, data.len) > 0;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static const EVP_MD *
digest_of_size(size_t len)
{
	return len == 32 ? EVP_sha256() : len == 48 ? EVP_sha384() : len == 64 ? EVP_sha512() : NULL;
}

/* RFC 8446 4.2.3: with PSS the salt is as long as the digest. PKCS#1 data comes as a DigestInfo already. */
static bool
set_padding(EVP_PKEY_CTX *ctx, int padding, struct slice data)
{
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, padding) <= 0)
		return false;
	if (padding != RSA_PKCS1_PSS_PADDING)
		return padding == RSA_PKCS1_PADDING || padding == RSA_NO_PADDING;
	const EVP_MD *md = digest_of_size(data.len);
	return md && EVP_PKEY_CTX_set_signature_md(ctx, md) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static bool
sign_digest(EVP_PKEY *key, int padding, struct slice data, uint8_t *to, size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx && EVP_PKEY_sign_init(ctx) > 0 &&
	          (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || set_padding(ctx, padding, data)) &&
	          EVP_PKEY_sign(ctx, to, len, (const uint8_t *)data.at, data.len) > 0;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

enum err
certificate_sign(const struct certificate *c, int padding, struct slice data, struct arena *a, struct slice *signature)
{
	ASSERT(c->key);
	size_t len = (size_t)EVP_PKEY_get_size(c->key);
	if (len == 0 || len > 8192)
		return ERR_LIMIT;
	uint8_t *to = arena_alloc(a, len);
	int kind = EVP_PKEY_get_base_id(c->key);
	bool ok = kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? sign_whole(c->key, data, to, &len)
	                                                             : sign_digest(c->key, padding, data, to, &len);
	ERR_clear_error();
	*signature = slice_of(to, len);
	return ok ? OK : ERR_TLS;
}
