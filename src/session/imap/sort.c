/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c - messages in order (RFC 5256 3), also by what people see of an address (RFC 5957). A further criterion is a
 * row of criteria[]. Keys come from the view and from facts; texts are compared folded. */
#include "session/imap/sort.h"

#include "mail/fold.h"
#include "session/imap/fetch.h"
#include "session/imap/search.h"

enum {
	FOLD_BYTES_MAX = 64 << 10,
	KEY_BYTES_MAX = 1000,
	KEY_BYTES_MIN = 64,         /* that many count in any case, */
	KEYS_BYTES_MAX = 256 << 20, /* more only as long as all keys of the command stay below this */
};

enum by { BY_ARRIVAL, BY_SIZE, BY_RELEVANCY, BY_DATE, BY_TEXT };

static const struct sort_criterion {
	struct slice word;
	enum by by;
	enum facts_id id;
} criteria[] = {
	{ S_ROW("ARRIVAL"), BY_ARRIVAL, 0 },
	{ S_ROW("SIZE"), BY_SIZE, 0 },
	{ S_ROW("DATE"), BY_DATE, 0 },
	{ S_ROW("SUBJECT"), BY_TEXT, FACTS_BASE_SUBJECT },
	{ S_ROW("FROM"), BY_TEXT, FACTS_SORT_FROM },
	{ S_ROW("TO"), BY_TEXT, FACTS_SORT_TO },
	{ S_ROW("CC"), BY_TEXT, FACTS_SORT_CC },
	{ S_ROW("DISPLAYFROM"), BY_TEXT, FACTS_DISPLAY_FROM },
	{ S_ROW("DISPLAYTO"), BY_TEXT, FACTS_DISPLAY_TO },
	{ S_ROW("RELEVANCY"), BY_RELEVANCY, 0 }, /* RFC 6203 6: the highest first */
};

_Static_assert(COUNT_OF(criteria) == SORT_CRITERIA_MAX, "each can be named once");

/* ---- arguments */

static bool
take_criterion(struct cursor *c, struct sorting *s)
{
	struct slice word;
	bool reverse = take_nocase(c, S("REVERSE "));
	if (!imap_take_atom(c, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(criteria); i++) {
		if (!slice_equal_nocase(word, criteria[i].word))
			continue;
		for (size_t k = 0; k < s->nby; k++)
			if (s->by[k] == &criteria[i]) /* named again it decides nothing more */
				return true;
		s->reverse[s->nby] = reverse;
		s->by[s->nby++] = &criteria[i];
		s->needs_facts = s->needs_facts || criteria[i].by >= BY_DATE;
		s->by_relevancy = s->by_relevancy || criteria[i].by == BY_RELEVANCY;
		return true;
	}
	return false;
}

/* "(" sort-criterion *(SP sort-criterion) ")" */
bool
sort_take_criteria(struct cursor *c, struct sorting *s)
{
	if (!take_char(c, '('))
		return false;
	do {
		if (!take_criterion(c, s))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* ---- keys */

static struct slice
fold_key(struct sorting *s, struct slice text)
{
	buf_clear(&s->folded);
	fold_put_as(&s->folded, s->how, text);
	return slice_keep(&s->arena, slice_part(buf_slice(&s->folded), 0, s->key_bytes));
}

static void
make_keys(void *to, size_t i, const struct facts *facts)
{
	struct sorting *s = to;
	struct sort_item *item = &s->items[i];
	const struct index_row *row = &s->im->view.rows[item->row];
	for (size_t k = 0; k < s->nby; k++) {
		switch (s->by[k]->by) {
		case BY_ARRIVAL: item->keys[k].number = row->received; break;
		case BY_SIZE: item->keys[k].number = row->bytes; break;
		case BY_RELEVANCY: item->keys[k].number = -(int64_t)search_relevancy(s->search, item->row); break;
		case BY_DATE: item->keys[k].number = facts_sent(facts, row); break;
		default:
			if (facts->count)
				item->keys[k].text = fold_key(s, facts_get(facts, s->by[k]->id));
		}
	}
}

/* So many bytes of a text count: fewer when very many messages are sorted by several. */
static size_t
key_bytes_for(const struct sorting *s, size_t n)
{
	size_t texts = 0;
	for (size_t k = 0; k < s->nby; k++)
		texts += s->by[k]->by == BY_TEXT;
	size_t each = KEYS_BYTES_MAX / (n * texts + 1);
	return MAX((size_t)KEY_BYTES_MIN, MIN(each, (size_t)KEY_BYTES_MAX));
}

static enum err
await_keys(struct sorting *s, const uint32_t *rows, size_t n)
{
	s->key_bytes = s->key_bytes ? s->key_bytes : key_bytes_for(s, n); /* a context goes on as it began */
	s->items = must_calloc(n + 1, sizeof *s->items);
	struct sort_key *keys = ARENA_ARRAY(&s->arena, struct sort_key, n * s->nby);
	memset(keys, 0, n * s->nby * sizeof *keys);
	for (size_t i = 0; i < n; i++)
		s->items[i] = (struct sort_item){ rows[i], keys + i * s->nby };
	if (s->needs_facts)
		return await_facts_walk(s->im, rows, n, make_keys, s);
	for (size_t i = 0; i < n; i++)
		make_keys(s, i, &(struct facts){ .count = 0 });
	return OK;
}

int
sort_compare(const void *a, const void *b, void *sorting)
{
	const struct sort_item *x = a, *y = b;
	const struct sorting *s = sorting;
	for (size_t k = 0; k < s->nby; k++) {
		const struct sort_key *p = &x->keys[k], *q = &y->keys[k];
		int order = p->number != q->number ? (p->number < q->number ? -1 : 1) : slice_compare(p->text, q->text);
		if (order)
			return s->reverse[k] ? -order : order;
	}
	return x->row < y->row ? -1 : x->row > y->row; /* RFC 5256 3: the sequence number decides, never reversed */
}

/* ---- all of it */

void
sort_release(struct sorting *s)
{
	free(s->items);
	s->items = NULL;
	s->n = 0;
	buf_release(&s->folded);
	arena_release(&s->arena);
}

enum err
await_sort_items(struct sorting *s, const uint32_t *rows, size_t n)
{
	arena_init(&s->arena, (size_t)4 << 30);
	buf_init(&s->folded, FOLD_BYTES_MAX);
	enum err e = await_keys(s, rows, n);
	if (e == OK && n)
		qsort_r(s->items, n, sizeof *s->items, sort_compare, s);
	s->n = e ? 0 : n;
	return e;
}
