/* SPDX-License-Identifier: Apache-2.0 */
/* scram.h - SCRAM (RFC 5802) with SHA-256 (RFC 7677) and SHA-1: what is kept of a password, the client's two messages
 * taken apart, its proof checked. Pure; who is asked for keys and when stands in sasl.c.
 *
 * Keys are kept as text, one for each hash: SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY (RFC 5803), with spaces
 * between. Nobody can log in with them, but they can be used to guess passwords as a hash can. */
#ifndef AUTH_SCRAM_H
#define AUTH_SCRAM_H

#include "base/arena.h"
#include "base/buf.h"

#define SCRAM_KEY_BYTES 32 /* of the longest */
#define SCRAM_SALT_BYTES 16
#define SCRAM_TEXT_BYTES_MAX 1000
#define SCRAM_ITERATIONS_MIN 4096 /* RFC 7677 4 */

enum scram_hash { SCRAM_SHA_256, SCRAM_SHA_1, SCRAM_HASHES };

struct scram_keys {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT_BYTES];
	uint8_t stored[SCRAM_KEY_BYTES], server[SCRAM_KEY_BYTES];
};

/* "SCRAM-SHA-256" or "SCRAM-SHA-256-PLUS" and so on; *plus: the latter. False: neither. */
bool scram_mechanism(struct slice name, enum scram_hash *hash, bool *plus);

/* RFC 5802 3: of a password that is prepared already. Takes long on purpose. */
void scram_keys_make(enum scram_hash hash, struct slice password, const uint8_t salt[SCRAM_SALT_BYTES],
                     uint32_t iterations, struct scram_keys *k);
/* All that is kept of a password, as text in the arena; empty: it cannot be used with SCRAM (RFC 4013 prohibits it). */
struct slice scram_text_make(struct slice password, uint32_t iterations, struct arena *a);
/* The keys for one hash out of such text. False: it has none, or is malformed. */
bool scram_text_take(struct slice text, enum scram_hash hash, struct scram_keys *k);

/* client-first-message = gs2-cbind-flag "," [authzid] "," client-first-message-bare (RFC 5802 7) */
struct scram_first {
	char flag;                  /* 'n', 'y', 'p' */
	struct slice binding;       /* the name of the channel binding with 'p' */
	struct slice authzid, user; /* =2C and =3D decoded, in the arena */
	struct slice gs2, bare;     /* the header with its last comma; the rest */
	struct slice nonce;
};
/* client-final-message = channel-binding "," nonce ["," extensions] "," proof */
struct scram_final {
	struct slice binding, proof; /* decoded, in the arena */
	struct slice nonce, without_proof;
};
bool scram_first_take(struct slice message, struct arena *a, struct scram_first *f);
bool scram_final_take(struct slice message, struct arena *a, struct scram_final *f);

/* Whether the proof belongs to the keys; then signature is the server's (RFC 5802 3). */
bool scram_check(enum scram_hash hash, const struct scram_keys *k, struct slice auth_message, struct slice proof,
                 uint8_t signature[SCRAM_KEY_BYTES]);
size_t scram_bytes(enum scram_hash hash);

#endif
