/* SPDX-License-Identifier: Apache-2.0 */
/* search_annotation.c - the keys of a search that look at annotations of messages (RFC 5257 4.8): all of them are
 * answered in one walk, before the rounds of search.c. Fails: what annotation_get answers. */
#include "session/imap/annotate.h"
#include "session/imap/search.h"

static bool
is_asked(const struct search_run *r, size_t key)
{
	return r->program->keys[key].op == SEARCH_ANNOTATION;
}

/* Those that are searched, as stretches. */
static struct view_spans
searched(const struct search_run *r)
{
	const struct view *v = &r->im->view;
	struct view_spans s = { 0 };
	size_t n = 1;
	for (size_t i = 0; r->only && i < v->count; i++)
		n += r->only[i] && (i == 0 || !r->only[i - 1]);
	s.spans = ARENA_ARRAY(&r->im->arena, struct view_span, n);
	for (size_t i = 0; i < v->count; i++) {
		if (r->only && !r->only[i])
			continue;
		if (!s.count || s.spans[s.count - 1].to != i)
			s.spans[s.count++] = (struct view_span){ i, i };
		s.spans[s.count - 1].to = i + 1;
		s.messages++;
	}
	return s;
}

/* Bytes that are no text are found as they are. */
static bool
value_holds(struct search_run *r, const struct imap_search_key *k, struct slice value)
{
	if (slice_find(value, k->text) >= 0)
		return true;
	return slice_is_utf8(k->text) && search_text_holds(&r->scratch, r->program->how, value, k->folded);
}

/* NIL is what has no value (RFC 5257 3.2.2): it finds messages without such an entry. */
static bool
await_holds(struct search_run *r, struct annotation_reader *reader, const struct imap_search_key *k,
            const struct store_annotated *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct store_message_annotation *a = &list[i].annotation;
		if ((k->number & (a->shared ? ATTRIB_VALUE_SHARED : ATTRIB_VALUE_PRIVATE)) &&
		    await_annotation_matches(reader, k->field, a->entry) && (k->nil || value_holds(r, k, a->value)))
			return !k->nil;
	}
	return k->nil;
}

/* Which entries are read: those that are named, or all where a key has wildcards. */
static void
choose_entries(struct annotation_reader *reader, const struct search_run *r)
{
	for (size_t k = 0; k < r->program->count; k++) {
		const struct imap_search_key *key = &r->program->keys[k];
		if (!is_asked(r, k))
			continue;
		if (imap_entry_is_wild(key->field) || reader->ask.nentries == ANNOTATE_ENTRIES_MAX) {
			reader->ask.nentries = 0;
			return;
		}
		annotation_reader_add(reader, key->field);
	}
}

enum err
await_search_annotations(struct search_run *r)
{
	uint32_t attribs = 0;
	for (size_t k = 0; k < r->program->count; k++)
		attribs |= is_asked(r, k) ? r->program->keys[k].number : 0;
	if (!attribs)
		return OK;
	struct annotation_reader reader;
	struct view_spans spans = searched(r);
	struct view_walk w = view_walk_of(&spans);
	const struct store_annotated *list;
	size_t i, n;
	enum err e = OK;
	r->annotated = must_calloc(r->program->count + 1, sizeof *r->annotated);
	for (size_t k = 0; k < r->program->count; k++)
		r->annotated[k] = is_asked(r, k) ? must_calloc(r->im->view.count + 1, 1) : NULL;
	annotation_reader_init(&reader, r->im, attribs);
	choose_entries(&reader, r);
	while (e == OK && view_walk_next(&w, &i) && r->im->c->io.error == OK) {
		await_imap_progress(r->im, i, r->im->view.count);
		e = await_annotations(&reader, i, &w, &list, &n);
		for (size_t k = 0; e == OK && k < r->program->count; k++)
			if (is_asked(r, k))
				r->annotated[k][i] = await_holds(r, &reader, &r->program->keys[k], list, n);
	}
	annotation_reader_release(&reader);
	return e;
}

void
search_annotations_release(struct search_run *r)
{
	for (size_t k = 0; r->annotated && k < r->program->count; k++)
		free(r->annotated[k]);
	free(r->annotated);
}
