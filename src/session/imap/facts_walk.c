/* SPDX-License-Identifier: Apache-2.0 */
/* facts_walk.c - the facts of many messages, one after the other, for SORT and THREAD. A message that was expunged
 * meanwhile has empty facts. Fails: store, scan or shared memory are not there. */
#include "session/imap/fetch.h"

struct walk {
	struct imap *im;
	struct fetch_reader facts, bodies;
	struct fetch_body body;
	struct arena arena; /* of one message */
};

static enum err
await_one(struct walk *w, size_t row, const struct view_walk *ahead, struct facts *facts)
{
	struct slice record;
	arena_clear(&w->arena);
	enum err e = await_fetch_get(&w->facts, row, ahead, &record);
	if (e != OK || facts_open(facts, record))
		return e;
	e = await_fetch_body(&w->body, &w->bodies, row, ahead);
	return e ? e : await_fetch_facts(&w->body, &w->arena, record, facts);
}

/* The rows as stretches, so that facts are read ahead. */
static struct view_spans
spans_of(struct imap *im, const uint32_t *rows, size_t n)
{
	struct view_spans s = { .spans = ARENA_ARRAY(&im->arena, struct view_span, n), .messages = n };
	for (size_t i = 0; i < n; i++) {
		if (!s.count || s.spans[s.count - 1].to != rows[i])
			s.spans[s.count++] = (struct view_span){ rows[i], rows[i] };
		s.spans[s.count - 1].to = rows[i] + 1;
	}
	return s;
}

enum err
await_facts_walk(struct imap *im, const uint32_t *rows, size_t n, facts_visitor *visit, void *to)
{
	struct view_spans spans = spans_of(im, rows, n);
	struct view_walk ahead = view_walk_of(&spans);
	struct walk w = { .im = im };
	enum err e = OK;
	size_t row, i = 0;
	fetch_reader_init(&w.facts, im, READ_FACTS);
	fetch_reader_init(&w.bodies, im, READ_BODIES);
	fetch_body_init(&w.body, im);
	arena_init(&w.arena, 0);
	while (view_walk_next(&ahead, &row) && im->c->io.error == OK) {
		struct facts facts = { .count = 0 };
		await_imap_progress(im, i, n);
		e = await_one(&w, row, &ahead, &facts);
		if (e != OK && e != ERR_NOT_FOUND)
			break;
		visit(to, i++, &facts);
		e = OK;
	}
	fetch_reader_release(&w.facts);
	fetch_reader_release(&w.bodies);
	fetch_body_release(&w.body);
	arena_release(&w.arena);
	return e ? e : im->c->io.error;
}

int64_t
facts_sent(const struct facts *facts, const struct index_row *row)
{
	struct facts_numbers n;
	/* RFC 5256 2.2: without a good Date field, when it came */
	return facts->count && facts_numbers(facts, &n) && n.date != INT64_MIN ? n.date : row->received;
}
