/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - what changed in an account since a modseq: which mailboxes got, lost or changed messages, which names
 * came, went or were renamed. So a session that watches 10,000 mailboxes asks for the three that changed. Called by
 * calls.c when a change is durable, and by account_changes.
 *
 * Kept in memory from the first account_changes of an account until its last handle is closed, at most
 * history_entries_max entries: a mailbox has one for its messages however often they change, a name one for each event.
 * What is older is forgotten, and who asks for it is told so. Who made a change does not hear of it (RFC 5465 5).
 *
 * Those with whom the account shares mailboxes may ask, too: they hear of what they may look up now, or could until
 * then. So an entry keeps the list of rights that stood there before. */
#include "store/rows_state.h"

uint32_t history_entries_max = 4096;

#define CHANGES_PAGE 250            /* of store.msg */
#define LOOKED_AT_MAX 500           /* entries of somebody else for one answer */
#define RIGHTS_BYTES_MAX (1u << 20) /* of lists of rights in one history */

/* When something of one kind was done last, and by whom; other: when by anybody else. */
struct mark {
	uint64_t last, other;
	uint32_t by;
};

static const uint32_t marked[] = { CHANGED_NEW, CHANGED_EXPUNGED, CHANGED_FLAGS, CHANGED_ANNOTATIONS };
#define MARKS COUNT_OF(marked)

struct entry {
	struct link link;
	uint64_t modseq;
	uint64_t mailbox; /* 0: a name; HISTORY_SHARER and an account */
	uint32_t what;
	uint32_t by;
	struct mark marks[MARKS]; /* of a mailbox */
	char *name, *old, *acl;
	size_t name_bytes, old_bytes, acl_bytes;
};

struct history {
	struct link entries; /* by modseq */
	struct map mailboxes;
	uint32_t count;
	size_t acl_bytes; /* of all entries */
	uint64_t floor;   /* everything after it is here */
	uint64_t last;
};

static void
entry_free(struct history *h, struct entry *e)
{
	list_remove(&e->link);
	if (e->mailbox)
		map_remove(&h->mailboxes, e->mailbox);
	free(e->name);
	free(e->old);
	free(e->acl);
	h->acl_bytes -= e->acl_bytes;
	free(e);
	h->count--;
}

void
history_free(struct history **history)
{
	struct history *h = *history;
	if (!h)
		return;
	LIST_EACH (&h->entries, it)
		entry_free(h, CONTAINER_OF(it, struct entry, link));
	map_release(&h->mailboxes);
	free(h);
	*history = NULL;
}

/* ---- writing */

static void
mark_set(struct mark *m, uint64_t modseq, uint32_t by)
{
	if (m->last && m->by != by)
		m->other = m->last;
	m->last = modseq;
	m->by = by;
}

static struct entry *
entry_new(struct history *h, size_t acl_bytes)
{
	while (h->count >= history_entries_max || (h->count && h->acl_bytes + acl_bytes > RIGHTS_BYTES_MAX)) {
		struct entry *oldest = CONTAINER_OF(list_first(&h->entries), struct entry, link);
		h->floor = oldest->modseq;
		entry_free(h, oldest);
	}
	h->count++;
	return must_calloc(1, sizeof(struct entry));
}

static struct entry *
entry_of_mailbox(struct history *h, uint64_t mailbox)
{
	struct entry *e = map_get(&h->mailboxes, mailbox);
	if (e) {
		list_remove(&e->link);
		return e;
	}
	e = entry_new(h, 0);
	e->mailbox = mailbox;
	map_set(&h->mailboxes, mailbox, e);
	return e;
}

static struct entry *
entry_of_name(struct history *h, const struct note *n)
{
	struct entry *e = entry_new(h, n->acl.len);
	e->what = n->what;
	e->name = slice_dup(n->name);
	e->name_bytes = n->name.len;
	e->old = slice_dup(n->old);
	e->old_bytes = n->old.len;
	e->acl = slice_dup(n->acl);
	e->acl_bytes = n->acl.len;
	h->acl_bytes += n->acl.len;
	return e;
}

void
history_note(struct store *s, const struct note *n)
{
	struct open_account *o = map_get(&s->accounts_open, n->account);
	struct history *h = o ? o->history : NULL;
	if (!h || (h->count == 0 && n->modseq <= h->floor)) /* the second: it was durable before anybody watched */
		return;
	struct entry *e = n->mailbox ? entry_of_mailbox(h, n->mailbox) : entry_of_name(h, n);
	h->last = MAX(h->last, n->modseq);
	e->modseq = h->last;
	e->by = n->by;
	for (size_t i = 0; i < MARKS && n->mailbox; i++)
		if (n->what & marked[i])
			mark_set(&e->marks[i], h->last, n->by);
	list_append(&h->entries, &e->link);
}

/* ---- reading */

static struct history *
history_begin(struct open_account *o, uint64_t modseq)
{
	if (!o->history) {
		o->history = must_calloc(1, sizeof *o->history);
		list_init(&o->history->entries);
		o->history->floor = o->history->last = modseq;
	}
	return o->history;
}

/* What others than `by` did after since. */
static uint32_t
entry_news(const struct entry *e, uint64_t since, uint32_t by)
{
	uint32_t news = 0;
	if (!e->mailbox)
		return e->by == by ? 0 : e->what;
	if (e->mailbox & HISTORY_SHARER)
		return CHANGED_SHARER;
	for (size_t i = 0; i < MARKS; i++) {
		const struct mark *m = &e->marks[i];
		if ((m->by == by ? m->other : m->last) > since)
			news |= marked[i];
	}
	return news;
}

/* A name as it is now was answered already: of what came, and then as the parent of what came below it. */
static bool
is_told(const struct store_account_changes_out *out, const struct entry *e)
{
	if (e->mailbox || e->what != CHANGED_NAME)
		return false;
	for (uint32_t i = 0; i < out->nchanges; i++)
		if (out->changes[i].what == CHANGED_NAME &&
		    slice_equal(out->changes[i].mailbox.name, slice_of(e->name, e->name_bytes)))
			return true;
	return false;
}

static bool
is_others(const struct job *j)
{
	return j->principal != j->account;
}

/* Who shares, under the names by which he is found. */
static enum err
sharer_answer(struct job *j, struct txn *t, const struct entry *e, struct store_account_change *to, bool *there)
{
	struct row_account row;
	struct slice public = SLICE_NONE;
	enum err err = account_get(t, e->mailbox & ~HISTORY_SHARER, &row);
	*there = !err && !is_others(j);
	to->old = err ? SLICE_NONE : job_keep(j, row.address);
	err = err ? err : sharer_public_name(t, e->mailbox & ~HISTORY_SHARER, &public);
	to->mailbox.name = job_keep(j, public);
	return err == ERR_NOT_FOUND ? OK : err;
}

/* What the account that asks could do before: as it can now, unless the entry says otherwise. */
static enum err
rights_before(struct job *j, struct txn *t, const struct entry *e, struct store_account_change *to)
{
	struct row_acl was = { 0 };
	to->rights_was = to->mailbox.rights;
	if (!is_others(j) || !(e->what & (CHANGED_NAME | CHANGED_RIGHTS)))
		return OK;
	if (e->acl_bytes && !row_acl_take(slice_of(e->acl, e->acl_bytes), txn_arena(t), &was))
		return ERR_DAMAGED;
	to->rights_was = acl_rights_in(&was, j->principal);
	return OK;
}

/* Somebody else hears neither of subscriptions nor of what the owner keeps for himself, the owner not of rights. */
static bool
concerns(const struct job *j, const struct entry *e, const struct store_account_change *to)
{
	uint32_t seen = to->mailbox.rights | to->rights_was, readable = ACL_LOOKUP | ACL_READ;
	if (!is_others(j))
		return !(e->what & (CHANGED_RIGHTS | CHANGED_BELOW));
	if (e->what & CHANGED_SUBSCRIPTION)
		return false;
	if (e->what & CHANGED_METADATA)
		return (to->mailbox.rights & readable) == readable && slice_starts(to->old, S("/shared/"));
	return seen & ACL_LOOKUP;
}

static enum err
name_answer(struct job *j, struct txn *t, const struct entry *e, struct store_account_change *to, bool *there)
{
	to->old = job_keep(j, slice_of(e->old, e->old_bytes));
	to->mailbox.name = S("");
	*there = !is_others(j);
	if (!e->name_bytes) /* the server */
		return OK;
	enum err err = mailbox_describe(j, t, slice_of(e->name, e->name_bytes), &to->mailbox);
	err = err ? err : rights_before(j, t, e, to);
	*there = !err && concerns(j, e, to);
	if (!(to->mailbox.rights & ACL_LOOKUP)) /* to whoever asks it is a name */
		to->mailbox.id = 0;
	return err;
}

/* *there false: there is nothing to tell of it (any more). */
static enum err
entry_answer(struct job *j, struct txn *t, const struct entry *e, struct store_account_change *to, bool *there)
{
	struct row_mailbox row;
	uint32_t rights = ACL_ALL, readable = ACL_LOOKUP | ACL_READ;
	*to = (struct store_account_change){ .rights_was = ACL_ALL };
	if (e->mailbox & HISTORY_SHARER)
		return sharer_answer(j, t, e, to, there);
	if (!e->mailbox)
		return name_answer(j, t, e, to, there);
	enum err err = acl_rights(t, j->account, e->mailbox, j->principal, &rights);
	*there = false;
	if (err || (rights & readable) != readable)
		return err;
	err = mailbox_get(t, j->account, e->mailbox, &row);
	if (err == ERR_NOT_FOUND) /* deleted meanwhile: that is an entry of its own */
		return OK;
	*there = !err;
	err = err ? err : mailbox_describe(j, t, row.name, &to->mailbox);
	to->rights_was = rights;
	return err;
}

static struct link *
first_after(struct history *h, uint64_t since)
{
	struct link *at = &h->entries;
	while (at->prev != &h->entries && CONTAINER_OF(at->prev, struct entry, link)->modseq > since)
		at = at->prev;
	return at;
}

static enum err
answer_page(struct job *j, struct txn *t, struct history *h)
{
	const struct store_account_changes_in *in = j->in;
	struct store_account_changes_out *out = j->out;
	enum err err = OK;
	size_t looked_at = 0;
	out->upto = MAX(h->last, in->since);
	out->changes = ARENA_ARRAY(&j->call->arena, struct store_account_change, CHANGES_PAGE);
	for (struct link *at = first_after(h, in->since); at != &h->entries && !err; at = at->next) {
		const struct entry *e = CONTAINER_OF(at, struct entry, link);
		uint32_t news = entry_news(e, in->since, in->handle);
		bool enough = out->nchanges >= CHANGES_PAGE / 2 || looked_at >= LOOKED_AT_MAX;
		/* all of one modseq come together */
		if (enough && e->modseq > CONTAINER_OF(at->prev, struct entry, link)->modseq) {
			out->upto = CONTAINER_OF(at->prev, struct entry, link)->modseq;
			out->more = true;
			break;
		}
		if (!news || is_told(out, e))
			continue;
		if (out->nchanges == CHANGES_PAGE) {
			out->lost = true;
			break;
		}
		bool there;
		struct store_account_change *to = &out->changes[out->nchanges];
		looked_at += is_others(j);
		err = entry_answer(j, t, e, to, &there);
		to->what = news;
		out->nchanges += there;
	}
	return err;
}

enum err
account_changes(struct job *j, struct txn *t)
{
	const struct store_account_changes_in *in = j->in;
	struct store_account_changes_out *out = j->out;
	struct open_account *o = map_get(&j->s->accounts_open, j->account);
	struct row_counters counters;
	enum err e = counters_get(t, j->account, &counters);
	if (e)
		return e;
	struct history *h = history_begin(o, counters.modseq);
	out->upto = h->last;
	out->lost = in->since != 0 && in->since < h->floor;
	return in->since == 0 || out->lost ? OK : answer_page(j, t, h);
}
