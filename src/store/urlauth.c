/* SPDX-License-Identifier: Apache-2.0 */
/* urlauth.c - tokens that let others read one message by its URL (RFC 4467). Each user has a key for each mailbox that
 * he let sign for (row 'U' of the mailbox, gone with it), made on first use, and one that is mixed into all of them; a
 * new key ends what was signed with the old one. The keys do not leave the store. Work functions of calls.c. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { KEY_BYTES = 32, MAC_BYTES = 32, TOKEN_HMAC_SHA256 = 1, HEAD_BYTES = 21 };
_Static_assert(URL_TOKEN_BYTES == 1 + MAC_BYTES, "a token is the number of the way that it was made, and a MAC");

struct url_keys {
	uint8_t user[KEY_BYTES], mailbox[KEY_BYTES];
};

static struct key
key_of_url(uint64_t account, uint64_t mailbox, uint64_t user)
{
	struct key k = key2('U', account, mailbox);
	key_u64(&k, user);
	return k;
}

static enum err
key_read(struct txn *t, const struct key *k, uint8_t out[KEY_BYTES])
{
	struct slice value;
	enum err e = txn_get(t, key_slice(k), &value);
	if (!e && value.len != KEY_BYTES)
		e = row_damaged("url key");
	if (!e)
		memcpy(out, value.at, KEY_BYTES);
	return e;
}

static enum err
key_make(struct txn *t, const struct key *k, uint8_t out[KEY_BYTES])
{
	enum err e = key_read(t, k, out);
	if (e != ERR_NOT_FOUND)
		return e;
	random_bytes(out, KEY_BYTES);
	txn_put(t, key_slice(k), slice_of((const char *)out, KEY_BYTES));
	return OK;
}

/* RFC 2104; what is of fixed length comes first, and then each text with its length: no two URLs are the same bytes. */
static void
token_make(const struct url_keys *keys, const struct store_url *url, uint8_t token[URL_TOKEN_BYTES])
{
	uint8_t inner[MAC_BYTES];
	unsigned n = MAC_BYTES;
	struct buf b;
	buf_init(&b, HEAD_BYTES + url->user.len + url->text.len);
	buf_put_char(&b, TOKEN_HMAC_SHA256);
	buf_put_le(&b, url->uid, 4);
	buf_put_le(&b, (uint64_t)url->expires, 8);
	buf_put_le(&b, url->access, 4);
	buf_put_le(&b, url->user.len, 4);
	buf_put(&b, url->user);
	buf_put(&b, url->text);
	ASSERT(!b.over);
	ASSERT(HMAC(EVP_sha256(), keys->mailbox, KEY_BYTES, keys->user, KEY_BYTES, inner, &n) && n == MAC_BYTES);
	token[0] = TOKEN_HMAC_SHA256;
	ASSERT(HMAC(EVP_sha256(), inner, MAC_BYTES, (const uint8_t *)b.at, b.len, token + 1, &n) && n == MAC_BYTES);
	secret_wipe(inner, sizeof inner);
	buf_release(&b);
}

static bool
url_is_sound(const struct store_url *url)
{
	return url->uid && url->expires >= 0 && url->access <= URL_SUBMIT && url->text.len &&
	       (url->access >= URL_USER) == (url->user.len > 0);
}

enum err
url_sign(struct job *j, struct txn *t)
{
	const struct store_url_sign_in *in = j->in;
	struct store_url_sign_out *out = j->out;
	struct url_keys keys;
	struct row_name row;
	struct key of_user = key_of_url(j->principal, 0, j->principal);
	if (!url_is_sound(&in->url))
		return ERR_SYNTAX;
	enum err e = mailbox_id_of(t, j->account, in->name, &row);
	if (e)
		return e;
	struct key of_mailbox = key_of_url(j->account, row.mailbox, j->principal);
	e = key_make(t, &of_user, keys.user);
	e = e ? e : key_make(t, &of_mailbox, keys.mailbox);
	if (!e) {
		uint8_t *token = arena_alloc(&j->call->arena, URL_TOKEN_BYTES);
		token_make(&keys, &in->url, token);
		out->token = slice_of((const char *)token, URL_TOKEN_BYTES);
	}
	secret_wipe(&keys, sizeof keys);
	return e;
}

/* ---- who should know that a key is gone (RFC 4467 7: every session of the user that has the mailbox selected) */

enum { RESETS_MAX = 1000 }; /* of one account that are remembered */

static uint64_t
reset_name(uint64_t mailbox, uint64_t principal)
{
	const uint64_t words[] = { mailbox, principal };
	return slice_hash(slice_of((const char *)words, sizeof words));
}

uint64_t
url_resets(const struct job *j, uint64_t mailbox)
{
	const struct open_account *o = map_get(&j->s->accounts_open, j->account);
	const struct url_reset *one = o ? map_get(&o->url_resets, reset_name(mailbox, j->principal)) : NULL;
	const struct url_reset *all = o ? map_get(&o->url_resets, reset_name(0, j->principal)) : NULL;
	return MAX(one ? one->number : 0, all ? all->number : 0);
}

void
url_resets_free(struct open_account *o)
{
	uint64_t name;
	void *reset;
	for (size_t i = 0; map_each(&o->url_resets, &i, &name, &reset);)
		free(reset);
	map_release(&o->url_resets);
	o->nurl_resets = 0;
}

void
url_reset_made(struct job *j)
{
	struct open_account *o = map_get(&j->s->accounts_open, j->account);
	uint64_t name = reset_name(j->url_reset.mailbox, j->principal);
	if (!o)
		return;
	if (o->nurl_resets == RESETS_MAX)
		url_resets_free(o);
	struct url_reset *r = map_get(&o->url_resets, name);
	if (!r) {
		r = must_calloc(1, sizeof *r);
		map_set(&o->url_resets, name, r);
		o->nurl_resets++;
	}
	*r = j->url_reset;
	notice_changed(j->s, j->account, j->url_reset.mailbox, UINT64_MAX);
}

enum err
url_reset(struct job *j, struct txn *t)
{
	const struct store_url_reset_in *in = j->in;
	struct store_url_reset_out *out = j->out;
	struct row_name row = { .mailbox = 0 };
	enum err e = in->name.len ? mailbox_id_of(t, j->account, in->name, &row) : OK;
	e = e || !in->name.len ? e : acl_check(t, j->account, row.mailbox, j->principal, ACL_READ);
	if (e)
		return e;
	struct key k =
	    in->name.len ? key_of_url(j->account, row.mailbox, j->principal) : key_of_url(j->principal, 0, j->principal);
	txn_delete(t, key_slice(&k));
	j->url_reset = (struct url_reset){ row.mailbox, ++j->s->rows->url_resets };
	out->url_resets = in->name.len ? j->url_reset.number : 0;
	return OK;
}

/* ---- url_open */

/* Who let it sign, and whose mailbox that is. */
static enum err
find_accounts(struct job *j, struct txn *t, const struct store_url_open_in *in, struct opened_url *out)
{
	struct row_account signer;
	struct store_account_open_shared_in shared = { .address = in->address, .public = in->public };
	struct store_account_open_shared_out found;
	struct job asks = { .call = j->call, .out = &found };
	enum err e = directory_account_of(t, in->signer, &out->principal);
	e = e ? e : account_get(t, out->principal, &signer);
	if (!e && (signer.status != ACCOUNT_ACTIVE || !(signer.rights & RIGHT_IMAP)))
		e = ERR_NOT_FOUND;
	out->account = out->principal;
	if (!e && (in->address.len || in->public.len))
		e = sharer_find(&asks, t, out->principal, &shared, &out->account);
	return e;
}

/* RFC 4467 7 (URLFETCH): as far as who signed may read it by now */
static enum err
find_keys(struct txn *t, struct slice name, struct opened_url *out, struct url_keys *keys)
{
	struct row_name row;
	struct row_mailbox box;
	enum err e = mailbox_id_of(t, out->account, name, &row);
	e = e ? e : acl_check(t, out->account, row.mailbox, out->principal, ACL_READ);
	e = e ? e : mailbox_get(t, out->account, row.mailbox, &box);
	if (e)
		return e;
	out->mailbox = row.mailbox;
	out->uidvalidity = box.uidvalidity;
	struct key of_user = key_of_url(out->principal, 0, out->principal);
	struct key of_mailbox = key_of_url(out->account, row.mailbox, out->principal);
	e = key_read(t, &of_user, keys->user);
	return e ? e : key_read(t, &of_mailbox, keys->mailbox);
}

static bool
may_use(struct txn *t, const struct store_url *url, uint64_t asks, uint64_t rights)
{
	uint64_t meant;
	if (url->expires && url->expires < clock_wall_sec())
		return false;
	switch (url->access) {
	case URL_ANONYMOUS:
	case URL_AUTHUSER: return true; /* nobody is here who did not log in */
	case URL_USER: return directory_account_of(t, url->user, &meant) == OK && meant == asks;
	default: return rights & RIGHT_SUBMISSION; /* it looked at the user itself, RFC 4467 3 */
	}
}

enum err
url_check(struct job *j, struct txn *t, uint64_t rights, struct opened_url *out)
{
	const struct store_url_open_in *in = j->in;
	uint8_t token[URL_TOKEN_BYTES];
	struct url_keys keys;
	random_bytes(&keys, sizeof keys); /* RFC 4467 6: what is not there takes as long as what is */
	enum err e = find_accounts(j, t, in, out);
	e = e ? e : find_keys(t, in->name, out, &keys);
	token_make(&keys, &in->url, token);
	bool good = in->token.len == URL_TOKEN_BYTES && secret_equal(token, in->token.at, URL_TOKEN_BYTES);
	secret_wipe(&keys, sizeof keys);
	secret_wipe(token, sizeof token);
	if (e == ERR_IO || e == ERR_DAMAGED)
		return e;
	return !e && good && url_is_sound(&in->url) && may_use(t, &in->url, j->principal, rights) ? OK : ERR_NOT_FOUND;
}
