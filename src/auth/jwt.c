/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c - see jwt.h. Called by oauth.c on the loop: a signature costs some 30 to 100 microseconds to check. What the
 * token claims is parsed only after its signature was found good. Cannot fail but for what is malformed. */
#include "auth/jwt.h"

#include "base/base64.h"
#include "base/random.h"

#include <jansson.h>
#include <math.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

enum { SECRET_BYTES_MIN = 32, SECRET_BYTES_MAX = 1024, P256_BYTES = 32, RSA_BITS_MIN = 2048, JSON_DEPTH_MAX = 16 };

static const char *const algorithms[] = { "RS256", "ES256", "HS256" };
enum algorithm { RS256, ES256, HS256 };

struct jwt_key {
	enum algorithm algorithm;
	EVP_PKEY *key; /* RS256, ES256 */
	uint8_t secret[SECRET_BYTES_MAX];
	size_t secret_len;
	char *kid; /* "": the file gave none */
};

struct jwt_keys {
	struct jwt_key keys[JWT_KEYS_MAX];
	size_t count;
};

/* RFC 7515 2: without padding */
static bool
base64url_decode(struct slice text, struct arena *a, struct slice *out)
{
	size_t pad = (4 - text.len % 4) % 4;
	char *copy = arena_alloc(a, text.len + pad + 1);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (c == '+' || c == '/' || c == '=')
			return false;
		copy[i] = c == '-' ? '+' : c == '_' ? '/' : c;
	}
	memset(copy + text.len, '=', pad);
	return pad != 3 && base64_decode(slice_of(copy, text.len + pad), a, out);
}

/* ---- keys */

/* Takes over key. False: of no kind that is used here, or too weak. */
static bool
keep_key(struct jwt_keys *keys, EVP_PKEY *key, const char *kid)
{
	struct jwt_key *k = &keys->keys[keys->count];
	char group[40] = "";
	bool rsa = key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN;
	bool ec = key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
	          strcmp(group, "prime256v1") == 0;
	if (!rsa && !ec) {
		EVP_PKEY_free(key);
		return false;
	}
	*k = (struct jwt_key){ .algorithm = rsa ? RS256 : ES256, .key = key, .kid = slice_dup(slice_text(kid)) };
	keys->count++;
	return true;
}

static EVP_PKEY *
pem_key(const char *name, const unsigned char *der, long len)
{
	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		return d2i_PUBKEY(NULL, &der, len);
	if (strcmp(name, PEM_STRING_X509) != 0)
		return NULL;
	X509 *x = d2i_X509(NULL, &der, len);
	EVP_PKEY *key = x ? X509_get_pubkey(x) : NULL;
	X509_free(x);
	return key;
}

static bool
read_pem(struct jwt_keys *keys, struct slice text, const char **why)
{
	BIO *b = BIO_new_mem_buf(text.at, (int)text.len);
	char *name, *header;
	unsigned char *der;
	long len;
	bool good = true;
	ASSERT(b != NULL);
	while (good && PEM_read_bio(b, &name, &header, &der, &len)) {
		good = keys->count < JWT_KEYS_MAX && keep_key(keys, pem_key(name, der, len), "");
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	BIO_free(b);
	ERR_clear_error();
	*why = "a PEM block is no public key or certificate with RSA of at least 2048 bits or P-256, or there are too many";
	return good;
}

static bool
json_bytes(const json_t *o, const char *name, struct arena *a, struct slice *out)
{
	const json_t *j = json_object_get(o, name);
	return json_is_string(j) && base64url_decode(slice_of(json_string_value(j), json_string_length(j)), a, out) &&
	       out->len > 0;
}

static EVP_PKEY *
key_of_params(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

/* RFC 7518 6.3.1 */
static EVP_PKEY *
jwk_rsa(const json_t *o, struct arena *a)
{
	struct slice n, e;
	EVP_PKEY *key = NULL;
	if (!json_bytes(o, "n", a, &n) || !json_bytes(o, "e", a, &e))
		return NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.at, (int)n.len, NULL),
	       *exponent = BN_bin2bn((const unsigned char *)e.at, (int)e.len, NULL);
	if (build && modulus && exponent && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
		key = key_of_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	return key;
}

/* RFC 7518 6.2.1: the point, uncompressed */
static EVP_PKEY *
jwk_ec(const json_t *o, struct arena *a)
{
	struct slice x, y;
	unsigned char point[1 + 2 * P256_BYTES] = { 4 };
	EVP_PKEY *key = NULL;
	if (!json_bytes(o, "x", a, &x) || !json_bytes(o, "y", a, &y) || x.len != P256_BYTES || y.len != P256_BYTES)
		return NULL;
	memcpy(point + 1, x.at, P256_BYTES);
	memcpy(point + 1 + P256_BYTES, y.at, P256_BYTES);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
		key = key_of_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key;
}

/* RFC 7518 3.2: a secret is at least as long as the hash */
static bool
keep_secret(struct jwt_keys *keys, const json_t *o, const char *kid, struct arena *a)
{
	struct jwt_key *k = &keys->keys[keys->count];
	struct slice secret;
	if (!json_bytes(o, "k", a, &secret) || secret.len < SECRET_BYTES_MIN || secret.len > SECRET_BYTES_MAX)
		return false;
	*k = (struct jwt_key){ .algorithm = HS256, .secret_len = secret.len, .kid = slice_dup(slice_text(kid)) };
	memcpy(k->secret, secret.at, secret.len);
	secret_wipe((char *)secret.at, secret.len);
	keys->count++;
	return true;
}

static bool
read_jwk(struct jwt_keys *keys, const json_t *o, struct arena *a)
{
	const char *type = json_string_value(json_object_get(o, "kty"));
	const char *kid = json_string_value(json_object_get(o, "kid"));
	if (!type || keys->count >= JWT_KEYS_MAX)
		return false;
	kid = kid ? kid : "";
	if (strcmp(type, "oct") == 0)
		return keep_secret(keys, o, kid, a);
	return keep_key(keys,
	                strcmp(type, "RSA") == 0  ? jwk_rsa(o, a)
	                : strcmp(type, "EC") == 0 ? jwk_ec(o, a)
	                                          : NULL,
	                kid);
}

static bool
read_jwks(struct jwt_keys *keys, struct slice text, const char **why)
{
	struct arena a;
	json_error_t error;
	json_t *o = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &error);
	const json_t *list = json_object_get(o, "keys");
	bool good = json_is_array(list);
	arena_init(&a, 0);
	for (size_t i = 0; good && i < json_array_size(list); i++)
		good = read_jwk(keys, json_array_get(list, i), &a);
	arena_release(&a);
	json_decref(o);
	ERR_clear_error();
	*why = "it is no JWK set of RSA keys of at least 2048 bits, P-256 keys, or secrets (oct) of at least 32 bytes";
	return good;
}

struct jwt_keys *
jwt_keys_read(struct slice text, const char **why)
{
	struct jwt_keys *keys = must_calloc(1, sizeof *keys);
	struct slice start = slice_trim(text);
	bool good = text.len <= JWT_KEY_FILE_BYTES_MAX;
	*why = "it is longer than 200,000 bytes";
	if (good)
		good = slice_starts(start, S("{")) ? read_jwks(keys, text, why) : read_pem(keys, text, why);
	if (good && keys->count == 0)
		*why = "it holds no key";
	if (!good || keys->count == 0)
		jwt_keys_free(&keys);
	return keys;
}

void
jwt_keys_free(struct jwt_keys **keys)
{
	for (size_t i = 0; *keys && i < (*keys)->count; i++) {
		EVP_PKEY_free((*keys)->keys[i].key);
		free((*keys)->keys[i].kid);
		secret_wipe((*keys)->keys[i].secret, sizeof(*keys)->keys[i].secret);
	}
	free(*keys);
	*keys = NULL;
}

size_t
jwt_keys_count(const struct jwt_keys *keys)
{
	return keys ? keys->count : 0;
}

/* ---- signatures */

static bool
verify_public(EVP_PKEY *key, struct slice signed_text, const uint8_t *signature, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	            EVP_DigestVerify(ctx, signature, len, (const unsigned char *)signed_text.at, signed_text.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* RFC 7518 3.4: R and S, 32 bytes each; OpenSSL wants DER */
static bool
verify_ecdsa(EVP_PKEY *key, struct slice signed_text, struct slice signature)
{
	if (signature.len != 2 * P256_BYTES)
		return false;
	const unsigned char *at = (const unsigned char *)signature.at;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(at, P256_BYTES, NULL), *s = BN_bin2bn(at + P256_BYTES, P256_BYTES, NULL);
	unsigned char *der = NULL;
	ASSERT(sig && r && s && ECDSA_SIG_set0(sig, r, s));
	int len = i2d_ECDSA_SIG(sig, &der);
	bool good = len > 0 && verify_public(key, signed_text, der, (size_t)len);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return good;
}

static bool
verify(const struct jwt_key *k, struct slice signed_text, struct slice signature)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	switch (k->algorithm) {
	case RS256: return verify_public(k->key, signed_text, (const uint8_t *)signature.at, signature.len);
	case ES256: return verify_ecdsa(k->key, signed_text, signature);
	default:
		return HMAC(EVP_sha256(), k->secret, (int)k->secret_len, (const unsigned char *)signed_text.at, signed_text.len,
		            mac, &n) &&
		       signature.len == n && secret_equal(mac, signature.at, n);
	}
}

/* ---- the token: header "." claims "." signature */

struct token {
	struct slice header, claims, signature, signed_text;
};

static bool
take_token(struct slice text, struct arena *a, struct token *t)
{
	struct slice head, rest, body, tail;
	return text.len <= JWT_BYTES_MAX && slice_cut(text, '.', &head, &rest) && slice_cut(rest, '.', &body, &tail) &&
	       slice_find_char(tail, '.') < 0 && base64url_decode(head, a, &t->header) &&
	       base64url_decode(body, a, &t->claims) && base64url_decode(tail, a, &t->signature) &&
	       (t->signed_text = slice_part(text, 0, head.len + 1 + body.len)).len > 0;
}

/* The parser calls itself for each level: what a stranger sends must not use up the stack. */
static bool
is_shallow(struct slice text)
{
	size_t depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{'))
			depth++;
		else if (!quoted && (c == ']' || c == '}') && depth)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return false;
	}
	return true;
}

static json_t *
object_of(struct slice text)
{
	json_error_t error;
	if (!is_shallow(text))
		return NULL;
	json_t *o = json_loadb(text.at ? text.at : "", text.len, JSON_REJECT_DUPLICATES, &error);
	if (o && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static bool
signature_is_good(const struct jwt_keys *keys, const json_t *header, const struct token *t, const char **why)
{
	const char *algorithm = json_string_value(json_object_get(header, "alg"));
	const char *kid = json_string_value(json_object_get(header, "kid"));
	bool tried = false;
	*why = "an extension that must be understood";
	if (json_object_get(header, "crit")) /* RFC 7515 4.1.11 */
		return false;
	for (size_t i = 0; algorithm && i < keys->count; i++) {
		const struct jwt_key *k = &keys->keys[i];
		if (strcmp(algorithm, algorithms[k->algorithm]) != 0)
			continue;
		if (kid && k->kid[0] && strcmp(kid, k->kid) != 0)
			continue;
		tried = true;
		if (verify(k, t->signed_text, t->signature))
			return true;
	}
	*why = tried ? "the signature is wrong" : "no key for its algorithm and kid";
	return false;
}

/* RFC 7519 2: NumericDate may have a fraction */
static bool
date_of(const json_t *claims, const char *name, double *date)
{
	const json_t *j = json_object_get(claims, name);
	*date = json_number_value(j);
	return json_is_number(j) && isfinite(*date);
}

/* RFC 7519 4.1.4, 4.1.5; without an end a token would be good for ever */
static bool
times_are_good(const json_t *claims, const struct jwt_rules *rules, int64_t now_sec, const char **why)
{
	double exp, nbf, now = (double)now_sec, leeway = (double)rules->leeway_sec;
	*why = "it has no time at which it expires";
	if (!date_of(claims, "exp", &exp))
		return false;
	*why = "it has expired";
	if (now >= exp + leeway)
		return false;
	*why = "it is not valid yet";
	return !json_object_get(claims, "nbf") || (date_of(claims, "nbf", &nbf) && now >= nbf - leeway);
}

/* A string, or a list of strings with it among them (RFC 7519 4.1.3). */
static bool
names(const json_t *j, const char *want)
{
	if (json_is_string(j))
		return strcmp(json_string_value(j), want) == 0;
	for (size_t i = 0; json_is_array(j) && i < json_array_size(j); i++) {
		const char *one = json_string_value(json_array_get(j, i));
		if (one && strcmp(one, want) == 0)
			return true;
	}
	return false;
}

static bool
has_word(struct slice words, struct slice want)
{
	struct slice word;
	while (words.len) {
		slice_cut(words, ' ', &word, &words);
		if (slice_equal(word, want))
			return true;
	}
	return false;
}

/* RFC 8693 4.2: "scope" is words; some servers give them as "scp", words or a list. */
static bool
scope_reaches(const json_t *claims, const char *wanted)
{
	const json_t *scope = json_object_get(claims, "scope"), *list = json_object_get(claims, "scp");
	struct slice want = slice_text(wanted), word;
	while (want.len) {
		slice_cut(want, ' ', &word, &want);
		char one[200];
		if (word.len == 0)
			continue;
		snprintf(one, sizeof one, "%.*s", SLICE_ARG(word));
		if (!has_word(slice_text(json_string_value(scope)), word) &&
		    !has_word(slice_text(json_string_value(list)), word) && !names(list, one))
			return false;
	}
	return true;
}

static bool
account_of(const json_t *claims, const struct jwt_rules *rules, struct arena *a, struct slice *account)
{
	const json_t *j = json_object_get(claims, rules->claim);
	if (!json_is_string(j) || json_string_length(j) == 0 || json_string_length(j) > 1000)
		return false;
	*account = slice_keep(a, slice_of(json_string_value(j), json_string_length(j)));
	/* OpenID Connect Core 5.1: whoever signed it did not look whether the address is theirs */
	return strcmp(rules->claim, "email") != 0 || !json_is_false(json_object_get(claims, "email_verified"));
}

static enum err
check_claims(const json_t *claims, const struct jwt_rules *rules, int64_t now_sec, struct arena *a,
             struct slice *account, const char **why)
{
	if (!times_are_good(claims, rules, now_sec, why))
		return ERR_DENIED;
	*why = "another issuer";
	if (rules->issuer[0] &&
	    !(json_is_string(json_object_get(claims, "iss")) && names(json_object_get(claims, "iss"), rules->issuer)))
		return ERR_DENIED;
	*why = "another audience";
	if (rules->audience[0] && !names(json_object_get(claims, "aud"), rules->audience))
		return ERR_DENIED;
	*why = "no address of an account in it";
	if (!account_of(claims, rules, a, account))
		return ERR_DENIED;
	*why = "its scope does not reach";
	return scope_reaches(claims, rules->scope) ? OK : ERR_UNSUPPORTED;
}

enum err
jwt_check(struct slice text, const struct jwt_keys *keys, const struct jwt_rules *rules, int64_t now_sec,
          struct arena *a, struct slice *account, const char **why)
{
	struct token t = { 0 };
	*account = S("");
	*why = "it is no signed JSON token";
	if (!take_token(text, a, &t))
		return ERR_DENIED;
	json_t *header = object_of(t.header);
	bool good = header && signature_is_good(keys, header, &t, why);
	json_decref(header);
	if (!good)
		return ERR_DENIED;
	*why = "its claims are no JSON object";
	json_t *claims = object_of(t.claims);
	enum err e = claims ? check_claims(claims, rules, now_sec, a, account, why) : ERR_DENIED;
	json_decref(claims);
	return e;
}
