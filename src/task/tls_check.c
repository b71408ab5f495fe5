/* SPDX-License-Identifier: Apache-2.0 */
/* tls_check.c - what a client asks of the server's certificate: a name under trusted roots, or what TLSA records say
 * (DANE, RFC 7672). OpenSSL builds the chain and compares; here it is told what to compare, and its result becomes one
 * of few verdicts. Called by tls.c around the handshake. */
#include "task/stream_inside.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* RFC 7672 3.1.1: with DANE-EE the names and the expiry of the certificate do not count. Records that OpenSSL cannot
 * use are left out; without any left, no certificate is good. */
static bool
dane_prepare(SSL *ssl, const char *base, const struct tls_check *check)
{
	if (!base || SSL_dane_enable(ssl, base) <= 0)
		return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < check->ntlsa; i++) {
		const struct tls_tlsa *t = &check->tlsa[i];
		if ((t->usage == 2 || t->usage == 3) && t->data.len > 0)
			(void)SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, (const unsigned char *)t->data.at,
			                        t->data.len);
	}
	return true;
}

bool
tls_check_prepare(SSL *ssl, const char *server_name, const struct tls_check *check)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
	if (check->ntlsa == 0) /* RFC 8461 4.2: DNS-ID and no common name; RFC 7672 3.2.2 allows that as a last resort */
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	SSL_set_hostflags(ssl, flags);
	SSL_set_verify(ssl, check->soft ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (check->ntlsa && !dane_prepare(ssl, server_name, check))
		return false;
	for (size_t i = 0; i < check->nnames; i++)
		if (SSL_add1_host(ssl, check->names[i]) != 1)
			return false;
	return true;
}

enum tls_verdict
tls_check_verdict(const SSL *ssl, bool handshake_good)
{
	switch (SSL_get_verify_result(ssl)) {
	case X509_V_OK: return handshake_good ? TLS_GOOD : TLS_BROKEN;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_WRONG_NAME;
	case X509_V_ERR_DANE_NO_MATCH: return TLS_NOT_IN_TLSA;
	default: return SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE && !handshake_good ? TLS_BROKEN : TLS_UNTRUSTED;
	}
}
