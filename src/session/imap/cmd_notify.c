/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_notify.c - NOTIFY (RFC 5465 3.1): what the client wants to be told from now on. What is told then is in notify.c.
 */
#include "session/imap/notify.h"

/* RFC 5465 3.1: where messages are watched, and STATUS was asked for, how the mailbox is now. */
static uint32_t
items_at_start(uint32_t events)
{
	uint32_t items = 0;
	struct cursor messages = cursor_of(S("(MESSAGES UIDNEXT UIDVALIDITY)"));
	struct cursor flags = cursor_of(S("(UIDVALIDITY HIGHESTMODSEQ)"));
	if (events & EVENT_MESSAGES)
		imap_take_status_items(&messages, &items);
	if (events & (EVENT_FLAGS | EVENT_ANNOTATIONS))
		imap_take_status_items(&flags, &items);
	return items;
}

static void
tell_status(struct imap *im, void *to, const struct store_mailbox *m)
{
	const struct notify *n = to;
	bool selected = im->state == IMAP_SELECTED && m->id == im->view.mailbox && m->account == im->view.account;
	if (selected || !m->id || (m->attributes & MAILBOX_NOSELECT))
		return;
	uint32_t items = items_at_start(imap_events_of(n, m->name, m->attributes & MAILBOX_SUBSCRIBED));
	if (items)
		imap_put_status(im, m->name, m, items);
}

/* RFC 5465 3.1: what can be listed and not read is \NoAccess */
static void
tell_shared(struct imap *im, void *to, const struct store_mailbox *m)
{
	const struct notify *n = to;
	bool subscribed = map_get(&n->subscribed, slice_hash(m->name)) != NULL;
	struct store_mailbox shown = *m;
	shown.attributes |= subscribed ? MAILBOX_SUBSCRIBED : 0;
	if (m->rights & ACL_READ) {
		if (n->what.status)
			tell_status(im, to, &shown);
	} else if (imap_events_of(n, m->name, subscribed)) {
		shown.attributes = (shown.attributes & ~(uint32_t)MAILBOX_HAS_CHILDREN) | LIST_NOACCESS | LIST_CHILDREN_UNKNOWN;
		imap_tell_name(im, &shown, SLICE_NONE);
	}
}

/* What the client asked for, in the words of notify.h. */
static void
sum_up(struct notify *n)
{
	for (size_t i = 0; i < n->what.ngroups; i++) {
		struct imap_event_group *g = &n->what.groups[i];
		if (g->filter.kind > FILTER_DELAYED) {
			n->elsewhere |= g->events;
			continue;
		}
		n->selected = g->events & (EVENT_MESSAGES | EVENT_ANNOTATIONS);
		n->delayed = g->filter.kind == FILTER_DELAYED;
		g->fetch.sets_seen = false; /* nobody read it */
		n->fetch = g->fetches ? &g->fetch : NULL;
	}
}

/* OK status: it can be done. */
static struct imap_reply
judge(const struct notify *n)
{
	for (size_t i = 0; i < n->what.ngroups; i++)
		if (n->what.groups[i].events & EVENT_OTHER)
			return imap_no("BADEVENT (MessageNew MessageExpunge FlagChange AnnotationChange MailboxName "
			               "SubscriptionChange MailboxMetadataChange "
			               "ServerMetadataChange)",
			               "there are no such events here");
	if (n->what.names > FILTER_NAMES_MAX)
		return imap_no("NOTIFICATIONOVERFLOW", "at most 1000 names of mailboxes, or PERSONAL or SUBTREE");
	return imap_ok("");
}

static enum err
await_begin(struct imap *im, struct notify *n)
{
	struct store_account_changes_in in = { .since = 0 };
	struct store_account_changes_out out = { 0 };
	enum err e = OK;
	if (n->elsewhere)
		e = await_imap_ask(im, account_changes, &in, &im->arena, &out);
	n->upto = out.upto;
	e = e || !n->elsewhere ? e : await_imap_watch_all(im, n, false);
	for (size_t i = 0; i < n->nwatches && e == OK; i++) {
		bool numbers = n->what.status && (n->elsewhere & EVENT_MESSAGES);
		e = await_imap_each_of(im, n->watches[i].owner, numbers, tell_shared, n);
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	if (e == OK && n->what.status && (n->elsewhere & EVENT_MESSAGES))
		e = await_imap_each_mailbox(im, true, tell_status, n);
	return e;
}

/* RFC 5465 3.1: what gathered until now is told first */
static struct imap_reply
await_replace(struct imap *im, struct notify *n)
{
	struct notify *old = im->notify;
	im->notify = NULL;
	await_imap_sync(im, SYNC_ASK | SYNC_EXPUNGES);
	enum err e = await_begin(im, n);
	if (e != OK) {
		im->notify = old;
		return e == ERR_LIMIT
		           ? imap_no("NOTIFICATIONOVERFLOW", "too many others share these mailboxes: name some of them")
		           : imap_err(e);
	}
	im->notify = n;
	notify_free(im, &old);
	return imap_ok(n->what.set ? "you will be told" : "nothing will be told");
}

struct imap_reply
imap_cmd_notify(struct imap *im, struct cursor *args)
{
	struct notify *n = must_calloc(1, sizeof *n);
	arena_init(&n->arena, 0);
	/* what is taken points into the text, and stays as long as it holds */
	struct cursor c = cursor_of(slice_keep(&n->arena, cursor_rest(args)));
	struct imap_reply r = imap_bad("NOTIFY takes NONE, or SET and groups of mailboxes with their events");
	if (imap_take_notify(&c, &n->arena, imap_names(im), &n->what))
		r = judge(n);
	if (r.status == IMAP_OK) {
		sum_up(n);
		r = await_replace(im, n);
	}
	if (r.status != IMAP_OK)
		notify_free(im, &n);
	return r;
}
