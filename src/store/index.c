/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - the packed index of mailboxes that were opened, in memory: an array of struct index_row by uid, as it was
 * at a modseq. Called by mailbox_open. It can never be wrong: before each use it is compared with the mailbox's row and
 * brought up to date from the change log, and it is only ever filled from what a view sees (what is durable). The least
 * recently used ones go when all together pass their limit. */
#include "store/rows_state.h"

struct index {
	uint64_t account, mailbox, key;
	uint64_t modseq;
	struct index_row *rows;
	size_t n, cap;
	struct link link; /* in indexes.used, the least recently used first */
};

struct indexes {
	struct map map; /* key -> struct index; mailboxes whose keys are equal take turns */
	struct link used;
	size_t bytes, bytes_max;
};

struct indexes *
indexes_new(size_t bytes_max)
{
	struct indexes *x = must_calloc(1, sizeof *x);
	list_init(&x->used);
	x->bytes_max = bytes_max;
	return x;
}

static void
index_free(struct indexes *x, struct index *i)
{
	x->bytes -= i->cap * sizeof *i->rows;
	list_remove(&i->link);
	map_remove(&x->map, i->key);
	free(i->rows);
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

static struct index *
index_of(struct indexes *x, uint64_t account, uint64_t mailbox)
{
	uint64_t key = account * 0x9e3779b97f4a7c15u ^ mailbox;
	struct index *i = map_get(&x->map, key);
	if (i && (i->account != account || i->mailbox != mailbox)) {
		index_free(x, i);
		i = NULL;
	}
	if (!i) {
		i = must_calloc(1, sizeof *i);
		*i = (struct index){ .account = account, .mailbox = mailbox, .key = key };
		map_set(&x->map, key, i);
	}
	list_remove(&i->link);
	list_append(&x->used, &i->link);
	return i;
}

static void
index_room(struct indexes *x, struct index *i, size_t n)
{
	if (n <= i->cap)
		return;
	size_t cap = MAX(n + n / 8, (size_t)16);
	i->rows = must_realloc(i->rows, cap * sizeof *i->rows);
	x->bytes += (cap - i->cap) * sizeof *i->rows;
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

static enum err
index_load(struct indexes *x, struct index *i, struct txn *t)
{
	struct key from = key2('u', i->account, i->mailbox), to = from;
	struct slice k, value;
	bool sound = true;
	key_after_prefix(&to);
	i->n = 0;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (sound && range_next(r, &k, &value)) {
		struct row_message m;
		sound = row_message_take(value, &m);
		index_room(x, i, i->n + 1);
		i->rows[i->n++] = index_row_of((uint32_t)bytes_get_be(k.at + 17, 4), &m);
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
index_apply(struct indexes *x, struct index *i, const struct changes *c)
{
	for (size_t v = 0; v < c->nvanished; v++) {
		size_t at = index_find(i, c->vanished[v].uid);
		if (at < i->n && i->rows[at].uid == c->vanished[v].uid)
			i->rows[at].flags = UINT32_MAX; /* goes below */
	}
	if (c->nvanished) {
		size_t left = 0;
		for (size_t r = 0; r < i->n; r++)
			if (i->rows[r].flags != UINT32_MAX)
				i->rows[left++] = i->rows[r];
		i->n = left;
	}
	for (size_t r = 0; r < c->nrows; r++) {
		size_t at = index_find(i, c->rows[r].uid);
		if (at == i->n) {
			index_room(x, i, i->n + 1);
			i->n++;
		}
		ASSERT(at == i->n - 1 || i->rows[at].uid == c->rows[r].uid);
		i->rows[at] = c->rows[r];
	}
}

static enum err
index_refresh(struct indexes *x, struct index *i, struct txn *t, const struct row_mailbox *row)
{
	struct changes c;
	if (i->modseq == row->modseq)
		return OK;
	enum err e = i->modseq ? changes_since(t, i->account, i->mailbox, row, i->modseq, &c) : ERR_STALE;
	if (e == ERR_STALE) {
		e = index_load(x, i, t);
	} else if (!e) {
		index_apply(x, i, &c);
		changes_release(&c);
	}
	if (!e && i->n != row->messages)
		(void)row_damaged("count of messages"); /* what is there can be read all the same */
	i->modseq = e ? 0 : row->modseq;
	return e;
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

/* ---- changes since a modseq, from the rows */

static void
changes_row(struct changes *c, size_t *cap, uint32_t uid, const struct row_message *m)
{
	if (c->nrows == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		c->rows = must_realloc(c->rows, *cap * sizeof *c->rows);
	}
	c->rows[c->nrows++] = index_row_of(uid, m);
}

/* Added ones: uids and the modseqs of their additions grow together, so they are all above the last row that did not
 * change since. *lowest: the smallest uid among them. */
static enum err
changes_at_end(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t since, struct changes *c, size_t *cap,
               uint32_t *lowest)
{
	struct key from = key2('u', account, mailbox), to = from;
	struct slice k, value;
	struct row_message m;
	bool sound = true;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), true);
	while (sound && range_next(r, &k, &value)) {
		sound = row_message_take(value, &m);
		if (!sound || m.modseq <= since)
			break;
		*lowest = (uint32_t)bytes_get_be(k.at + 17, 4);
		changes_row(c, cap, *lowest, &m);
	}
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("message");
}

static void
changes_vanished(struct changes *c, size_t *cap, uint64_t modseq, uint32_t uid)
{
	if (c->nvanished == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		c->vanished = must_realloc(c->vanished, *cap * sizeof *c->vanished);
	}
	c->vanished[c->nvanished++] = (struct vanished){ modseq, uid };
}

/* The uids of a log, each once, as messages_get wants them. */
struct uid_set {
	uint32_t *uids;
	size_t n, cap;
};

static void
uid_set_add(struct uid_set *set, uint32_t uid)
{
	if (set->n == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 64;
		set->uids = must_realloc(set->uids, set->cap * sizeof *set->uids);
	}
	set->uids[set->n++] = uid;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static struct slice
uid_set_slice(struct uid_set *set)
{
	size_t n = 0;
	if (set->n)
		qsort(set->uids, set->n, sizeof *set->uids, by_number);
	for (size_t i = 0; i < set->n; i++)
		if (i == 0 || set->uids[i] != set->uids[i - 1])
			set->uids[n++] = set->uids[i];
	set->n = n;
	return slice_of(set->uids, n * sizeof *set->uids);
}

/* What stands in the log after since: uids that went, and uids below lowest that changed. */
static enum err
log_read(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t since, struct changes *c, uint32_t lowest,
         struct uid_set *changed)
{
	struct key from = key2('l', account, mailbox), to = from;
	struct slice k, value;
	size_t vanished_cap = 0;
	key_u64(&from, since + 1);
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		uint32_t uid = (uint32_t)bytes_get_be(k.at + 25, 4);
		if (value.len == 1 && value.at[0] == LOG_VANISHED)
			changes_vanished(c, &vanished_cap, bytes_get_be(k.at + 17, 8), uid);
		else if (uid < lowest)
			uid_set_add(changed, uid);
	}
	return range_end(&r);
}

static enum err
changes_in_log(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t since, struct changes *c, size_t *cap,
               uint32_t lowest)
{
	struct uid_set changed = { 0 };
	struct uid_row *rows = NULL;
	size_t n = 0;
	enum err e = log_read(t, account, mailbox, since, c, lowest, &changed);
	e = e ? e : messages_get(t, account, mailbox, uid_set_slice(&changed), &rows, &n);
	for (size_t i = 0; i < n; i++)
		changes_row(c, cap, rows[i].uid, &rows[i].row);
	free(rows);
	free(changed.uids);
	return e;
}

static int
by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct index_row *)a)->uid, y = ((const struct index_row *)b)->uid;
	return x < y ? -1 : x > y;
}

static int
vanished_by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct vanished *)a)->uid, y = ((const struct vanished *)b)->uid;
	return x < y ? -1 : x > y;
}

enum err
changes_since(struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row, uint64_t since,
              struct changes *c)
{
	size_t cap = 0;
	uint32_t lowest = UINT32_MAX;
	*c = (struct changes){ 0 };
	if (since >= row->modseq)
		return OK;
	if (since < row->log_floor)
		return ERR_STALE;
	enum err e = changes_at_end(t, account, mailbox, since, c, &cap, &lowest);
	e = e ? e : changes_in_log(t, account, mailbox, since, c, &cap, lowest);
	if (e) {
		changes_release(c);
		return e;
	}
	if (c->nrows)
		qsort(c->rows, c->nrows, sizeof *c->rows, by_uid);
	if (c->nvanished)
		qsort(c->vanished, c->nvanished, sizeof *c->vanished, vanished_by_uid);
	return OK;
}

void
changes_release(struct changes *c)
{
	free(c->rows);
	free(c->vanished);
	*c = (struct changes){ 0 };
}
