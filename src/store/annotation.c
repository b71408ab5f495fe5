/* SPDX-License-Identifier: Apache-2.0 */
/* annotation.c - annotations of messages (RFC 5257): small named values that all see, or one user alone. A message that
 * has any carries MESSAGE_ANNOTATED in its row, so that nobody pays for them where there are none, and a row 'e' that
 * says how many bytes they have; behind it stands a row for each. An entry that was removed stays for a while as a row
 * that says so, for sessions that are to hear of it. They go with their message: their bytes at once, their rows in the
 * background (a row 'E' leads there). Work functions of calls.c, and what copies and appends need. */
#include "store/rows_state.h"

#include "base/log.h"

#define ENTRIES_MAX 100 /* of a message, shared or of one user */
#define ENTRIES_BYTES_MAX (256u << 10)
#define GONE_MAX 16 /* removed ones that are remembered */
#define SET_ROWS_MAX 20000u
#define SET_BYTES_MAX (16u << 20)
#define GET_BYTES_MAX (1280u << 10) /* of one answer: more than a message holds */
#define GET_ROWS_MAX 2000
#define CHANGES_MAX 1000
#define SHARED 0 /* the user whom shared ones have */

uint32_t annotations_copy_rows_max = 200000, annotations_copy_bytes_max = 64u << 20;

/* Whose annotations of a message. */
struct scope {
	uint64_t account, mailbox, user;
	uint32_t uid;
};

static struct key
scope_key(const struct scope *s)
{
	struct key k = key_annotated(s->account, s->mailbox, s->uid);
	key_u64(&k, s->user);
	return k;
}

static struct key
entry_key(const struct scope *s, struct slice entry)
{
	struct key k = scope_key(s);
	key_bytes(&k, entry);
	return k;
}

static struct range *
scope_range(struct txn *t, const struct scope *s, size_t *prefix)
{
	struct key from = scope_key(s), to = from;
	key_after_prefix(&to);
	*prefix = from.len;
	return range_begin(t, key_slice(&from), key_slice(&to), false);
}

/* None is one that is gone. */
static enum err
entry_get(struct txn *t, const struct scope *s, struct slice entry, struct row_annotation *row)
{
	struct key k = entry_key(s, entry);
	struct slice value;
	*row = (struct row_annotation){ .gone = true };
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return row_annotation_take(value, row) ? OK : row_damaged("annotation");
}

static void
entry_put(struct txn *t, const struct scope *s, struct slice entry, const struct row_annotation *row)
{
	struct key k = entry_key(s, entry);
	txn_put(t, key_slice(&k), row_annotation_put(txn_arena(t), row));
}

static bool
entry_is_sound(struct slice entry)
{
	return slice_starts(entry, S("/")) && slice_find_char(entry, '\0') < 0;
}

/* ---- how many, and how much */

struct held {
	size_t entries, bytes, gone;
	struct slice oldest; /* of those that are gone */
};

static enum err
scope_held(struct txn *t, const struct scope *s, struct held *h)
{
	struct slice k, value;
	struct row_annotation row;
	size_t prefix;
	uint64_t oldest = UINT64_MAX;
	bool sound = true;
	*h = (struct held){ 0 };
	struct range *r = scope_range(t, s, &prefix);
	while (sound && range_next(r, &k, &value)) {
		sound = row_annotation_take(value, &row);
		h->gone += row.gone;
		h->entries += !row.gone;
		h->bytes += row.gone ? 0 : k.len - prefix + row.value.len;
		if (row.gone && row.modseq < oldest) {
			oldest = row.modseq;
			h->oldest = slice_keep(txn_arena(t), k);
		}
	}
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("annotation");
}

/* What a scope may hold; of what is gone the oldest is forgotten. */
static enum err
scope_settle(struct txn *t, const struct scope *s)
{
	struct held h;
	enum err e = scope_held(t, s, &h);
	for (; !e && h.gone > GONE_MAX; e = e ? e : scope_held(t, s, &h))
		txn_delete(t, h.oldest);
	return e ? e : h.entries > ENTRIES_MAX || h.bytes > ENTRIES_BYTES_MAX ? ERR_LIMIT : OK;
}

enum err
annotations_quota(const struct change *c)
{
	struct row_account row;
	enum err e = account_get(c->t, c->account, &row);
	struct store_usage u = usage_of(c->s, &row, &c->counters);
	return e ? e : u.annotations_max && u.annotations > u.annotations_max ? ERR_QUOTA : OK;
}

/* ---- one message */

/* A message that is annotated, and by whom. */
struct annotating {
	struct change *c;
	struct box *b;
	uint64_t principal;
	bool grows;
};

static struct scope
scope_of(const struct annotating *w, uint32_t uid, bool shared)
{
	return (struct scope){ w->c->account, w->b->id, shared ? SHARED : w->principal, uid };
}

/* The sum of a message, of its mailbox and of the account. */
static void
count(struct annotating *w, uint32_t uid, struct row_annotated *sum, int64_t change)
{
	struct key k = key_annotated(w->c->account, w->b->id, uid);
	ASSERT(change >= 0 || sum->bytes >= (uint64_t)-change);
	sum->bytes += (uint64_t)change;
	w->b->row.annotations += (uint64_t)change;
	w->c->counters.annotations += (uint64_t)change;
	w->grows = w->grows || change > 0;
	txn_put(w->c->t, key_slice(&k), row_annotated_put(txn_arena(w->c->t), sum));
}

/* Sets the entries; *change: how many bytes more. */
static enum err
put_entries(struct annotating *w, uint32_t uid, uint64_t modseq, const struct store_message_annotation *list, size_t n,
            int64_t *change)
{
	bool touched[2] = { false, false }; /* private, shared */
	enum err e = OK;
	*change = 0;
	for (size_t i = 0; i < n && !e; i++) {
		const struct store_message_annotation *a = &list[i];
		struct scope s = scope_of(w, uid, a->shared);
		struct row_annotation was, now = { a->gone, modseq, a->gone ? SLICE_NONE : a->value };
		e = entry_get(w->c->t, &s, a->entry, &was);
		if (e || (was.gone && now.gone))
			continue;
		*change -= was.gone ? 0 : (int64_t)(a->entry.len + was.value.len);
		*change += now.gone ? 0 : (int64_t)(a->entry.len + now.value.len);
		entry_put(w->c->t, &s, a->entry, &now);
		touched[a->shared] = true;
	}
	for (int shared = 0; shared < 2 && !e; shared++) {
		struct scope s = scope_of(w, uid, shared);
		e = touched[shared] ? scope_settle(w->c->t, &s) : OK;
	}
	return e;
}

static enum err
differs(struct annotating *w, uint32_t uid, const struct store_annotation_set_in *in, bool *yes)
{
	enum err e = OK;
	*yes = false;
	for (uint32_t i = 0; i < in->nannotations && !e && !*yes; i++) {
		const struct store_message_annotation *a = &in->annotations[i];
		struct scope s = scope_of(w, uid, a->shared);
		struct row_annotation was;
		e = entry_get(w->c->t, &s, a->entry, &was);
		*yes = was.gone != a->gone || (!a->gone && !slice_equal(was.value, a->value));
	}
	return e;
}

/* The row is afterwards what it was made; *changed: it is another one. */
static enum err
annotate_one(struct annotating *w, struct uid_row *r, const struct store_annotation_set_in *in, bool *changed)
{
	struct row_message now = r->row;
	struct row_annotated sum = { 0 };
	struct key k = key_annotated(w->c->account, w->b->id, r->uid);
	int64_t change;
	enum err e = differs(w, r->uid, in, changed);
	if (e || !*changed)
		return e;
	if (now.flags & MESSAGE_ANNOTATED)
		e = annotated_get(w->c->t, key_slice(&k), &sum);
	if (e)
		return e == ERR_NOT_FOUND ? row_damaged("annotated") : e;
	box_annotate(w->c, w->b, r->uid, &r->row, &now); /* RFC 7162 1: annotations are metadata */
	e = put_entries(w, r->uid, now.modseq, in->annotations, in->nannotations, &change);
	if (!e)
		count(w, r->uid, &sum, change);
	r->row = now;
	return e;
}

/* ---- set */

static enum err
set_check(const struct job *j, const struct store_annotation_set_in *in)
{
	uint64_t bytes = 0, messages = in->uids.len / 4;
	for (uint32_t i = 0; i < in->nannotations; i++) {
		const struct store_message_annotation *a = &in->annotations[i];
		if (!entry_is_sound(a->entry))
			return ERR_SYNTAX;
		if (a->shared && !(j->granted & ACL_ANNOTATE)) /* RFC 5257 3.4 */
			return ERR_DENIED;
		bytes += a->value.len;
	}
	return bytes * messages > SET_BYTES_MAX || in->nannotations * messages > SET_ROWS_MAX ? ERR_LIMIT : OK;
}

/* All of the messages, but for those that changed meanwhile (RFC 7162 3.1.3). */
static enum err
set_rows(struct job *j, struct annotating *w, struct uid_row *rows, size_t n, size_t *changed)
{
	const struct store_annotation_set_in *in = j->in;
	struct store_annotation_set_out *out = j->out;
	char *names = arena_alloc(&j->call->arena, 4 * n + 1);
	size_t refused = 0;
	enum err e = OK;
	*changed = 0;
	for (size_t i = 0; i < n && !e; i++) {
		bool other = false;
		if (rows[i].row.modseq > in->unchanged_since)
			bytes_set_le(names + 4 * refused++, rows[i].uid, 4);
		else
			e = annotate_one(w, &rows[i], in, &other);
		if (other)
			rows[(*changed)++] = rows[i];
	}
	out->refused = slice_of(names, 4 * refused);
	return e ? e : w->grows ? annotations_quota(w->c) : OK;
}

enum err
annotation_set(struct job *j, struct txn *t)
{
	const struct store_annotation_set_in *in = j->in;
	struct store_annotation_set_out *out = j->out;
	struct change c;
	struct box b;
	struct annotating w = { &c, &b, j->principal, false };
	struct uid_row *rows = NULL;
	size_t n = 0, changed = 0;
	enum err e = set_check(j, in);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : box_get(&c, in->mailbox, &b);
	uint64_t was = e ? 0 : b.row.modseq;
	e = e ? e : index_messages(j->s, t, j->account, in->mailbox, &b.row, in->uids, &rows, &n);
	if (e)
		return e;
	out->was = out->modseq = was;
	e = set_rows(j, &w, rows, n, &changed);
	if (!e && changed) {
		out->filled = (uint32_t)(changed * INDEX_ROW_BYTES);
		out->modseq = b.row.modseq;
		rows_changed(j, &c, &b, was, rows, changed);
	}
	free(rows);
	return e;
}

/* ---- get */

/* A page of annotations: whole messages. */
struct getting {
	struct job *j;
	struct txn *t;
	size_t room; /* of GET_BYTES_MAX */
	uint32_t uid;
};

static enum err
answer_add(struct getting *g, struct slice entry, struct slice value, bool shared)
{
	struct store_annotation_get_out *out = g->j->out;
	size_t bytes = entry.len + value.len + 30;
	if (out->nannotated == GET_ROWS_MAX || bytes > g->room)
		return ERR_LIMIT;
	g->room -= bytes;
	struct store_annotated *to = &out->annotated[out->nannotated++];
	*to = (struct store_annotated){ .uid = g->uid };
	to->annotation =
	    (struct store_message_annotation){ job_keep(g->j, entry), job_keep(g->j, value), .shared = shared };
	return OK;
}

static enum err
get_all(struct getting *g, const struct scope *s)
{
	struct slice k, value;
	struct row_annotation row;
	size_t prefix;
	enum err e = OK;
	struct range *r = scope_range(g->t, s, &prefix);
	while (!e && range_next(r, &k, &value)) {
		if (!row_annotation_take(value, &row))
			e = row_damaged("annotation");
		else if (!row.gone)
			e = answer_add(g, slice_from(k, prefix), row.value, s->user == SHARED);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

static enum err
get_scope(struct getting *g, uint64_t user)
{
	const struct store_annotation_get_in *in = g->j->in;
	struct scope s = { g->j->account, in->mailbox, user, g->uid };
	struct row_annotation row;
	enum err e = OK;
	if (!in->nentries)
		return get_all(g, &s);
	for (uint32_t i = 0; i < in->nentries && !e; i++) {
		e = entry_get(g->t, &s, in->entries[i].text, &row);
		if (!e && !row.gone)
			e = answer_add(g, in->entries[i].text, row.value, user == SHARED);
	}
	return e;
}

/* ERR_LIMIT: they do not fit any more, and none of them is there. */
static enum err
get_message(struct getting *g, uint32_t uid)
{
	const struct store_annotation_get_in *in = g->j->in;
	struct store_annotation_get_out *out = g->j->out;
	uint32_t before = out->nannotated;
	g->uid = uid;
	enum err e = in->shared ? get_scope(g, SHARED) : OK;
	if (!e && in->private)
		e = get_scope(g, g->j->principal);
	if (e == ERR_LIMIT)
		out->nannotated = before;
	return e;
}

enum err
annotation_get(struct job *j, struct txn *t)
{
	const struct store_annotation_get_in *in = j->in;
	struct store_annotation_get_out *out = j->out;
	struct getting g = { .j = j, .t = t, .room = GET_BYTES_MAX };
	struct row_mailbox box;
	struct uid_row *rows = NULL;
	size_t n = 0, i = 0;
	enum err e = mailbox_get(t, j->account, in->mailbox, &box);
	e = e ? e : index_messages(j->s, t, j->account, in->mailbox, &box, in->uids, &rows, &n);
	out->annotated = ARENA_ARRAY(&j->call->arena, struct store_annotated, GET_ROWS_MAX);
	for (; i < n && !e; i++) {
		e = rows[i].row.flags & MESSAGE_ANNOTATED ? get_message(&g, rows[i].uid) : OK;
		if (e == ERR_LIMIT && i > 0 && out->last)
			break;
		out->last = rows[i].uid;
	}
	if (!e && in->uids.len)
		out->last = (uint32_t)bytes_get_le(in->uids.at + in->uids.len - 4, 4);
	free(rows);
	return e == ERR_LIMIT && out->last ? OK : e;
}

/* ---- changes */

static enum err
changes_of(struct job *j, struct txn *t, const struct scope *s)
{
	const struct store_annotation_changes_in *in = j->in;
	struct store_annotation_changes_out *out = j->out;
	struct slice k, value;
	struct row_annotation row;
	size_t prefix;
	enum err e = OK;
	struct range *r = scope_range(t, s, &prefix);
	while (!e && range_next(r, &k, &value)) {
		if (!row_annotation_take(value, &row))
			e = row_damaged("annotation");
		else if (row.modseq > in->since && out->nchanges == CHANGES_MAX)
			e = ERR_LIMIT;
		else if (row.modseq > in->since)
			out->changes[out->nchanges++] =
			    (struct store_annotation_change){ s->uid, job_keep(j, slice_from(k, prefix)), row.modseq };
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

/* Whole messages; *fits: there was room for this one. */
static enum err
changes_of_message(struct job *j, struct txn *t, uint32_t uid, bool *fits)
{
	const struct store_annotation_changes_in *in = j->in;
	struct store_annotation_changes_out *out = j->out;
	struct scope shared = { j->account, in->mailbox, SHARED, uid },
	             own = { j->account, in->mailbox, j->principal, uid };
	uint32_t before = out->nchanges;
	enum err e = changes_of(j, t, &shared);
	e = e ? e : changes_of(j, t, &own);
	*fits = e != ERR_LIMIT;
	if (*fits)
		return e;
	out->nchanges = before;
	return OK;
}

enum err
annotation_changes(struct job *j, struct txn *t)
{
	const struct store_annotation_changes_in *in = j->in;
	struct store_annotation_changes_out *out = j->out;
	struct row_mailbox box;
	struct changes c = { 0 };
	bool fits = true;
	enum err e = mailbox_get(t, j->account, in->mailbox, &box);
	e = e ? e : changes_since(j->s, t, j->account, in->mailbox, &box, in->since, in->known, &c);
	out->changes = ARENA_ARRAY(&j->call->arena, struct store_annotation_change, CHANGES_MAX);
	for (size_t i = 0; i < c.nrows && !e && fits; i++)
		if (c.rows[i].uid > in->after && c.rows[i].uid <= in->known && (c.rows[i].row.flags & MESSAGE_ANNOTATED))
			e = changes_of_message(j, t, c.rows[i].uid, &fits);
	out->more = !fits;
	changes_release(&c);
	return e;
}

/* ---- append */

enum err
annotations_check(const struct store_append *a, uint32_t granted, struct row_message *m)
{
	for (uint32_t i = 0; i < a->nannotations; i++) {
		if (!entry_is_sound(a->annotations[i].entry))
			return ERR_SYNTAX;
		if (a->annotations[i].shared && !(granted & ACL_ANNOTATE))
			return ERR_DENIED;
		m->flags |= a->annotations[i].gone ? 0 : MESSAGE_ANNOTATED;
	}
	return OK;
}

enum err
annotations_append(struct change *c, struct box *b, uint32_t uid, const struct row_message *m, uint64_t principal,
                   const struct store_append *a)
{
	struct annotating w = { c, b, principal, false };
	struct row_annotated sum = { 0 };
	int64_t change;
	if (!(m->flags & MESSAGE_ANNOTATED))
		return OK;
	enum err e = put_entries(&w, uid, m->modseq, a->annotations, a->nannotations, &change);
	if (e)
		return e;
	count(&w, uid, &sum, change);
	return annotations_quota(c);
}

/* ---- copy */

/* What one has of them, and the sum of their bytes. */
static enum err
copy_scope(struct annotations_copying *k, struct txn *t, const struct scope *from, const struct scope *to,
           uint64_t modseq, int64_t *bytes)
{
	struct slice key, value;
	struct row_annotation row;
	size_t prefix;
	enum err e = OK;
	struct range *r = scope_range(t, from, &prefix);
	while (!e && range_next(r, &key, &value)) {
		struct slice entry = slice_from(key, prefix);
		if (!row_annotation_take(value, &row))
			e = row_damaged("annotation");
		if (e || row.gone)
			continue;
		k->bytes += entry.len + row.value.len;
		if (++k->rows > annotations_copy_rows_max || k->bytes > annotations_copy_bytes_max)
			e = ERR_LIMIT;
		*bytes += (int64_t)(entry.len + row.value.len);
		row.modseq = modseq;
		entry_put(t, to, entry, &row);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

enum err
annotations_copy(struct annotations_copying *k, uint32_t from, struct change *c, struct box *b, uint32_t uid,
                 const struct row_message *m)
{
	struct annotating w = { c, b, k->into_principal, false };
	struct row_annotated sum = { 0 };
	int64_t bytes = 0;
	enum err e = OK;
	for (int shared = 0; shared < 2 && !e; shared++) {
		struct scope there = { k->account, k->mailbox, shared ? SHARED : k->principal, from };
		struct scope here = scope_of(&w, uid, shared);
		if (k->granted & (shared ? ACL_ANNOTATE : ACL_READ))
			e = copy_scope(k, c->t, &there, &here, m->modseq, &bytes);
	}
	if (!e)
		count(&w, uid, &sum, bytes);
	return e;
}

/* ---- what is left of messages that are gone */

static enum err
remove_message(struct txn *t, struct slice gone, size_t *budget)
{
	struct key from, to;
	struct slice k, value;
	key_begin(&from, 'e');
	key_bytes(&from, slice_from(gone, 1));
	to = from;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	for (; *budget && range_next(r, &k, &value); --*budget)
		txn_delete(t, slice_keep(txn_arena(t), k));
	enum err e = range_end(&r);
	if (!e && *budget)
		txn_delete(t, gone);
	return e;
}

enum err
annotations_remove(struct txn *t, size_t max, bool *more)
{
	struct slice k, value;
	size_t budget = max;
	enum err e = OK;
	struct range *r = range_begin(t, S("E"), S("F"), false);
	while (!e && budget && range_next(r, &k, &value)) {
		budget--;
		e = budget ? remove_message(t, slice_keep(txn_arena(t), k), &budget) : OK;
	}
	*more = budget == 0;
	enum err ended = range_end(&r);
	return e ? e : ended;
}
