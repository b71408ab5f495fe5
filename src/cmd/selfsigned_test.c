/* SPDX-License-Identifier: Apache-2.0 */
/* selfsigned_test.c - the certificate that init makes is one that the server can use; and what is said about pairs that
 * it cannot use (task/certificate.c). */
#include "cmd/cmd.h"
#include "task/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1900000000
#define YEARS_10 (10L * 365 * 86400)

static struct buf cert, key, other_cert, other_key;
static struct arena arena;
static struct certificate c;
static const char *why;

static int
setup(void **state)
{
	const char *names[] = { "mail.example.org", "example.org" };
	arena_init(&arena, 0);
	buf_init(&cert, 65536), buf_init(&key, 65536), buf_init(&other_cert, 65536), buf_init(&other_key, 65536);
	assert_true(selfsigned_make(names, 2, NOW, &cert, &key));
	assert_true(selfsigned_make(names, 1, NOW, &other_cert, &other_key));
	return 0;
}

static int
teardown(void **state)
{
	arena_release(&arena);
	buf_release(&cert), buf_release(&key), buf_release(&other_cert), buf_release(&other_key);
	return 0;
}

static enum certificate_state
read_pair(struct slice chain, struct slice k, int64_t now)
{
	certificate_release(&c);
	return certificate_read(&c, chain, k, now, &arena, &why);
}

static void
states(void **state)
{
	struct slice chain = buf_slice(&cert), k = buf_slice(&key);
	assert_int_equal(read_pair(chain, k, NOW), CERTIFICATE_GOOD);
	assert_null(why);
	assert_string_equal(c.names, "mail.example.org example.org localhost");
	assert_int_equal(c.expires, NOW + YEARS_10);
	assert_int_equal(read_pair(chain, k, NOW + YEARS_10 - 86400), CERTIFICATE_SOON);
	assert_int_equal(read_pair(chain, k, NOW + YEARS_10), CERTIFICATE_EXPIRED);
	assert_non_null(strstr(why, "expired on"));
	assert_non_null(c.key); /* it encrypts all the same */
	assert_int_equal(read_pair(chain, k, NOW - 3 * 86400), CERTIFICATE_EARLY);
	assert_non_null(strstr(why, "clock"));
	certificate_release(&c);
}

static void
pairs_that_cannot_serve(void **state)
{
	struct slice chain = buf_slice(&cert), k = buf_slice(&key);
	assert_int_equal(read_pair(chain, buf_slice(&other_key), NOW), CERTIFICATE_BAD);
	assert_non_null(strstr(why, "does not belong"));
	assert_int_equal(read_pair(S(""), k, NOW), CERTIFICATE_BAD);
	assert_non_null(strstr(why, "no certificate"));
	assert_int_equal(read_pair(chain, S("nonsense"), NOW), CERTIFICATE_BAD);
	assert_non_null(strstr(why, "no private key"));
	assert_int_equal(read_pair(k, chain, NOW), CERTIFICATE_BAD); /* the wrong way round */
	for (size_t cut = 0; cut + 30 < cert.len; cut += 7)
		assert_int_equal(read_pair(slice_part(chain, 0, cut), k, NOW), CERTIFICATE_BAD);
	assert_null(c.key);
}

static bool
verifies(EVP_PKEY *public_key, int padding, struct slice digest, struct slice signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public_key, NULL);
	bool ok =
	    EVP_PKEY_verify_init(ctx) > 0 &&
	    (!padding ||
	     (EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0)) &&
	    EVP_PKEY_verify(ctx, (const uint8_t *)signature.at, signature.len, (const uint8_t *)digest.at, digest.len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static void
ecdsa_signs(void **state)
{
	struct slice signature, digest = S("0123456789abcdef0123456789abcdef");
	assert_int_equal(read_pair(buf_slice(&cert), buf_slice(&key), NOW), CERTIFICATE_GOOD);
	struct certificate twin = certificate_share(&c);
	certificate_release(&c);
	assert_false(certificate_signs_slowly(&twin));
	assert_int_equal(certificate_sign(&twin, 0, digest, &arena, &signature), OK);
	assert_true(verifies(twin.key, 0, digest, signature));
	certificate_release(&twin);
}

static void
rsa_signs(void **state)
{
	/* SHA-256's DigestInfo before the digest: what TLS 1.2 hands over for PKCS#1 (RFC 8017 9.2 note 1) */
	static const char info[] = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	                           "0123456789abcdef0123456789abcdef";
	struct slice signature, whole = slice_of(info, sizeof info - 1), digest = slice_from(whole, 19);
	struct certificate rsa = { .key = EVP_RSA_gen(2048) };
	assert_true(certificate_signs_slowly(&rsa));
	assert_int_equal(certificate_sign(&rsa, RSA_PKCS1_PADDING, whole, &arena, &signature), OK);
	assert_true(verifies(rsa.key, RSA_PKCS1_PADDING, digest, signature));
	assert_int_equal(certificate_sign(&rsa, RSA_PKCS1_PSS_PADDING, digest, &arena, &signature), OK);
	assert_true(verifies(rsa.key, RSA_PKCS1_PSS_PADDING, digest, signature));
	char block[256] = { 0, 1 };
	assert_int_equal(certificate_sign(&rsa, RSA_NO_PADDING, slice_of(block, sizeof block), &arena, &signature), OK);
	assert_int_equal(signature.len, 256);
	assert_int_equal(certificate_sign(&rsa, 77, digest, &arena, &signature), ERR_TLS);
	assert_int_equal(certificate_sign(&rsa, RSA_PKCS1_PSS_PADDING, S("short"), &arena, &signature), ERR_TLS);
	certificate_release(&rsa);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(pairs_that_cannot_serve),
		cmocka_unit_test(ecdsa_signs),
		cmocka_unit_test(rsa_signs),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
