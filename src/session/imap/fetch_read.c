/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_read.c - facts and bodies from the store, ahead of the message that is wanted. Called by cmd_fetch.c and
 * cmd_search*.c. Holds a block of shared memory at a time. Fails: ERR_AGAIN (store or shared memory), ERR_NOT_FOUND
 * (the message was expunged by another session). */
#include "session/imap/fetch.h"

enum {
	BATCH_UIDS_MAX = 4096,       /* of store.msg */
	FACTS_EXPECTED_BYTES = 4096, /* a guess, for the first block */
	FACTS_LEAST_BYTES = 500,
	ENTRY_HEAD_BYTES = 8,
	ID_BYTES = 8,
};

void
fetch_reader_init(struct fetch_reader *r, struct imap *im, enum read_what what)
{
	*r = (struct fetch_reader){ .im = im, .what = what, .facts_bytes = FACTS_EXPECTED_BYTES };
	arena_init(&r->arena, 0);
}

static void
free_block(struct imap *im, char **block)
{
	if (*block)
		shm_free(im->c->session->shm, *block);
	*block = NULL;
}

void
fetch_reader_release(struct fetch_reader *r)
{
	fetch_ahead_forget(&r->ahead);
	free_block(r->im, &r->batch.block);
	arena_release(&r->arena);
}

/* ---- batches */

static bool
comes_in_batches(const struct fetch_reader *r, const struct index_row *row)
{
	return r->what != READ_BODIES || row->bytes <= FETCH_WHOLE_BYTES_MAX;
}

static size_t
entry_bytes(const struct fetch_reader *r, const struct index_row *row)
{
	size_t bytes = r->what == READ_FACTS ? r->facts_bytes : r->what == READ_IDS ? (size_t)ID_BYTES : row->bytes;
	return ENTRY_HEAD_BYTES + ((bytes + 7) & ~(size_t)7);
}

/* Is there memory for the whole of it, now that others want some, too? Else it is read in pieces. */
static bool
fits_share(const struct fetch_reader *r, const struct index_row *row)
{
	return r->what != READ_BODIES || entry_bytes(r, row) <= imap_block_share(r->im);
}

/* The uid of row index and of those that follow, and how much memory they will want. */
static struct slice
list_uids(struct fetch_reader *r, size_t index, const struct view_walk *ahead, size_t *bytes)
{
	const struct index_row *rows = r->im->view.rows;
	struct view_walk w = *ahead;
	char *to = arena_alloc(&r->arena, BATCH_UIDS_MAX * 4);
	size_t n = 0;
	*bytes = 0;
	do {
		const struct index_row *row = &rows[index];
		if (!comes_in_batches(r, row) || ((row->flags & VIEW_GONE) && n))
			continue;
		if (n && (*bytes + entry_bytes(r, row) > FETCH_BATCH_BYTES || !fits_share(r, row)))
			break;
		*bytes += entry_bytes(r, row);
		bytes_set_le(to + 4 * n++, row->uid, 4);
	} while (n < BATCH_UIDS_MAX && view_walk_next(&w, &index));
	return slice_of(to, n * 4);
}

struct answer {
	uint32_t filled, last;
	uint64_t need;
};

/* The three calls have the same arguments and answers. */
#define ASK(r, call, uids, into, answer)                                                                               \
	struct store_##call##_in in = { .mailbox = (r)->im->view.mailbox, .uids = (uids), .into = (into) };                \
	struct store_##call##_out out = { 0 };                                                                             \
	enum err e = await_imap_ask_selected((r)->im, call, &in, &(r)->arena, &out);                                       \
	*(answer) = (struct answer){ out.filled, out.last, out.need };                                                     \
	return e

static enum err
await_facts(struct fetch_reader *r, struct slice uids, struct store_region into, struct answer *answer)
{
	ASK(r, message_facts, uids, into, answer);
}

static enum err
await_ids(struct fetch_reader *r, struct slice uids, struct store_region into, struct answer *answer)
{
	ASK(r, message_ids, uids, into, answer);
}

static enum err
await_bodies(struct fetch_reader *r, struct slice uids, struct store_region into, struct answer *answer)
{
	ASK(r, message_bodies, uids, into, answer);
}

static enum err
await_batch(struct fetch_reader *r, struct slice uids, struct answer *answer)
{
	struct store_region into = imap_region(r->im, r->batch.block, r->batch.got);
	switch (r->what) {
	case READ_FACTS: return await_facts(r, uids, into, answer);
	case READ_IDS: return await_ids(r, uids, into, answer);
	default: return await_bodies(r, uids, into, answer);
	}
}

static enum err
await_room(struct fetch_reader *r, size_t want, size_t least)
{
	if (r->batch.block && r->batch.got >= MIN(want, MAX(least, imap_block_share(r->im))))
		return OK;
	free_block(r->im, &r->batch.block);
	r->batch.block = await_imap_block(r->im, want, least, &r->batch.got);
	return r->batch.block ? OK : ERR_AGAIN;
}

/* What comes behind the batch is asked for while the batch is sent. */
static void
start_ahead(struct fetch_reader *r, const struct view_walk *ahead, char **spare)
{
	struct view_walk w = *ahead;
	size_t i, want, entries = 0;
	do {
		if (!view_walk_next(&w, &i))
			return;
		entries++;
	} while (r->im->view.rows[i].uid <= r->batch.last);
	if (r->what == READ_FACTS) /* a fair guess of what is to come, and some more */
		r->facts_bytes = MAX(r->batch.filled / entries * 5 / 4, (size_t)FACTS_LEAST_BYTES);
	if (!comes_in_batches(r, &r->im->view.rows[i]) || !fits_share(r, &r->im->view.rows[i]))
		return;
	arena_clear(&r->arena);
	struct slice uids = list_uids(r, i, &w, &want);
	r->ahead = fetch_ahead_start(r->im, r->what, uids, MIN(want, (size_t)FETCH_BATCH_BYTES), spare);
}

static enum err
await_ask(struct fetch_reader *r, size_t index, const struct view_walk *ahead)
{
	size_t want;
	arena_clear(&r->arena);
	struct slice uids = list_uids(r, index, ahead, &want);
	struct answer answer = { 0, 0, 0 };
	enum err e = await_room(r, MIN(want, (size_t)FETCH_BATCH_BYTES),
	                        MIN(entry_bytes(r, &r->im->view.rows[index]), (size_t)SHM_BLOCK_BYTES_MAX));
	if (e == OK)
		e = await_batch(r, uids, &answer);
	if (e == OK && !answer.filled && answer.need > r->batch.got) { /* not even the first fits: now its size is known */
		if (answer.need > SHM_BLOCK_BYTES_MAX)
			return ERR_DAMAGED;
		e = await_room(r, (size_t)answer.need, (size_t)answer.need);
		if (e == OK)
			e = await_batch(r, uids, &answer);
	}
	r->batch.filled = e ? 0 : MIN(answer.filled, r->batch.got);
	r->batch.last = e ? r->batch.last : answer.last;
	return e;
}

static enum err
await_refill(struct fetch_reader *r, size_t index, const struct view_walk *ahead)
{
	uint32_t uid = r->im->view.rows[index].uid;
	struct fetch_batch batch;
	char *spare = NULL;
	enum err e = OK;
	r->at = 0;
	if (await_fetch_ahead(&r->ahead, uid, &batch)) {
		spare = r->batch.block;
		r->batch = batch;
	} else {
		e = await_ask(r, index, ahead);
	}
	if (e == OK)
		start_ahead(r, ahead, &spare);
	free_block(r->im, &spare);
	return e ? e : r->batch.last >= uid ? OK : ERR_NOT_FOUND;
}

/* The entry of a uid in the block, if it is there; entries before it are passed over. */
static bool
find_entry(struct fetch_reader *r, uint32_t uid, struct slice *out)
{
	while (r->batch.filled - r->at >= ENTRY_HEAD_BYTES) {
		const char *entry = r->batch.block + r->at;
		uint32_t its = (uint32_t)bytes_get_le(entry, 4);
		size_t bytes = (size_t)bytes_get_le(entry + 4, 4);
		if (its > uid || bytes > r->batch.filled - r->at - ENTRY_HEAD_BYTES)
			return false;
		if (its == uid) {
			*out = slice_of(entry + ENTRY_HEAD_BYTES, bytes);
			return true;
		}
		r->at += MIN(ENTRY_HEAD_BYTES + ((bytes + 7) & ~(size_t)7), r->batch.filled - r->at);
	}
	return false;
}

enum err
await_fetch_get(struct fetch_reader *r, size_t index, const struct view_walk *ahead, struct slice *out)
{
	uint32_t uid = r->im->view.rows[index].uid;
	if (r->batch.last < uid) {
		enum err e = await_refill(r, index, ahead);
		if (e != OK)
			return e;
	}
	return find_entry(r, uid, out) ? OK : ERR_NOT_FOUND;
}

enum err
await_fetch_id(struct fetch_reader *ids, size_t index, const struct view_walk *ahead, uint64_t *id)
{
	struct slice bytes;
	enum err e = await_fetch_get(ids, index, ahead, &bytes);
	if (e == OK && bytes.len != ID_BYTES)
		e = ERR_DAMAGED;
	*id = e ? 0 : bytes_get_le(bytes.at, ID_BYTES);
	return e;
}

/* ---- one body */

void
fetch_body_init(struct fetch_body *b, struct imap *im)
{
	*b = (struct fetch_body){ .im = im, .mailbox = im->view.mailbox, .owner = im->owner };
	arena_init(&b->arena, 0);
	buf_init(&b->joined, FETCH_HEADER_BYTES_MAX);
}

void
fetch_body_release(struct fetch_body *b)
{
	free_block(b->im, &b->block);
	arena_release(&b->arena);
	buf_release(&b->joined);
}

enum err
await_fetch_body(struct fetch_body *b, struct fetch_reader *bodies, size_t index, const struct view_walk *ahead)
{
	const struct index_row *row = &b->im->view.rows[index];
	b->uid = row->uid;
	b->bytes = row->bytes;
	b->whole = SLICE_NONE;
	b->npatches = 0;
	if (!comes_in_batches(bodies, row) || (bodies->batch.last < row->uid && !fits_share(bodies, row)))
		return OK;
	enum err e = await_fetch_get(bodies, index, ahead, &b->whole);
	b->bytes = b->whole.len;
	return e;
}

/* At most len bytes from `from` on into the block. */
static enum err
await_read_piece(struct fetch_body *b, uint64_t from, size_t len, struct slice *out)
{
	struct store_message_body_in in = {
		.mailbox = b->mailbox, .uid = b->uid, .from = from, .into = imap_region(b->im, b->block, MIN(len, b->got))
	};
	struct store_message_body_out answer = { 0 };
	arena_clear(&b->arena);
	enum err e = await_imap_ask_of(b->im, b->owner, message_body, &in, &b->arena, &answer);
	if (e == OK && (answer.filled == 0 || answer.filled > in.into.len))
		e = ERR_DAMAGED;
	*out = slice_of(b->block, e == OK ? answer.filled : 0);
	return e;
}

static enum err
await_body_room(struct fetch_body *b, size_t want, size_t least)
{
	if (b->block && b->got >= want)
		return OK;
	free_block(b->im, &b->block);
	b->block = await_imap_block(b->im, want, least, &b->got);
	return b->block ? OK : ERR_AGAIN;
}

enum err
await_fetch_piece(struct fetch_body *b, uint64_t from, size_t len, struct slice *out)
{
	if (b->whole.at) {
		*out = slice_part(b->whole, (size_t)from, len);
		return out->len ? OK : ERR_DAMAGED;
	}
	if (fetch_patches_find(b, &from, &len, out))
		return OK;
	enum err e = await_body_room(b, FETCH_PIECE_BYTES, SHM_BLOCK_BYTES_MIN);
	return e ? e : await_read_piece(b, from, len, out);
}

/* A stretch of a surrogate, from pieces. */
static enum err
await_join(struct fetch_body *b, uint64_t from, size_t len, struct slice *out)
{
	buf_clear(&b->joined);
	while (b->joined.len < len) {
		struct slice piece;
		enum err e = await_fetch_piece(b, from + b->joined.len, len - b->joined.len, &piece);
		if (e != OK)
			return e;
		buf_put(&b->joined, piece);
	}
	*out = buf_slice(&b->joined);
	return OK;
}

enum err
await_fetch_stretch(struct fetch_body *b, uint64_t from, size_t len, struct slice *out)
{
	len = MIN(len, (size_t)FETCH_HEADER_BYTES_MAX);
	*out = slice_of("", 0);
	if (b->whole.at || !len) {
		*out = slice_part(b->whole, (size_t)from, len);
		return OK;
	}
	if (b->npatches)
		return await_join(b, from, len, out);
	enum err e = await_body_room(b, len, len);
	return e ? e : await_read_piece(b, from, len, out);
}

enum err
await_fetch_copy(struct fetch_body *b, struct body *to)
{
	for (uint64_t at = 0; at < b->bytes;) {
		struct slice piece;
		enum err e = await_fetch_piece(b, at, FETCH_PIECE_BYTES, &piece);
		if (e != OK)
			return e;
		await_body_put(to, piece);
		at += piece.len;
	}
	return await_body_end(to);
}

enum err
await_fetch_facts(struct fetch_body *b, struct arena *a, struct slice record, struct facts *facts)
{
	if (facts_open(facts, record))
		return OK;
	struct body copy;
	body_init(&copy, b->im->c->session, UINT32_MAX);
	enum err e = await_fetch_copy(b, &copy);
	if (e == OK)
		e = await_body_facts(&copy, a, &record);
	body_release(&copy);
	if (e == OK && !facts_open(facts, record))
		e = ERR_DAMAGED;
	return e;
}
