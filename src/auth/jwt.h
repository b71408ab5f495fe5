/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h - bearer tokens that are signed JSON (RFC 7519, RFC 7515), checked with keys that the administrator gave: RSA
 * and P-256 public keys or a shared secret. No key is fetched from anywhere, and a key is used with its one algorithm:
 * what the token says about itself chooses among them and decides nothing else (RFC 8725 3.1). */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include "base/arena.h"
#include "base/err.h"

#define JWT_BYTES_MAX 9000
#define JWT_KEYS_MAX 64
#define JWT_KEY_FILE_BYTES_MAX 200000

struct jwt_keys;
/* PEM (PUBLIC KEY, CERTIFICATE) or a JWK set (RFC 7517: RSA, EC P-256, oct). NULL and *why (a literal): unusable. */
struct jwt_keys *jwt_keys_read(struct slice text, const char **why);
void jwt_keys_free(struct jwt_keys **keys);
size_t jwt_keys_count(const struct jwt_keys *keys);

struct jwt_rules {
	const char *issuer, *audience; /* must match; empty: not asked */
	const char *scope;             /* words that the token must have; empty: none */
	const char *claim;             /* names the account */
	int64_t leeway_sec;
};
/* OK: *account (in the arena) is who it is for. ERR_DENIED: not a good token, *why (a literal) says why;
 * ERR_UNSUPPORTED: a good one, but its scope does not reach. */
enum err jwt_check(struct slice token, const struct jwt_keys *keys, const struct jwt_rules *rules, int64_t now_sec,
                   struct arena *a, struct slice *account, const char **why);

#endif
