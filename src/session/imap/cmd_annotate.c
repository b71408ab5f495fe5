/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_annotate.c - annotations of messages (RFC 5257): what STORE and APPEND set, and what a client that selected with
 * ANNOTATE hears of changes by others (4.4). FETCH and SEARCH of them are in annotate.c and search_annotation.c. */
#include "session/imap/annotate.h"

#include "session/imap/fetch.h"

enum {
	SET_ROWS_MAX = 20000, /* of store.msg */
	SET_BYTES_MAX = 16 << 20,
	TEXT_BYTES = 32 << 10,
};

/* RFC 5257 4.1; 3.4: private ones can be set wherever messages may be read */
void
imap_put_annotations_level(struct imap *im)
{
	if (im->view.examined)
		imap_untagged(im, S("OK [ANNOTATIONS READ-ONLY] of messages"));
	else
		buf_printf(&im->text, "* OK [ANNOTATIONS %d] of messages, of so many bytes\r\n", ANNOTATE_VALUE_BYTES_MAX);
}

/* ---- set */

struct imap_reply
imap_annotations_judge(const struct imap_annotations *a)
{
	if (a->too_big) /* RFC 5257 4.5 */
		return imap_no("ANNOTATE TOOBIG", "an annotation has at most 65536 bytes");
	if (a->too_many)
		return imap_no("ANNOTATE TOOMANY", "at most 100 annotations in one command");
	return imap_ok("");
}

struct imap_reply
imap_annotations_err(enum err e)
{
	if (e == ERR_LIMIT)
		return imap_no("ANNOTATE TOOMANY", "a message has at most 100 annotations, and 256 KiB of them");
	if (e == ERR_QUOTA)
		return imap_no("OVERQUOTA", "the account has too many annotations");
	return imap_err(e);
}

struct store_message_annotation *
imap_annotations_call(struct arena *a, const struct imap_annotations *from)
{
	struct store_message_annotation *to = ARENA_ARRAY(a, struct store_message_annotation, from->n);
	for (size_t i = 0; i < from->n; i++) {
		const struct imap_message_annotation *n = &from->list[i];
		to[i] = (struct store_message_annotation){ n->entry, n->gone ? S("") : n->value, n->shared, n->gone };
	}
	return to;
}

size_t
imap_annotations_batch(const struct imap_annotations *a)
{
	return MAX(MIN(SET_ROWS_MAX / MAX(a->n, (size_t)1), SET_BYTES_MAX / MAX(a->bytes, (size_t)1)), (size_t)1);
}

/* What this session changed itself it need not hear of. */
static void
note_own(struct view *v, uint64_t was, uint64_t now)
{
	size_t n = v->annotations.nown;
	if (now <= was)
		return;
	if (n && v->annotations.own[n - 1].upto == was)
		v->annotations.own[n - 1].upto = now;
	else if (n < COUNT_OF(v->annotations.own)) { /* else it is told of what it knows */
		v->annotations.own[n].above = was;
		v->annotations.own[v->annotations.nown++].upto = now;
	}
}

enum err
await_imap_annotate(struct imap *im, const struct imap_annotations *a, struct slice uids, uint64_t unchanged_since,
                    struct buf *refused)
{
	size_t got, need = uids.len / 4 * INDEX_ROW_BYTES;
	char *block = await_imap_block(im, need, need, &got);
	if (!block)
		return ERR_AGAIN;
	struct store_annotation_set_in in = { .mailbox = im->view.mailbox,
		                                  .uids = uids,
		                                  .annotations = imap_annotations_call(&im->arena, a),
		                                  .nannotations = (uint32_t)a->n,
		                                  .unchanged_since = unchanged_since,
		                                  .into = imap_region(im, block, got) };
	struct store_annotation_set_out out = { 0 };
	enum err e = await_imap_ask_selected(im, annotation_set, &in, &im->arena, &out);
	struct view_own own = { .op = FLAGS_ADD };
	if (e == OK) {
		view_apply_own(&im->view, &own, (const void *)block, MIN(out.filled, got) / INDEX_ROW_BYTES);
		buf_put(refused, out.refused);
		note_own(&im->view, out.was, out.modseq);
		imap_stored(im, out.was, out.modseq);
	}
	shm_free(im->c->session->shm, block);
	return e;
}

/* ---- parts */

struct fitting {
	const struct imap_annotations *a;
	const struct imap *im;
	const uint32_t *rows;
	bool fit;
};

static void
visit_part(void *to, size_t i, const struct facts *facts)
{
	struct fitting *f = to;
	if (facts->count && !imap_annotations_fit(f->a, facts, f->im->view.rows[f->rows[i]].bytes))
		f->fit = false;
}

static bool
names_parts(const struct imap_annotations *a)
{
	uint32_t path[SECTION_DEPTH_MAX];
	for (size_t i = 0; i < a->n; i++)
		if (imap_entry_part(a->list[i].entry, path))
			return true;
	return false;
}

enum err
await_imap_annotations_fit(struct imap *im, const struct imap_annotations *a, const struct view_spans *spans, bool *fit)
{
	struct fitting f = { a, im, NULL, true };
	struct view_walk w = view_walk_of(spans);
	size_t n = 0, i;
	enum err e = OK;
	if (names_parts(a)) {
		uint32_t *rows = must_calloc(spans->messages + 1, sizeof *rows);
		while (view_walk_next(&w, &i))
			if (!(im->view.rows[i].flags & VIEW_GONE))
				rows[n++] = (uint32_t)i;
		f.rows = rows;
		e = await_facts_walk(im, rows, n, visit_part, &f);
		free(rows);
	}
	*fit = f.fit;
	return e;
}

/* ---- what others change */

static bool
is_own(const struct view *v, uint64_t modseq)
{
	for (size_t i = 0; i < v->annotations.nown; i++)
		if (modseq > v->annotations.own[i].above && modseq <= v->annotations.own[i].upto)
			return true;
	return false;
}

/* Among those of its message that stand before it? A shared one and a private one may have the same name. */
static bool
was_named(const struct store_annotation_changes_out *out, const struct view *v, uint32_t at)
{
	for (uint32_t i = at; i-- > 0 && out->changes[i].uid == out->changes[at].uid;)
		if (!is_own(v, out->changes[i].modseq) && slice_equal(out->changes[i].entry, out->changes[at].entry))
			return true;
	return false;
}

/* Changes [from, to) are of one message: * 1 FETCH (UID 5 ANNOTATION (/comment)) */
static void
put_news(struct imap *im, const struct store_annotation_changes_out *out, uint32_t from, uint32_t to)
{
	struct view *v = &im->view;
	struct buf *text = &im->text;
	const struct index_row *row = view_find(v, out->changes[from].uid);
	size_t start = text->len, told = 0;
	if (!row || (row->flags & VIEW_GONE))
		return;
	imap_put_fetch(im, text, (size_t)(row - v->rows));
	if (!imap_uidonly(im))
		buf_printf(text, "UID %u ", row->uid);
	buf_put(text, S("ANNOTATION ("));
	for (uint32_t i = from; i < to; i++) {
		if (is_own(v, out->changes[i].modseq) || out->changes[i].modseq > v->modseq || was_named(out, v, i))
			continue;
		if (told++)
			buf_put_char(text, ' ');
		imap_put_entry(text, out->changes[i].entry);
	}
	buf_put_char(text, ')');
	if (im->enabled & ENABLED_CONDSTORE)
		buf_printf(text, " MODSEQ (%llu)", (unsigned long long)row->modseq);
	buf_put(text, S(")\r\n"));
	if (!told)
		buf_drop_end(text, text->len - start);
}

static void
await_put_page(struct imap *im, const struct store_annotation_changes_out *out)
{
	uint32_t to;
	for (uint32_t from = 0; from < out->nchanges; from = to) {
		to = from + 1;
		while (to < out->nchanges && out->changes[to].uid == out->changes[from].uid)
			to++;
		put_news(im, out, from, to);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}

/* That they are not known any more (the log does not reach back so far) is no loss: the client asks when it wants. */
static void
await_news(struct imap *im)
{
	struct view *v = &im->view;
	struct store_annotation_changes_in in = { .mailbox = v->mailbox,
		                                      .since = v->annotations.told,
		                                      .known = v->annotations.known };
	bool more = in.known != 0;
	while (more && im->c->io.error == OK) {
		struct store_annotation_changes_out out = { 0 };
		if (await_imap_ask_selected(im, annotation_changes, &in, &im->arena, &out) != OK)
			return;
		await_put_page(im, &out);
		more = out.more && out.nchanges;
		in.after = out.nchanges ? out.changes[out.nchanges - 1].uid : 0;
	}
	await_imap_text(im);
}

void
await_imap_annotation_news(struct imap *im, uint32_t events)
{
	struct view *v = &im->view;
	bool wanted = im->notify ? (events & EVENT_ANNOTATIONS) != 0 : v->annotations.wanted; /* RFC 5465 5.1 */
	if (v->modseq == v->annotations.told)
		return;
	if (wanted)
		await_news(im);
	v->annotations.told = v->modseq;
	v->annotations.known = view_uid_last(v);
	v->annotations.nown = 0;
}
