/* SPDX-License-Identifier: Apache-2.0 */
/* search_words.c - counts words (search_words.h). Called by search_packer.c. Memory: a number of eight bytes for each
 * word and message, up to PAIRS_MAX; words of which there is no place any more are not counted, which costs time when
 * they are searched, and nothing else. */
#include "mail/search_words.h"

#include "base/map.h"

enum {
	WORD_BYTES_MAX = 32,
	WORDS_KNOWN_MAX = 100000,
	WORDS_BYTES_MAX = 2 << 20,
	PAIRS_MAX = 1 << 20,
	SHARE = 16, /* words that fewer than one of so many messages have are not listed */
};

struct word {
	uint32_t offset, bytes; /* in texts */
	uint32_t count;         /* messages */
	uint32_t last;          /* message + 1 that has it */
	uint32_t listed;        /* place in the list + 1 */
};

struct search_words {
	struct map known; /* hash -> number + 1 */
	struct word *words;
	struct buf texts;
	size_t nwords, cap;
	uint64_t *pairs; /* word << 16 | message */
	size_t npairs, pairs_cap;
};

struct search_words *
search_words_new(void)
{
	struct search_words *w = must_calloc(1, sizeof *w);
	buf_init(&w->texts, WORDS_BYTES_MAX + WORD_BYTES_MAX);
	return w;
}

static void
words_clear(struct search_words *w)
{
	map_release(&w->known);
	buf_release(&w->texts);
	free(w->words);
	free(w->pairs);
	w->words = NULL;
	w->pairs = NULL;
	w->nwords = w->cap = w->npairs = w->pairs_cap = 0;
}

void
search_words_free(struct search_words **w)
{
	if (!*w)
		return;
	words_clear(*w);
	free(*w);
	*w = NULL;
}

/* ---- counting */

/* NULL: it is not counted. */
static struct word *
word_of(struct search_words *w, struct slice text)
{
	uint64_t hash = slice_hash(text);
	void *known = map_get(&w->known, hash);
	if (known) {
		struct word *word = &w->words[(uintptr_t)known - 1];
		return slice_equal(slice_part(buf_slice(&w->texts), word->offset, word->bytes), text) ? word : NULL;
	}
	if (w->nwords == WORDS_KNOWN_MAX || w->texts.len > WORDS_BYTES_MAX)
		return NULL;
	if (w->nwords == w->cap)
		w->words = must_realloc(w->words, (w->cap = 2 * w->cap + 1024) * sizeof *w->words);
	struct word *word = &w->words[w->nwords++];
	*word = (struct word){ .offset = (uint32_t)w->texts.len, .bytes = (uint32_t)text.len };
	buf_put(&w->texts, text);
	map_set(&w->known, hash, (void *)(uintptr_t)w->nwords);
	return word;
}

static void
count_word(struct search_words *w, uint32_t message, struct slice text)
{
	struct word *word = text.len <= WORD_BYTES_MAX ? word_of(w, text) : NULL;
	if (!word || word->last == message + 1 || w->npairs == PAIRS_MAX)
		return;
	word->last = message + 1;
	word->count++;
	if (w->npairs == w->pairs_cap)
		w->pairs = must_realloc(w->pairs, (w->pairs_cap = 2 * w->pairs_cap + 4096) * sizeof *w->pairs);
	w->pairs[w->npairs++] = (uint64_t)(word - w->words) << 16 | message;
}

static bool
in_word(char c)
{
	return (c >= 'A' && c <= 'Z') || ascii_digit(c) || (c & 0x80);
}

void
search_words_add(struct search_words *w, uint32_t message, struct slice text)
{
	for (size_t at = 0, begin; at < text.len;) {
		while (at < text.len && !in_word(text.at[at]))
			at++;
		for (begin = at; at < text.len && in_word(text.at[at]); at++)
			continue;
		if (at > begin)
			count_word(w, message, slice_part(text, begin, at - begin));
	}
}

/* ---- the list */

static int
by_count(const void *a, const void *b)
{
	const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The words that are listed, the most frequent first. */
static size_t
choose(struct search_words *w, uint32_t n, struct word **listed)
{
	size_t found = 0;
	for (size_t i = 0; i < w->nwords; i++)
		if (w->words[i].count * SHARE >= n && w->words[i].count > 1)
			listed[found++] = &w->words[i];
	if (found)
		qsort(listed, found, sizeof *listed, by_count);
	found = MIN(found, (size_t)SEARCH_WORDS_MAX);
	for (size_t i = 0; i < found; i++)
		listed[i]->listed = (uint32_t)i + 1;
	return found;
}

static void
put_bits(const struct search_words *w, size_t found, uint32_t n, struct buf *to)
{
	size_t row = (n + 7) / 8;
	uint8_t *bits = must_calloc(found + 1, row);
	for (size_t i = 0; i < w->npairs; i++) {
		uint32_t listed = w->words[w->pairs[i] >> 16].listed, message = (uint32_t)(w->pairs[i] & 0xffff);
		if (listed)
			bits[(listed - 1) * row + message / 8] |= (uint8_t)(1u << message % 8);
	}
	buf_put(to, slice_of((char *)bits, found * row));
	free(bits);
}

void
search_words_finish(struct search_words *w, uint32_t n, struct buf *to)
{
	struct word **listed = must_calloc(w->nwords + 1, sizeof(struct word *));
	size_t found = choose(w, n, listed), bytes = 0;
	for (size_t i = 0; i < found; i++)
		bytes += listed[i]->bytes + 1;
	buf_put_le(to, found, 4);
	buf_put_le(to, bytes, 4);
	for (size_t i = 0; i < found; i++) {
		buf_put(to, slice_part(buf_slice(&w->texts), listed[i]->offset, listed[i]->bytes));
		buf_put_char(to, '\n');
	}
	put_bits(w, found, n, to);
	free(listed);
	words_clear(w);
}
