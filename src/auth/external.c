/* SPDX-License-Identifier: Apache-2.0 */
/* external.c - EXTERNAL (RFC 4422 appendix A): the client's certificate says who it is, by an rfc822Name of its
 * subjectAltName (RFC 5280 4.2.1.6). Called by sasl.c. The session verified it in the handshake; here it is verified
 * once more against tls.client-ca, so that a session cannot make a name up. */
#include "auth/sasl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { CHAIN_MAX = 10, NAMES_MAX = 20 };

static X509_STORE *
store_of(struct slice pem)
{
	X509_STORE *store = X509_STORE_new();
	BIO *b = BIO_new_mem_buf(pem.at, (int)pem.len);
	ASSERT(store && b);
	for (X509 *x; (x = PEM_read_bio_X509(b, NULL, NULL, NULL)); X509_free(x))
		X509_STORE_add_cert(store, x);
	BIO_free(b);
	ERR_clear_error();
	return store;
}

static STACK_OF(X509) * chain_of(struct slice der)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	const unsigned char *at = (const unsigned char *)der.at, *end = at + der.len;
	ASSERT(chain);
	while (at < end && sk_X509_num(chain) < CHAIN_MAX) {
		X509 *x = d2i_X509(NULL, &at, end - at);
		if (!x)
			break;
		sk_X509_push(chain, x);
	}
	return chain;
}

static bool
is_trusted(X509_STORE *store, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = ctx && sk_X509_num(chain) > 0 && X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) == 1 &&
	            X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1 && X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* The addresses of a certificate, in the arena. */
static size_t
addresses_of(X509 *x, struct arena *a, struct slice names[NAMES_MAX])
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(all) && n < NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type != GEN_EMAIL)
			continue;
		struct slice text =
		    slice_of(ASN1_STRING_get0_data(name->d.rfc822Name), (size_t)ASN1_STRING_length(name->d.rfc822Name));
		if (text.len && text.len <= 1000 && slice_is_ascii(text) && !slice_has_control(text))
			names[n++] = slice_keep(a, text);
	}
	GENERAL_NAMES_free(all);
	return n;
}

static size_t
trusted_addresses(const struct sasl_step *s, struct slice names[NAMES_MAX])
{
	struct slice pem = s->attempt.auth->client_ca_pem;
	if (!pem.len || !s->in->certificates.len)
		return 0;
	X509_STORE *store = store_of(pem);
	STACK_OF(X509) *chain = chain_of(s->in->certificates);
	size_t n = is_trusted(store, chain) ? addresses_of(sk_X509_value(chain, 0), &s->attempt.call->arena, names) : 0;
	sk_X509_pop_free(chain, X509_free);
	X509_STORE_free(store);
	return n;
}

/* The response is the authorization identity, or empty: then it is the first address that has an account. */
enum err
await_external_step(struct sasl_step *s)
{
	struct attempt *a = &s->attempt;
	struct slice names[NAMES_MAX], as = s->in->response;
	size_t n = trusted_addresses(s, names);
	a->user = as.len ? slice_part(as, 0, 1000) : n ? names[0] : S("");
	a->reason = "no certificate that is trusted and has an address";
	if (n == 0)
		return ERR_DENIED;
	if (attempt_is_locked_out(a))
		return ERR_LIMIT;
	for (size_t i = 0; i < n; i++) {
		struct store_secret_get_out secret;
		if (as.len && !slice_equal_nocase(as, names[i]))
			continue;
		if (await_attempt_secret(a, names[i], &secret))
			return ERR_AGAIN;
		if (secret.account) {
			a->user = names[i];
			return attempt_admit_secret(a, &secret);
		}
	}
	a->reason =
	    as.len ? "the certificate does not have this address, or it has no account" : "no account has its address";
	return ERR_DENIED;
}
