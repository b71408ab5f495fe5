/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c - messages in order (RFC 5256 3), also by what people see of an address (RFC 5957). A further criterion is a
 * row of criteria[]. Keys come from the view and from facts; texts are compared folded. */
#include "session/imap/sort.h"

#include "base/radix.h"
#include "mail/fold.h"
#include "session/imap/annotate.h"
#include "session/imap/keys_walk.h"
#include "session/imap/search.h"

enum {
	FOLD_BYTES_MAX = 64 << 10,
	KEY_BYTES_MAX = 1000,
	KEY_BYTES_MIN = 64, /* that many count in any case, more only as long as all keys of the command stay below: */
};
size_t sort_keys_bytes_max = 256 << 20;

/* What columns of packs leave out is not looked at here either. */
_Static_assert(KEY_BYTES_MAX <= SORT_KEYS_TEXT_BYTES_MAX, "a text that is known is known as far as it counts");

enum by { BY_ARRIVAL, BY_SIZE, BY_RELEVANCY, BY_ANNOTATION, BY_DATE, BY_TEXT };

static const struct sort_criterion {
	struct slice word;
	enum by by;
	enum facts_id id;
	enum sort_keys_column column;
} criteria[] = {
	{ S_ROW("ARRIVAL"), BY_ARRIVAL, 0, 0 },
	{ S_ROW("SIZE"), BY_SIZE, 0, 0 },
	{ S_ROW("DATE"), BY_DATE, 0, SORT_KEYS_DATE },
	{ S_ROW("SUBJECT"), BY_TEXT, FACTS_BASE_SUBJECT, SORT_KEYS_SUBJECT },
	{ S_ROW("FROM"), BY_TEXT, FACTS_SORT_FROM, SORT_KEYS_FROM },
	{ S_ROW("TO"), BY_TEXT, FACTS_SORT_TO, SORT_KEYS_TO },
	{ S_ROW("CC"), BY_TEXT, FACTS_SORT_CC, SORT_KEYS_CC },
	{ S_ROW("DISPLAYFROM"), BY_TEXT, FACTS_DISPLAY_FROM, SORT_KEYS_DISPLAY_FROM },
	{ S_ROW("DISPLAYTO"), BY_TEXT, FACTS_DISPLAY_TO, SORT_KEYS_DISPLAY_TO },
	{ S_ROW("RELEVANCY"), BY_RELEVANCY, 0, 0 }, /* RFC 6203 6: the highest first */
};

static const struct sort_criterion by_annotation = { S_ROW("ANNOTATION"), BY_ANNOTATION, 0, 0 };

_Static_assert(COUNT_OF(criteria) + SORT_ANNOTATIONS_MAX == SORT_CRITERIA_MAX, "others can be named once");

/* ---- arguments */

/* "ANNOTATION" SP entry SP att-sort (RFC 5257 4.9) */
static bool
take_annotation(struct cursor *c, struct sorting *s, bool reverse)
{
	struct slice entry;
	uint32_t attribs;
	if (!take_char(c, ' ') || !imap_take_annotation_key(c, &s->im->arena, &entry, &attribs) ||
	    s->nannotations == SORT_ANNOTATIONS_MAX)
		return false;
	s->nannotations++;
	s->annotations[s->nby].entry = entry;
	s->annotations[s->nby].attribs = attribs;
	s->reverse[s->nby] = reverse;
	s->by[s->nby++] = &by_annotation;
	return true;
}

static bool
take_criterion(struct cursor *c, struct sorting *s)
{
	struct slice word;
	bool reverse = take_nocase(c, S("REVERSE "));
	if (!imap_take_atom(c, &word))
		return false;
	if (slice_equal_nocase(word, by_annotation.word))
		return take_annotation(c, s, reverse);
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
keep_key(struct sorting *s, struct slice folded)
{
	return slice_keep(&s->arena, slice_part(folded, 0, MIN(folded.len, s->key_bytes)));
}

static struct slice
fold_key(struct sorting *s, struct slice text)
{
	buf_clear(&s->folded);
	fold_put_ordered(&s->folded, s->how, text);
	return keep_key(s, buf_slice(&s->folded));
}

/* Those that the view knows. */
static int64_t
number_in_view(const struct sorting *s, enum by by, uint32_t row)
{
	const struct index_row *r = &s->im->view.rows[row];
	switch (by) {
	case BY_ARRIVAL: return r->received;
	case BY_SIZE: return r->bytes;
	case BY_RELEVANCY: return -(int64_t)search_relevancy(s->search, row);
	default: return 0;
	}
}

static void
keys_of_facts(void *to, size_t i, const struct facts *facts)
{
	struct sorting *s = to;
	struct sort_item *item = &s->items[i];
	for (size_t k = 0; k < s->nby; k++) {
		if (s->by[k]->by == BY_DATE) {
			item->keys[k].number = facts_sent(facts, &s->im->view.rows[item->row]);
		} else if (s->by[k]->by == BY_TEXT && facts->count) {
			item->keys[k].text = fold_key(s, facts_get(facts, s->by[k]->id));
		} else {
			item->keys[k].number = number_in_view(s, s->by[k]->by, item->row);
		}
	}
}

/* The same of columns, which are folded already. */
static void
keys_of_columns(void *to, size_t i, const struct sort_keys *columns, uint32_t at)
{
	struct sorting *s = to;
	struct sort_item *item = &s->items[i];
	for (size_t k = 0; k < s->nby; k++) {
		if (s->by[k]->by == BY_DATE) {
			int64_t sent = sort_keys_date(columns, at); /* RFC 5256 2.2, as facts_sent has it */
			item->keys[k].number = sent != INT64_MIN ? sent : s->im->view.rows[item->row].received;
		} else if (s->by[k]->by == BY_TEXT) {
			item->keys[k].text = keep_key(s, sort_keys_text(columns, s->by[k]->column, at));
		} else {
			item->keys[k].number = number_in_view(s, s->by[k]->by, item->row);
		}
	}
}

/* They are kept for one way to fold. */
static uint32_t
columns_wanted(const struct sorting *s)
{
	uint32_t columns = 1u << SORT_KEYS_UIDS;
	for (size_t k = 0; k < s->nby; k++) {
		if (s->by[k]->by == BY_TEXT && s->how != FOLD_UNICODE)
			return 0;
		columns |= s->by[k]->by >= BY_DATE ? 1u << s->by[k]->column : 0;
	}
	return columns;
}

/* So many bytes of a text count: fewer when very many messages are sorted by several. */
static size_t
key_bytes_for(const struct sorting *s, size_t n)
{
	size_t texts = 0;
	for (size_t k = 0; k < s->nby; k++)
		texts += s->by[k]->by == BY_TEXT || s->by[k]->by == BY_ANNOTATION;
	size_t each = sort_keys_bytes_max / (n * texts + 1);
	return MAX((size_t)KEY_BYTES_MIN, MIN(each, (size_t)KEY_BYTES_MAX));
}

static struct slice
annotation_key(struct sorting *s, size_t k, const struct store_annotated *list, size_t n)
{
	bool shared = s->annotations[k].attribs == ATTRIB_VALUE_SHARED;
	for (size_t i = 0; i < n; i++)
		if (list[i].annotation.shared == shared && slice_equal(list[i].annotation.entry, s->annotations[k].entry))
			return fold_key(s, list[i].annotation.value);
	return SLICE_NONE;
}

/* What stands in the annotations that are sorted by; NULL is the least (RFC 5257 4.9). */
static enum err
await_annotation_keys(struct sorting *s, size_t n)
{
	struct view_spans spans = { .spans = ARENA_ARRAY(&s->im->arena, struct view_span, n), .count = n, .messages = n };
	struct view_walk w;
	struct annotation_reader reader;
	const struct store_annotated *list;
	size_t row, count;
	enum err e = OK;
	annotation_reader_init(&reader, s->im, ATTRIB_VALUE_PRIVATE | ATTRIB_VALUE_SHARED);
	for (size_t k = 0; k < s->nby; k++)
		if (s->by[k]->by == BY_ANNOTATION)
			annotation_reader_add(&reader, s->annotations[k].entry);
	for (size_t i = 0; i < n; i++)
		spans.spans[i] = (struct view_span){ s->items[i].row, s->items[i].row + 1 };
	w = view_walk_of(&spans);
	for (size_t i = 0; e == OK && view_walk_next(&w, &row); i++) {
		e = await_annotations(&reader, row, &w, &list, &count);
		for (size_t k = 0; e == OK && k < s->nby; k++)
			if (s->by[k]->by == BY_ANNOTATION)
				s->items[i].keys[k].text = annotation_key(s, k, list, count);
	}
	annotation_reader_release(&reader);
	return e;
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
	const struct keys_wanted want = { columns_wanted(s), keys_of_columns, keys_of_facts, NULL, s };
	enum err e = s->nannotations ? await_annotation_keys(s, n) : OK;
	if (e)
		return e;
	if (s->needs_facts)
		return await_keys_walk(s->im, rows, n, &want);
	for (size_t i = 0; i < n; i++)
		keys_of_facts(s, i, &(struct facts){ .count = 0 });
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

/* ---- order */

/* What decides first, as a number: all of a number, eight bytes of a text. */
static uint64_t
first_of(const struct sorting *s, const struct sort_item *item)
{
	const struct sort_key *k = &item->keys[0];
	uint64_t first = radix_of_signed(k->number);
	if (s->by[0]->by == BY_TEXT) {
		char bytes[8] = { 0 };
		if (k->text.len)
			memcpy(bytes, k->text.at, MIN(k->text.len, sizeof bytes));
		first = bytes_get_be(bytes, 8);
	}
	return s->reverse[0] ? ~first : first;
}

/* By what decides first, then those among which it does not decide. */
void
sort_items(struct sorting *s, struct sort_item *items, size_t n)
{
	if (n < 2)
		return;
	struct radix *list = must_calloc(2 * n, sizeof *list);
	struct sort_item *sorted = must_calloc(n, sizeof *sorted);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct radix){ first_of(s, &items[i]), &items[i] };
	radix_sort(list, list + n, n);
	for (size_t i = 0; i < n; i++)
		sorted[i] = *(const struct sort_item *)list[i].item;
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && list[to].number == list[from].number; to++)
			continue;
		if (to - from > 1)
			qsort_r(sorted + from, to - from, sizeof *sorted, sort_compare, s);
	}
	memcpy(items, sorted, n * sizeof *items);
	free(sorted);
	free(list);
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
	if (e == OK)
		sort_items(s, s->items, n);
	s->n = e ? 0 : n;
	return e;
}
