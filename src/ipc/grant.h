/* SPDX-License-Identifier: Apache-2.0 */
/* grant.h - what auth gives to a session after a login, and the store accepts: who it is, what it may, signed
 * (HMAC-SHA-256) with a key that only those two have. It survives a restart of either. generation ends it: the store
 * compares it with the account's row, which grows with every change of password or status. */
#ifndef IPC_GRANT_H
#define IPC_GRANT_H

#include "base/buf.h"

#define GRANT_KEY_BYTES 32
#define GRANT_BYTES 64

struct grant {
	uint64_t account, rights, generation;
	int64_t issued; /* wall seconds */
};
void grant_sign(const struct grant *g, const uint8_t key[GRANT_KEY_BYTES], uint8_t out[GRANT_BYTES]);
bool grant_verify(struct slice bytes, const uint8_t key[GRANT_KEY_BYTES],
                  struct grant *g); /* false: malformed or not signed by the key */

#endif
