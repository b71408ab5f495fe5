/* SPDX-License-Identifier: Apache-2.0 */
/* packed.c - the index of a large mailbox as a few large rows, so that opening it after a start reads 50 bytes a
 * message in one go instead of a row each. Called by index.c only. The rows 'u' stay what is true: a packed index is as
 * old as the modseq in its head says, and is brought up to date from the change log like one in memory; one that is
 * older than the log, or does not read, is not used. It is written in an ordinary update after a mailbox had to be read
 * row by row, or from a packed index that had become old, and before an orderly end.
 *
 * Row 'v' with modseq 0, the head: u8 version, u64 modseq, u32 messages. Rows with that modseq, chunk by chunk: as many
 * struct index_row as there are, up to CHUNK_ROWS, and then as many objects (u64). Each time it has other keys, so that
 * whoever reads it meets nothing of what was there before. */
#include "store/index.h"

#define PACKED_VERSION 2
#define HEAD_BYTES 13
#define CHUNK_ROWS 1024u
#define CHUNK_BYTES_EACH (sizeof(struct index_row) + sizeof(uint64_t))
#define PACKED_ROWS_MAX 1000000u /* of a mailbox: an update has to hold them */

size_t packed_rows_min = 5000;

static struct key
key_packed(uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct key k = key2('v', account, mailbox);
	key_u64(&k, modseq);
	return k;
}

static struct key
key_chunk(uint64_t account, uint64_t mailbox, uint64_t modseq, size_t chunk)
{
	struct key k = key_packed(account, mailbox, modseq);
	key_u32(&k, (uint32_t)chunk);
	return k;
}

/* ---- reading */

static bool
take_chunk(struct slice value, struct index_row *rows, uint64_t *objects, size_t room, size_t *n)
{
	size_t count = value.len / CHUNK_BYTES_EACH;
	if (value.len % CHUNK_BYTES_EACH || count > room)
		return false;
	memcpy(rows, value.at, count * sizeof *rows);
	memcpy(objects, value.at + count * sizeof *rows, count * sizeof *objects);
	*n = count;
	return true;
}

/* In order of their uids, or it is none. */
static bool
rows_are_sound(const struct index_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].uid <= (i ? rows[i - 1].uid : 0))
			return false;
	return true;
}

uint64_t
packed_head(struct txn *t, uint64_t account, uint64_t mailbox, size_t *messages)
{
	struct key k = key_packed(account, mailbox, 0);
	struct slice head;
	*messages = 0;
	if (txn_get(t, key_slice(&k), &head) || head.len != HEAD_BYTES || head.at[0] != PACKED_VERSION)
		return 0;
	*messages = (size_t)bytes_get_le(head.at + 9, 4);
	return bytes_get_le(head.at + 1, 8);
}

bool
packed_read(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t modseq, struct index_row *rows,
            uint64_t *objects, size_t n)
{
	struct key from = key_packed(account, mailbox, modseq), to = from;
	struct slice k, value;
	size_t got = 0, count = 0;
	bool sound = true;
	key_after_prefix(&to);
	struct range *r = range_begin_scan(t, key_slice(&from), key_slice(&to));
	while (sound && range_next(r, &k, &value)) {
		sound = take_chunk(value, rows + got, objects + got, n - got, &count);
		got += sound ? count : 0;
	}
	sound = range_end(&r) == OK && sound;
	return sound && got == n && rows_are_sound(rows, n);
}

/* ---- writing, in the background */

struct packing {
	struct update update;
	uint64_t account, mailbox;
	bool written;
};

static void
put_chunks(struct txn *t, const struct packing *p, uint64_t modseq, const struct index_row *rows,
           const uint64_t *objects, size_t n)
{
	char *to = must_calloc(CHUNK_ROWS, CHUNK_BYTES_EACH);
	for (size_t i = 0; i < n; i += CHUNK_ROWS) {
		size_t count = MIN(n - i, (size_t)CHUNK_ROWS);
		struct key k = key_chunk(p->account, p->mailbox, modseq, i / CHUNK_ROWS);
		memcpy(to, rows + i, count * sizeof *rows);
		memcpy(to + count * sizeof *rows, objects + i, count * sizeof *objects);
		txn_put(t, key_slice(&k), slice_of(to, count * CHUNK_BYTES_EACH));
	}
	free(to);
}

static void
delete_chunks(struct txn *t, const struct packing *p, uint64_t modseq, size_t n)
{
	for (size_t i = 0; i < n; i += CHUNK_ROWS) {
		struct key k = key_chunk(p->account, p->mailbox, modseq, i / CHUNK_ROWS);
		txn_delete(t, key_slice(&k));
	}
}

static enum err
packing_run(struct store *s, struct txn *t, struct update *u)
{
	struct packing *p = CONTAINER_OF(u, struct packing, update);
	struct row_mailbox row;
	const struct index_row *rows;
	const uint64_t *objects;
	size_t n, before;
	enum err e = mailbox_get(t, p->account, p->mailbox, &row);
	if (e || !index_rows_at(s, t, p->account, p->mailbox, &row, &rows, &objects, &n) || n > PACKED_ROWS_MAX)
		return OK; /* it is gone, or changes just now: the next time */
	char head[HEAD_BYTES] = { PACKED_VERSION };
	struct key k = key_packed(p->account, p->mailbox, 0);
	uint64_t old = packed_head(t, p->account, p->mailbox, &before);
	if (old)
		delete_chunks(t, p, old, before);
	put_chunks(t, p, row.modseq, rows, objects, n);
	bytes_set_le(head + 1, row.modseq, 8);
	bytes_set_le(head + 9, n, 4);
	txn_put(t, key_slice(&k), slice_of(head, sizeof head));
	p->written = true;
	return OK;
}

static void
packing_done(struct store *s, struct update *u, enum err e)
{
	struct packing *p = CONTAINER_OF(u, struct packing, update);
	if (!e && p->written) /* that it failed costs time, no more */
		index_packed(s, p->account, p->mailbox);
	free(p);
}

void
packed_write_later(struct store *s, uint64_t account, uint64_t mailbox)
{
	struct packing *p = must_calloc(1, sizeof *p);
	*p = (struct packing){ .update = { .run = packing_run, .done = packing_done }, account, mailbox, false };
	store_update(s, &p->update);
}
