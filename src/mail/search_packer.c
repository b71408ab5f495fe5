/* SPDX-License-Identifier: Apache-2.0 */
/* search_packer.c - makes packs (search_pack.h). Called by the indexer, one pack at a time. Memory: a number of eight
 * bytes for each message and each three bytes that it has, twice while they are sorted; PAIRS_MAX bounds it. */
#include "mail/search_pack.h"
#include "mail/search_pack_form.h"
#include "mail/search_words.h"
#include "mail/sort_keys.h"

#define PAIRS_MAX 3000000u           /* of all messages of a pack */
#define PAIRS_OF_ONE_MAX 60000u      /* a message with more is always proposed */
#define COLUMN_BYTES_MAX (64u << 10) /* of one message; one with more is cut */
#define COLUMNS_BYTES_MAX (1u << 20) /* of a pack, from which on it is full */
#define POSTINGS_BYTES_MAX (2u << 20)
#define GRAMS (1u << 24)

struct search_packer {
	uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
	uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
	uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
	size_t n;
	struct buf columns[PACK_COLUMNS];
	uint32_t offsets[PACK_COLUMNS][SEARCH_PACK_MESSAGES_MAX + 1];
	uint64_t *pairs; /* three bytes << 16 | message */
	size_t npairs, cap;
	uint64_t *seen;  /* a bit for all that three bytes may be: those of the message under way */
	uint64_t *known; /* the same: those of all messages of the pack */
	size_t nknown;
	struct search_words *body_words, *header_words;
	struct sort_keys_maker *keys;
};

struct search_packer *
search_packer_new(void)
{
	struct search_packer *p = must_calloc(1, sizeof *p);
	p->seen = must_calloc(GRAMS / 64, sizeof *p->seen);
	p->known = must_calloc(GRAMS / 64, sizeof *p->known);
	for (size_t c = 0; c < PACK_COLUMNS; c++)
		buf_init(&p->columns[c], COLUMNS_BYTES_MAX + 2 * COLUMN_BYTES_MAX);
	p->body_words = search_words_new();
	p->header_words = search_words_new();
	p->keys = sort_keys_maker_new();
	return p;
}

void
search_packer_free(struct search_packer **p)
{
	if (!*p)
		return;
	for (size_t c = 0; c < PACK_COLUMNS; c++)
		buf_release(&(*p)->columns[c]);
	free((*p)->pairs);
	free((*p)->seen);
	free((*p)->known);
	search_words_free(&(*p)->body_words);
	search_words_free(&(*p)->header_words);
	sort_keys_maker_free(&(*p)->keys);
	free(*p);
	*p = NULL;
}

size_t
search_packer_count(const struct search_packer *p)
{
	return p->n;
}

/* ---- one message */

static void
add_columns(struct search_packer *p, const struct search_text *t)
{
	for (size_t c = 0; c < PACK_COLUMNS; c++) {
		struct buf *b = &p->columns[c];
		size_t before = b->len;
		search_text_put_values(t, pack_columns[c], b);
		if (b->over || b->len - before > COLUMN_BYTES_MAX) {
			b->len = before;
			b->over = false;
			p->flags[p->n] |= SEARCH_TEXT_HEADER_CUT; /* a miss in the column says nothing: it is not known */
		}
		p->offsets[c][p->n + 1] = (uint32_t)b->len;
	}
}

static void
add_pair(struct search_packer *p, uint32_t gram)
{
	if (p->npairs == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 65536;
		p->pairs = must_realloc(p->pairs, p->cap * sizeof *p->pairs);
	}
	p->pairs[p->npairs++] = (uint64_t)gram << 16 | p->n;
}

/* False: there are too many; none is kept. */
static bool
add_grams(struct search_packer *p, struct slice text, size_t begin)
{
	const unsigned char *at = (const unsigned char *)text.at;
	for (size_t i = 2; i < text.len; i++) {
		uint32_t gram = (uint32_t)at[i - 2] << 16 | (uint32_t)at[i - 1] << 8 | at[i];
		uint64_t bit = (uint64_t)1 << (gram % 64);
		if (p->seen[gram / 64] & bit)
			continue;
		if (at[i] == '\n' || at[i - 1] == '\n' || at[i - 2] == '\n') /* no text that is searched for has one */
			continue;
		p->seen[gram / 64] |= bit;
		add_pair(p, gram);
		if (p->npairs - begin > PAIRS_OF_ONE_MAX)
			return false;
	}
	return true;
}

bool
search_packer_is_full(const struct search_packer *p)
{
	size_t columns = 0;
	for (size_t c = 0; c < PACK_COLUMNS; c++)
		columns += p->columns[c].len;
	size_t bytes = p->nknown * (PACK_ENTRY_BYTES + 1) + p->npairs; /* about: frequent ones take less */
	return p->n == SEARCH_PACK_MESSAGES_MAX || p->npairs > PAIRS_MAX - PAIRS_OF_ONE_MAX ||
	       columns > COLUMNS_BYTES_MAX || bytes > POSTINGS_BYTES_MAX || sort_keys_is_full(p->keys);
}

static void
count_known(struct search_packer *p, size_t begin)
{
	for (size_t i = begin; i < p->npairs; i++) {
		uint64_t gram = p->pairs[i] >> 16, bit = (uint64_t)1 << (gram % 64);
		p->nknown += (p->known[gram / 64] & bit) == 0;
		p->known[gram / 64] |= bit;
	}
}

bool
search_packer_add(struct search_packer *p, uint32_t uid, uint64_t object, const struct search_text *t,
                  struct slice facts)
{
	if (search_packer_is_full(p))
		return false;
	ASSERT(p->n == 0 || uid > p->uids[p->n - 1]);
	size_t begin = p->npairs;
	p->uids[p->n] = uid;
	p->objects[p->n] = object;
	p->flags[p->n] = t->flags & (SEARCH_TEXT_HEADER_CUT | SEARCH_TEXT_BODY_CUT);
	add_columns(p, t);
	bool few = add_grams(p, t->header, begin) && add_grams(p, t->body, begin);
	for (size_t i = begin; i < p->npairs; i++)
		p->seen[p->pairs[i] >> 22] = 0;
	if (!few) {
		p->npairs = begin;
		p->flags[p->n] |= SEARCH_PACK_ALWAYS;
	}
	count_known(p, begin);
	search_words_add(p->body_words, (uint32_t)p->n, t->body);
	search_words_add(p->header_words, (uint32_t)p->n, t->header);
	sort_keys_add(p->keys, uid, facts);
	p->n++;
	return true;
}

/* ---- the pack */

/* By three bytes; messages stay in order. */
static void
sort_pairs(struct search_packer *p)
{
	uint64_t *from = p->pairs, *to = must_calloc(p->npairs + 1, sizeof *to);
	for (unsigned shift = 16; shift < 40; shift += 8) {
		size_t counts[257] = { 0 };
		for (size_t i = 0; i < p->npairs; i++)
			counts[(from[i] >> shift & 255) + 1]++;
		for (size_t i = 0; i < 256; i++)
			counts[i + 1] += counts[i];
		for (size_t i = 0; i < p->npairs; i++)
			to[counts[from[i] >> shift & 255]++] = from[i];
		uint64_t *other = from;
		from = to;
		to = other;
	}
	free(to);
	p->pairs = from;
	p->cap = p->npairs + 1;
}

struct entry {
	uint32_t gram, offset, count;
};

/* Appends the list of one gram: pairs [from, from + count). */
static void
put_list(const struct search_packer *p, size_t from, size_t count, struct buf *lists)
{
	uint8_t bits[SEARCH_PACK_MESSAGES_MAX / 8] = { 0 };
	if (!pack_has_list(count, p->n))
		return;
	uint32_t last = 0;
	for (size_t i = from; i < from + count; i++) {
		uint32_t message = (uint32_t)(p->pairs[i] & 0xffff);
		if (count <= PACK_SHORT)
			buf_put_le(lists, message - last, 2);
		bits[message / 8] |= (uint8_t)(1u << (message % 8));
		last = message;
	}
	if (count > PACK_SHORT)
		buf_put(lists, slice_of(bits, (p->n + 7) / 8));
}

static size_t
make_entries(const struct search_packer *p, struct entry *entries, struct buf *lists)
{
	size_t n = 0;
	for (size_t i = 0, count; i < p->npairs; i += count) {
		uint32_t gram = (uint32_t)(p->pairs[i] >> 16);
		for (count = 1; i + count < p->npairs && p->pairs[i + count] >> 16 == gram; count++)
			continue;
		entries[n++] = (struct entry){ gram, (uint32_t)lists->len, (uint32_t)count };
		put_list(p, i, count, lists);
	}
	return n;
}

static void
put_postings(const struct entry *entries, size_t n, uint32_t nbuckets, struct buf *pack)
{
	uint32_t *starts = must_calloc(nbuckets + 1, sizeof *starts);
	char *sorted = must_calloc(n + 1, PACK_ENTRY_BYTES);
	for (size_t i = 0; i < n; i++)
		starts[pack_bucket(entries[i].gram, nbuckets) + 1]++;
	for (size_t i = 0; i < nbuckets; i++)
		starts[i + 1] += starts[i];
	for (size_t i = 0; i <= nbuckets; i++)
		buf_put_le(pack, starts[i], 4);
	for (size_t i = 0; i < n; i++) {
		char *to = sorted + (size_t)PACK_ENTRY_BYTES * starts[pack_bucket(entries[i].gram, nbuckets)]++;
		bytes_set_le(to, entries[i].gram, 4);
		bytes_set_le(to + 4, entries[i].offset, 4);
		bytes_set_le(to + 8, entries[i].count, 4);
	}
	buf_put(pack, slice_of(sorted, n * PACK_ENTRY_BYTES));
	free(sorted);
	free(starts);
}

static void
put_messages(const struct search_packer *p, struct buf *pack)
{
	for (size_t i = 0; i < p->n; i++)
		buf_put_le(pack, p->uids[i], 4);
	for (size_t i = 0; i < p->n; i++)
		buf_put_le(pack, p->objects[i], 8);
	buf_put(pack, slice_of(p->flags, p->n));
	for (size_t c = 0; c < PACK_COLUMNS; c++) {
		for (size_t i = 0; i <= p->n; i++)
			buf_put_le(pack, p->offsets[c][i], 4);
		buf_put(pack, buf_slice(&p->columns[c]));
	}
}

static void
packer_clear(struct search_packer *p)
{
	for (size_t i = 0; i < p->npairs; i++)
		p->known[p->pairs[i] >> 22] = 0;
	p->n = p->npairs = p->nknown = 0;
	for (size_t c = 0; c < PACK_COLUMNS; c++)
		buf_clear(&p->columns[c]);
	memset(p->offsets, 0, sizeof p->offsets);
	free(p->pairs);
	p->pairs = NULL;
	p->cap = 0;
}

/* Notes in the head where the next part begins. */
static void
begin_part(struct buf *pack, size_t head)
{
	buf_put(pack, slice_of("\0\0\0\0\0\0\0", (8 - pack->len % 8) % 8));
	if (pack->len >= PACK_HEAD_BYTES)
		bytes_set_le(pack->at + head, pack->len, 4);
}

void
search_packer_finish(struct search_packer *p, struct buf *pack)
{
	struct buf lists;
	ASSERT(p->n > 0);
	buf_init(&lists, SIZE_MAX);
	uint32_t messages = (uint32_t)p->n;
	sort_pairs(p);
	struct entry *entries = must_calloc(p->npairs + 1, sizeof *entries);
	size_t n = make_entries(p, entries, &lists);
	uint32_t nbuckets = (uint32_t)(n / 8 + 1);
	buf_clear(pack);
	char head[PACK_HEAD_BYTES] = { SEARCH_PACK_VERSION, SEARCH_TEXT_VERSION };
	bytes_set_le(head + 4, p->n, 4);
	bytes_set_le(head + 8, nbuckets, 4);
	bytes_set_le(head + 12, n, 4);
	buf_put(pack, slice_of(head, sizeof head));
	put_messages(p, pack);
	begin_part(pack, 16);
	put_postings(entries, n, nbuckets, pack);
	buf_put(pack, buf_slice(&lists));
	begin_part(pack, 20);
	search_words_finish(p->body_words, messages, pack);
	search_words_finish(p->header_words, messages, pack);
	begin_part(pack, 24);
	sort_keys_finish(p->keys, pack);
	free(entries);
	buf_release(&lists);
	packer_clear(p);
}
