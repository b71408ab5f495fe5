/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - the packed index of mailboxes that were opened, in memory: arrays of rows and of objects by uid, as they
 * were at a modseq. Called by mailbox_open, and by all that reads many rows of a mailbox. It can never be wrong: before
 * each use it is compared with the mailbox's row, whose modseq grows with every change of its messages, and brought up
 * to date from the change log; it is only ever filled from what is durable. The least recently used ones go when all
 * together pass their limit.
 *
 * Large ones are shared with the sessions that open the mailbox: a frozen copy (ipc/frozen.h) of the rows at some
 * modseq, of which the rows here become a private view, too. So all of them, and the store, have the same pages, but
 * for those where something changed since. A new copy is made when many rows changed. */
#include "store/index.h"

#include "ipc/frozen.h"

#include <unistd.h>

#define SHARES_MAX 1024 /* descriptors */

size_t index_share_bytes_min = 64u * 1024; /* smaller ones are copied: that costs less than a mapping */

struct index {
	uint64_t account, mailbox, key;
	uint64_t modseq; /* 0: nothing is known */
	struct index_row *rows;
	uint64_t *objects;
	size_t n, cap;
	size_t mapped; /* bytes of rows, when they are a view of the frozen copy; 0: they are on the heap */
	int shared;    /* the frozen copy; -1: there is none */
	uint64_t shared_modseq;
	size_t shared_n, changed; /* its rows, and how many changed since */
	size_t behind;            /* changes and entries of the log since it was packed */
	struct link link;         /* in indexes.used, the least recently used first */
};

struct indexes {
	struct store *store;
	struct map map; /* key -> struct index; mailboxes whose keys are equal take turns */
	struct link used;
	size_t bytes, bytes_max;
	size_t nshares;
};

#define ROW_BYTES (sizeof(struct index_row) + sizeof(uint64_t))

struct indexes *
indexes_new(struct store *s, size_t bytes_max)
{
	struct indexes *x = must_calloc(1, sizeof *x);
	x->store = s;
	list_init(&x->used);
	x->bytes_max = bytes_max;
	return x;
}

static void
rows_free(struct index *i)
{
	if (i->mapped)
		frozen_unmap(i->rows, i->mapped);
	else
		free(i->rows);
	i->mapped = 0;
}

static void
share_end(struct indexes *x, struct index *i)
{
	if (i->shared < 0)
		return;
	close(i->shared);
	i->shared = -1;
	x->nshares--;
}

static void
index_free(struct indexes *x, struct index *i)
{
	x->bytes -= i->cap * ROW_BYTES;
	share_end(x, i);
	list_remove(&i->link);
	map_remove(&x->map, i->key);
	rows_free(i);
	free(i->objects);
	free(i);
}

void
indexes_free(struct indexes **x)
{
	if (!*x)
		return;
	LIST_EACH (&(*x)->used, it)
		index_free(*x, CONTAINER_OF(it, struct index, link));
	map_release(&(*x)->map);
	free(*x);
	*x = NULL;
}

static uint64_t
index_key(uint64_t account, uint64_t mailbox)
{
	return account * 0x9e3779b97f4a7c15u ^ mailbox;
}

/* NULL: nobody opened it, or it had to go. */
static struct index *
index_known(struct indexes *x, uint64_t account, uint64_t mailbox)
{
	struct index *i = map_get(&x->map, index_key(account, mailbox));
	return i && i->account == account && i->mailbox == mailbox && i->modseq ? i : NULL;
}

static struct index *
index_of(struct indexes *x, uint64_t account, uint64_t mailbox)
{
	uint64_t key = index_key(account, mailbox);
	struct index *i = map_get(&x->map, key);
	if (i && (i->account != account || i->mailbox != mailbox)) {
		index_free(x, i);
		i = NULL;
	}
	if (!i) {
		i = must_calloc(1, sizeof *i);
		*i = (struct index){ .account = account, .mailbox = mailbox, .key = key, .shared = -1 };
		map_set(&x->map, key, i);
	}
	list_remove(&i->link);
	list_append(&x->used, &i->link);
	return i;
}

/* Rows in memory that can grow: from the heap. */
static void
rows_move(struct index *i, size_t cap)
{
	if (!i->mapped) {
		i->rows = must_realloc(i->rows, cap * sizeof *i->rows);
		return;
	}
	struct index_row *rows = must_calloc(cap, sizeof *rows);
	memcpy(rows, i->rows, i->n * sizeof *rows);
	rows_free(i);
	i->rows = rows;
}

static void
index_room(struct indexes *x, struct index *i, size_t n)
{
	if (n <= i->cap)
		return;
	size_t cap = MAX(n + n / 8, (size_t)16);
	rows_move(i, cap);
	i->objects = must_realloc(i->objects, cap * sizeof *i->objects);
	x->bytes += (cap - i->cap) * ROW_BYTES;
	i->cap = cap;
}

/* All but the one that is wanted now may go. */
static void
indexes_trim(struct indexes *x, const struct index *keep)
{
	while (x->bytes > x->bytes_max) {
		struct index *i = CONTAINER_OF(list_first(&x->used), struct index, link);
		if (i == keep)
			return;
		index_free(x, i);
	}
}

static void
index_set(struct index *i, size_t at, const struct uid_row *r)
{
	i->rows[at] = index_row_of(r->uid, &r->row);
	i->objects[at] = r->row.object;
}

static enum err
index_load(struct indexes *x, struct index *i, struct txn *t, size_t messages)
{
	struct key from = key2('u', i->account, i->mailbox), to = from;
	struct slice k, value;
	bool sound = true;
	key_after_prefix(&to);
	i->n = 0;
	share_end(x, i);
	index_room(x, i, messages);
	struct range *r = range_begin_scan(t, key_slice(&from), key_slice(&to));
	while (sound && range_next(r, &k, &value)) {
		struct uid_row row = { .uid = (uint32_t)bytes_get_be(k.at + 17, 4) };
		sound = row_message_take(value, &row.row);
		index_room(x, i, i->n + 1);
		index_set(i, i->n++, &row);
	}
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("message");
}

/* The first row with at least this uid. */
static size_t
index_find(const struct index *i, uint32_t uid)
{
	return index_rows_from(i->rows, i->n, uid);
}

static void
index_take_out(struct index *i, const struct changes *c)
{
	size_t left = SIZE_MAX;
	for (size_t v = 0; v < c->nvanished; v++) {
		size_t at = index_find(i, c->vanished[v].uid);
		if (at == i->n || i->rows[at].uid != c->vanished[v].uid)
			continue;
		i->rows[at].flags = UINT32_MAX; /* goes below */
		left = MIN(left, at);
	}
	if (left == SIZE_MAX)
		return;
	for (size_t r = left; r < i->n; r++) {
		if (i->rows[r].flags == UINT32_MAX)
			continue;
		i->objects[left] = i->objects[r];
		i->rows[left++] = i->rows[r];
	}
	i->n = left;
}

static void
index_apply(struct indexes *x, struct index *i, const struct changes *c)
{
	size_t at = 0;
	index_take_out(i, c);
	for (size_t r = 0; r < c->nrows; r++, at++) {
		if (at >= i->n || i->rows[at].uid != c->rows[r].uid) /* else it is the next one, as mostly */
			at = index_find(i, c->rows[r].uid);
		if (at == i->n) {
			index_room(x, i, i->n + 1);
			i->n++;
		}
		ASSERT(at == i->n - 1 || i->rows[at].uid == c->rows[r].uid);
		index_set(i, at, &c->rows[r]);
	}
	i->changed += c->nrows + c->nvanished;
	i->behind += c->nrows + c->nvanished;
}

/* From the packed rows, as old as they are; false: there are none that can be brought up to date. */
static bool
index_unpack(struct indexes *x, struct index *i, struct txn *t, const struct row_mailbox *row)
{
	size_t messages;
	uint64_t modseq = row->messages < packed_rows_min ? 0 : packed_head(t, i->account, i->mailbox, &messages);
	if (!modseq || modseq < row->log_floor || modseq > row->modseq)
		return false;
	i->n = 0;
	share_end(x, i);
	index_room(x, i, MAX(messages, (size_t)row->messages));
	if (!packed_read(t, i->account, i->mailbox, modseq, i->rows, i->objects, messages))
		return false;
	i->n = messages;
	i->modseq = modseq;
	i->changed = i->behind = 0;
	return true;
}

/* From the state that it is in to that of the mailbox's row. */
static enum err
index_advance(struct indexes *x, struct index *i, struct txn *t, const struct row_mailbox *row)
{
	struct changes c;
	uint32_t known = i->n ? i->rows[i->n - 1].uid : 0;
	if (!i->modseq)
		return ERR_STALE;
	enum err e = changes_since(NULL, t, i->account, i->mailbox, row, i->modseq, known, &c);
	if (e)
		return e;
	index_apply(x, i, &c);
	i->behind += c.nentries;
	changes_release(&c);
	return i->n == row->messages ? OK : ERR_STALE;
}

static enum err
index_refresh(struct indexes *x, struct index *i, struct txn *t, const struct row_mailbox *row)
{
	if (i->modseq == row->modseq)
		return OK;
	bool unpacked = !i->modseq && index_unpack(x, i, t, row);
	enum err e = index_advance(x, i, t, row);
	bool old = unpacked && i->behind > i->n / 8;
	if (e == ERR_STALE) {
		e = index_load(x, i, t, row->messages);
		i->behind = i->n;
		old = true;
		if (!e && i->n != row->messages)
			(void)row_damaged("count of messages"); /* what is there can be read all the same */
	}
	i->modseq = e ? 0 : row->modseq;
	if (!e && old && i->n >= packed_rows_min)
		packed_write_later(x->store, i->account, i->mailbox);
	return e;
}

void
index_packed(struct store *s, uint64_t account, uint64_t mailbox)
{
	struct index *i = index_known(s->rows->indexes, account, mailbox);
	if (i)
		i->behind = 0;
}

/* Before an orderly end, so that the next start finds them as they are. */
void
indexes_pack(struct store *s)
{
	LIST_EACH (&s->rows->indexes->used, it) {
		const struct index *i = CONTAINER_OF(it, struct index, link);
		if (i->modseq && i->n >= packed_rows_min && i->behind > i->n / 64)
			packed_write_later(s, i->account, i->mailbox);
	}
}

enum err
index_copy(struct indexes *x, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
           uint32_t from, struct index_row *into, size_t max, size_t *n, bool *more)
{
	struct index *i = index_of(x, account, mailbox);
	enum err e = index_refresh(x, i, t, row);
	if (e)
		return e;
	size_t first = index_find(i, from);
	*n = MIN(max, i->n - first);
	*more = first + *n < i->n;
	if (*n)
		memcpy(into, i->rows + first, *n * sizeof *into);
	indexes_trim(x, i);
	return OK;
}

/* ---- the copy that is shared */

/* The descriptors of the least recently used ones go. */
static void
shares_trim(struct indexes *x, const struct index *keep)
{
	LIST_EACH (&x->used, it) {
		struct index *i = CONTAINER_OF(it, struct index, link);
		if (x->nshares <= SHARES_MAX)
			return;
		if (i != keep)
			share_end(x, i);
	}
}

/* Makes a copy of the rows as they are, of which they become a view. */
static bool
share_make(struct indexes *x, struct index *i)
{
	size_t bytes = i->n * sizeof *i->rows, cap = MAX(i->cap, i->n + i->n / 8);
	int fd = frozen_new(slice_of(i->rows, bytes));
	struct index_row *rows = fd < 0 ? NULL : frozen_map(fd, bytes, cap * sizeof *rows);
	if (!rows) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rows_free(i);
	i->rows = rows;
	i->mapped = cap * sizeof *rows;
	i->objects = must_realloc(i->objects, cap * sizeof *i->objects);
	x->bytes += (cap - i->cap) * ROW_BYTES;
	i->cap = cap;
	share_end(x, i);
	i->shared = fd;
	i->shared_modseq = i->modseq;
	i->shared_n = i->n;
	i->changed = 0;
	x->nshares++;
	return true;
}

enum err
index_share(struct indexes *x, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
            struct index_shared *out)
{
	*out = (struct index_shared){ .fd = -1 };
	if ((size_t)row->messages * INDEX_ROW_BYTES < index_share_bytes_min)
		return OK;
	struct index *i = index_of(x, account, mailbox);
	enum err e = index_refresh(x, i, t, row);
	if (e)
		return e;
	bool good = i->shared >= 0 && i->changed <= i->shared_n / 64;
	if (good || (i->n && share_make(x, i)))
		*out = (struct index_shared){ i->shared, i->shared_n, i->shared_modseq };
	shares_trim(x, i);
	indexes_trim(x, i);
	return OK;
}

/* ---- rows for other work */

/* The index as the transaction sees the mailbox; NULL: there is none. A transaction that writes sees more than what is
 * durable when something in its batch changed the mailbox before: then it has another modseq. */
static struct index *
index_at(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row)
{
	struct indexes *x = s->rows->indexes;
	struct index *i = index_known(x, account, mailbox);
	if (!i || i->modseq == row->modseq)
		return i;
	struct row_mailbox durable;
	struct txn *view = txn_writes(t) ? txn_begin(s->engine, false) : t;
	if (mailbox_get(view, account, mailbox, &durable) == OK && durable.modseq == row->modseq)
		(void)index_refresh(x, i, view, &durable); /* that it fails shows in its modseq */
	if (view != t)
		txn_end(&view);
	return i->modseq == row->modseq ? i : NULL;
}

bool
index_rows_at(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
              const struct index_row **rows, const uint64_t **objects, size_t *n)
{
	struct index *i = index_at(s, t, account, mailbox, row);
	if (!i)
		return false;
	*rows = i->rows;
	*objects = i->objects;
	*n = i->n;
	return true;
}

static void
index_get(const struct index *i, size_t at, struct uid_row *r)
{
	const struct index_row *from = &i->rows[at];
	*r = (struct uid_row){ from->uid,
		                   { .object = i->objects[at],
		                     .flags = from->flags,
		                     .keyword_set = from->keyword_set,
		                     .modseq = from->modseq,
		                     .received = from->received,
		                     .saved = from->saved,
		                     .bytes = from->bytes } };
}

enum err
index_messages(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
               struct slice uids, struct uid_row **rows, size_t *n)
{
	struct index *i = uids.len >= 8 * 4 ? index_at(s, t, account, mailbox, row) : NULL;
	if (!i)
		return messages_get(t, account, mailbox, uids, rows, n);
	size_t count = uids.len / 4, at = 0;
	uint32_t before = 0;
	*rows = must_calloc(count, sizeof **rows);
	*n = 0;
	for (size_t u = 0; u < count; u++) {
		uint32_t uid = (uint32_t)bytes_get_le(uids.at + 4 * u, 4);
		if (uid <= before || uids.len % 4) {
			free(*rows);
			*rows = NULL;
			*n = 0;
			return ERR_SYNTAX;
		}
		before = uid;
		if (at == i->n || i->rows[at].uid != uid) /* else it is the next one, as mostly */
			at = index_find(i, uid);
		if (at < i->n && i->rows[at].uid == uid)
			index_get(i, at++, &(*rows)[(*n)++]);
	}
	return OK;
}

/* Without an index: from all rows. */
static enum err
expunged_from_rows(struct txn *t, uint64_t account, uint64_t mailbox, bool any, struct uid_row *rows, size_t max,
                   size_t *n, bool *more)
{
	struct key from = key2('u', account, mailbox), to = from;
	struct slice k, value;
	struct row_message m;
	enum err e = OK;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!e && !*more && range_next(r, &k, &value)) {
		if (!row_message_take(value, &m))
			e = row_damaged("message");
		else if (!any && !(m.flags & MESSAGE_DELETED))
			continue;
		else if (*n == max)
			*more = true;
		else
			rows[(*n)++] = (struct uid_row){ (uint32_t)bytes_get_be(k.at + 17, 4), m };
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

enum err
index_expunged(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
               bool any, struct uid_row *rows, size_t max, size_t *n, bool *more)
{
	struct index *i = index_at(s, t, account, mailbox, row);
	if (!i)
		return expunged_from_rows(t, account, mailbox, any, rows, max, n, more);
	for (size_t at = 0; at < i->n && !*more; at++) {
		if (!any && !(i->rows[at].flags & MESSAGE_DELETED))
			continue;
		if (*n == max)
			*more = true;
		else
			index_get(i, at, &rows[(*n)++]);
	}
	return OK;
}

void
index_altered(struct store *s, uint64_t account, const struct altered *a)
{
	struct index *i = index_known(s->rows->indexes, account, a->mailbox);
	if (!i || i->modseq != a->was)
		return; /* the log tells it */
	const struct changes c = { .rows = a->rows, .nrows = a->n };
	index_apply(s->rows->indexes, i, &c);
	i->modseq = a->now;
}
