/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - messages of an opened account: facts, flags, copies, moves, expunges, appends. Work functions of calls.c.
 * Counts, modseqs and the change log are kept by row_io.c; a message's bytes are read in body.c. */
#include "store/rows_state.h"

#define EXPUNGE_MAX 10000 /* messages in one transaction; more says that others are left */

/* ---- facts */

/* An entry of a region: u32 uid, u32 bytes, the bytes, padded to 8. */
static size_t
entry_bytes(size_t bytes)
{
	return (8 + bytes + 7) & ~(size_t)7;
}

/* Where entries go, and what is said of them. */
struct entries {
	struct job *j;
	uint32_t *filled, *last;
	uint64_t *need;
};

/* False: there is no room for it. */
static bool
entry_put(struct entries *to, uint32_t uid, struct slice bytes)
{
	size_t need = entry_bytes(bytes.len);
	char *at = (char *)to->j->into + *to->filled;
	if (need > to->j->into_bytes - *to->filled) {
		*to->need = *to->filled ? 0 : need;
		return false;
	}
	bytes_set_le(at, uid, 4);
	bytes_set_le(at + 4, bytes.len, 4);
	if (bytes.len)
		memcpy(at + 8, bytes.at, bytes.len);
	memset(at + 8 + bytes.len, 0, need - 8 - bytes.len);
	*to->filled += (uint32_t)need;
	*to->last = uid;
	return true;
}

typedef enum err entry_of(struct object_walk *facts, const struct uid_row *row, struct slice *bytes);

static enum err
put_entries(struct entries *to, struct txn *t, uint64_t mailbox, struct slice uids, entry_of *of)
{
	struct row_mailbox there;
	struct uid_row *rows = NULL;
	size_t n = 0, i = 0;
	struct object_walk facts;
	object_walk_begin(&facts, t, 'f', uids.len / 4);
	enum err e = mailbox_get(t, to->j->account, mailbox, &there);
	e = e ? e : index_messages(to->j->s, t, to->j->account, mailbox, &there, uids, &rows, &n);
	for (; i < n && !e; i++) {
		struct slice bytes;
		e = of(&facts, &rows[i], &bytes);
		if (e || !entry_put(to, rows[i].uid, bytes))
			break;
	}
	enum err ended = object_walk_end(&facts);
	e = e ? e : ended;
	if (!e && i == n && uids.len)
		*to->last = (uint32_t)bytes_get_le(uids.at + uids.len - 4, 4);
	free(rows);
	return e;
}

static enum err
facts_of(struct object_walk *facts, const struct uid_row *row, struct slice *bytes)
{
	enum err e = object_walk_get(facts, row->row.object, bytes);
	if (e != ERR_NOT_FOUND)
		return e;
	*bytes = SLICE_NONE; /* it does not read: the session makes it again from the body */
	return OK;
}

enum err
message_facts(struct job *j, struct txn *t)
{
	const struct store_message_facts_in *in = j->in;
	struct store_message_facts_out *out = j->out;
	struct entries to = { j, &out->filled, &out->last, &out->need };
	return put_entries(&to, t, in->mailbox, in->uids, facts_of);
}

static enum err
id_of(struct object_walk *facts, const struct uid_row *row, struct slice *bytes)
{
	char *to = arena_alloc(txn_arena(facts->t), 8);
	bytes_set_le(to, row->row.object, 8);
	*bytes = slice_of(to, 8);
	return OK;
}

enum err
message_ids(struct job *j, struct txn *t)
{
	const struct store_message_ids_in *in = j->in;
	struct store_message_ids_out *out = j->out;
	struct entries to = { j, &out->filled, &out->last, &out->need };
	return put_entries(&to, t, in->mailbox, in->uids, id_of);
}

/* ---- flags */

/* What one STORE does to keyword sets: each set that messages had is looked at once. */
struct keyword_store {
	struct change *c;
	struct box *b;
	const struct store_message_store_in *in;
	struct map seen; /* set + 1 -> the set afterwards + 1 */
	uint32_t may;    /* MESSAGE_* that whoever asks may change */
	bool may_keywords;
};

static enum err
keywords_after(struct keyword_store *k, uint32_t was, uint32_t *now)
{
	void *known = map_get(&k->seen, (uint64_t)was + 1);
	if (known) {
		*now = (uint32_t)((uintptr_t)known - 1);
		return OK;
	}
	enum err e = keyword_set_change(k->c, k->b, was, k->in->op, k->in->keywords, k->in->nkeywords, now);
	if (!e)
		map_set(&k->seen, (uint64_t)was + 1, (void *)((uintptr_t)*now + 1));
	return e;
}

static uint32_t
flags_after(uint32_t was, uint32_t op, uint32_t flags)
{
	return op == FLAGS_SET ? flags : op == FLAGS_ADD ? was | flags : was & ~flags;
}

/* The row is afterwards what it was made; *changed: it is another one. */
static enum err
store_one(struct keyword_store *k, struct uid_row *r, bool *changed)
{
	struct row_message now = r->row;
	now.flags = flags_after(r->row.flags, k->in->op, k->in->flags);
	now.flags = (now.flags & k->may) | (r->row.flags & ~k->may);
	enum err e = k->may_keywords ? keywords_after(k, r->row.keyword_set, &now.keyword_set) : OK;
	*changed = !e && (now.flags != r->row.flags || now.keyword_set != r->row.keyword_set);
	if (!*changed)
		return e;
	box_alter(k->c, k->b, r->uid, &r->row, &now);
	r->row = now;
	return OK;
}

/* RFC 4314 4: STORE goes on with what may be changed, when any of what was named may. */
static enum err
store_admit(const struct job *j, struct keyword_store *k)
{
	const struct store_message_store_in *in = k->in;
	k->may = acl_flags(j->granted);
	k->may_keywords = j->granted & ACL_WRITE;
	if (in->op == FLAGS_SET)
		return k->may ? OK : ERR_DENIED;
	bool any = (in->flags & k->may) || (in->nkeywords && k->may_keywords);
	return any || !(in->flags || in->nkeywords) ? OK : ERR_DENIED;
}

void
rows_changed(struct job *j, struct change *c, struct box *b, uint64_t was, const struct uid_row *rows, size_t n)
{
	struct index_row *into = j->into;
	for (size_t i = 0; i < n; i++)
		into[i] = index_row_of(rows[i].uid, &rows[i].row);
	box_put(c, b);
	change_end(c);
	job_tell_box(j, j->account, b);
	j->altered = (struct altered){ b->id, was, b->row.modseq, ARENA_ARRAY(&j->call->arena, struct uid_row, n), n };
	memcpy(j->altered.rows, rows, n * sizeof *rows);
}

enum err
message_store(struct job *j, struct txn *t)
{
	const struct store_message_store_in *in = j->in;
	struct store_message_store_out *out = j->out;
	struct change c;
	struct box b;
	struct uid_row *rows = NULL;
	size_t n = 0, refused = 0, changed = 0;
	struct keyword_store k = { .c = &c, .b = &b, .in = in };
	enum err e = store_admit(j, &k);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : box_get(&c, in->mailbox, &b);
	uint64_t was = e ? 0 : b.row.modseq;
	e = e ? e : index_messages(j->s, t, j->account, in->mailbox, &b.row, in->uids, &rows, &n);
	if (e)
		return e;
	char *names = arena_alloc(&j->call->arena, 4 * n + 1);
	for (size_t i = 0; i < n && !e; i++) {
		bool other = false;
		if (rows[i].row.modseq > in->unchanged_since)
			bytes_set_le(names + 4 * refused++, rows[i].uid, 4); /* RFC 7162 3.1.3 */
		else
			e = store_one(&k, &rows[i], &other);
		if (other)
			rows[changed++] = rows[i];
	}
	map_release(&k.seen);
	out->was = was;
	out->modseq = b.row.modseq;
	out->refused = slice_of(names, 4 * refused);
	if (!e && changed) {
		out->filled = (uint32_t)(changed * INDEX_ROW_BYTES);
		out->modseq = b.row.modseq;
		rows_changed(j, &c, &b, was, rows, changed);
	}
	free(rows);
	return e;
}

/* A message went: removal.c is to take what is left of it. */
static void
remove_soon(struct job *j, const struct row_message *m)
{
	j->to_remove = j->to_remove || (m->flags & MESSAGE_ANNOTATED);
}

/* ---- copy and move */

struct copying {
	struct change c, other, *to;            /* to: of the target's account, &c or &other */
	struct box source, target_box, *target; /* target is &source when it is the same mailbox */
	struct map sets;                        /* set of the source + 1 -> set of the target + 1 */
	uint32_t granted;                       /* ACL_* on the target */
	struct annotations_copying annotations;
	bool move;
};

static enum err
copy_keywords(struct copying *k, uint32_t was, uint32_t *now)
{
	*now = k->granted & ACL_WRITE ? was : 0;
	if (*now == 0 || k->target == &k->source)
		return OK;
	void *known = map_get(&k->sets, (uint64_t)was + 1);
	if (known) {
		*now = (uint32_t)((uintptr_t)known - 1);
		return OK;
	}
	enum err e = keyword_set_copy(&k->c, &k->source, was, k->to, k->target, now);
	if (!e)
		map_set(&k->sets, (uint64_t)was + 1, (void *)((uintptr_t)*now + 1));
	return e;
}

static enum err
copy_one(struct copying *k, const struct uid_row *r, uint32_t *uid)
{
	struct row_message m = r->row;
	enum err e = copy_keywords(k, r->row.keyword_set, &m.keyword_set);
	if (e)
		return e;
	m.flags &= acl_flags(k->granted) | MESSAGE_ANNOTATED; /* RFC 4314 4: what may not be set is left out */
	if (k->move)
		e = box_take_out(&k->c, &k->source, r->uid, &r->row);
	e = e ? e : box_add(k->to, k->target, &m, uid);
	return e || !(m.flags & MESSAGE_ANNOTATED) ? e
	                                           : annotations_copy(&k->annotations, r->uid, k->to, k->target, *uid, &m);
}

/* Their objects have one reference more, or one less. */
static enum err
refer_rows(struct change *c, const struct uid_row *rows, size_t n, int32_t change)
{
	uint64_t *objects = must_calloc(n + 1, sizeof *objects);
	for (size_t i = 0; i < n; i++)
		objects[i] = rows[i].row.object;
	enum err e = objects_refer(c->s, c->t, objects, n, change);
	free(objects);
	return e;
}

static enum err
copy_begin(struct copying *k, struct job *j, struct txn *t, const struct store_message_copy_in *in)
{
	bool same = j->to_account == j->account;
	*k = (struct copying){ .move = in->move };
	k->to = same ? &k->c : &k->other;
	enum err e = change_begin(&k->c, j->s, t, j->account);
	e = e || same ? e : change_begin(&k->other, j->s, t, j->to_account);
	e = e ? e : box_get(&k->c, in->mailbox, &k->source);
	e = e ? e : mailbox_by_name(k->to, in->to, false, &k->target_box);
	e = e ? e : acl_rights(t, j->to_account, k->target_box.id, j->to_principal, &k->granted);
	e = e ? e : acl_verdict(k->granted, ACL_INSERT);
	k->target = same && k->target_box.id == k->source.id ? &k->source : &k->target_box;
	k->annotations = (struct annotations_copying){ .account = j->account,
		                                           .mailbox = in->mailbox,
		                                           .principal = j->principal,
		                                           .into_principal = j->to_principal,
		                                           .granted = k->granted };
	return e == ERR_SYNTAX ? ERR_NOT_FOUND : e;
}

static enum err
copy_quota(struct copying *k, const struct uid_row *rows, size_t n)
{
	struct row_account account;
	uint64_t bytes = 0;
	if (k->move && k->to == &k->c)
		return OK;
	for (size_t i = 0; i < n; i++)
		bytes += rows[i].row.bytes;
	enum err e = account_get(k->c.t, k->to->account, &account);
	return e ? e : quota_check(k->c.s, &account, &k->to->counters, bytes, n);
}

static void
copy_end(struct copying *k, struct job *j)
{
	box_put(k->to, k->target);
	if (k->target != &k->source && k->move)
		box_put(&k->c, &k->source);
	change_end(k->to);
	if (k->move && k->to != &k->c)
		change_end(&k->c);
	job_tell_box(j, j->to_account, k->target);
	if (k->move)
		job_tell_box(j, j->account, &k->source);
}

enum err
message_copy(struct job *j, struct txn *t)
{
	const struct store_message_copy_in *in = j->in;
	struct store_message_copy_out *out = j->out;
	struct copying k;
	struct uid_row *rows = NULL;
	size_t n = 0;
	enum err e = copy_begin(&k, j, t, in);
	e = e ? e : index_messages(j->s, t, j->account, in->mailbox, &k.source.row, in->uids, &rows, &n);
	e = e || n == 0 ? e : copy_quota(&k, rows, n);
	e = e || k.move ? e : refer_rows(&k.c, rows, n, 1);
	char *from = arena_alloc(&j->call->arena, 4 * n + 1), *into = arena_alloc(&j->call->arena, 4 * n + 1);
	for (size_t i = 0; i < n && !e; i++) {
		uint32_t uid = 0;
		e = copy_one(&k, &rows[i], &uid);
		if (k.move)
			remove_soon(j, &rows[i].row);
		bytes_set_le(from + 4 * i, rows[i].uid, 4);
		bytes_set_le(into + 4 * i, uid, 4);
	}
	map_release(&k.sets);
	free(rows);
	bool more = k.annotations.bytes && !(k.move && k.to == &k.c);
	e = e || !more ? e : annotations_quota(k.to);
	if (e)
		return e;
	if (n)
		copy_end(&k, j);
	out->uidvalidity = k.target->row.uidvalidity;
	out->modseq = k.source.row.modseq;
	out->from = slice_of(from, 4 * n);
	out->into = slice_of(into, 4 * n);
	return OK;
}

/* ---- expunge */

/* Those of the named ones that go, at most EXPUNGE_MAX. */
static void
expunge_choose(struct uid_row *rows, size_t *n, bool any, bool *more)
{
	size_t left = 0;
	for (size_t i = 0; i < *n && !*more; i++) {
		if (!any && !(rows[i].row.flags & MESSAGE_DELETED))
			continue;
		if (left == EXPUNGE_MAX)
			*more = true;
		else
			rows[left++] = rows[i];
	}
	*n = left;
}

static enum err
expunge_rows(struct job *j, struct change *c, struct box *b, const struct uid_row *rows, size_t n)
{
	struct store_message_expunge_out *out = j->out;
	char *gone = arena_alloc(&j->call->arena, 4 * n + 1);
	enum err e = OK;
	for (size_t i = 0; i < n && !e; i++) {
		e = box_take_out(c, b, rows[i].uid, &rows[i].row);
		remove_soon(j, &rows[i].row);
		bytes_set_le(gone + 4 * i, rows[i].uid, 4);
	}
	e = e ? e : refer_rows(c, rows, n, -1);
	if (e || n == 0)
		return e;
	box_put(c, b);
	change_end(c);
	out->vanished = slice_of(gone, 4 * n);
	job_tell_box(j, j->account, b);
	return OK;
}

enum err
message_expunge(struct job *j, struct txn *t)
{
	const struct store_message_expunge_in *in = j->in;
	struct store_message_expunge_out *out = j->out;
	struct change c;
	struct box b;
	struct uid_row *rows = NULL;
	size_t n = 0;
	enum err e = change_begin(&c, j->s, t, j->account);
	e = e ? e : box_get(&c, in->mailbox, &b);
	if (e)
		return e;
	if (!in->any && b.row.deleted == 0) {
		out->modseq = b.row.modseq;
		return OK;
	}
	if (in->uids.len) {
		e = index_messages(j->s, t, j->account, in->mailbox, &b.row, in->uids, &rows, &n);
		expunge_choose(rows, &n, in->any, &out->more);
	} else {
		rows = must_calloc(MIN(b.row.messages, (uint32_t)EXPUNGE_MAX) + 1, sizeof *rows);
		e = index_expunged(j->s, t, j->account, in->mailbox, &b.row, in->any, rows, EXPUNGE_MAX, &n, &out->more);
	}
	e = e ? e : expunge_rows(j, &c, &b, rows, n);
	out->modseq = b.row.modseq;
	free(rows);
	return e;
}

/* ---- append and replace */

struct appending {
	struct change c, other, *from;          /* from: of the replaced message's account, &c or &other; NULL: none */
	struct box source, target_box, *target; /* target is &source when it is the same mailbox */
};

/* RFC 8508 3.4: the message that is replaced goes first, so that the quota counts the difference. 4.1: the rights. */
static enum err
append_replace(struct appending *k, struct job *j, const struct store_message_append_in *in)
{
	struct row_message old;
	uint32_t granted;
	bool same = j->to_account == j->account;
	k->from = same ? &k->c : &k->other;
	enum err e = same ? OK : change_begin(&k->other, j->s, k->c.t, j->to_account);
	e = e ? e : box_get(k->from, in->replaced_mailbox, &k->source);
	e = e ? e : acl_rights(k->c.t, j->to_account, k->source.id, j->to_principal, &granted);
	e = e ? e : acl_verdict(granted, ACL_DELETE_MESSAGE | ACL_EXPUNGE);
	e = e ? e : message_get(k->c.t, j->to_account, in->replaced_mailbox, in->replaced, &old);
	e = e ? e : box_take_out(k->from, &k->source, in->replaced, &old);
	e = e ? e : object_refer(j->s, k->c.t, old.object, -1);
	if (!e)
		remove_soon(j, &old);
	if (!e && same && k->source.id == k->target_box.id)
		k->target = &k->source;
	return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

static enum err
append_begin(struct appending *k, struct job *j, struct txn *t, const struct store_message_append_in *in)
{
	struct row_account account;
	*k = (struct appending){ .target = &k->target_box };
	enum err e = change_begin(&k->c, j->s, t, j->account);
	e = e ? e : account_get(t, j->account, &account);
	e = e ? e : mailbox_by_name(&k->c, in->mailbox, false, &k->target_box);
	e = e || !in->replaced ? e : append_replace(k, j, in);
	return e ? e : quota_check(j->s, &account, &k->c.counters, j->update.bytes, in->nappends);
}

static enum err
append_one(struct appending *k, const struct job *j, const struct store_append *a, const struct body_source *body,
           uint32_t *uid)
{
	struct row_message m = { .received = a->received, .bytes = body->len };
	uint32_t keywords = j->granted & ACL_WRITE ? a->nkeywords : 0;
	m.flags = a->flags & acl_flags(j->granted); /* RFC 4314 4: what may not be set is left out */
	enum err e = keyword_set_of(&k->c, k->target, a->keywords, keywords, &m.keyword_set);
	e = e ? e : annotations_check(a, j->granted, &m);
	e = e ? e : object_new(k->c.s, k->c.t, body, a->facts, 1, &m.object);
	e = e ? e : box_add(&k->c, k->target, &m, uid);
	return e ? e : annotations_append(&k->c, k->target, *uid, &m, j->principal, a);
}

static void
append_end(struct appending *k, struct job *j)
{
	bool both = k->from && k->target != &k->source;
	box_put(&k->c, k->target);
	if (both)
		box_put(k->from, &k->source);
	change_end(&k->c);
	if (k->from == &k->other)
		change_end(&k->other);
	job_tell_box(j, j->account, k->target);
	if (both)
		job_tell_box(j, j->to_account, &k->source);
}

enum err
message_append(struct job *j, struct txn *t)
{
	const struct store_message_append_in *in = j->in;
	struct store_message_append_out *out = j->out;
	struct appending k;
	char *uids = arena_alloc(&j->call->arena, 4 * in->nappends + 1);
	enum err e = append_begin(&k, j, t, in);
	for (uint32_t i = 0; i < in->nappends && !e; i++) {
		uint32_t uid = 0;
		e = append_one(&k, j, &in->appends[i], &j->bodies[i], &uid);
		bytes_set_le(uids + 4 * i, uid, 4);
	}
	if (e)
		return e;
	append_end(&k, j);
	out->uidvalidity = k.target->row.uidvalidity;
	out->uids = slice_of(uids, 4 * in->nappends);
	out->source_modseq = k.from ? k.source.row.modseq : 0;
	return OK;
}
