/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c - annotations of mailboxes and of the server (RFC 5464): small named values, one row 'x' each. They go
 * with their mailbox (removal.c), and stay with it when it is renamed, since its id stays. Work functions of calls.c.
 */
#include "store/rows_state.h"

#define ENTRIES_MAX 1000 /* of a mailbox, of either kind */
#define VALUES_BYTES_MAX (512u << 10)
#define ANSWER_ENTRIES_MAX 2000
#define GET_BYTES_MAX (1280u << 10) /* more than a mailbox holds; who names entries twice gets less */

/* Whose rows an entry is among: a mailbox or the server, and a user or everybody. */
struct scope {
	uint64_t account, mailbox, user;
};

static bool
is_shared(struct slice entry)
{
	return slice_starts(entry, S("/shared/"));
}

static bool
entry_is_sound(struct slice entry)
{
	return is_shared(entry) || slice_starts(entry, S("/private/"));
}

static struct scope
scope_of(const struct job *j, uint64_t mailbox, bool shared)
{
	bool everybody = shared && mailbox == 0;
	return (struct scope){ everybody ? 0 : j->account, mailbox, shared ? 0 : j->principal };
}

static struct key
scope_key(const struct scope *s)
{
	struct key k = key2('x', s->account, s->mailbox);
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

/* RFC 5464 3.3: whoever may list a mailbox, and may do anything with its messages */
static enum err
check_access(struct job *j, struct txn *t, uint64_t mailbox)
{
	const uint32_t any = ACL_READ | ACL_SEEN | ACL_WRITE | ACL_INSERT | ACL_POST;
	uint32_t rights;
	if (j->principal == j->account)
		return OK;
	if (mailbox == 0)
		return ERR_DENIED; /* the server's entries of somebody else */
	enum err e = acl_rights(t, j->account, mailbox, j->principal, &rights);
	if (e || !(rights & ACL_LOOKUP))
		return e ? e : ERR_NOT_FOUND;
	return rights & any ? OK : ERR_DENIED;
}

/* Empty: the server. */
static enum err
mailbox_of(struct job *j, struct txn *t, struct slice name, uint64_t *mailbox)
{
	struct row_name row;
	*mailbox = 0;
	enum err e = name.len ? name_get(t, j->account, name, &row) : OK;
	if (!e && name.len)
		*mailbox = row.mailbox;
	if (!e && name.len && !row.mailbox)
		e = ERR_NOT_FOUND;
	return e ? e : check_access(j, t, *mailbox);
}

/* ---- get */

/* What is answered is kept as long as the call: it has a limit before it is copied, not only when it is sent. */
struct getting {
	struct job *j;
	struct txn *t;
	uint64_t mailbox;
	size_t room; /* of GET_BYTES_MAX */
};

static enum err
answer_add(struct getting *g, struct slice entry, struct slice value, bool gone)
{
	struct job *j = g->j;
	struct store_metadata_get_out *out = j->out;
	if (out->nannotations == ANSWER_ENTRIES_MAX || entry.len + value.len > g->room)
		return ERR_LIMIT;
	g->room -= entry.len + value.len;
	out->annotations[out->nannotations++] = (struct store_annotation){ .entry = job_keep(j, entry),
		                                                               .value = gone ? S("") : job_keep(j, value),
		                                                               .gone = gone };
	return OK;
}

/* Entries whose names begin with name and a slash, and have one part more (depth 1) or any number. */
static enum err
get_below(struct getting *g, const struct scope *s, struct slice name, uint32_t depth)
{
	struct key from = entry_key(s, name);
	key_bytes(&from, S("/"));
	struct key to = from;
	struct slice k, value;
	enum err e = OK;
	key_after_prefix(&to);
	struct range *r = range_begin(g->t, key_slice(&from), key_slice(&to), false);
	while (!e && range_next(r, &k, &value))
		if (depth > 1 || slice_find_char(slice_from(k, from.len), '/') < 0)
			e = answer_add(g, slice_from(k, scope_key(s).len), value, false);
	enum err ended = range_end(&r);
	return e ? e : ended;
}

static enum err
get_entry(struct getting *g, struct slice name)
{
	const struct store_metadata_get_in *in = g->j->in;
	struct scope s = scope_of(g->j, g->mailbox, is_shared(name) || slice_equal(name, S("/shared")));
	struct slice value = SLICE_NONE;
	struct key k = entry_key(&s, name);
	enum err e = txn_get(g->t, key_slice(&k), &value);
	if (e && e != ERR_NOT_FOUND)
		return e;
	bool gone = e == ERR_NOT_FOUND;
	e = gone && in->depth ? OK : answer_add(g, name, value, gone);
	return e || !in->depth ? e : get_below(g, &s, name, in->depth);
}

enum err
metadata_get(struct job *j, struct txn *t)
{
	const struct store_metadata_get_in *in = j->in;
	struct store_metadata_get_out *out = j->out;
	struct getting g = { .j = j, .t = t, .room = GET_BYTES_MAX };
	enum err e = mailbox_of(j, t, in->name, &g.mailbox);
	out->annotations = ARENA_ARRAY(&j->call->arena, struct store_annotation, ANSWER_ENTRIES_MAX);
	for (uint32_t i = 0; i < in->nentries && !e; i++)
		e = get_entry(&g, in->entries[i].text);
	return e;
}

/* ---- set */

static enum err
check_room(struct txn *t, const struct scope *s)
{
	struct key from = scope_key(s), to = from;
	struct slice k, value;
	size_t n = 0, bytes = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n <= ENTRIES_MAX && range_next(r, &k, &value)) {
		n++;
		bytes += k.len - from.len + value.len;
	}
	enum err e = range_end(&r);
	if (e)
		return e;
	return n > ENTRIES_MAX || bytes > VALUES_BYTES_MAX ? ERR_LIMIT : OK;
}

static enum err
check_rights(struct job *j, struct txn *t, uint64_t mailbox, bool sets_shared)
{
	struct row_account account;
	if (mailbox || !sets_shared)
		return OK;
	enum err e = account_get(t, j->account, &account);
	return e ? e : account.rights & RIGHT_ADMIN ? OK : ERR_DENIED;
}

static void
set_entry(struct txn *t, const struct scope *s, const struct store_annotation *a)
{
	struct key k = entry_key(s, a->entry);
	if (a->gone)
		txn_delete(t, key_slice(&k));
	else
		txn_put(t, key_slice(&k), a->value);
}

/* RFC 5465 5.6, 5.7: what others of this account see changed. What somebody it shares with keeps for himself is not
 * among it. */
static enum err
note_entries(struct job *j, struct txn *t, const struct store_metadata_set_in *in)
{
	struct change c;
	enum err e = change_begin(&c, j->s, t, j->account);
	if (e)
		return e;
	job_tell(j, j->account, 0, change_modseq(&c));
	for (uint32_t i = 0; i < in->nannotations; i++)
		if (j->principal == j->account || is_shared(in->annotations[i].entry))
			job_note_name(j, &c, CHANGED_METADATA, in->name, in->annotations[i].entry);
	change_end(&c);
	return OK;
}

enum err
metadata_set(struct job *j, struct txn *t)
{
	const struct store_metadata_set_in *in = j->in;
	uint64_t mailbox;
	bool sets[2] = { false, false }; /* private, shared */
	enum err e = mailbox_of(j, t, in->name, &mailbox);
	for (uint32_t i = 0; i < in->nannotations && !e; i++) {
		if (!entry_is_sound(in->annotations[i].entry))
			return ERR_SYNTAX;
		sets[is_shared(in->annotations[i].entry)] = true;
	}
	e = e ? e : check_rights(j, t, mailbox, sets[true]);
	for (uint32_t i = 0; i < in->nannotations && !e; i++) {
		struct scope s = scope_of(j, mailbox, is_shared(in->annotations[i].entry));
		set_entry(t, &s, &in->annotations[i]);
	}
	for (int shared = 0; shared < 2 && !e; shared++) {
		struct scope s = scope_of(j, mailbox, shared);
		e = sets[shared] ? check_room(t, &s) : OK;
	}
	return e ? e : note_entries(j, t, in);
}

/* ---- RFC 5464 4.1: a rename of INBOX leaves its annotations there, too */

enum err
metadata_copy(struct txn *t, uint64_t account, uint64_t from, uint64_t to)
{
	struct key begin = key2('x', account, from), end = begin;
	struct key target = key2('x', account, to);
	struct slice k, value;
	key_after_prefix(&end);
	struct range *r = range_begin(t, key_slice(&begin), key_slice(&end), false);
	while (range_next(r, &k, &value)) {
		struct key copy = target;
		key_bytes(&copy, slice_from(k, begin.len));
		txn_put(t, key_slice(&copy), value);
	}
	return range_end(&r);
}
