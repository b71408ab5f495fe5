/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - the account of a logged-in session at the store, and the memory that is shared with it. The handle ends
 * with the store's connection; the grant in the session opens the account again, so that a client does not notice that
 * the store was started again. What can fail: the grant is over (ERR_STALE and others: the session must end), the store
 * is not there (ERR_AGAIN). */
#include "session/imap/notify.h"

#include "base/random.h"

enum {
	BLOCK_WAIT_MS = 10, /* when shared memory is used up: others give theirs back */
	BLOCK_TRIES = 500,
};

static enum err
await_open(struct imap *im)
{
	struct store_account_open_in in = { .grant = slice_of(im->grant, im->grant_bytes) };
	struct store_account_open_out out = { 0 };
	struct ipc_client *store = &im->c->session->store;
	enum err e = await_store_account_open(store, &in, &im->arena, &out);
	if (e == ERR_AGAIN) /* its connection broke while we asked */
		e = await_store_account_open(store, &in, &im->arena, &out);
	if (e != OK)
		return e;
	im->handle = out.handle;
	im->handle_generation = store->generation;
	return OK;
}

void
imap_forget_account(struct imap *im)
{
	struct ipc_client *store = &im->c->session->store;
	if (im->handle_generation && im->handle_generation == store->generation)
		store_account_close_notify(store, &(struct store_account_close_in){ im->handle });
	im->handle_generation = 0;
	notify_free(im, &im->notify);
	imap_forget_owners(im); /* their handles end with ours */
	im->account = 0;
	im->grant_bytes = 0;
	secret_wipe(im->grant, sizeof im->grant);
}

/* ---- accounts of others */

void
imap_forget_owners(struct imap *im)
{
	while (im->owners) {
		struct imap_owner *o = im->owners;
		im->owners = o->next;
		conn_hear(im->c, &o->ear, 0);
		free(o->address);
		free(o);
	}
	im->owner = NULL;
}

void
imap_hear_owner(struct imap *im, struct imap_owner *o)
{
	conn_hear(im->c, &o->ear, o->watched || o == im->owner || o == im->held ? o->account : 0);
}

static enum err
await_open_shared(struct imap *im, struct imap_owner *o)
{
	struct store_account_open_shared_in in = { .handle = im->handle };
	struct store_account_open_shared_out out = { 0 };
	struct ipc_client *store = &im->c->session->store;
	*(o->is_public ? &in.public : &in.address) = slice_text(o->address);
	enum err e = await_store_account_open_shared(store, &in, &im->arena, &out);
	if (e == ERR_STALE || e == ERR_AGAIN) {
		e = await_open(im);
		in.handle = im->handle;
		e = e ? e : await_store_account_open_shared(store, &in, &im->arena, &out);
	}
	if (e != OK)
		return e;
	if (o == im->owner && im->view.mailbox && out.account != im->view.account) { /* the name is somebody else's now */
		store_account_close_notify(store, &(struct store_account_close_in){ out.handle });
		return ERR_NOT_FOUND;
	}
	if (o->handle_generation == store->generation) /* his account was closed to everybody for a moment */
		store_account_close_notify(store, &(struct store_account_close_in){ o->handle });
	o->account = out.account;
	imap_hear_owner(im, o);
	o->handle = out.handle;
	o->by = im->handle;
	o->handle_generation = store->generation;
	return OK;
}

/* ---- one message of somebody else, by a URL that he let sign */

static enum err
await_open_url(struct imap *im, struct imap_owner *o)
{
	struct store_url_open_in in = *o->url;
	struct ipc_client *store = &im->c->session->store;
	in.handle = im->handle;
	enum err e = await_store_url_open(store, &in, &im->arena, &o->opened);
	if (e == ERR_STALE || e == ERR_AGAIN) {
		e = await_open(im);
		in.handle = im->handle;
		e = e ? e : await_store_url_open(store, &in, &im->arena, &o->opened);
	}
	if (e != OK)
		return e;
	o->handle = o->opened.handle;
	o->by = im->handle;
	o->handle_generation = store->generation;
	return OK;
}

/* ---- handles */

static enum err
await_open_of(struct imap *im, struct imap_owner *owner)
{
	return !owner ? await_open(im) : owner->url ? await_open_url(im, owner) : await_open_shared(im, owner);
}

static bool
is_open(const struct imap *im, const struct imap_owner *owner)
{
	uint64_t now = im->c->session->store.generation;
	if (im->handle_generation != now)
		return false;
	return !owner || (owner->handle_generation == now && owner->by == im->handle);
}

bool
await_imap_handle(struct imap *im, struct imap_owner *owner, uint32_t *handle)
{
	im->asked = OK;
	if (!is_open(im, NULL))
		im->asked = await_open(im);
	if (im->asked == OK && !is_open(im, owner))
		im->asked = await_open_of(im, owner);
	*handle = owner ? owner->handle : im->handle;
	return im->asked == OK;
}

bool
await_imap_handle_again(struct imap *im, struct imap_owner *owner, uint32_t *handle, enum err e)
{
	im->asked = e;
	if (e != ERR_STALE)
		return false;
	im->asked = await_open_of(im, owner);
	*handle = owner ? owner->handle : im->handle;
	return im->asked == OK;
}

/* The fuller the pool, the smaller the blocks: there is one for each of many thousands of slow readers. */
size_t
imap_block_share(const struct imap *im)
{
	const struct shm_pool *pool = im->c->session->shm;
	size_t used = shm_used(pool), all = shm_pool_bytes(pool);
	return used < all / 4       ? (size_t)SHM_BLOCK_BYTES_MAX
	       : used < all / 2     ? (size_t)64 << 10
	       : used < all / 4 * 3 ? (size_t)16 << 10
	                            : (size_t)SHM_BLOCK_BYTES_MIN;
}

char *
await_imap_block(struct imap *im, size_t want, size_t least, size_t *got)
{
	struct shm_pool *pool = im->c->session->shm;
	want = MIN(MAX(want, least), (size_t)SHM_BLOCK_BYTES_MAX);
	for (int i = 0; i < BLOCK_TRIES; i++) {
		for (size_t size = MAX(MIN(want, imap_block_share(im)), least); size >= least; size = size / 2) {
			char *at = shm_alloc(pool, size);
			if (at) {
				*got = shm_block_bytes(pool, at);
				return at;
			}
			if (size <= SHM_BLOCK_BYTES_MIN)
				break;
		}
		if (await_sleep(BLOCK_WAIT_MS) != OK)
			break;
	}
	im->asked = ERR_AGAIN;
	return NULL;
}

struct store_region
imap_region(struct imap *im, const char *block, size_t bytes)
{
	return (struct store_region){ .off = block ? shm_offset(im->c->session->shm, block) : 0, .len = bytes };
}

struct slice
imap_uids(struct imap *im, struct view_walk *w, uint32_t flags, uint32_t not_flags, size_t max, struct arena *a)
{
	size_t n = 0, i, room = MIN(max, w->spans->messages);
	char *to = arena_alloc(a, room * 4 + 1);
	while (n < room && view_walk_next(w, &i)) {
		const struct index_row *row = &im->view.rows[i];
		if ((row->flags & flags) == flags && !(row->flags & not_flags))
			bytes_set_le(to + 4 * n++, row->uid, 4);
	}
	return slice_of(to, n * 4);
}
