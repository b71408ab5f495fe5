/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.h - a certificate chain and its private key: read from PEM, checked in words, signed with. For who holds
 * the key (auth) and for who only looks whether it is good (posthouse check). Streams never see a key: stream.h. */
#ifndef TASK_CERTIFICATE_H
#define TASK_CERTIFICATE_H

#include "base/arena.h"
#include "base/err.h"

#define CERTIFICATE_PEM_BYTES_MAX 200000
#define CERTIFICATE_NAMES_BYTES_MAX 2000
#define CERTIFICATE_SOON_SEC (7 * 86400) /* less than this left: time to renew */

enum certificate_state { CERTIFICATE_GOOD, CERTIFICATE_SOON, CERTIFICATE_EXPIRED, CERTIFICATE_EARLY, CERTIFICATE_BAD };

struct evp_pkey_st;
struct certificate {
	struct evp_pkey_st *key; /* NULL: nothing was read */
	char *chain;             /* PEM */
	size_t chain_len;
	char names[CERTIFICATE_NAMES_BYTES_MAX + 1]; /* DNS names, separated by spaces */
	int64_t begins, expires;
};

/* Reads and compares. BAD: nothing is kept, and *why (in a) says what is wrong and what to do, for people. The other
 * states keep it (an expired one encrypts too); *why is NULL when GOOD. */
enum certificate_state certificate_read(struct certificate *c, struct slice chain_pem, struct slice key_pem,
                                        int64_t now_sec, struct arena *a, const char **why);
/* A second holder of the same key and chain: for who signs while the first may be replaced. */
struct certificate certificate_share(const struct certificate *c);
void certificate_release(struct certificate *c);
/* padding as in tls_sign_fn of stream.h. ERR_LIMIT, ERR_TLS. Blocks for up to a millisecond or two with RSA. */
enum err certificate_sign(const struct certificate *c, int padding, struct slice data, struct arena *a,
                          struct slice *signature);
bool certificate_signs_slowly(const struct certificate *c); /* RSA: worth a thread */

#endif
