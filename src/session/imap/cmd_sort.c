/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_sort.c - SORT and UID SORT (RFC 5256 3), with RETURN (RFC 5267 3) and by what people see of an address (RFC
 * 5957). A further criterion is a row of criteria[]. Keys come from the view and from facts; texts are compared folded.
 */
#include "mail/fold.h"
#include "session/imap/fetch.h"
#include "session/imap/search.h"

enum { CRITERIA_MAX = 9, FOLD_BYTES_MAX = 64 << 10, KEY_BYTES_MAX = 1000 };

enum by { BY_ARRIVAL, BY_SIZE, BY_DATE, BY_TEXT };

static const struct criterion {
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
};

_Static_assert(COUNT_OF(criteria) == CRITERIA_MAX, "each can be named once");

struct key {
	int64_t number;
	struct slice text;
};

struct item {
	uint32_t row;
	struct key *keys; /* one for each criterion */
};

struct sorting {
	struct imap *im;
	const struct criterion *by[CRITERIA_MAX];
	bool reverse[CRITERIA_MAX];
	size_t nby;
	bool needs_facts;
	struct item *items;
	struct arena arena;
	struct buf folded;
};

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
		return true;
	}
	return false;
}

/* "(" sort-criterion *(SP sort-criterion) ")" */
static bool
take_criteria(struct cursor *c, struct sorting *s)
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
	fold_put(&s->folded, text);
	return slice_keep(&s->arena, slice_part(buf_slice(&s->folded), 0, KEY_BYTES_MAX));
}

static void
make_keys(void *to, size_t i, const struct facts *facts)
{
	struct sorting *s = to;
	struct item *item = &s->items[i];
	const struct index_row *row = &s->im->view.rows[item->row];
	for (size_t k = 0; k < s->nby; k++) {
		switch (s->by[k]->by) {
		case BY_ARRIVAL: item->keys[k].number = row->received; break;
		case BY_SIZE: item->keys[k].number = row->bytes; break;
		case BY_DATE: item->keys[k].number = facts_sent(facts, row); break;
		default:
			if (facts->count)
				item->keys[k].text = fold_key(s, facts_get(facts, s->by[k]->id));
		}
	}
}

static enum err
await_keys(struct sorting *s, const uint32_t *rows, size_t n)
{
	s->items = must_calloc(n + 1, sizeof *s->items);
	struct key *keys = ARENA_ARRAY(&s->arena, struct key, n * s->nby);
	memset(keys, 0, n * s->nby * sizeof *keys);
	for (size_t i = 0; i < n; i++)
		s->items[i] = (struct item){ rows[i], keys + i * s->nby };
	if (s->needs_facts)
		return await_facts_walk(s->im, rows, n, make_keys, s);
	for (size_t i = 0; i < n; i++)
		make_keys(s, i, &(struct facts){ .count = 0 });
	return OK;
}

static int
compare_items(const void *a, const void *b, void *sorting)
{
	const struct item *x = a, *y = b;
	const struct sorting *s = sorting;
	for (size_t k = 0; k < s->nby; k++) {
		const struct key *p = &x->keys[k], *q = &y->keys[k];
		int order = p->number != q->number ? (p->number < q->number ? -1 : 1) : slice_compare(p->text, q->text);
		if (order)
			return s->reverse[k] ? -order : order;
	}
	return x->row < y->row ? -1 : x->row > y->row; /* RFC 5256 3: the sequence number decides, never reversed */
}

/* ---- the command */

static enum err
await_sort(struct sorting *s, uint32_t *rows, size_t n)
{
	arena_init(&s->arena, 0);
	buf_init(&s->folded, FOLD_BYTES_MAX);
	enum err e = await_keys(s, rows, n);
	if (e == OK && n)
		qsort_r(s->items, n, sizeof *s->items, compare_items, s);
	for (size_t i = 0; i < n && e == OK; i++)
		rows[i] = s->items[i].row;
	free(s->items);
	buf_release(&s->folded);
	arena_release(&s->arena);
	return e;
}

static struct imap_reply
await_run(struct sorting *s, const struct imap_return *ret, struct imap_search *program)
{
	struct search_run r;
	struct imap_reply no = await_search(&r, s->im, program);
	if (no.status == IMAP_OK) {
		uint32_t *rows = must_calloc(s->im->view.count + 1, sizeof *rows);
		size_t n = search_found(&r, rows);
		enum err e = await_sort(s, rows, n);
		if (e == OK)
			await_search_answer(s->im, ret, S("SORT"), rows, n, r.tells_modseq);
		no = e ? imap_err(e) : imap_ok("sorted");
		free(rows);
	}
	search_run_release(&r);
	return no;
}

struct imap_reply
imap_cmd_sort(struct imap *im, struct cursor *args)
{
	struct sorting s = { .im = im };
	struct imap_search program;
	struct imap_return ret;
	struct slice charset;
	if (!imap_take_space(args) || !imap_take_return(args, &ret) || !take_criteria(args, &s) || !imap_take_space(args) ||
	    !imap_take_astring(args, &im->arena, &charset) || !imap_take_space(args))
		return imap_bad("SORT takes criteria that are known here, a charset, and what to search for");
	struct imap_reply no = await_imap_search_program(im, args, charset, &program);
	if (no.status == IMAP_OK)
		no = await_run(&s, &ret, &program);
	imap_search_failed(im, &ret, &no);
	return no;
}
