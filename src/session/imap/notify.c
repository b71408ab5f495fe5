/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - tells a client of NOTIFY what happened (RFC 5465): STATUS and LIST of mailboxes that are not selected,
 * FETCH of new messages of the one that is. The store's notice only says that something changed in the account;
 * account_changes says what, so the cost is that of the change and not of the number of mailboxes. When the store does
 * not know any more (it was started again meanwhile), the client hears NOTIFICATIONOVERFLOW (5.8) and NOTIFY ends. */
#include "session/imap/notify.h"

#include "session/imap/context.h"
#include "session/imap/fetch.h"

enum { TEXT_BYTES = 32 << 10 };

void
notify_free(struct imap *im, struct notify **n)
{
	if (*n) {
		imap_watch_none(im, *n);
		arena_release(&(*n)->arena);
	}
	free(*n);
	*n = NULL;
}

uint32_t
imap_events_selected(const struct imap *im)
{
	return im->notify ? im->notify->selected : EVENT_MESSAGES;
}

bool
imap_notify_concerns(struct imap *im, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct notify *n = im->notify;
	bool news = false;
	if (!n || !n->elsewhere)
		return false;
	if (im->state == IMAP_SELECTED && mailbox == im->view.mailbox &&
	    account == im->view.account) /* asked for with the next change elsewhere */
		return false;
	if ((!account || account == im->account) && modseq > n->upto)
		news = n->news = true;
	for (size_t i = 0; i < n->nwatches; i++)
		if ((!account || account == n->watches[i].owner->account) && modseq > n->watches[i].upto)
			news = n->watches[i].news = true;
	return news;
}

void
imap_notify_subscribed(struct imap *im)
{
	if (!im->notify || !im->notify->elsewhere)
		return;
	im->notify->look_again = true;
	conn_wake(im->c);
}

bool
imap_notify_expunges(const struct imap *im)
{
	return im->notify && (im->notify->selected & EVENT_EXPUNGE) && !im->notify->delayed;
}

/* ---- other mailboxes */

uint32_t
imap_events_of(const struct notify *n, struct slice name, bool subscribed)
{
	uint32_t events = 0;
	for (size_t i = 0; i < n->what.ngroups; i++)
		if (imap_filter_holds(&n->what.groups[i].filter, name, subscribed))
			events |= n->what.groups[i].events;
	return events;
}

/* The items of STATUS that these events call for (RFC 5465 5.1, 5.2, 5.3). */
static uint32_t
items_of(const struct imap *im, uint32_t events)
{
	uint32_t items = 0;
	struct cursor messages = cursor_of(S("(MESSAGES UIDNEXT UIDVALIDITY)"));
	struct cursor flags = cursor_of(S("(UIDVALIDITY UNSEEN)"));
	struct cursor modseq = cursor_of(S("(HIGHESTMODSEQ)"));
	if (events & (EVENT_NEW | EVENT_EXPUNGE))
		imap_take_status_items(&messages, &items);
	if (events & (EVENT_FLAGS | EVENT_ANNOTATIONS))
		imap_take_status_items(&flags, &items);
	if (items && (im->enabled & ENABLED_CONDSTORE))
		imap_take_status_items(&modseq, &items);
	return items;
}

static bool
is_selected(const struct imap *im, const struct store_mailbox *m)
{
	return im->state == IMAP_SELECTED && m->id == im->view.mailbox && m->account == im->view.account;
}

static bool
has_messages(const struct store_mailbox *m)
{
	return m->id && !(m->attributes & MAILBOX_NOSELECT) && (m->rights & ACL_READ);
}

static void
tell_messages(struct imap *im, const struct store_account_change *change, uint32_t events)
{
	uint32_t news = 0;
	if (change->what & (CHANGED_NEW | CHANGED_EXPUNGED))
		news |= EVENT_NEW | EVENT_EXPUNGE;
	/* a name that came may have another UIDVALIDITY than before (5.1) */
	if (change->what & (CHANGED_FLAGS | CHANGED_NAME | CHANGED_RENAMED))
		news |= EVENT_FLAGS;
	if (change->what & CHANGED_ANNOTATIONS)
		news |= EVENT_ANNOTATIONS;
	uint32_t items = items_of(im, events & news);
	if (items && has_messages(&change->mailbox) && !is_selected(im, &change->mailbox))
		imap_put_status(im, change->mailbox.name, &change->mailbox, items);
}

/* * LIST (\Subscribed) "/" "new" ("OLDNAME" ("old")): RFC 5465 5.4, 5.5 */
void
imap_tell_name(struct imap *im, const struct store_mailbox *m, struct slice old)
{
	uint32_t attributes = m->attributes;
	if (!m->id && !(attributes & MAILBOX_HAS_CHILDREN))
		attributes = (attributes & ~(uint32_t)MAILBOX_NOSELECT) | LIST_NONEXISTENT;
	imap_put_list(im, attributes, m->name, old.len ? old : m->name);
}

/* * METADATA "INBOX" /shared/comment (RFC 5464 4.4.2); the server is in no group of mailboxes (RFC 5465 5.7) */
static void
tell_metadata(struct imap *im, const struct store_account_change *change, uint32_t events)
{
	struct slice mailbox = change->mailbox.name;
	if (!(mailbox.len ? events & EVENT_METADATA : im->notify->elsewhere & EVENT_SERVER_METADATA))
		return;
	buf_put(&im->text, S("* METADATA "));
	imap_put_mailbox(im, &im->text, mailbox);
	buf_put_char(&im->text, ' ');
	imap_put_string(&im->text, change->old);
	buf_put(&im->text, S("\r\n"));
}

void
imap_tell_change(struct imap *im, const struct store_account_change *change)
{
	const struct store_mailbox *m = &change->mailbox;
	/* a subscription that ended concerns those who watch what is subscribed, too */
	bool subscribed = (m->attributes & MAILBOX_SUBSCRIBED) || (change->what & CHANGED_SUBSCRIPTION);
	uint32_t events = imap_events_of(im->notify, m->name, subscribed);
	if (change->what & CHANGED_METADATA) {
		tell_metadata(im, change, events);
		return;
	}
	if (change->old.len)
		events |= imap_events_of(im->notify, change->old, subscribed);
	bool renamed = (events & EVENT_NAME) && (change->what & CHANGED_RENAMED);
	if (renamed || ((events & EVENT_NAME) && (change->what & CHANGED_NAME)) ||
	    ((events & EVENT_SUBSCRIPTION) && (change->what & CHANGED_SUBSCRIPTION)))
		imap_tell_name(im, m, renamed ? change->old : SLICE_NONE);
	tell_messages(im, change, events);
}

/* RFC 5465 5.8: as after NOTIFY NONE */
void
imap_notify_overflow(struct imap *im)
{
	struct notify *n = im->notify;
	imap_untagged(im, S("OK [NOTIFICATIONOVERFLOW] what changed is not known any more, ask for notifications again"));
	imap_watch_none(im, n);
	n->what.ngroups = 0;
	n->selected = n->elsewhere = 0;
	n->fetch = NULL;
}

/* A subscription to a mailbox of somebody else: what it is now he must be asked. */
static void
await_tell_elsewhere(struct imap *im, const struct store_account_change *change)
{
	struct store_account_change shown = *change;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	struct imap_place p;
	enum err e = await_imap_place(im, change->mailbox.name, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, &im->arena, &out);
	if (e == OK && (out.mailbox.rights & ACL_LOOKUP)) {
		shown.mailbox.id = out.mailbox.id;
		shown.mailbox.attributes = out.mailbox.attributes | (change->mailbox.attributes & MAILBOX_SUBSCRIBED);
	}
	im->notify->look_again = true;
	imap_tell_change(im, &shown);
}

static void
await_tell(struct imap *im, const struct store_account_change *change)
{
	if (change->what & CHANGED_SHARER)
		im->notify->look_again = im->notify->new_sharer = true;
	else if ((change->what & CHANGED_SUBSCRIPTION) && imap_is_elsewhere(change->mailbox.name))
		await_tell_elsewhere(im, change);
	else
		imap_tell_change(im, change);
}

static void
await_own(struct imap *im)
{
	struct notify *n = im->notify;
	bool more = n->news;
	while (more && im->c->io.error == OK) {
		struct store_account_changes_in in = { .since = n->upto };
		struct store_account_changes_out out = { 0 };
		n->news = false;
		enum err e = await_imap_ask(im, account_changes, &in, &im->arena, &out);
		if (e != OK) {
			n->news = true; /* with the next notice */
			return;
		}
		for (uint32_t i = 0; i < out.nchanges; i++) {
			await_tell(im, &out.changes[i]);
			if (im->text.len > TEXT_BYTES)
				await_imap_text(im);
		}
		n->upto = out.upto;
		more = out.more && !out.lost;
		if (out.lost)
			imap_notify_overflow(im);
		await_imap_text(im);
	}
}

void
await_imap_notify(struct imap *im)
{
	struct notify *n = im->notify;
	if (!n)
		return;
	await_own(im);
	if (n->look_again && n->elsewhere) {
		enum err e = await_imap_watch_all(im, n, n->new_sharer);
		if (e == ERR_LIMIT)
			imap_notify_overflow(im);
		n->look_again = e != OK && e != ERR_LIMIT; /* with the next notice */
		n->new_sharer = n->new_sharer && n->look_again;
	}
	await_imap_watched(im);
}

/* ---- new messages of the selected mailbox */

void
imap_notify_own(struct imap *im, uint32_t uidvalidity, struct slice uids)
{
	if (im->state != IMAP_SELECTED || uidvalidity != im->view.uidvalidity)
		return;
	for (size_t i = 0; i + 4 <= uids.len; i += 4) {
		uint32_t uid = (uint32_t)bytes_get_le(uids.at + i, 4);
		if (im->nown && im->own[im->nown - 1].high + 1 == uid)
			im->own[im->nown - 1].high = uid;
		else if (im->nown < COUNT_OF(im->own)) /* else it is told of one that it knows */
			im->own[im->nown++] = (struct imap_range){ uid, uid, false };
	}
}

static bool
is_own(const struct imap *im, uint32_t uid)
{
	for (size_t i = 0; i < im->nown; i++)
		if (uid >= im->own[i].low && uid <= im->own[i].high)
			return true;
	return false;
}

static bool
has_section(const struct imap_fetch *f, struct slice label)
{
	for (size_t i = 0; i < f->nsections; i++)
		if (slice_equal(f->sections[i].label, label))
			return true;
	return false;
}

static void
add_fetch(struct imap_fetch *to, const struct imap_fetch *more)
{
	to->items |= more->items;
	to->annotations = more->annotations ? more->annotations : to->annotations;
	for (size_t i = 0; i < more->nsections; i++)
		if (!has_section(to, more->sections[i].label))
			to->sections[to->nsections++] = more->sections[i];
}

/* What NOTIFY and these contexts want, together (RFC 5465 5.2: a single FETCH). */
static struct imap_fetch
fetch_of(struct imap *im, uint64_t wanted)
{
	struct imap_fetch all = { .items = 0 };
	size_t sections = im->notify && im->notify->fetch ? im->notify->fetch->nsections : 0, number = 0;
	for (const struct context *c = im->contexts; c; c = c->next)
		sections += c->fetch ? c->fetch->nsections : 0;
	all.sections = ARENA_ARRAY(&im->arena, struct imap_section, sections);
	if (im->notify && im->notify->fetch)
		add_fetch(&all, im->notify->fetch);
	for (const struct context *c = im->contexts; c; c = c->next, number++)
		if (c->fetch && (wanted >> number & 1))
			add_fetch(&all, c->fetch);
	return all;
}

/* A stretch of rows of which the same is wanted. */
static void
await_fetch_run(struct imap *im, size_t from, size_t to, uint64_t wanted)
{
	struct imap_fetch what = fetch_of(im, wanted);
	struct view_span span = { from, to };
	struct view_spans s = { &span, 1, to - from };
	if (what.items || what.nsections) /* what is gone already is told as EXPUNGE in a moment */
		(void)await_imap_fetch(im, &what, &s);
}

void
await_imap_fetch_new(struct imap *im, size_t first, const uint32_t *rows, const uint64_t *wanted, size_t n)
{
	size_t count = im->view.count, k = 0;
	uint64_t before = 0;
	while (k < n && rows[k] < first)
		k++;
	size_t from = first;
	for (size_t i = first; i < count; i++) {
		uint64_t now = k < n && rows[k] == i ? wanted[k] : 0;
		k += k < n && rows[k] == i;
		bool own = is_own(im, im->view.rows[i].uid);
		if (from < i && (own || now != before))
			await_fetch_run(im, from, i, before);
		if (own || now != before)
			from = i + own;
		before = now;
	}
	if (from < count)
		await_fetch_run(im, from, count, before);
	await_imap_text(im);
}
