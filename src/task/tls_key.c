/* SPDX-License-Identifier: Apache-2.0 */
/* tls_key.c - private keys that are elsewhere: an EVP_PKEY that has the certificate's public half and asks tls_sign_fn
 * for each signature. OpenSSL 3 would want a provider for that, some 1,500 lines of dispatch tables; RSA_METHOD and
 * EC_KEY_METHOD are deprecated but whole in 3.x and take two functions, so this file alone uses them.
 *
 * The sign function may suspend the task in the middle of SSL_do_handshake. Others then use OpenSSL on this thread;
 * what OpenSSL keeps for a thread is the error queue, which is emptied before going on, and random generators, which
 * nobody holds across a call. Fails: what the sign function says; the handshake fails then. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "task/tls_key.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

static struct {
	RSA_METHOD *rsa;
	EC_KEY_METHOD *ec;
	int rsa_index, ec_index;
} methods;

/* Bytes of the signature; 0: failed. */
static size_t
await_sign(const struct tls_key *key, int padding, const unsigned char *data, size_t len, unsigned char *to,
           size_t room)
{
	struct arena arena;
	struct slice signature = SLICE_NONE;
	arena_init(&arena, 0);
	enum err e = key->sign(key->arg, key->id, padding, slice_of(data, len), &arena, &signature);
	ERR_clear_error(); /* what other tasks left there meanwhile */
	bool good = e == OK && signature.len > 0 && signature.len <= room;
	if (good)
		memcpy(to, signature.at, signature.len);
	arena_release(&arena);
	return good ? signature.len : 0;
}

static int
await_rsa_sign(int len, const unsigned char *data, unsigned char *to, RSA *rsa, int padding)
{
	const struct tls_key *key = RSA_get_ex_data(rsa, methods.rsa_index);
	size_t bytes = (size_t)RSA_size(rsa);
	return await_sign(key, padding, data, (size_t)len, to, bytes) == bytes ? (int)bytes : -1;
}

static int
rsa_refuse(int len, const unsigned char *data, unsigned char *to, RSA *rsa, int padding)
{
	return -1; /* nothing is decrypted with a server's key: key exchange by RSA is off */
}

static int
await_ec_sign(int type, const unsigned char *digest, int len, unsigned char *to, unsigned *to_len, const BIGNUM *kinv,
              const BIGNUM *r, EC_KEY *ec)
{
	const struct tls_key *key = EC_KEY_get_ex_data(ec, methods.ec_index);
	*to_len = (unsigned)await_sign(key, 0, digest, (size_t)len, to, (size_t)ECDSA_size(ec));
	return *to_len > 0;
}

static void
methods_make(void)
{
	if (methods.rsa)
		return;
	methods.rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	methods.ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	ASSERT(methods.rsa && methods.ec);
	RSA_meth_set1_name(methods.rsa, "private key elsewhere");
	RSA_meth_set_flags(methods.rsa, RSA_METHOD_FLAG_NO_CHECK);
	RSA_meth_set_priv_enc(methods.rsa, await_rsa_sign);
	RSA_meth_set_priv_dec(methods.rsa, rsa_refuse);
	EC_KEY_METHOD_set_sign(methods.ec, await_ec_sign, NULL, NULL);
	methods.rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	methods.ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool
rsa_assign(EVP_PKEY *to, EVP_PKEY *public_key, struct tls_key *key)
{
	RSA *from = EVP_PKEY_get1_RSA(public_key), *rsa = RSA_new();
	bool good = from && rsa && RSA_set0_key(rsa, BN_dup(RSA_get0_n(from)), BN_dup(RSA_get0_e(from)), NULL) &&
	            RSA_set_method(rsa, methods.rsa) && RSA_set_ex_data(rsa, methods.rsa_index, key) &&
	            EVP_PKEY_set1_RSA(to, rsa);
	RSA_free(from);
	RSA_free(rsa);
	return good;
}

static bool
ec_assign(EVP_PKEY *to, EVP_PKEY *public_key, struct tls_key *key)
{
	EC_KEY *from = EVP_PKEY_get1_EC_KEY(public_key), *ec = EC_KEY_new();
	bool good = from && ec && EC_KEY_set_group(ec, EC_KEY_get0_group(from)) &&
	            EC_KEY_set_public_key(ec, EC_KEY_get0_public_key(from)) && EC_KEY_set_method(ec, methods.ec) &&
	            EC_KEY_set_ex_data(ec, methods.ec_index, key) && EVP_PKEY_set1_EC_KEY(to, ec);
	EC_KEY_free(from);
	EC_KEY_free(ec);
	return good;
}

EVP_PKEY *
tls_key_elsewhere(EVP_PKEY *public_key, struct tls_key *key)
{
	methods_make();
	EVP_PKEY *pkey = EVP_PKEY_new();
	ASSERT(pkey != NULL);
	int type = EVP_PKEY_get_base_id(public_key);
	bool good = type == EVP_PKEY_RSA ? rsa_assign(pkey, public_key, key)
	                                 : type == EVP_PKEY_EC && ec_assign(pkey, public_key, key);
	ERR_clear_error();
	if (good)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}
