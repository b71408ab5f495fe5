/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - what changed in a mailbox since a modseq: from the change log and from the rows at its end. Called by
 * mailbox_changes, and by index.c, which brings its arrays up to date with it. Fails: ERR_STALE when the log does not
 * reach back that far, ERR_DAMAGED, ERR_IO. */
#include "store/rows_state.h"

static void
changes_row(struct changes *c, size_t *cap, uint32_t uid, const struct row_message *m)
{
	if (c->nrows == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		c->rows = must_realloc(c->rows, *cap * sizeof *c->rows);
	}
	c->rows[c->nrows++] = (struct uid_row){ uid, *m };
}

/* Added ones, when it is known above which uid they are: all there are. */
static enum err
changes_above(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t known, struct changes *c, size_t *cap)
{
	struct key from = key_message(account, mailbox, known), to = key2('u', account, mailbox);
	struct slice k, value;
	struct row_message m;
	bool sound = true;
	key_nul(&from);
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (sound && range_next(r, &k, &value)) {
		sound = row_message_take(value, &m);
		changes_row(c, cap, (uint32_t)bytes_get_be(k.at + 17, 4), &m);
	}
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("message");
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
struct log_reading {
	struct changes *c;
	size_t vanished_cap;
	uint32_t lowest;
	struct uid_set *changed;
};

static void
log_entry(void *to, uint64_t modseq, uint32_t uid, char what)
{
	struct log_reading *l = to;
	l->c->nentries++;
	if (what == LOG_VANISHED)
		changes_vanished(l->c, &l->vanished_cap, modseq, uid);
	else if (uid < l->lowest)
		uid_set_add(l->changed, uid);
}

static enum err
log_read(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t since, struct changes *c, uint32_t lowest,
         struct uid_set *changed)
{
	struct key from = key2('l', account, mailbox), to = from;
	struct slice k, value;
	struct log_reading l = { .c = c, .lowest = lowest, .changed = changed };
	bool sound = true;
	key_u64(&from, since + 1);
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (sound && range_next(r, &k, &value))
		sound = log_row_take(k, value, log_entry, &l);
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("change log");
}

static enum err
changes_in_log(struct store *index, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
               uint64_t since, struct changes *c, size_t *cap, uint32_t lowest)
{
	struct uid_set changed = { 0 };
	struct uid_row *rows = NULL;
	size_t n = 0;
	enum err e = log_read(t, account, mailbox, since, c, lowest, &changed);
	struct slice uids = uid_set_slice(&changed);
	if (!e && index)
		e = index_messages(index, t, account, mailbox, row, uids, &rows, &n);
	else if (!e)
		e = messages_get(t, account, mailbox, uids, &rows, &n);
	for (size_t i = 0; i < n; i++)
		changes_row(c, cap, rows[i].uid, &rows[i].row);
	free(rows);
	free(changed.uids);
	return e;
}

static int
by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct uid_row *)a)->uid, y = ((const struct uid_row *)b)->uid;
	return x < y ? -1 : x > y;
}

static int
vanished_by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct vanished *)a)->uid, y = ((const struct vanished *)b)->uid;
	return x < y ? -1 : x > y;
}

enum err
changes_since(struct store *index, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
              uint64_t since, uint32_t known, struct changes *c)
{
	size_t cap = 0;
	uint32_t lowest = known ? known + 1 : UINT32_MAX;
	*c = (struct changes){ 0 };
	if (since >= row->modseq)
		return OK;
	if (since < row->log_floor)
		return ERR_STALE;
	enum err e = !known                     ? changes_at_end(t, account, mailbox, since, c, &cap, &lowest)
	             : known < row->uidnext - 1 ? changes_above(t, account, mailbox, known, c, &cap)
	                                        : OK;
	e = e ? e : changes_in_log(index, t, account, mailbox, row, since, c, &cap, lowest);
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
