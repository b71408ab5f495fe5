/* SPDX-License-Identifier: Apache-2.0 */
/* warm.h - credentials that were right a moment ago, so that a thousand logins a second cost no thousand hashes. What
 * is kept of a password is HMAC-SHA-256(random key of this process, account, generation, password): worthless outside
 * of it. An entry goes with its lifetime, with each change of its account (warm_forget), and when the table is full. */
#ifndef AUTH_WARM_H
#define AUTH_WARM_H

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"

#define WARM_ENTRIES_MAX 50000
#define WARM_LIFETIME_MS (10 * 60 * 1000)
#define WARM_KEY_BYTES 32

struct warm {
	uint8_t key[WARM_KEY_BYTES];
	struct map by_user;
	struct link used; /* least recently used first */
};
/* Who a credential belongs to: as the store told it when the hash was checked. */
struct warm_account {
	uint64_t account, generation, rights;
	const char *address;
};

void warm_init(struct warm *w);
void warm_release(struct warm *w);
/* user: as typed. True when these were right within the lifetime; account->address is valid until the next call. */
bool warm_look(struct warm *w, struct slice user, struct slice password, int64_t now_ms, struct warm_account *account);
void warm_keep(struct warm *w, struct slice user, struct slice password, const struct warm_account *account,
               int64_t now_ms);
void warm_forget(struct warm *w, uint64_t account); /* 0: all of them */

#endif
