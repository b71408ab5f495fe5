/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - NOTIFY for mailboxes of others (RFC 5465 5.9, RFC 4314): whose accounts a client means, and what happens
 * there. Called by cmd_notify.c and notify.c.
 *
 * Each of these accounts is asked for its changes with the client's handle there: the store tells only what the client
 * may look up, or could until then. That somebody else begins to share is told in the client's own account. Accounts
 * that share nothing with him by name when NOTIFY is said, and later share with anyone, are found with the next NOTIFY.
 */
#include "session/imap/notify.h"

enum {
	TEXT_BYTES = 32 << 10,
	SUBSCRIPTIONS_MAX = 1000, /* to mailboxes of others */
	READABLE = ACL_LOOKUP | ACL_READ,
};

/* ---- whom */

static bool
is_watched(const struct notify *n, const struct imap_owner *o)
{
	for (size_t i = 0; i < n->nwatches; i++)
		if (n->watches[i].owner == o)
			return true;
	return false;
}

static void
watch_end(struct imap *im, struct notify *n, size_t i)
{
	struct imap_owner *o = n->watches[i].owner;
	n->watches[i] = n->watches[--n->nwatches];
	ASSERT(o->watched > 0);
	o->watched--;
	imap_hear_owner(im, o);
}

void
imap_watch_none(struct imap *im, struct notify *n)
{
	while (n->nwatches)
		watch_end(im, n, n->nwatches - 1);
	free(n->watches);
	n->watches = NULL;
	map_release(&n->subscribed);
}

/* Names in filters are written as his account is called here: case does not matter there. */
static void
respell(struct notify *n, const struct imap_owner *o)
{
	struct slice owner, rest, address = slice_text(o->address);
	bool is_public;
	for (size_t i = 0; i < n->what.ngroups; i++) {
		struct imap_filter *f = &n->what.groups[i].filter;
		for (size_t k = 0; k < f->nnames; k++) {
			if (!imap_split_place(f->names[k], &owner, &is_public, &rest) || !owner.len || is_public != o->is_public ||
			    slice_equal(owner, address) || !slice_equal_nocase(owner, address))
				continue;
			struct slice name = slice_keep(&n->arena, f->names[k]);
			memcpy((char *)name.at + (owner.at - f->names[k].at), address.at, owner.len);
			f->names[k] = name;
		}
	}
}

/* What somebody shares who was not watched so far (RFC 5465 5.4: l was granted). */
static void
tell_found(struct imap *im, void *to, const struct store_mailbox *m)
{
	const struct notify *n = to;
	bool subscribed = map_get(&n->subscribed, slice_hash(m->name)) != NULL;
	struct store_mailbox shown = *m;
	if (!m->id || !imap_events_of(n, m->name, subscribed))
		return;
	shown.attributes = (shown.attributes & ~(uint32_t)MAILBOX_HAS_CHILDREN) | LIST_CHILDREN_UNKNOWN;
	shown.attributes |= subscribed ? MAILBOX_SUBSCRIBED : 0;
	shown.attributes |= m->rights & ACL_READ ? 0 : LIST_NOACCESS;
	imap_tell_name(im, &shown, SLICE_NONE);
}

/* From now on his account is heard; who shares nothing is passed over. */
static enum err
await_watch(struct imap *im, struct notify *n, struct slice owner, bool is_public, bool tell)
{
	struct store_account_changes_in in = { .since = 0 };
	struct store_account_changes_out out = { 0 };
	struct imap_owner *o;
	enum err e = await_imap_owner(im, owner, is_public, &o);
	if (e || is_watched(n, o))
		return e == ERR_NOT_FOUND ? OK : e;
	if (n->nwatches == NOTIFY_OWNERS_MAX)
		return ERR_LIMIT;
	if (!n->watches)
		n->watches = must_calloc(NOTIFY_OWNERS_MAX, sizeof *n->watches);
	n->watches[n->nwatches++] = (struct notify_watch){ .owner = o, .account = o->account };
	o->watched++;
	imap_hear_owner(im, o);
	respell(n, o);
	e = await_imap_ask_of(im, o, account_changes, &in, &im->arena, &out);
	if (e != OK) {
		watch_end(im, n, n->nwatches - 1);
		return e == ERR_NOT_FOUND ? OK : e;
	}
	n->watches[n->nwatches - 1].upto = out.upto;
	e = tell ? await_imap_each_of(im, o, false, tell_found, n) : OK;
	return e == ERR_NOT_FOUND ? OK : e;
}

struct subscriptions {
	struct notify *n;
	struct slice *names;
	size_t count;
	bool too_many;
};

static void
collect(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct subscriptions *s = to;
	if (!(m->attributes & MAILBOX_SUBSCRIBED) || !imap_is_elsewhere(m->name))
		return;
	s->too_many = s->too_many || s->count == SUBSCRIPTIONS_MAX;
	if (s->too_many)
		return;
	s->names[s->count++] = slice_keep(&im->arena, m->name);
	map_set(&s->n->subscribed, slice_hash(m->name), s->n);
}

static bool
means_subscribed(const struct notify *n)
{
	for (size_t i = 0; i < n->what.ngroups; i++)
		if (n->what.groups[i].filter.kind == FILTER_SUBSCRIBED && n->what.groups[i].events)
			return true;
	return false;
}

static enum err
await_place(struct imap *im, struct notify *n, struct slice name, bool tell)
{
	struct slice owner, rest;
	bool is_public;
	if (!imap_split_place(name, &owner, &is_public, &rest) || !owner.len)
		return OK;
	return await_watch(im, n, owner, is_public, tell);
}

/* RFC 5465 6.4: when the list changes, it is read again. */
static enum err
await_subscriptions(struct imap *im, struct notify *n, bool tell)
{
	struct subscriptions s = { .n = n, .names = ARENA_ARRAY(&im->arena, struct slice, SUBSCRIPTIONS_MAX) };
	map_release(&n->subscribed);
	enum err e = await_imap_each_mailbox(im, false, collect, &s);
	if (e || !means_subscribed(n))
		return e;
	for (size_t i = 0; i < s.count && !e; i++)
		e = await_place(im, n, s.names[i], tell);
	return e ? e : s.too_many ? ERR_LIMIT : OK;
}

/* Those that names in filters lead to. roots: the names above all of them, as bits. */
static enum err
await_named(struct imap *im, struct notify *n, bool tell, uint32_t *roots)
{
	enum err e = OK;
	for (size_t i = 0; i < n->what.ngroups; i++) {
		const struct imap_filter *f = &n->what.groups[i].filter;
		for (size_t k = 0; k < f->nnames && !e && n->what.groups[i].events; k++) {
			bool tree = f->kind == FILTER_SUBTREE;
			*roots |= tree && slice_equal(f->names[k], S(ROOT_OTHERS)) ? 1u : 0;
			*roots |= tree && slice_equal(f->names[k], S(ROOT_SHARED)) ? 2u : 0;
			e = await_place(im, n, f->names[k], tell);
		}
	}
	return e;
}

/* Everybody who shares, as LIST shows them. */
static enum err
await_sharers(struct imap *im, struct notify *n, bool tell, uint32_t roots)
{
	struct store_sharer_list_in in = { .after = 0 };
	struct store_sharer_list_out out = { .more = roots != 0 };
	struct arena page;
	enum err e = OK;
	arena_init(&page, 0);
	while (out.more && !e) {
		arena_clear(&page);
		out = (struct store_sharer_list_out){ 0 };
		e = await_imap_ask(im, sharer_list, &in, &page, &out);
		for (uint32_t i = 0; i < out.nsharers && !e; i++) {
			const struct store_sharer *who = &out.sharers[i];
			bool is_public = who->public.len > 0;
			if (roots & (is_public ? 2u : 1u))
				e = await_watch(im, n, is_public ? who->public : who->address, is_public, tell);
		}
		in.after = out.after;
	}
	arena_release(&page);
	return e;
}

enum err
await_imap_watch_all(struct imap *im, struct notify *n, bool tell)
{
	uint32_t roots = 0;
	enum err e = await_subscriptions(im, n, tell);
	e = e ? e : await_named(im, n, tell, &roots);
	return e ? e : await_sharers(im, n, tell, roots);
}

/* ---- what happened there */

/* RFC 5465 5.9, 3.1, 5.4: l and r were given, or taken away. */
static void
tell_rights(struct imap *im, const struct store_account_change *change)
{
	const struct store_mailbox *m = &change->mailbox;
	if ((m->rights & READABLE) != (change->rights_was & READABLE) &&
	    imap_events_of(im->notify, m->name, m->attributes & MAILBOX_SUBSCRIBED))
		imap_tell_name(im, m, SLICE_NONE);
}

static void
tell_shared(struct imap *im, const struct imap_owner *o, const struct store_account_change *change)
{
	struct store_account_change shown = *change;
	struct store_mailbox *m = &shown.mailbox;
	m->name = imap_name_at(&im->arena, o, m->name);
	if (change->what & CHANGED_RENAMED)
		shown.old = imap_name_at(&im->arena, o, change->old);
	if (slice_equal(change->mailbox.name, S("INBOX"))) /* all that he shares is shown below it */
		m->attributes = (m->attributes & ~(uint32_t)MAILBOX_HAS_CHILDREN) | LIST_CHILDREN_UNKNOWN;
	if (map_get(&im->notify->subscribed, slice_hash(m->name)))
		m->attributes |= MAILBOX_SUBSCRIBED;
	if (!(m->rights & ACL_READ) && (m->id || (change->what & CHANGED_RIGHTS)))
		m->attributes |= LIST_NOACCESS;
	if (change->what & CHANGED_RIGHTS)
		tell_rights(im, &shown);
	else
		imap_tell_change(im, &shown);
}

/* The account is gone, or nothing in it is shared any more. */
static void
tell_gone(struct imap *im, struct notify *n, size_t i)
{
	struct slice root = imap_name_at(&im->arena, n->watches[i].owner, S("INBOX"));
	const struct store_mailbox none = { .name = root, .attributes = LIST_NOACCESS };
	if (imap_events_of(n, root, map_get(&n->subscribed, slice_hash(root)) != NULL))
		imap_tell_name(im, &none, SLICE_NONE);
	watch_end(im, n, i);
}

/* One page. False: asked again later, or there is nothing to watch any more. */
static bool
await_page(struct imap *im, size_t i)
{
	struct notify *n = im->notify;
	struct notify_watch *w = &n->watches[i];
	struct store_account_changes_in in = { .since = w->upto };
	struct store_account_changes_out out = { 0 };
	w->news = false;
	enum err e = await_imap_ask_of(im, w->owner, account_changes, &in, &im->arena, &out);
	if (e == ERR_NOT_FOUND || (e == OK && w->owner->account != w->account)) { /* or the name is another account's now */
		n->look_again = e == OK;
		tell_gone(im, n, i);
		return false;
	}
	if (e != OK) {
		w->news = true; /* with the next notice */
		return false;
	}
	for (uint32_t k = 0; k < out.nchanges; k++) {
		tell_shared(im, w->owner, &out.changes[k]);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
	w->upto = out.upto;
	if (out.lost)
		imap_notify_overflow(im);
	await_imap_text(im);
	return out.more && !out.lost;
}

void
await_imap_watched(struct imap *im)
{
	struct notify *n = im->notify;
	for (size_t i = n->nwatches; i-- > 0;) /* from the last one: what ends is replaced by one that was looked at */
		while (i < n->nwatches && n->watches[i].news && im->c->io.error == OK && await_page(im, i))
			n->watches[i].news = true;
	await_imap_text(im);
}
