/* SPDX-License-Identifier: Apache-2.0 */
/* tls_key.h - for tls.c: a private key that signs by asking somebody. */
#ifndef TASK_TLS_KEY_H
#define TASK_TLS_KEY_H

#include "task/stream.h"

#include <openssl/evp.h>

struct tls_key {
	uint32_t id;
	tls_sign_fn *sign;
	void *arg;
};

/* RSA and ECDSA; NULL for other kinds of key. *key must live as long as the result, which the caller frees. */
EVP_PKEY *tls_key_elsewhere(EVP_PKEY *public_key, struct tls_key *key);

#endif
