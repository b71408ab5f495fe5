/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - which connection has which account open, and who is told when something changed. Promise 4: no path to
 * mail without a grant; a handle is given for a grant that auth signed and whose generation is the account's.
 *
 * Handles live in memory only: they belong to a connection and end with it. Notices are gathered during a turn of the
 * loop and sent at its end, one for each account and connection. */
#include "store/rows_state.h"
#include "store/texts.h"

static void
tell_peer(struct ipc_peer *peer, const struct open_account *o)
{
	struct store_changed_in notice = { .account = o->account, .mailbox = o->mailbox, .modseq = o->modseq };
	store_changed_notify(peer, &notice);
}

/* Each connection once, however many handles it has. */
static void
each_peer(struct open_account *o, void (*tell)(struct ipc_peer *peer, const struct open_account *o))
{
	struct ipc_peer *told[COUNT_OF(((struct store *)NULL)->peers)];
	size_t n = 0;
	LIST_EACH (&o->handles, it) {
		struct handle *h = CONTAINER_OF(it, struct handle, in_account);
		size_t i = 0;
		while (i < n && told[i] != h->peer)
			i++;
		if (i < n || n == COUNT_OF(told) || !h->peer->conn)
			continue;
		told[n++] = h->peer;
		tell(h->peer, o);
	}
}

static void
notices_send(struct later *l)
{
	struct rows *r = CONTAINER_OF(l, struct rows, notices);
	LIST_EACH (&r->pending, it) {
		struct open_account *o = CONTAINER_OF(it, struct open_account, in_pending);
		list_remove(it);
		each_peer(o, tell_peer);
	}
}

void
notice_changed(struct store *s, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct open_account *o = map_get(&s->accounts_open, account);
	texts_changed(s, account, mailbox);
	if (!o)
		return;
	if (!list_in(&o->in_pending)) {
		list_append(&s->rows->pending, &o->in_pending);
		o->mailbox = mailbox;
		o->modseq = 0;
		s->rows->notices.fn = notices_send;
		loop_later(&s->rows->notices);
	}
	if (o->mailbox != mailbox)
		o->mailbox = 0;
	o->modseq = MAX(o->modseq, modseq);
}

static void
tell_revoked(struct ipc_peer *peer, const struct open_account *o)
{
	struct store_revoked_in notice = { .account = o->account };
	store_revoked_notify(peer, &notice);
}

/* auth keeps credentials warm of accounts that nobody has open. */
static void
tell_auth(const struct store *s, uint64_t account)
{
	struct store_revoked_in notice = { .account = account };
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i]->class_bit == IPC_CLASS_AUTH && s->peers[i]->conn)
			store_revoked_notify(s->peers[i], &notice);
}

void
notice_revoked(struct store *s, uint64_t account)
{
	tell_auth(s, account);
	struct open_account *o = map_get(&s->accounts_open, account);
	if (!o)
		return;
	LIST_EACH (&o->handles, it)
		CONTAINER_OF(it, struct handle, in_account)->revoked = true;
	each_peer(o, tell_revoked);
}

static struct open_account *
open_account_of(struct store *s, uint64_t account)
{
	struct open_account *o = map_get(&s->accounts_open, account);
	if (!o) {
		o = must_calloc(1, sizeof *o);
		o->account = account;
		list_init(&o->handles);
		map_set(&s->accounts_open, account, o);
	}
	return o;
}

static void
handle_free(struct store *s, struct handle *h)
{
	struct open_account *o = h->of;
	if (o->maildrop == h)
		o->maildrop = NULL;
	LIST_EACH (&h->children, it)
		handle_free(s, CONTAINER_OF(it, struct handle, in_children));
	list_remove(&h->in_children);
	list_remove(&h->in_peer);
	list_remove(&h->in_account);
	map_remove(&s->rows->handles, h->id);
	free(h);
	if (list_empty(&o->handles)) {
		list_remove(&o->in_pending);
		map_remove(&s->accounts_open, o->account);
		history_free(&o->history);
		url_resets_free(o);
		free(o);
	}
}

static struct handle *
any_handle_of(struct ipc_call *call, uint32_t id)
{
	struct store_peer *p = call->peer->state;
	struct handle *h = map_get(&p->store->rows->handles, id);
	if (!h || h->peer != call->peer || h->revoked)
		return NULL;
	return h->by && h->by->revoked ? NULL : h;
}

struct handle *
handle_of(struct ipc_call *call, uint32_t id)
{
	struct handle *h = any_handle_of(call, id);
	return h && h->only_mailbox ? NULL : h;
}

struct handle *
handle_of_reader(struct ipc_call *call, uint32_t id, uint64_t mailbox, uint32_t uid)
{
	struct handle *h = any_handle_of(call, id);
	if (h && h->only_mailbox && (h->only_mailbox != mailbox || h->only_uid != uid))
		return NULL;
	return h;
}

static struct handle *
handle_new(struct store *s, struct ipc_peer *peer, uint64_t account)
{
	struct store_peer *p = peer->state;
	struct handle *h = must_calloc(1, sizeof *h);
	do
		h->id = ++s->rows->last_handle;
	while (h->id == 0 || map_get(&s->rows->handles, h->id));
	h->account = h->principal = account;
	h->peer = peer;
	h->of = open_account_of(s, account);
	list_init(&h->children);
	list_append(&p->handles, &h->in_peer);
	list_append(&h->of->handles, &h->in_account);
	map_set(&s->rows->handles, h->id, h);
	return h;
}

struct opening {
	struct grant grant;
	struct row_account account;
	struct row_counters counters;
	struct arena *arena;
};

static enum err
read_account(struct store *s, struct txn *t, void *arg)
{
	struct opening *o = arg;
	enum err e = account_get(t, o->grant.account, &o->account);
	e = e ? e : counters_get(t, o->grant.account, &o->counters);
	o->account.address = slice_keep(o->arena, o->account.address);
	return e;
}

enum err
account_open(struct ipc_call *call, struct slice grant, struct store_account_open_out *out)
{
	struct store_peer *p = call->peer->state;
	struct store *s = p->store;
	struct opening o = { .arena = &call->arena };
	if (!grant_verify(grant, s->rows->grant_key, &o.grant))
		return ERR_DENIED;
	enum err e = store_view(s, read_account, &o);
	if (e)
		return e == ERR_NOT_FOUND ? ERR_STALE : e;
	if (o.account.status != ACCOUNT_ACTIVE)
		return ERR_SUSPENDED;
	if (o.account.generation != o.grant.generation)
		return ERR_STALE;
	struct handle *h = handle_new(s, call->peer, o.grant.account);
	h->rights = o.grant.rights & o.account.rights;
	*out = (struct store_account_open_out){ .handle = h->id,
		                                    .account = h->account,
		                                    .address = o.account.address,
		                                    .rights = h->rights,
		                                    .modseq = o.counters.modseq,
		                                    .quota = usage_of(s, &o.account, &o.counters).bytes_max,
		                                    .used = o.counters.bytes };
	return OK;
}

/* Only a handle of the account itself opens those of others: rights do not add up. */
void
account_open_shared(struct handle *by, uint64_t account, struct store_account_open_shared_out *out)
{
	struct store_peer *p = by->peer->state;
	ASSERT(!by->by && account != by->account);
	struct handle *h = handle_new(p->store, by->peer, account);
	h->principal = by->account;
	h->by = by;
	list_append(&by->children, &h->in_children);
	out->handle = h->id;
	out->account = account;
}

uint32_t
account_open_message(struct handle *by, uint64_t account, uint64_t principal, uint64_t mailbox, uint32_t uid)
{
	struct store_peer *p = by->peer->state;
	ASSERT(!by->by && mailbox && uid);
	struct handle *h = handle_new(p->store, by->peer, account);
	h->principal = principal;
	h->only_mailbox = mailbox;
	h->only_uid = uid;
	h->by = by;
	list_append(&by->children, &h->in_children);
	return h->id;
}

void
account_unshare(struct store *s, uint64_t account)
{
	struct open_account *o = map_get(&s->accounts_open, account);
	if (!o)
		return;
	LIST_EACH (&o->handles, it) {
		struct handle *h = CONTAINER_OF(it, struct handle, in_account);
		h->revoked = h->revoked || h->by;
	}
	notice_changed(s, account, 0, UINT64_MAX); /* whoever watches finds out at once */
}

void
account_close(struct ipc_call *call, uint32_t id)
{
	struct store_peer *p = call->peer->state;
	struct handle *h = map_get(&p->store->rows->handles, id);
	if (h && h->peer == call->peer)
		handle_free(p->store, h);
}

void
account_peer_closed(struct store *s, struct ipc_peer *peer)
{
	struct store_peer *p = peer->state;
	struct link *first;
	while ((first = list_first(&p->handles)) != NULL) /* those that it opened go with a handle */
		handle_free(s, CONTAINER_OF(first, struct handle, in_peer));
}

/* RFC 1939 3: one session at a time has the maildrop. */
enum err
maildrop_lock(struct handle *h)
{
	struct handle *holder = h->of->maildrop;
	if (holder && holder != h && !holder->revoked)
		return ERR_BUSY;
	h->of->maildrop = h;
	return OK;
}

/* Whose limits are meant: one's own, or of any account for an administrator. */
static enum err
limited_account(struct job *j, struct txn *t, struct slice address, bool set, uint64_t *id)
{
	struct row_account own;
	*id = j->account;
	enum err e = address.len || set ? account_get(t, j->account, &own) : OK;
	if (!e && (address.len || set) && !(own.rights & RIGHT_ADMIN))
		return ERR_DENIED;
	return e || !address.len ? e : directory_account_of(t, address, id);
}

enum err
account_usage(struct job *j, struct txn *t)
{
	const struct store_account_usage_in *in = j->in;
	struct store_account_usage_out *out = j->out;
	struct row_account row;
	struct row_counters counters;
	uint64_t id;
	enum err e = limited_account(j, t, in->address, false, &id);
	e = e ? e : account_get(t, id, &row);
	e = e ? e : counters_get(t, id, &counters);
	if (e)
		return e;
	out->usage = usage_of(j->s, &row, &counters);
	return queue_held_bytes(t, id, &out->usage.held);
}

enum err
account_limit(struct job *j, struct txn *t)
{
	const struct store_account_limit_in *in = j->in;
	struct row_account row;
	uint64_t id;
	enum err e = limited_account(j, t, in->address, true, &id);
	e = e ? e : account_get(t, id, &row);
	if (e)
		return e;
	row.quota = in->bytes_max;
	row.messages_max = in->messages_max;
	row.mailboxes_max = in->mailboxes_max;
	row.annotations_max = in->annotations_max;
	account_put(t, id, &row);
	return OK;
}
