/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - where a mailbox name leads: into the client's own account, or, below "Other Users" and "Shared" (RFC 2342),
 * into that of somebody else who shares mailboxes with him. "Other Users/bob@example.com" is bob's INBOX, what follows
 * are the names in his account; "Shared/Team" is an account that is public in the client's domain. Called by all
 * commands that take names. Accounts of others are kept open, the last ones used. */
#include "session/imap/imap.h"

enum { OWNERS_MAX = 16 };

static const struct {
	struct slice root;
	bool is_public;
} roots[] = {
	{ S_ROW(ROOT_OTHERS "/"), false },
	{ S_ROW(ROOT_SHARED "/"), true },
};

bool
imap_is_elsewhere(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(roots); i++) {
		struct slice bare = slice_part(roots[i].root, 0, roots[i].root.len - 1);
		if (slice_starts(name, roots[i].root) || slice_equal(name, bare))
			return true;
	}
	return false;
}

struct slice
imap_name_at(struct arena *a, const struct imap_owner *o, struct slice name)
{
	if (!o)
		return name;
	struct slice root = arena_join(a, roots[o->is_public].root, slice_text(o->address));
	return slice_equal(name, S("INBOX")) ? root : arena_join(a, arena_join(a, root, S("/")), name);
}

struct slice
imap_selected_name(struct imap *im)
{
	return imap_name_at(&im->arena, im->owner, slice_of(im->view.name, im->view.name_bytes));
}

/* All but the newest, and the one whose mailbox is selected. */
static void
forget_oldest(struct imap *im)
{
	size_t n = 0;
	for (struct imap_owner **at = &im->owners; *at;) {
		struct imap_owner *o = *at;
		if (++n <= OWNERS_MAX || o == im->owner || o == im->held || o->watched) {
			at = &o->next;
			continue;
		}
		if (o->handle_generation && o->handle_generation == im->c->session->store.generation)
			store_account_close_notify(&im->c->session->store, &(struct store_account_close_in){ o->handle });
		*at = o->next;
		conn_hear(im->c, &o->ear, 0);
		free(o->address);
		free(o);
	}
}

/* The owner of this address or public name, at the front of the list. */
static struct imap_owner *
owner_of(struct imap *im, struct slice address, bool is_public)
{
	struct imap_owner **at = &im->owners, *o;
	while (*at && !((*at)->is_public == is_public && slice_equal_nocase(slice_text((*at)->address), address)))
		at = &(*at)->next;
	o = *at;
	if (o) {
		*at = o->next;
	} else {
		o = must_calloc(1, sizeof *o);
		o->address = slice_dup(address);
		o->is_public = is_public;
	}
	o->next = im->owners;
	im->owners = o;
	forget_oldest(im);
	return o;
}

/* An address may have a slash before its "@"; a public name has none. */
static void
split_owner(struct slice name, bool is_public, struct slice *owner, struct slice *rest)
{
	ptrdiff_t at = is_public ? 0 : MAX(slice_find_char(name, '@'), (ptrdiff_t)0);
	struct slice tail;
	if (slice_cut(slice_from(name, (size_t)at), '/', &tail, rest)) {
		*owner = slice_part(name, 0, (size_t)at + tail.len);
	} else {
		*owner = name;
		*rest = SLICE_NONE;
	}
}

bool
imap_split_place(struct slice name, struct slice *owner, bool *is_public, struct slice *rest)
{
	size_t i = 0;
	*owner = SLICE_NONE;
	*rest = name;
	if (!imap_is_elsewhere(name))
		return true;
	while (i < COUNT_OF(roots) && !slice_starts(name, roots[i].root))
		i++;
	if (i == COUNT_OF(roots))
		return false;
	*is_public = roots[i].is_public;
	split_owner(slice_from(name, roots[i].root.len), *is_public, owner, rest);
	if (!rest->len)
		*rest = S("INBOX");
	return owner->len && owner->len <= (*is_public ? 255 : 1000) && slice_find_char(*owner, '\0') < 0;
}

enum err
await_imap_owner(struct imap *im, struct slice owner, bool is_public, struct imap_owner **o)
{
	uint32_t handle;
	*o = owner_of(im, owner, is_public);
	return await_imap_handle(im, *o, &handle) ? OK : im->asked;
}

enum err
await_imap_place(struct imap *im, struct slice name, struct imap_place *p)
{
	struct slice owner;
	bool is_public;
	*p = (struct imap_place){ NULL, name };
	if (!imap_split_place(name, &owner, &is_public, &p->name))
		return ERR_NOT_FOUND;
	if (!owner.len) {
		im->named[0] = im->nnamed ? im->named[im->nnamed - 1] : name;
		im->nnamed = MIN(im->nnamed + 1, COUNT_OF(im->named));
		im->named[im->nnamed - 1] = name;
		return OK;
	}
	return await_imap_owner(im, owner, is_public, &p->owner);
}

struct imap_reply
imap_err_at(const struct imap_place *p, enum err e)
{
	if (e == ERR_DENIED && !p->owner)
		return imap_no("CANNOT", "that is not allowed");
	return imap_err(e);
}
