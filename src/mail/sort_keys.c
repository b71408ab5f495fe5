/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys.c - reads columns of sort keys (sort_keys.h). Called by the store, which hands them out, and by sessions.
 * Every number is checked before it is used: columns that lie give wrong keys of their own messages, nothing outside is
 * touched. */
#include "mail/sort_keys.h"

#include "base/crc32c.h"
#include "mail/search_pack.h"

/* numbers are little endian on this machine, too */
static uint32_t
u32_at(struct slice s, size_t i)
{
	uint32_t v;
	memcpy(&v, s.at + 4 * i, 4);
	return v;
}

static uint16_t
u16_at(struct slice s, size_t i)
{
	uint16_t v;
	memcpy(&v, s.at + 2 * i, 2);
	return v;
}

/* ---- opening */

bool
sort_keys_open_head(struct sort_keys *k, struct slice head, uint64_t at[SORT_KEYS_COLUMNS])
{
	*k = (struct sort_keys){ 0 };
	if (head.len < SORT_KEYS_HEAD_BYTES || head.at[0] != SORT_KEYS_VERSION || head.at[1] != FACTS_VERSION ||
	    bytes_get_le(head.at + 2, 2) != SORT_KEYS_COLUMNS)
		return false;
	k->n = u32_at(head, 1);
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++) {
		at[c] = u32_at(head, 2 + 3 * c);
		k->columns[c].len = u32_at(head, 3 + 3 * c);
		k->sums[c] = u32_at(head, 4 + 3 * c);
	}
	return k->n > 0 && k->n <= SEARCH_PACK_MESSAGES_MAX;
}

/* The bytes that a column has at least. */
static size_t
least_bytes(const struct sort_keys *k, size_t c)
{
	size_t n = k->n;
	if (c == SORT_KEYS_UIDS)
		return 5 * n;
	if (c == SORT_KEYS_DATE)
		return 8 * n;
	if (c == SORT_KEYS_IDS)
		return 4 + 4 * ((size_t)k->nids + 1) + 4 * (n + 1) + 2 * n;
	return 4 * (n + 1);
}

bool
sort_keys_open(struct sort_keys *k, struct slice all)
{
	uint64_t at[SORT_KEYS_COLUMNS];
	if (!sort_keys_open_head(k, all, at))
		return false;
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++) {
		struct slice *column = &k->columns[c];
		if (column->len == 0)
			continue;
		if (at[c] > all.len || column->len > all.len - at[c])
			return false;
		*column = slice_part(all, at[c], column->len);
		if (c == SORT_KEYS_IDS && column->len >= 4)
			k->nids = u32_at(*column, 0);
		if (k->nids > SORT_KEYS_IDS_MAX || column->len < least_bytes(k, c))
			return false;
	}
	return true;
}

bool
sort_keys_is_sound(const struct sort_keys *k)
{
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++)
		if (k->columns[c].len && crc32c(0, k->columns[c].at, k->columns[c].len) != k->sums[c])
			return false;
	return true;
}

size_t
sort_keys_put_head(const struct sort_keys *k, char head[SORT_KEYS_HEAD_BYTES])
{
	size_t at = SORT_KEYS_HEAD_BYTES;
	memset(head, 0, SORT_KEYS_HEAD_BYTES);
	head[0] = SORT_KEYS_VERSION;
	head[1] = FACTS_VERSION;
	bytes_set_le(head + 2, SORT_KEYS_COLUMNS, 2);
	bytes_set_le(head + 4, k->n, 4);
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++) {
		bytes_set_le(head + 8 + 12 * c, at, 4);
		bytes_set_le(head + 12 + 12 * c, k->columns[c].len, 4);
		bytes_set_le(head + 16 + 12 * c, k->sums[c], 4);
		at += (k->columns[c].len + 7) & ~(size_t)7;
	}
	return at;
}

/* ---- columns */

uint32_t
sort_keys_uid(const struct sort_keys *k, uint32_t i)
{
	return u32_at(k->columns[SORT_KEYS_UIDS], i);
}

uint8_t
sort_keys_flags(const struct sort_keys *k, uint32_t i)
{
	return (uint8_t)k->columns[SORT_KEYS_UIDS].at[4 * (size_t)k->n + i];
}

int64_t
sort_keys_date(const struct sort_keys *k, uint32_t i)
{
	int64_t v;
	memcpy(&v, k->columns[SORT_KEYS_DATE].at + 8 * (size_t)i, 8);
	return v;
}

/* The i-th text of those whose offsets stand at `offsets` and whose bytes are the rest. */
static struct slice
text_at(struct slice offsets, struct slice bytes, uint32_t i)
{
	uint32_t from = u32_at(offsets, i), to = u32_at(offsets, (size_t)i + 1);
	return from <= to && to <= bytes.len ? slice_part(bytes, from, to - from) : SLICE_NONE;
}

struct slice
sort_keys_text(const struct sort_keys *k, enum sort_keys_column c, uint32_t i)
{
	return text_at(k->columns[c], slice_from(k->columns[c], 4 * ((size_t)k->n + 1)), i);
}

/* ---- ids */

struct ids {
	struct slice offsets, starts, own, list;
};

static struct ids
ids_of(const struct sort_keys *k)
{
	struct slice all = k->columns[SORT_KEYS_IDS];
	size_t starts = 4 + 4 * ((size_t)k->nids + 1), own = starts + 4 * ((size_t)k->n + 1);
	return (struct ids){ slice_from(all, 4), slice_from(all, starts), slice_from(all, own),
		                 slice_from(all, own + 2 * (size_t)k->n) };
}

uint16_t
sort_keys_own_id(const struct sort_keys *k, uint32_t i)
{
	uint16_t id = u16_at(ids_of(k).own, i);
	return id < k->nids ? id : SORT_KEYS_NO_ID;
}

uint32_t
sort_keys_references(const struct sort_keys *k, uint32_t i, uint16_t *to, uint32_t max)
{
	struct ids ids = ids_of(k);
	uint32_t from = u32_at(ids.starts, i), end = u32_at(ids.starts, (size_t)i + 1), n = 0;
	if (from > end || end > ids.list.len / 2)
		return 0;
	for (; n < max && from + n < end; n++) {
		to[n] = u16_at(ids.list, from + n);
		if (to[n] >= k->nids)
			return n;
	}
	return n;
}

struct slice
sort_keys_id(const struct sort_keys *k, uint16_t id)
{
	struct ids ids = ids_of(k);
	size_t list = 2 * (size_t)u32_at(ids.starts, k->n);
	return list <= ids.list.len ? text_at(ids.offsets, slice_from(ids.list, list), id) : SLICE_NONE;
}
