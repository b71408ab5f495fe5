/* SPDX-License-Identifier: Apache-2.0 */
/* warm.c - the table of warm credentials: a map over the user as typed, and a list by time of use. Called by login.c
 * and auth.c on the loop. Cannot fail. */
#include "auth/warm.h"

#include "base/buf.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAC_BYTES 32

struct entry {
	struct link used;
	char *user, *address;
	size_t user_len;
	uint64_t hash; /* of user: the key in the map */
	uint64_t account, generation, rights;
	int64_t until_ms;
	uint8_t mac[MAC_BYTES];
};

void
warm_init(struct warm *w)
{
	*w = (struct warm){ 0 };
	random_bytes(w->key, sizeof w->key);
	list_init(&w->used);
}

static void
drop(struct warm *w, struct entry *e)
{
	map_remove(&w->by_user, e->hash);
	list_remove(&e->used);
	secret_wipe(e->mac, sizeof e->mac);
	free(e->user);
	free(e->address);
	free(e);
}

void
warm_forget(struct warm *w, uint64_t account)
{
	LIST_EACH (&w->used, it) {
		struct entry *e = CONTAINER_OF(it, struct entry, used);
		if (account == 0 || e->account == account)
			drop(w, e);
	}
}

void
warm_release(struct warm *w)
{
	warm_forget(w, 0);
	map_release(&w->by_user);
	secret_wipe(w->key, sizeof w->key);
}

static void
mac_of(const struct warm *w, uint64_t account, uint64_t generation, struct slice password, uint8_t out[MAC_BYTES])
{
	uint8_t said[16 + 1024];
	size_t len = MIN(password.len, sizeof said - 16);
	bytes_set_le(said, account, 8);
	bytes_set_le(said + 8, generation, 8);
	if (len)
		memcpy(said + 16, password.at, len);
	ASSERT(HMAC(EVP_sha256(), w->key, sizeof w->key, said, 16 + len, out, NULL));
	secret_wipe(said, 16 + len);
}

bool
warm_look(struct warm *w, struct slice user, struct slice password, int64_t now_ms, struct warm_account *account)
{
	struct entry *e = map_get(&w->by_user, slice_hash(user));
	if (!e || !slice_equal(user, slice_of(e->user, e->user_len)))
		return false;
	if (now_ms >= e->until_ms) {
		drop(w, e);
		return false;
	}
	uint8_t mac[MAC_BYTES];
	mac_of(w, e->account, e->generation, password, mac);
	if (!secret_equal(mac, e->mac, sizeof mac))
		return false;
	list_remove(&e->used);
	list_append(&w->used, &e->used);
	*account = (struct warm_account){ e->account, e->generation, e->rights, e->address };
	return true;
}

void
warm_keep(struct warm *w, struct slice user, struct slice password, const struct warm_account *account, int64_t now_ms)
{
	struct entry *old = map_get(&w->by_user, slice_hash(user));
	if (!old && w->by_user.count >= WARM_ENTRIES_MAX)
		old = CONTAINER_OF(list_first(&w->used), struct entry, used);
	if (old)
		drop(w, old);
	struct entry *e = must_calloc(1, sizeof *e);
	*e = (struct entry){ .user = slice_dup(user), .address = slice_dup(slice_text(account->address)) };
	e->user_len = user.len;
	e->hash = slice_hash(user);
	e->account = account->account;
	e->generation = account->generation;
	e->rights = account->rights;
	e->until_ms = now_ms + WARM_LIFETIME_MS;
	mac_of(w, e->account, e->generation, password, e->mac);
	map_set(&w->by_user, e->hash, e);
	list_append(&w->used, &e->used);
}
