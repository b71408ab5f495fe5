/* SPDX-License-Identifier: Apache-2.0 */
/* annotate.c - annotations of messages from the store, ahead of the message that is wanted, and as FETCH shows them
 * (RFC 5257 4.3, 4.4). Called by cmd_fetch.c, search_annotation.c and sort.c. Messages that have none cost a UID in a
 * call each. */
#include "session/imap/annotate.h"

#include "session/imap/fetch.h"
#include "session/imap/match.h"

enum {
	BATCH_UIDS = 4096,    /* of store.msg */
	TURN_WORK = 50 << 20, /* characters that wildcards are tried on before others get a turn */
	TEXT_BYTES = 32 << 10,
};

void
annotation_reader_init(struct annotation_reader *r, struct imap *im, uint32_t attribs)
{
	*r = (struct annotation_reader){ .im = im };
	r->ask.mailbox = im->view.mailbox;
	r->ask.private = attribs & ATTRIB_PRIVATE;
	r->ask.shared = attribs & ATTRIB_SHARED;
	r->ask.entries = ARENA_ARRAY(&im->arena, struct store_name, ANNOTATE_ENTRIES_MAX);
	arena_init(&r->arena, 0);
}

void
annotation_reader_release(struct annotation_reader *r)
{
	arena_release(&r->arena);
}

void
annotation_reader_add(struct annotation_reader *r, struct slice entry)
{
	for (uint32_t i = 0; i < r->ask.nentries; i++)
		if (slice_equal(r->ask.entries[i].text, entry))
			return;
	ASSERT(r->ask.nentries < ANNOTATE_ENTRIES_MAX);
	r->ask.entries[r->ask.nentries++].text = entry;
}

/* A page that begins with this row. */
static enum err
await_page(struct annotation_reader *r, size_t index, const struct view_walk *ahead)
{
	const struct index_row *rows = r->im->view.rows;
	struct view_walk w = *ahead;
	size_t n = 0;
	arena_clear(&r->arena);
	char *uids = arena_alloc(&r->arena, BATCH_UIDS * 4);
	do {
		if (n == 0 || !(rows[index].flags & VIEW_GONE))
			bytes_set_le(uids + 4 * n++, rows[index].uid, 4);
	} while (n < BATCH_UIDS && view_walk_next(&w, &index));
	r->ask.uids = slice_of(uids, 4 * n);
	r->page = (struct store_annotation_get_out){ 0 };
	r->at = r->upto = 0;
	enum err e = await_imap_ask_selected(r->im, annotation_get, &r->ask, &r->arena, &r->page);
	r->upto = e ? 0 : r->page.last;
	return e;
}

enum err
await_annotations(struct annotation_reader *r, size_t index, const struct view_walk *ahead,
                  const struct store_annotated **list, size_t *n)
{
	uint32_t uid = r->im->view.rows[index].uid;
	*n = 0;
	*list = NULL;
	enum err e = uid > r->upto ? await_page(r, index, ahead) : OK;
	if (e)
		return e;
	while (r->at < r->page.nannotated && r->page.annotated[r->at].uid < uid)
		r->at++;
	*list = r->page.annotated + r->at;
	while (r->at + *n < r->page.nannotated && (*list)[*n].uid == uid)
		++*n;
	return OK;
}

bool
await_annotation_matches(struct annotation_reader *r, struct slice pattern, struct slice entry)
{
	r->work += pattern.len * entry.len;
	if (r->work > TURN_WORK) {
		r->work = 0;
		await_turn();
	}
	return imap_match(pattern, entry);
}

/* ---- as FETCH shows them */

/* One message's annotations, and how they are told. */
struct showing {
	struct annotation_reader *r;
	const struct imap_annotation_fetch *what;
	const struct store_annotated *list;
	size_t n, told;
	void (*word)(void *to);
	void *to;
};

static const struct store_message_annotation *
find(const struct showing *s, struct slice entry, bool shared)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].annotation.shared == shared && slice_equal(s->list[i].annotation.entry, entry))
			return &s->list[i].annotation;
	return NULL;
}

/* nstring / literal8 */
static void
put_value(struct buf *to, const struct store_message_annotation *a)
{
	if (!a) { /* RFC 5257 3.2.2 */
		buf_put(to, S("NIL"));
		return;
	}
	if (slice_find_char(a->value, '\0') >= 0)
		buf_put_char(to, '~');
	imap_put_string(to, a->value);
}

static void
put_attrib(struct showing *s, struct slice entry, uint32_t attrib)
{
	struct buf *to = &s->r->im->text;
	const struct store_message_annotation *a = find(s, entry, attrib & ATTRIB_SHARED);
	bool size = attrib & (ATTRIB_SIZE_PRIVATE | ATTRIB_SIZE_SHARED);
	buf_put(to, size ? S("size") : S("value"));
	buf_put(to, attrib & ATTRIB_SHARED ? S(".shared ") : S(".priv "));
	if (size)
		buf_printf(to, "\"%zu\"", a ? a->value.len : 0);
	else
		put_value(to, a);
}

void
imap_put_entry(struct buf *to, struct slice entry)
{
	size_t i = 0;
	while (i < entry.len && imap_is_atom_char(entry.at[i]))
		i++;
	if (i == entry.len)
		buf_put(to, entry);
	else
		imap_put_string(to, entry);
}

static void
await_put_entry(struct showing *s, struct slice entry)
{
	struct imap *im = s->r->im;
	if (s->told++) {
		buf_put_char(&im->text, ' ');
	} else {
		s->word(s->to);
		buf_put_char(&im->text, '(');
	}
	imap_put_entry(&im->text, entry);
	for (size_t i = 0; i < s->what->nattribs; i++) {
		buf_put(&im->text, i ? S(" ") : S(" ("));
		put_attrib(s, entry, s->what->attribs[i]);
	}
	buf_put_char(&im->text, ')');
	if (im->text.len > TEXT_BYTES)
		await_imap_text(im);
}

/* Its place among the entries; there may be a shared and a private one of a name, this is the first. */
static size_t
place_of(const struct showing *s, struct slice entry)
{
	size_t i = 0;
	while (i < s->n && !slice_equal(s->list[i].annotation.entry, entry))
		i++;
	return i;
}

/* Was this entry, which is there, shown by an earlier specifier? */
static bool
await_is_shown(const struct showing *s, struct slice entry, size_t specifier)
{
	for (size_t i = 0; i < specifier; i++)
		if (await_annotation_matches(s->r, s->what->entries[i], entry))
			return true;
	return false;
}

enum err
await_annotation_item(struct annotation_reader *r, const struct imap_annotation_fetch *what, size_t index,
                      const struct view_walk *ahead, void (*word)(void *to), void *to)
{
	struct showing s = { .r = r, .what = what, .word = word, .to = to };
	enum err e = await_annotations(r, index, ahead, &s.list, &s.n);
	for (size_t k = 0; k < what->nentries && e == OK; k++) {
		struct slice wanted = what->entries[k];
		bool wild = imap_entry_is_wild(wanted);
		if (!wild && (place_of(&s, wanted) == s.n || !await_is_shown(&s, wanted, k)))
			await_put_entry(&s, wanted);
		for (size_t i = 0; wild && i < s.n; i++) {
			struct slice entry = s.list[i].annotation.entry;
			if (place_of(&s, entry) == i && await_annotation_matches(r, wanted, entry) && !await_is_shown(&s, entry, k))
				await_put_entry(&s, entry);
		}
	}
	if (s.told)
		buf_put_char(&r->im->text, ')');
	return e;
}

/* ---- parts */

static bool
part_exists(struct slice entry, const struct facts *facts, uint64_t bytes)
{
	uint32_t path[SECTION_DEPTH_MAX];
	struct imap_section s = { .path = path, .depth = imap_entry_part(entry, path) };
	struct facts_part part;
	uint64_t from, to;
	return !s.depth || fetch_section_part(facts, &s, bytes, &part, &from, &to);
}

bool
annotation_parts_exist(const struct imap_annotation_fetch *what, const struct facts *facts, uint64_t bytes)
{
	for (size_t i = 0; i < what->nentries && what->parts; i++)
		if (!imap_entry_is_wild(what->entries[i]) && !part_exists(what->entries[i], facts, bytes))
			return false;
	return true;
}

bool
imap_annotations_fit(const struct imap_annotations *a, const struct facts *facts, uint64_t bytes)
{
	for (size_t i = 0; i < a->n; i++)
		if (!part_exists(a->list[i].entry, facts, bytes))
			return false;
	return true;
}
