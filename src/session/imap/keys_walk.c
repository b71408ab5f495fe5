/* SPDX-License-Identifier: Apache-2.0 */
/* keys_walk.c - what many messages are compared by, one after the other, for SORT and THREAD: columns that the store
 * keeps (mail/sort_keys.h), and the facts of those messages of which they say nothing. Fails: store, scan or shared
 * memory are not there. */
#include "session/imap/keys_walk.h"

enum {
	SHARE = 32,              /* at least one of so many messages between the first and the last */
	BLOCK_BYTES = 1 << 20,   /* of columns at a time, */
	BLOCK_LEAST = 128 << 10, /* in which some packs should have place */
	ENTRY_HEAD_BYTES = 8,
};

size_t keys_walk_rows_min = 256;

struct keys_walk {
	struct imap *im;
	const struct keys_wanted *want;
	const uint32_t *rows;
	size_t n;
	size_t at, begun; /* rows up to begun were visited, those up to at are in no column */
};

/* ---- messages of which the columns say nothing */

struct facts_run {
	const struct keys_wanted *want;
	size_t first;
};

static void
visit_facts(void *to, size_t i, const struct facts *facts)
{
	const struct facts_run *r = to;
	r->want->facts(r->want->to, r->first + i, facts);
}

/* Up to row `to`. */
static enum err
await_facts_up_to(struct keys_walk *w, size_t to)
{
	struct facts_run r = { w->want, w->begun };
	enum err e = OK;
	if (to > w->begun)
		e = await_facts_walk(w->im, w->rows + w->begun, to - w->begun, visit_facts, &r);
	w->begun = w->at = to;
	return e;
}

/* ---- columns */

static uint32_t
uid_of(const struct keys_walk *w, size_t i)
{
	return w->im->view.rows[w->rows[i]].uid;
}

static enum err
await_pack(struct keys_walk *w, const struct sort_keys *k)
{
	enum err e = OK;
	for (uint32_t i = 0; i < k->n && w->at < w->n && !e; i++) {
		uint32_t uid = sort_keys_uid(k, i);
		while (w->at < w->n && uid_of(w, w->at) < uid)
			w->at++;
		if (w->at == w->n || uid_of(w, w->at) != uid || !(sort_keys_flags(k, i) & SORT_KEYS_KNOWN))
			continue;
		e = w->at > w->begun ? await_facts_up_to(w, w->at) : OK;
		if (e == OK)
			w->want->keys(w->want->to, w->at, k, i);
		w->begun = ++w->at;
	}
	return e;
}

static bool
has_columns(const struct sort_keys *k, uint32_t columns)
{
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++)
		if ((columns >> c & 1) && !k->columns[c].len)
			return false;
	return true;
}

static enum err
await_entries(struct keys_walk *w, struct slice entries)
{
	enum err e = OK;
	while (entries.len >= ENTRY_HEAD_BYTES && !e) {
		struct sort_keys k;
		size_t bytes = bytes_get_le(entries.at, 4);
		if (bytes > entries.len - ENTRY_HEAD_BYTES || bytes % 8)
			return ERR_DAMAGED;
		if (sort_keys_open(&k, slice_part(entries, ENTRY_HEAD_BYTES, bytes)) && has_columns(&k, w->want->columns)) {
			if (w->want->pack)
				w->want->pack(w->want->to, &k);
			await_imap_progress(w->im, w->at, w->n);
			e = await_pack(w, &k);
		}
		entries = slice_from(entries, ENTRY_HEAD_BYTES + bytes);
	}
	return e;
}

static enum err
await_columns(struct keys_walk *w, char *block, size_t got)
{
	struct store_sort_keys_in in = { .mailbox = w->im->view.mailbox,
		                             .columns = w->want->columns,
		                             .from = uid_of(w, 0),
		                             .to = uid_of(w, w->n - 1),
		                             .into = imap_region(w->im, block, got) };
	enum err e = OK;
	for (bool more = true; more && !e && w->im->c->io.error == OK;) {
		struct store_sort_keys_out out = { 0 };
		e = await_imap_ask_selected(w->im, sort_keys, &in, &w->im->arena, &out);
		if (e)
			break;
		if (out.filled > got || (out.more && out.upto < in.from))
			return ERR_DAMAGED;
		e = await_entries(w, slice_of(block, out.filled));
		more = out.more && out.upto < in.to;
		in.from = out.upto + 1;
	}
	return e == ERR_UNSUPPORTED ? OK : e;
}

static bool
is_worth_it(const struct keys_walk *w)
{
	return w->want->columns && w->n >= keys_walk_rows_min && (w->rows[w->n - 1] - w->rows[0]) / SHARE <= w->n;
}

enum err
await_keys_walk(struct imap *im, const uint32_t *rows, size_t n, const struct keys_wanted *want)
{
	struct keys_walk w = { .im = im, .want = want, .rows = rows, .n = n };
	size_t got = 0;
	char *block = is_worth_it(&w) ? await_imap_block(im, BLOCK_BYTES, BLOCK_LEAST, &got) : NULL;
	enum err e = OK;
	if (block) {
		e = await_columns(&w, block, got);
		shm_free(im->c->session->shm, block);
	}
	if (e == OK)
		e = await_facts_up_to(&w, n);
	return e ? e : im->c->io.error;
}
