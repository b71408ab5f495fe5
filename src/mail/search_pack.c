/* SPDX-License-Identifier: Apache-2.0 */
/* search_pack.c - asks a pack (search_pack.h). Called by the store on its threads. Every number that is read is checked
 * before it is used: a pack that lies may propose too little or too much of itself, but nothing outside is touched. */
#include "mail/search_pack.h"
#include "mail/search_pack_form.h"
#include "mail/search_words.h"
#include "mail/sort_keys.h"

#define GRAMS_ASKED_MAX 24 /* of one needle: the others are left to the look into the text */
#define FEW 2              /* proposed messages from which on no further list is worth its reading */
#define BUCKET_ENTRIES_MAX 4096

static bool
read_at(const struct search_pack *p, uint64_t at, void *to, size_t len)
{
	return at <= p->bytes && len <= p->bytes - at && p->read(p->from, at, to, len);
}

bool
search_pack_open(struct search_pack *p)
{
	uint8_t head[PACK_HEAD_BYTES];
	if (p->bytes > UINT32_MAX || !read_at(p, 0, head, sizeof head) || head[0] != SEARCH_PACK_VERSION ||
	    head[1] != SEARCH_TEXT_VERSION)
		return false;
	p->n = (uint32_t)bytes_get_le(head + 4, 4);
	p->nbuckets = (uint32_t)bytes_get_le(head + 8, 4);
	p->nentries = (uint32_t)bytes_get_le(head + 12, 4);
	p->at_buckets = (uint32_t)bytes_get_le(head + 16, 4);
	p->at_words = (uint32_t)bytes_get_le(head + 20, 4);
	p->at_keys = (uint32_t)bytes_get_le(head + 24, 4);
	p->at_columns = PACK_HEAD_BYTES + p->n * 13;
	if (p->n == 0 || p->n > SEARCH_PACK_MESSAGES_MAX || p->nbuckets == 0 || p->at_columns > p->at_buckets)
		return false;
	uint64_t entries = p->at_buckets + 4 * ((uint64_t)p->nbuckets + 1);
	uint64_t lists = entries + (uint64_t)PACK_ENTRY_BYTES * p->nentries;
	p->at_entries = (uint32_t)entries;
	p->at_lists = (uint32_t)lists;
	return lists <= p->at_words && p->at_words <= p->at_keys && p->at_keys <= p->bytes;
}

bool
search_pack_messages(const struct search_pack *p, uint32_t *uids, uint64_t *objects, uint8_t *flags)
{
	/* numbers are little endian on this machine, too */
	return read_at(p, PACK_HEAD_BYTES, uids, p->n * sizeof *uids) &&
	       read_at(p, PACK_HEAD_BYTES + p->n * 4u, objects, p->n * sizeof *objects) &&
	       read_at(p, PACK_HEAD_BYTES + p->n * 12u, flags, p->n);
}

/* ---- columns */

static size_t
column_of(const struct search_key *k)
{
	size_t c = 0;
	while (c < PACK_COLUMNS && !slice_equal(k->field, pack_columns[c]))
		c++;
	return k->where == SEARCH_IN_HEADER ? c : PACK_COLUMNS;
}

bool
search_pack_has_column(const struct search_key *k)
{
	return column_of(k) < PACK_COLUMNS;
}

static uint32_t
offset_at(const char *offsets, size_t i)
{
	return (uint32_t)bytes_get_le(offsets + 4 * i, 4);
}

static bool
offsets_rise(const char *offsets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (offset_at(offsets, i) > offset_at(offsets, i + 1))
			return false;
	return offset_at(offsets, 0) == 0;
}

/* Each value ends with LF, so what is found lies in one. */
static void
find_in_column(struct slice values, const char *offsets, uint32_t n, struct slice needle, struct search_bits *found)
{
	uint32_t i = 0;
	for (size_t at = 0; i < n; at = offset_at(offsets, i)) {
		ptrdiff_t hit = slice_find(slice_from(values, at), needle);
		if (hit < 0)
			return;
		size_t place = at + (size_t)hit;
		while (i < n && offset_at(offsets, i + 1) <= place)
			i++;
		if (i == n)
			return;
		search_bits_set(found, i++);
	}
}

static bool
read_column(const struct search_pack *p, size_t column, struct buf *scratch)
{
	uint64_t at = p->at_columns;
	size_t offsets = 4 * ((size_t)p->n + 1);
	for (size_t c = 0;; c++) {
		char last[4];
		if (!read_at(p, at + offsets - 4, last, 4))
			return false;
		uint64_t bytes = offsets + bytes_get_le(last, 4);
		if (at + bytes > p->at_buckets)
			return false;
		if (c == column) {
			buf_clear(scratch);
			if (!buf_room(scratch, bytes) || !read_at(p, at, scratch->at, bytes))
				return false;
			scratch->len = bytes;
			return true;
		}
		at += bytes;
	}
}

bool
search_pack_column(const struct search_pack *p, const struct search_key *k, struct buf *scratch,
                   struct search_bits *found)
{
	size_t offsets = 4 * ((size_t)p->n + 1);
	*found = (struct search_bits){ { 0 } };
	if (!read_column(p, column_of(k), scratch) || !offsets_rise(scratch->at, p->n))
		return false;
	if (k->needle.len) {
		find_in_column(slice_from(buf_slice(scratch), offsets), scratch->at, p->n, k->needle, found);
		return true;
	}
	for (uint32_t i = 0; i < p->n; i++) /* nothing: is there such a field? */
		if (offset_at(scratch->at, i) < offset_at(scratch->at, i + 1))
			search_bits_set(found, i);
	return true;
}

/* ---- three bytes */

struct list {
	uint32_t offset, count; /* count 0: no message has it */
};

static bool
find_list(const struct search_pack *p, uint32_t gram, struct list *list)
{
	char bounds[8], entries[64 * PACK_ENTRY_BYTES];
	*list = (struct list){ 0, 0 };
	if (!read_at(p, p->at_buckets + 4ull * pack_bucket(gram, p->nbuckets), bounds, 8))
		return false;
	uint64_t from = bytes_get_le(bounds, 4), to = bytes_get_le(bounds + 4, 4);
	if (from > to || to > p->nentries || to - from > BUCKET_ENTRIES_MAX)
		return false;
	while (from < to) {
		size_t n = MIN(to - from, (uint64_t)64);
		if (!read_at(p, p->at_entries + from * PACK_ENTRY_BYTES, entries, n * PACK_ENTRY_BYTES))
			return false;
		for (size_t i = 0; i < n; i++) {
			const char *e = entries + i * PACK_ENTRY_BYTES;
			if (bytes_get_le(e, 4) != gram)
				continue;
			*list = (struct list){ (uint32_t)bytes_get_le(e + 4, 4), (uint32_t)bytes_get_le(e + 8, 4) };
			return list->count > 0;
		}
		from += n;
	}
	return true;
}

static bool
read_list(const struct search_pack *p, const struct list *list, struct search_bits *bits)
{
	uint8_t bytes[SEARCH_PACK_MESSAGES_MAX / 8] = { 0 };
	*bits = (struct search_bits){ { 0 } };
	if (list->count > PACK_SHORT) {
		if (!read_at(p, (uint64_t)p->at_lists + list->offset, bytes, (p->n + 7) / 8))
			return false;
		memcpy(bits->words, bytes, sizeof bytes);
		return true;
	}
	if (!read_at(p, (uint64_t)p->at_lists + list->offset, bytes, 2 * (size_t)list->count))
		return false;
	uint32_t message = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		message += (uint32_t)bytes_get_le(bytes + 2 * (size_t)i, 2);
		if (message >= p->n)
			return false;
		search_bits_set(bits, message);
	}
	return true;
}

static size_t
count_bits(const struct search_bits *b)
{
	size_t n = 0;
	for (size_t i = 0; i < SEARCH_PACK_WORDS; i++)
		n += (size_t)__builtin_popcountll(b->words[i]);
	return n;
}

static void
clear(struct search_bits *b)
{
	*b = (struct search_bits){ { 0 } };
}

static int
by_count(const void *a, const void *b)
{
	uint32_t x = ((const struct list *)a)->count, y = ((const struct list *)b)->count;
	return x < y ? -1 : x > y;
}

/* Leaves those in *proposed that have all three bytes of text that are asked about: at most GRAMS_ASKED_MAX, spread
 * over it, the rarest first. */
static bool
narrow(const struct search_pack *p, struct slice text, struct search_bits *proposed)
{
	const unsigned char *at = (const unsigned char *)text.at;
	struct list lists[GRAMS_ASKED_MAX];
	if (text.len < 3)
		return true;
	size_t all = text.len - 2, n = MIN(all, (size_t)GRAMS_ASKED_MAX);
	for (size_t i = 0; i < n; i++) {
		const unsigned char *g = at + i * all / n;
		if (!find_list(p, (uint32_t)g[0] << 16 | (uint32_t)g[1] << 8 | g[2], &lists[i]))
			return false;
		if (lists[i].count == 0) {
			clear(proposed);
			return true;
		}
	}
	qsort(lists, n, sizeof *lists, by_count);
	for (size_t i = 0; i < n && pack_has_list(lists[i].count, p->n); i++) {
		struct search_bits bits;
		if (!read_list(p, &lists[i], &bits))
			return false;
		for (size_t w = 0; w < SEARCH_PACK_WORDS; w++)
			proposed->words[w] &= bits.words[w];
		if (count_bits(proposed) <= FEW)
			break;
	}
	return true;
}

bool
search_pack_propose(const struct search_pack *p, const struct search_key *k, struct search_bits *proposed)
{
	clear(proposed);
	for (uint32_t i = 0; i < p->n; i++)
		search_bits_set(proposed, i);
	if (!narrow(p, k->needle, proposed))
		return false;
	return k->where != SEARCH_IN_HEADER || narrow(p, k->field, proposed);
}

/* ---- frequent words */

/* Adds the messages that have words [first, last] to *certain, of the list at `at` whose `words` hold the needle. */
static bool
add_certain(const struct search_pack *p, uint64_t at, size_t count, struct slice words, struct slice needle,
            struct search_bits *certain)
{
	uint8_t row[SEARCH_PACK_MESSAGES_MAX / 8];
	size_t bytes = (p->n + 7) / 8, i = 0;
	struct slice word, rest = words;
	while (i < count && slice_find(rest, needle) >= 0) {
		(void)slice_cut(rest, '\n', &word, &rest);
		bool holds = slice_find(word, needle) >= 0;
		if (holds && !read_at(p, at + bytes * i, row, bytes))
			return false;
		for (size_t b = 0; holds && b < bytes; b++)
			certain->words[b / 8] |= (uint64_t)row[b] << (b % 8 * 8);
		i++;
	}
	return true;
}

/* One list; *at becomes where the next one begins. */
static bool
ask_words(const struct search_pack *p, uint64_t *at, struct slice needle, struct buf *scratch,
          struct search_bits *certain)
{
	char head[SEARCH_WORDS_HEAD_BYTES];
	if (!read_at(p, *at, head, sizeof head))
		return false;
	size_t count = bytes_get_le(head, 4), bytes = bytes_get_le(head + 4, 4);
	buf_clear(scratch);
	if (count > SEARCH_WORDS_MAX || bytes > p->at_keys - p->at_words || !buf_room(scratch, bytes) ||
	    !read_at(p, *at + sizeof head, scratch->at, bytes))
		return false;
	scratch->len = bytes;
	uint64_t bits = *at + sizeof head + bytes;
	*at = bits + count * ((p->n + 7) / 8);
	return !needle.len || add_certain(p, bits, count, buf_slice(scratch), needle, certain);
}

bool
search_pack_certain(const struct search_pack *p, const struct search_key *k, struct buf *scratch,
                    struct search_bits *certain)
{
	uint64_t at = p->at_words;
	clear(certain);
	if (k->where == SEARCH_IN_HEADER || !k->needle.len)
		return true;
	bool good = ask_words(p, &at, k->needle, scratch, certain);
	if (k->where == SEARCH_IN_TEXT)
		good = good && ask_words(p, &at, k->needle, scratch, certain);
	for (uint32_t i = p->n; i < SEARCH_PACK_MESSAGES_MAX && i % 8; i++)
		certain->words[i / 64] &= ~((uint64_t)1 << i % 64);
	return good;
}
