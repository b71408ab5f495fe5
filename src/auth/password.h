/* SPDX-License-Identifier: Apache-2.0 */
/* password.h - password hashes: ours are argon2id (RFC 9106) as PHC strings; hashes of crypt(3), argon2 and the salted
 * digests of other servers are recognised and checked as they are. All of it takes long on purpose: off the loop. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/err.h"
#include "base/slice.h"

#define PASSWORD_BYTES_MAX 1000
#define PASSWORD_HASH_BYTES_MAX 500
#define PASSWORD_MEMORY_BYTES_MAX (1u << 30) /* what an imported argon2 hash may ask for */

struct password_cost {
	uint64_t memory_bytes;
	uint32_t passes;
};

/* A new argon2id hash, NUL-terminated. ERR_LIMIT: not enough memory. */
enum err password_hash(struct slice password, struct password_cost cost, char out[PASSWORD_HASH_BYTES_MAX]);
/* OK: it is the password. ERR_DENIED: it is not. ERR_UNSUPPORTED: the hash is of no kind that we know. */
enum err password_check(struct slice password, struct slice hash);
/* Whether a hash that somebody brings can be checked by us; the reason is a literal, NULL: it can. */
const char *password_hash_refused(struct slice hash);

#endif
