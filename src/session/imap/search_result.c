/* SPDX-License-Identifier: Apache-2.0 */
/* search_result.c - what a search answers: * SEARCH, * SORT, or * ESEARCH with what RETURN asked for (RFC 4731, 5182,
 * 5267, 9394). Called by SEARCH and SORT. Rows come as indices of the view, in the order of the answer. */
#include "session/imap/search.h"

enum { TEXT_BYTES = 32 << 10 };

struct answer {
	struct imap *im;
	const struct search_run *run;
	const struct imap_return *ret;
	uint32_t *rows;
	size_t n;
	size_t from, to; /* of rows, what PARTIAL means */
};

static uint32_t
number_of(const struct imap *im, uint32_t row)
{
	return im->by_uid ? im->view.rows[row].uid : row + 1;
}

/* RFC 9394 3.1: from the first or from the last; what is not there is left out */
static void
find_partial(struct answer *a)
{
	uint64_t first = a->ret->partial.first - 1, last = a->ret->partial.last, n = a->n;
	first = MIN(first, n);
	last = MIN(last, n);
	a->from = (size_t)(a->ret->partial.from_end ? n - last : first);
	a->to = (size_t)(a->ret->partial.from_end ? n - first : last);
}

/* ---- RFC 5182: what "$" means afterwards */

static int
compare_rows(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void
save(const struct answer *a)
{
	uint32_t items = a->ret->items;
	uint32_t *rows = must_calloc(a->n + 2, sizeof *rows);
	size_t n = 0;
	if ((items & (RETURN_ALL | RETURN_COUNT)) || !(items & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL))) {
		memcpy(rows, a->rows, a->n * sizeof *rows);
		n = a->n;
	} else { /* 5182 2.4, 9394 3.2 */
		if (items & RETURN_PARTIAL)
			for (size_t i = a->from; i < a->to; i++)
				rows[n++] = a->rows[i];
		if (a->n && (items & RETURN_MIN))
			rows[n++] = a->rows[0];
		if (a->n && (items & RETURN_MAX))
			rows[n++] = a->rows[a->n - 1];
	}
	qsort(rows, n, sizeof *rows, compare_rows);
	view_save(&a->im->view, rows, n);
	free(rows);
}

void
imap_search_failed(struct imap *im, const struct imap_return *ret, const struct imap_reply *r)
{
	if (r->status == IMAP_NO && (ret->items & RETURN_SAVE))
		view_save(&im->view, NULL, 0);
}

/* ---- writing */

/* 1:3,7 in the order of the rows: only numbers that rise by one are joined. */
static void
await_put_rows(struct imap *im, const uint32_t *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t first = number_of(im, rows[i]), last = first;
		while (i + 1 < n && number_of(im, rows[i + 1]) == last + 1) {
			last++;
			i++;
		}
		buf_put_u64(&im->text, first);
		if (last != first) {
			buf_put_char(&im->text, ':');
			buf_put_u64(&im->text, last);
		}
		if (i + 1 < n)
			buf_put_char(&im->text, ',');
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}

static void
put_item(struct imap *im, struct slice word, uint64_t value)
{
	buf_put_char(&im->text, ' ');
	buf_put(&im->text, word);
	buf_put_char(&im->text, ' ');
	buf_put_u64(&im->text, value);
}

/* RFC 4731 3.2: of the messages that are answered */
static uint64_t
highest_modseq(const struct answer *a)
{
	const struct index_row *all = a->im->view.rows;
	uint64_t highest = 0;
	size_t from = 0, to = a->n;
	if (!a->n)
		return 0;
	if (a->ret->extended && !(a->ret->items & (RETURN_ALL | RETURN_COUNT))) {
		from = a->from;
		to = a->to;
		if (a->ret->items & RETURN_MIN)
			highest = all[a->rows[0]].modseq;
		if (a->ret->items & RETURN_MAX)
			highest = MAX(highest, all[a->rows[a->n - 1]].modseq);
	}
	for (size_t i = from; i < to; i++)
		highest = MAX(highest, all[a->rows[i]].modseq);
	return highest;
}

static void
await_put_partial(const struct answer *a)
{
	const char *minus = a->ret->partial.from_end ? "-" : "";
	buf_printf(&a->im->text, " PARTIAL (%s%u:%s%u ", minus, a->ret->partial.first, minus, a->ret->partial.last);
	if (a->from == a->to)
		buf_put(&a->im->text, S("NIL"));
	else
		await_put_rows(a->im, a->rows + a->from, a->to - a->from);
	buf_put_char(&a->im->text, ')');
}

/* RFC 6203 4: in the order of the numbers that are answered */
static void
await_put_relevancy(const struct answer *a)
{
	bool some = (a->ret->items & (RETURN_PARTIAL | RETURN_ALL)) == RETURN_PARTIAL;
	size_t from = some ? a->from : 0, to = some ? a->to : a->n;
	buf_put(&a->im->text, S(" RELEVANCY ("));
	for (size_t i = from; i < to; i++) {
		if (i > from)
			buf_put_char(&a->im->text, ' ');
		buf_put_u64(&a->im->text, search_relevancy(a->run, a->rows[i]));
		if (a->im->text.len > TEXT_BYTES)
			await_imap_text(a->im);
	}
	buf_put_char(&a->im->text, ')');
}

/* * ESEARCH (TAG "a1") UID MIN 7 COUNT 3 ... (RFC 4466 2.6.2) */
static void
await_put_extended(const struct answer *a, bool modseq)
{
	struct imap *im = a->im;
	uint32_t items = a->ret->items;
	buf_put(&im->text, S("* ESEARCH (TAG "));
	imap_put_string(&im->text, im->tag);
	if (a->ret->correlates) {
		buf_put(&im->text, S(" MAILBOX "));
		imap_put_mailbox(im, &im->text, imap_selected_name(im));
		buf_printf(&im->text, " UIDVALIDITY %u", im->view.uidvalidity);
	}
	buf_put(&im->text, im->by_uid ? S(") UID") : S(")"));
	if (a->n && (items & RETURN_MIN))
		put_item(im, S("MIN"), number_of(im, a->rows[0]));
	if (a->n && (items & RETURN_MAX))
		put_item(im, S("MAX"), number_of(im, a->rows[a->n - 1]));
	if (items & RETURN_COUNT)
		put_item(im, S("COUNT"), a->n);
	if (a->n && (items & RETURN_ALL)) {
		buf_put(&im->text, S(" ALL "));
		await_put_rows(im, a->rows, a->n);
	}
	if (items & RETURN_PARTIAL)
		await_put_partial(a);
	if (a->n && (items & RETURN_RELEVANCY))
		await_put_relevancy(a);
	uint64_t highest = modseq ? highest_modseq(a) : 0;
	if (highest)
		put_item(im, S("MODSEQ"), highest);
	buf_put(&im->text, S("\r\n"));
}

/* * SEARCH 2 84 882 (MODSEQ 5) */
static void
await_put_plain(const struct answer *a, struct slice word, bool modseq)
{
	struct imap *im = a->im;
	buf_put(&im->text, S("* "));
	buf_put(&im->text, word);
	for (size_t i = 0; i < a->n; i++) {
		buf_put_char(&im->text, ' ');
		buf_put_u64(&im->text, number_of(im, a->rows[i]));
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
	uint64_t highest = modseq ? highest_modseq(a) : 0;
	if (highest) /* RFC 7162 3.1.6 */
		buf_printf(&im->text, " (MODSEQ %llu)", (unsigned long long)highest);
	buf_put(&im->text, S("\r\n"));
}

void
await_search_answer(const struct search_run *r, const struct imap_return *ret, struct slice word, uint32_t *rows,
                    size_t n)
{
	struct answer a = { .im = r->im, .run = r, .ret = ret, .rows = rows, .n = n };
	if (ret->items & RETURN_PARTIAL)
		find_partial(&a);
	if (ret->items & RETURN_SAVE)
		save(&a);
	if (ret->correlates && !n) /* RFC 7377 2.1 */
		return;
	if (!ret->extended)
		await_put_plain(&a, word, r->tells_modseq);
	else if (ret->items & ~(uint32_t)RETURN_QUIET)
		await_put_extended(&a, r->tells_modseq);
}
