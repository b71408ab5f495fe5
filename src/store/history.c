/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - what changed in an account since a modseq: which mailboxes got, lost or changed messages, which names
 * came, went or were renamed. So a session that watches 10,000 mailboxes asks for the three that changed. Called by
 * calls.c when a change is durable, and by account_changes.
 *
 * Kept in memory from the first account_changes of an account until its last handle is closed, at most
 * history_entries_max entries: a mailbox has one for its messages however often they change, a name one for each event.
 * What is older is forgotten, and who asks for it is told so. Who made a change does not hear of it (RFC 5465 5). */
#include "store/rows_state.h"

uint32_t history_entries_max = 4096;

#define CHANGES_PAGE 250 /* of store.msg */

/* When something of one kind was done last, and by whom; other: when by anybody else. */
struct mark {
	uint64_t last, other;
	uint32_t by;
};

enum { MARK_NEW, MARK_EXPUNGED, MARK_FLAGS, MARKS };

struct entry {
	struct link link;
	uint64_t modseq;
	uint64_t mailbox; /* 0: a name */
	uint32_t what;
	uint32_t by;
	struct mark marks[MARKS]; /* of a mailbox */
	char *name, *old;
	size_t name_bytes, old_bytes;
};

struct history {
	struct link entries; /* by modseq */
	struct map mailboxes;
	uint32_t count;
	uint64_t floor; /* everything after it is here */
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
entry_new(struct history *h)
{
	while (h->count >= history_entries_max) {
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
	e = entry_new(h);
	e->mailbox = mailbox;
	map_set(&h->mailboxes, mailbox, e);
	return e;
}

static struct entry *
entry_of_name(struct history *h, const struct note *n)
{
	struct entry *e = entry_new(h);
	e->what = n->what;
	e->name = slice_dup(n->name);
	e->name_bytes = n->name.len;
	e->old = slice_dup(n->old);
	e->old_bytes = n->old.len;
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
		if (n->what & 1u << i)
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
	for (size_t i = 0; i < MARKS; i++) {
		const struct mark *m = &e->marks[i];
		if ((m->by == by ? m->other : m->last) > since)
			news |= 1u << i;
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

/* *there false: there is nothing to tell of it (any more). */
static enum err
entry_answer(struct job *j, struct txn *t, const struct entry *e, struct store_account_change *to, bool *there)
{
	struct row_mailbox row;
	*there = true;
	if (!e->mailbox && !e->name_bytes) { /* the server */
		to->old = job_keep(j, slice_of(e->old, e->old_bytes));
		to->mailbox.name = S("");
		return OK;
	}
	if (!e->mailbox) {
		to->old = job_keep(j, slice_of(e->old, e->old_bytes));
		return mailbox_describe(j, t, slice_of(e->name, e->name_bytes), &to->mailbox);
	}
	enum err err = mailbox_get(t, j->account, e->mailbox, &row);
	if (err == ERR_NOT_FOUND) { /* deleted meanwhile: that is an entry of its own */
		*there = false;
		return OK;
	}
	return err ? err : mailbox_describe(j, t, row.name, &to->mailbox);
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
	out->upto = MAX(h->last, in->since);
	out->changes = ARENA_ARRAY(&j->call->arena, struct store_account_change, CHANGES_PAGE);
	for (struct link *at = first_after(h, in->since); at != &h->entries && !err; at = at->next) {
		const struct entry *e = CONTAINER_OF(at, struct entry, link);
		uint32_t news = entry_news(e, in->since, in->handle);
		/* all of one modseq come together */
		if (out->nchanges >= CHANGES_PAGE / 2 && e->modseq > CONTAINER_OF(at->prev, struct entry, link)->modseq) {
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
