/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.c - the names of an account's mailboxes: create, delete, rename, subscribe (RFC 9051 6.3.4 to
 * 6.3.8), and what is behind one: open, changes. Work functions of calls.c, and mailbox_by_name for deliveries and
 * appends. mailbox_list.c lists them.
 *
 * A name is a row 'n'; a mailbox behind it is a row 'm', whose id never changes and never comes back. UIDVALIDITY of a
 * name only grows: each new mailbox gets a number greater than any of the account before, and one that moves to another
 * name keeps its number only when no mailbox with a greater one has ever lost its name. */
#include "store/rows_state.h"

#include "base/clock.h"

#define NAME_BYTES_MAX 1000
#define COMPONENT_BYTES_MAX 255
#define DEPTH_MAX 32

uint32_t mailbox_names_max = 100000;

/* ---- names */

static bool
has_c1_control(struct slice s)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if ((uint8_t)s.at[i] == 0xc2 && (uint8_t)s.at[i + 1] < 0xa0)
			return true;
	return false;
}

static bool
components_fit(struct slice name)
{
	size_t depth = 1, len = 0;
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] != '/') {
			len++;
		} else if (len == 0 || len > COMPONENT_BYTES_MAX) {
			return false;
		} else {
			len = 0;
			depth++;
		}
	}
	return len > 0 && len <= COMPONENT_BYTES_MAX && depth <= DEPTH_MAX;
}

enum err
mailbox_name_check(struct arena *a, struct slice *name)
{
	if (name->len == 0 || name->len > NAME_BYTES_MAX || !components_fit(*name))
		return ERR_SYNTAX;
	if (!slice_is_utf8(*name) || slice_has_control(*name) || has_c1_control(*name))
		return ERR_SYNTAX;
	if (slice_starts_nocase(*name, S("INBOX")) && (name->len == 5 || name->at[5] == '/'))
		*name = arena_join(a, S("INBOX"), slice_from(*name, 5));
	return OK;
}

static bool
is_inbox(struct slice name)
{
	return slice_equal(name, S("INBOX"));
}

enum err
mailbox_id_of(struct txn *t, uint64_t account, struct slice name, struct row_name *row)
{
	if (mailbox_name_check(txn_arena(t), &name))
		return ERR_NOT_FOUND;
	enum err e = name_get(t, account, name, row);
	return e ? e : row->mailbox ? OK : ERR_NOT_FOUND;
}

enum err
mailbox_has_children(struct txn *t, uint64_t account, struct slice name, bool *has)
{
	struct slice k, value;
	struct key from = key_name(account, name);
	key_bytes(&from, S("/"));
	struct key to = from;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	*has = range_next(r, &k, &value);
	return range_end(&r);
}

enum err
mailbox_name_find(struct change *c, struct slice name, struct row_name *row, bool *there)
{
	enum err e = name_get(c->t, c->account, name, row);
	*there = !e;
	if (e == ERR_NOT_FOUND) {
		*row = (struct row_name){ 0 };
		return OK;
	}
	return e;
}

/* Mailboxes of others show there. */
static bool
is_reserved(struct slice name)
{
	static const struct slice roots[] = { S_ROW(ROOT_OTHERS), S_ROW(ROOT_SHARED) };
	for (size_t i = 0; i < COUNT_OF(roots); i++)
		if (slice_starts(name, roots[i]) && (name.len == roots[i].len || name.at[roots[i].len] == '/'))
			return true;
	return false;
}

static enum err
name_add(struct change *c, struct slice name, bool there, const struct row_name *row)
{
	if (row->mailbox && is_reserved(name))
		return ERR_DENIED;
	if (!there && c->counters.names >= mailbox_names_max)
		return ERR_LIMIT;
	c->counters.names += !there;
	name_put(c->t, c->account, name, row);
	return OK;
}

static void
name_remove(struct change *c, struct slice name)
{
	struct key k = key_name(c->account, name);
	txn_delete(c->t, key_slice(&k));
	ASSERT(c->counters.names > 0);
	c->counters.names--;
}

enum err
mailbox_name_keep(struct change *c, struct slice name, bool there, const struct row_name *row)
{
	if (row->mailbox || row->attributes)
		return name_add(c, name, there, row);
	if (there)
		name_remove(c, name);
	return OK;
}

/* ---- making mailboxes */

/* Greater than any before in this account: the time, or one more when that was given already. */
static uint32_t
next_uidvalidity(struct change *c)
{
	int64_t now = clock_wall_sec();
	uint32_t least = c->counters.uidvalidity + 1;
	c->counters.uidvalidity = now > least && now <= UINT32_MAX ? (uint32_t)now : least;
	return c->counters.uidvalidity;
}

/* RFC 5465 5.4: a mailbox that comes or goes affects its direct parent, too. was: rights of others until now. */
static void
note_with_parent(struct job *j, const struct change *c, struct slice name, const struct row_acl *was)
{
	ptrdiff_t end = slice_find_last_char(name, '/');
	if (end > 0)
		job_note_name(j, c, CHANGED_NAME, slice_part(name, 0, (size_t)end), S(""));
	job_note_rights(j, c, CHANGED_NAME, name, was);
}

/* The nearest name above this one that has a mailbox; none: row->mailbox is 0. */
static enum err
parent_of(struct txn *t, uint64_t account, struct slice name, struct row_name *row)
{
	*row = (struct row_name){ 0 };
	for (size_t i = name.len; i-- > 1;) {
		if (name.at[i] != '/')
			continue;
		enum err e = name_get(t, account, slice_part(name, 0, i), row);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (!e && row->mailbox)
			return OK;
		*row = (struct row_name){ 0 };
	}
	return OK;
}

/* RFC 4314 4: a new mailbox gets the rights of its parent. */
static enum err
acl_inherit(struct change *c, struct slice name, uint64_t mailbox)
{
	struct row_name parent;
	enum err e = parent_of(c->t, c->account, name, &parent);
	if (e || !(parent.attributes & MAILBOX_SHARED))
		return e;
	return acl_copy(c, parent.mailbox, mailbox, name);
}

/* RFC 4314 4: somebody else needs k on the nearest parent that there is. */
static enum err
may_create(const struct job *j, struct txn *t, struct slice name)
{
	struct row_name parent;
	if (j->principal == j->account)
		return OK;
	enum err e = parent_of(t, j->account, name, &parent);
	e = e ? e : acl_check(t, j->account, parent.mailbox, j->principal, ACL_CREATE);
	return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}

static enum err
mailbox_make(struct change *c, struct slice name, uint32_t attributes, struct box *b)
{
	struct row_name row;
	bool there;
	enum err e = mailbox_name_find(c, name, &row, &there);
	if (e)
		return e;
	if (row.mailbox || (row.attributes & MAILBOX_REMOTE)) /* or it is made where it is referred to */
		return row.mailbox ? ERR_EXISTS : ERR_NOT_FOUND;
	row.mailbox = c->counters.next_mailbox++;
	row.attributes = (row.attributes & MAILBOX_SUBSCRIBED) | attributes;
	e = name_add(c, name, there, &row);
	if (e)
		return e;
	*b = (struct box){ .id = row.mailbox };
	b->row = (struct row_mailbox){ .name = name, .uidnext = 1, .recent_from = 1 };
	b->row.uidvalidity = next_uidvalidity(c);
	b->row.modseq = b->row.log_floor = change_modseq(c);
	c->counters.mailboxes++;
	box_put(c, b);
	if (c->job)
		note_with_parent(c->job, c, name, &(struct row_acl){ 0 });
	return acl_inherit(c, name, b->id);
}

/* The same within the limit of the account (RFC 9208 5.3). */
static enum err
mailbox_make_limited(struct change *c, struct slice name, uint32_t attributes, struct box *b)
{
	struct row_account account;
	enum err e = account_get(c->t, c->account, &account);
	if (e)
		return e;
	struct store_usage u = usage_of(c->s, &account, &c->counters);
	if (u.mailboxes_max && u.mailboxes >= u.mailboxes_max)
		return ERR_QUOTA;
	return mailbox_make(c, name, attributes, b);
}

/* RFC 9051 6.3.4: superior names that are missing are created too. */
static enum err
make_parents(struct change *c, struct slice name)
{
	enum err e = OK;
	for (size_t i = 1; i < name.len && !e; i++) {
		struct row_name row;
		struct box b;
		bool there;
		if (name.at[i] != '/')
			continue;
		e = mailbox_name_find(c, slice_part(name, 0, i), &row, &there);
		if (!e && !row.mailbox && !(row.attributes & MAILBOX_NOSELECT))
			e = mailbox_make_limited(c, slice_part(name, 0, i), 0, &b);
	}
	return e;
}

enum err
mailbox_make_default(struct change *c)
{
	static const struct {
		struct slice name;
		uint32_t special;
	} defaults[] = {
		{ S_ROW("INBOX"), 0 },
		{ S_ROW("Archive"), MAILBOX_SPECIAL_ARCHIVE },
		{ S_ROW("Drafts"), MAILBOX_SPECIAL_DRAFTS },
		{ S_ROW("Junk"), MAILBOX_SPECIAL_JUNK },
		{ S_ROW("Sent"), MAILBOX_SPECIAL_SENT },
		{ S_ROW("Trash"), MAILBOX_SPECIAL_TRASH },
	};
	enum err e = OK;
	struct box b;
	for (size_t i = 0; i < COUNT_OF(defaults) && !e; i++)
		e = mailbox_make(c, defaults[i].name, MAILBOX_SUBSCRIBED | defaults[i].special, &b);
	return e;
}

enum err
mailbox_by_name(struct change *c, struct slice name, bool make, struct box *b)
{
	struct row_name row;
	bool there;
	enum err e = mailbox_name_check(txn_arena(c->t), &name);
	e = e ? e : mailbox_name_find(c, name, &row, &there);
	if (e)
		return e;
	if (row.mailbox)
		return box_get(c, row.mailbox, b);
	if (!make)
		return ERR_NOT_FOUND;
	e = make_parents(c, name);
	return e ? e : mailbox_make_limited(c, name, 0, b);
}

enum err
mailbox_create(struct job *j, struct txn *t)
{
	const struct store_mailbox_create_in *in = j->in;
	struct store_mailbox_create_out *out = j->out;
	struct change c;
	struct box b;
	struct slice name = in->name;
	if (slice_ends(name, S("/"))) /* RFC 3501 6.3.3: a trailing delimiter says that names below will follow */
		name.len--;
	enum err e = mailbox_name_check(txn_arena(t), &name);
	e = e ? e : may_create(j, t, name);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	c.job = j;
	e = e ? e : make_parents(&c, name);
	e = e ? e : mailbox_make_limited(&c, name, in->special & MAILBOX_SPECIAL_MASK, &b);
	if (e)
		return e;
	change_end(&c);
	out->account = j->account;
	out->id = b.id;
	out->uidvalidity = b.row.uidvalidity;
	job_tell(j, j->account, 0, b.row.modseq);
	return OK;
}

/* ---- delete */

/* The mailbox goes at once with its share of the quota; its messages in the background (removal.c). */
static enum err
mailbox_drop(struct change *c, uint64_t id)
{
	struct box b;
	enum err e = box_get(c, id, &b);
	if (e)
		return e;
	ASSERT(c->counters.messages >= b.row.messages && c->counters.bytes >= b.row.bytes);
	c->counters.messages -= b.row.messages;
	c->counters.bytes -= b.row.bytes;
	ASSERT(c->counters.annotations >= b.row.annotations);
	c->counters.annotations -= b.row.annotations;
	ASSERT(c->counters.mailboxes > 0);
	c->counters.mailboxes--;
	c->counters.gone = MAX(c->counters.gone, b.row.uidvalidity);
	struct key row = key2('m', c->account, id), rest = key2('D', c->account, id);
	txn_delete(c->t, key_slice(&row));
	txn_put(c->t, key_slice(&rest), SLICE_NONE);
	return acl_drop(c->t, c->account, id, &c->counters);
}

enum err
mailbox_delete(struct job *j, struct txn *t)
{
	const struct store_mailbox_delete_in *in = j->in;
	struct slice name = in->name;
	struct change c;
	struct row_name row;
	struct row_acl acl = { 0 };
	bool there, parent;
	enum err e = mailbox_name_check(txn_arena(t), &name);
	if (!e && is_inbox(name))
		return ERR_DENIED;
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : mailbox_name_find(&c, name, &row, &there);
	e = e ? e : mailbox_has_children(t, j->account, name, &parent);
	if (e)
		return e;
	if (!row.mailbox && !(row.attributes & MAILBOX_NOSELECT))
		return ERR_NOT_FOUND;
	if (!row.mailbox && parent)
		return ERR_BUSY; /* RFC 9051 6.3.5: an error for a name that cannot be selected and has inferiors */
	if (row.mailbox && (row.attributes & MAILBOX_SHARED))
		e = acl_read(t, j->account, row.mailbox, &acl);
	if (row.mailbox && !e)
		e = mailbox_drop(&c, row.mailbox);
	if (e)
		return e;
	j->to_remove = row.mailbox != 0;
	row.mailbox = 0;
	row.attributes = (row.attributes & MAILBOX_SUBSCRIBED) | (parent ? MAILBOX_NOSELECT : 0);
	if (row.attributes)
		name_put(t, j->account, name, &row);
	else
		name_remove(&c, name);
	job_tell(j, j->account, 0, change_modseq(&c));
	note_with_parent(j, &c, name, &acl);
	change_end(&c);
	return OK;
}

/* ---- rename */

/* Moves one name with the mailbox behind it. gone: counters.gone as it was before this rename. */
static enum err
move_name(struct change *c, struct slice from, struct slice to, uint32_t gone)
{
	struct row_name row, old;
	struct box b;
	bool there, taken;
	enum err e = mailbox_name_check(txn_arena(c->t), &to);
	e = e ? e : mailbox_name_find(c, from, &row, &there);
	e = e ? e : mailbox_name_find(c, to, &old, &taken);
	if (e)
		return e;
	if (old.mailbox || (old.attributes & MAILBOX_REMOTE))
		return old.mailbox ? ERR_EXISTS : ERR_NOT_FOUND;
	row.attributes |= old.attributes & MAILBOX_SUBSCRIBED;
	name_remove(c, from);
	e = name_add(c, to, taken, &row);
	e = e || !(row.attributes & MAILBOX_REMOTE) ? e : referral_move(c->t, c->account, from, to);
	if (e || !row.mailbox)
		return e;
	e = box_get(c, row.mailbox, &b);
	if (e)
		return e;
	c->counters.gone = MAX(c->counters.gone, b.row.uidvalidity);
	if (b.row.uidvalidity <= gone)
		b.row.uidvalidity = next_uidvalidity(c);
	b.row.name = to;
	box_put(c, &b);
	return OK;
}

static enum err
children_of(struct change *c, struct slice name, struct slice **names, size_t *n)
{
	struct arena *a = txn_arena(c->t);
	struct slice k, value;
	struct key from = key_name(c->account, name);
	key_bytes(&from, S("/"));
	struct key to = from;
	key_after_prefix(&to);
	size_t cap = 0;
	*n = 0;
	*names = NULL;
	struct range *r = range_begin(c->t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		if (*n == cap) {
			struct slice *more = ARENA_ARRAY(a, struct slice, cap * 2 + 16);
			if (cap)
				memcpy(more, *names, cap * sizeof *more);
			*names = more;
			cap = cap * 2 + 16;
		}
		(*names)[(*n)++] = slice_keep(a, slice_from(k, 9));
	}
	return range_end(&r);
}

/* RFC 5465 5.4: children go without saying; but who does not see the parent must hear of them. */
static enum err
note_child(struct change *c, struct slice from, struct slice to)
{
	struct row_name row;
	enum err e = name_get(c->t, c->account, to, &row);
	if (!e && (row.attributes & MAILBOX_SHARED)) {
		change_modseq(c);
		job_note_name(c->job, c, CHANGED_RENAMED | CHANGED_BELOW, to, from);
	}
	return e;
}

static enum err
rename_tree(struct change *c, struct slice from, struct slice to)
{
	struct row_name row;
	struct slice *names = NULL;
	size_t n = 0;
	bool there;
	uint32_t gone = c->counters.gone;
	enum err e = mailbox_name_find(c, from, &row, &there);
	if (!e && !row.mailbox && !(row.attributes & MAILBOX_NOSELECT))
		return ERR_NOT_FOUND;
	e = e ? e : children_of(c, from, &names, &n);
	e = e ? e : make_parents(c, to);
	e = e ? e : move_name(c, from, to, gone);
	for (size_t i = 0; i < n && !e; i++) {
		struct slice renamed = arena_join(txn_arena(c->t), to, slice_from(names[i], from.len));
		e = move_name(c, names[i], renamed, gone);
		e = e || (row.attributes & MAILBOX_SHARED) ? e : note_child(c, names[i], renamed);
	}
	return e;
}

/* RFC 9051 6.3.6: the messages of INBOX move to the new name and INBOX is left empty; names below it stay. The mailbox
 * takes the new name, and INBOX gets a new one. */
static enum err
rename_inbox(struct change *c, struct slice to)
{
	struct box b;
	struct row_name inbox;
	uint32_t gone = c->counters.gone;
	enum err e = name_get(c->t, c->account, S("INBOX"), &inbox);
	e = e ? e : make_parents(c, to);
	e = e ? e : move_name(c, S("INBOX"), to, gone);
	c->job = NULL; /* RFC 5465 5.4: nobody hears of the new one */
	e = e ? e : mailbox_make(c, S("INBOX"), MAILBOX_SUBSCRIBED, &b);
	e = e ? e : metadata_copy(c->t, c->account, inbox.mailbox, b.id);
	/* whoever may read what comes may read what came */
	return e ? e : acl_copy(c, inbox.mailbox, b.id, S("INBOX"));
}

enum err
mailbox_rename(struct job *j, struct txn *t)
{
	const struct store_mailbox_rename_in *in = j->in;
	struct slice from = in->from, to = in->to;
	struct change c;
	struct row_name row;
	bool taken;
	if (slice_ends(to, S("/")))
		to.len--;
	enum err e = mailbox_name_check(txn_arena(t), &from);
	e = e ? e : mailbox_name_check(txn_arena(t), &to);
	if (!e && is_inbox(from) && j->principal != j->account)
		return ERR_DENIED; /* his mail would go on coming there */
	e = e ? e : may_create(j, t, to);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : mailbox_name_find(&c, to, &row, &taken);
	if (e)
		return e;
	if (row.mailbox)
		return ERR_EXISTS;
	if (slice_starts(to, arena_join(txn_arena(t), from, S("/"))) && !is_inbox(from))
		return ERR_DENIED; /* into itself */
	c.job = j;
	e = is_inbox(from) ? rename_inbox(&c, to) : rename_tree(&c, from, to);
	if (e)
		return e;
	job_tell(j, j->account, 0, change_modseq(&c));
	job_note_name(j, &c, CHANGED_RENAMED, to, from);
	change_end(&c);
	return OK;
}

/* ---- subscribe: RFC 9051 6.3.7; a subscription outlives its mailbox */

enum err
mailbox_subscribe(struct job *j, struct txn *t)
{
	const struct store_mailbox_subscribe_in *in = j->in;
	struct slice name = in->name;
	struct change c;
	struct row_name row;
	bool there;
	enum err e = mailbox_name_check(txn_arena(t), &name);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : mailbox_name_find(&c, name, &row, &there);
	if (e || in->on == ((row.attributes & MAILBOX_SUBSCRIBED) != 0))
		return e;
	row.attributes ^= MAILBOX_SUBSCRIBED;
	e = mailbox_name_keep(&c, name, there, &row);
	job_tell(j, j->account, 0, change_modseq(&c));
	job_note_name(j, &c, CHANGED_SUBSCRIPTION, name, S(""));
	change_end(&c);
	return e;
}

/* ---- special uses */

enum err
mailbox_use(struct job *j, struct txn *t)
{
	const struct store_mailbox_use_in *in = j->in;
	struct slice name = in->name;
	struct change c;
	struct row_name row;
	enum err e = mailbox_name_check(txn_arena(t), &name);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : name_get(t, j->account, name, &row);
	if (e || !row.mailbox)
		return e ? e : ERR_NOT_FOUND;
	row.attributes = (row.attributes & ~(uint32_t)MAILBOX_SPECIAL_MASK) | (in->special & MAILBOX_SPECIAL_MASK);
	name_put(t, j->account, name, &row);
	job_tell(j, j->account, 0, change_modseq(&c));
	change_end(&c);
	return OK;
}

/* ---- open */

static enum err
mailbox_named(struct job *j, struct txn *t, struct slice name, struct row_name *n, struct row_mailbox *row)
{
	enum err e = mailbox_id_of(t, j->account, name, n);
	return e ? e : mailbox_get(t, j->account, n->mailbox, row);
}

static enum err
open_rows(struct job *j, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row)
{
	const struct store_mailbox_open_in *in = j->in;
	struct store_mailbox_open_out *out = j->out;
	struct indexes *x = j->s->rows->indexes;
	struct index_shared shared = { .fd = -1 };
	size_t filled = 0;
	enum err e = in->share && in->from_uid <= 1 ? index_share(x, t, account, mailbox, row, &shared) : OK;
	if (!e && shared.fd < 0)
		e = index_copy(x, t, account, mailbox, row, in->from_uid, j->into, j->into_bytes / INDEX_ROW_BYTES, &filled,
		               &out->more);
	out->filled = (uint32_t)(filled * INDEX_ROW_BYTES);
	out->shared = shared.fd;
	out->shared_rows = (uint32_t)shared.n;
	out->shared_modseq = shared.modseq;
	return e;
}

enum err
mailbox_open(struct job *j, struct txn *t)
{
	const struct store_mailbox_open_in *in = j->in;
	struct store_mailbox_open_out *out = j->out;
	struct row_name n;
	struct row_mailbox row;
	enum err e = mailbox_named(j, t, in->name, &n, &row);
	e = e ? e : open_rows(j, t, j->account, n.mailbox, &row);
	if (e)
		return e;
	out->mailbox = mailbox_answer(j->account, n.mailbox, &row, n.attributes);
	out->mailbox.rights = j->granted;
	out->mailbox.url_resets = url_resets(j, n.mailbox);
	out->mailbox.name = job_keep(j, row.name);
	out->first_recent = row.recent ? row.recent_from : 0;
	out->keyword_sets = row.keyword_sets;
	return OK;
}

/* RFC 3501 2.3.2: messages are \Recent for the first session that opens the mailbox for writing. */
enum err
mailbox_open_write(struct job *j, struct txn *t)
{
	const struct store_mailbox_open_in *in = j->in;
	struct store_mailbox_open_out *out = j->out;
	struct row_name n;
	struct change c;
	struct box b;
	enum err e = change_begin(&c, j->s, t, j->account);
	e = e ? e : mailbox_named(j, t, in->name, &n, &b.row);
	if (e)
		return e;
	b.id = n.mailbox;
	out->first_recent = b.row.recent ? b.row.recent_from : 0;
	out->mailbox.recent = b.row.recent;
	b.row.recent = 0;
	b.row.recent_from = b.row.uidnext;
	box_put(&c, &b);
	return OK;
}

/* ---- changes */

static int
by_modseq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* The greatest modseq so that at most max of these are not above it; UINT64_MAX when all fit. */
static uint64_t
modseq_that_fits(uint64_t *modseqs, size_t n, size_t max)
{
	if (n <= max)
		return UINT64_MAX;
	qsort(modseqs, n, sizeof *modseqs, by_modseq);
	return modseqs[max] - 1;
}

/* Where this page of changes ends: all of one modseq come together. */
static uint64_t
page_end(const struct changes *c, size_t rows_max, size_t vanished_max)
{
	uint64_t *modseqs = must_calloc(MAX(c->nrows, c->nvanished) + 1, sizeof *modseqs);
	for (size_t i = 0; i < c->nrows; i++)
		modseqs[i] = c->rows[i].row.modseq;
	uint64_t end = modseq_that_fits(modseqs, c->nrows, rows_max);
	for (size_t i = 0; i < c->nvanished; i++)
		modseqs[i] = c->vanished[i].modseq;
	uint64_t end_vanished = modseq_that_fits(modseqs, c->nvanished, vanished_max);
	free(modseqs);
	return MIN(end, end_vanished);
}

static void
changes_answer(struct job *j, const struct changes *c, struct store_mailbox_changes_out *out)
{
	struct index_row *rows = j->into;
	char *gone = arena_alloc(&j->call->arena, 4 * c->nvanished + 1);
	size_t nrows = 0, ngone = 0;
	for (size_t i = 0; i < c->nrows; i++)
		if (c->rows[i].row.modseq <= out->upto)
			rows[nrows++] = index_row_of(c->rows[i].uid, &c->rows[i].row);
	for (size_t i = 0; i < c->nvanished; i++)
		if (c->vanished[i].modseq <= out->upto)
			bytes_set_le(gone + 4 * ngone++, c->vanished[i].uid, 4);
	out->filled = (uint32_t)(nrows * INDEX_ROW_BYTES);
	out->vanished = slice_of(gone, 4 * ngone);
}

enum err
mailbox_changes(struct job *j, struct txn *t)
{
	const struct store_mailbox_changes_in *in = j->in;
	struct store_mailbox_changes_out *out = j->out;
	struct row_mailbox row;
	struct changes c;
	size_t rows_max = j->into_bytes / INDEX_ROW_BYTES;
	if (rows_max < MODSEQ_SPAN)
		return ERR_LIMIT;
	enum err e = mailbox_get(t, j->account, in->mailbox, &row);
	if (e)
		return e;
	out->mailbox = mailbox_answer(j->account, in->mailbox, &row, 0);
	out->mailbox.rights = j->granted;
	out->mailbox.url_resets = url_resets(j, in->mailbox);
	out->mailbox.name = job_keep(j, row.name);
	out->upto = row.modseq;
	e = changes_since(j->s, t, j->account, in->mailbox, &row, in->since, in->known, &c);
	if (e == ERR_STALE) {
		out->whole = true;
		return OK;
	}
	if (e)
		return e;
	uint64_t end = page_end(&c, rows_max, 262144 / 4);
	out->more = end < row.modseq;
	out->upto = MIN(end, MAX(row.modseq, in->since));
	changes_answer(j, &c, out);
	changes_release(&c);
	return OK;
}
