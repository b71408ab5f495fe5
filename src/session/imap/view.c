/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - rows by sequence number, and what the client has not been told about them. Called by sync.c and the
 * commands. Owns rows and keyword names. Pure; cannot fail but for memory. */
#include "session/imap/view.h"

#include "base/slab.h"
#include "ipc/frozen.h"

static void
rows_free(struct view *v)
{
	if (v->mapped)
		frozen_unmap(v->rows, v->mapped);
	else
		slab_free(v->rows, v->cap * sizeof *v->rows);
	v->mapped = 0;
}

void
view_release(struct view *v)
{
	rows_free(v);
	slab_free(v->name, v->name_bytes + 1);
	free(v->keywords);
	free(v->saved);
	arena_release(&v->keyword_arena);
	*v = (struct view){ .mailbox = 0 };
}

/* ---- finding */

size_t
view_index(const struct view *v, uint32_t uid)
{
	return index_rows_from(v->rows, v->count, uid);
}

struct index_row *
view_find(const struct view *v, uint32_t uid)
{
	size_t i = view_index(v, uid);
	return i < v->count && v->rows[i].uid == uid ? &v->rows[i] : NULL;
}

uint32_t
view_uid_last(const struct view *v)
{
	return v->count ? v->rows[v->count - 1].uid : 0;
}

/* ---- marks */

static void
mark_stale(struct view *v, struct index_row *row)
{
	if (!v->watched || (row->flags & VIEW_STALE))
		return;
	row->flags |= VIEW_STALE;
	v->stale++;
}

void
view_settle(struct view *v)
{
	for (size_t i = v->count; v->stale && i-- > 0;) {
		v->stale -= (v->rows[i].flags & VIEW_STALE) != 0;
		v->rows[i].flags &= ~(uint32_t)VIEW_STALE;
	}
}

static void
note_marked(struct view *v, const struct index_row *row)
{
	size_t i = (size_t)(row - v->rows);
	bool first = !v->gone && !v->dirty;
	v->marked_from = first ? i : MIN(v->marked_from, i);
	v->marked_end = first ? i + 1 : MAX(v->marked_end, i + 1);
}

static void
mark_gone(struct view *v, struct index_row *row)
{
	if (row->flags & VIEW_GONE)
		return;
	mark_stale(v, row);
	note_marked(v, row);
	row->flags |= VIEW_GONE;
	v->gone++;
}

static void
mark_dirty(struct view *v, struct index_row *row)
{
	if (row->flags & VIEW_DIRTY)
		return;
	note_marked(v, row);
	row->flags |= VIEW_DIRTY;
	v->dirty++;
}

void
view_clean(struct view *v, struct index_row *row)
{
	row->flags &= ~(uint32_t)VIEW_STAMPED;
	if (!(row->flags & VIEW_DIRTY))
		return;
	row->flags &= ~(uint32_t)VIEW_DIRTY;
	v->dirty--;
}

/* ---- what the store says */

static void
make_room(struct view *v, size_t more)
{
	if (v->count + more <= v->cap)
		return;
	size_t cap = MAX(v->count + more, v->cap + v->cap / 2);
	if (cap * sizeof *v->rows > SLAB_BYTES_MAX && v->cap * sizeof *v->rows > SLAB_BYTES_MAX && !v->mapped) {
		v->rows = must_realloc(v->rows, cap * sizeof *v->rows);
	} else {
		struct index_row *rows = slab_calloc(cap * sizeof *rows);
		if (v->count)
			memcpy(rows, v->rows, v->count * sizeof *rows);
		rows_free(v);
		v->rows = rows;
	}
	v->cap = cap;
}

bool
view_share(struct view *v, int fd, size_t n)
{
	ASSERT(!v->rows && n);
	size_t cap = n + n / 8 + 64; /* room that nothing touches costs nothing */
	v->rows = frozen_map(fd, n * sizeof *v->rows, cap * sizeof *v->rows);
	if (!v->rows)
		return false;
	v->mapped = cap * sizeof *v->rows;
	v->cap = cap;
	v->count = n;
	return true;
}

void
view_begin(struct view *v, uint32_t first_recent)
{
	view_close_gaps(v);
	for (size_t i = v->marked_from; v->dirty && i < v->marked_end; i++)
		view_clean(v, &v->rows[i]);
	for (size_t i = first_recent ? view_index(v, first_recent) : v->count; i < v->count; i++) {
		v->recent += !(v->rows[i].flags & VIEW_RECENT);
		v->rows[i].flags |= VIEW_RECENT;
	}
}

static void
note_keywords(struct view *v, const struct index_row *row)
{
	if (row->keyword_set && !view_keywords_get(v, row->keyword_set))
		v->keywords_missing = true;
}

static void
append_row(struct view *v, const struct index_row *row, uint32_t first_recent)
{
	struct index_row *to = &v->rows[v->count++];
	*to = *row;
	to->flags &= MESSAGE_FLAGS_ALL;
	mark_stale(v, to);
	note_keywords(v, to);
	if (first_recent && row->uid >= first_recent) {
		to->flags |= VIEW_RECENT;
		v->recent++;
	}
}

void
view_load(struct view *v, const struct index_row *rows, size_t n, uint32_t first_recent)
{
	make_room(v, n);
	for (size_t i = 0; i < n; i++)
		if (rows[i].uid > view_uid_last(v))
			append_row(v, &rows[i], first_recent);
}

/* Flags and change number of a row as the store has them now; true when flags differ from before. */
static bool
update_row(struct view *v, struct index_row *mine, const struct index_row *theirs)
{
	bool differs = (mine->flags & MESSAGE_FLAGS_ALL) != (theirs->flags & MESSAGE_FLAGS_ALL) ||
	               mine->keyword_set != theirs->keyword_set;
	bool stamped = v->tells_modseqs && mine->modseq != theirs->modseq;
	if (differs || mine->modseq != theirs->modseq)
		mark_stale(v, mine);
	mine->flags = (mine->flags & ~(uint32_t)MESSAGE_FLAGS_ALL) | (theirs->flags & MESSAGE_FLAGS_ALL);
	mine->keyword_set = theirs->keyword_set;
	mine->modseq = theirs->modseq;
	note_keywords(v, mine);
	return differs || stamped;
}

void
view_apply_rows(struct view *v, const struct index_row *rows, size_t n, uint32_t first_recent)
{
	make_room(v, n);
	for (size_t i = 0; i < n; i++) {
		struct index_row *mine = NULL;
		if (rows[i].uid > view_uid_last(v))
			append_row(v, &rows[i], first_recent);
		else
			mine = view_find(v, rows[i].uid);
		if (mine && rows[i].modseq >= mine->modseq && update_row(v, mine, &rows[i]))
			mark_dirty(v, mine);
	}
}

/* Is a row after our STORE what the client thinks it is? Keywords that our STORE named are told in any case. */
static bool
is_as_expected(const struct index_row *mine, const struct view_own *own, const struct index_row *theirs)
{
	uint32_t was = mine->flags & MESSAGE_FLAGS_ALL;
	uint32_t expected = own->op == FLAGS_SET      ? own->flags
	                    : own->op == FLAGS_REMOVE ? was & ~own->flags
	                                              : was | own->flags;
	bool drops = own->op == FLAGS_SET && !own->keywords && !theirs->keyword_set;
	return expected == (theirs->flags & MESSAGE_FLAGS_ALL) && (mine->keyword_set == theirs->keyword_set || drops);
}

void
view_apply_own(struct view *v, const struct view_own *own, const struct index_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct index_row *mine = view_find(v, rows[i].uid);
		if (!mine)
			continue;
		if (!is_as_expected(mine, own, &rows[i]))
			mark_dirty(v, mine);
		update_row(v, mine, &rows[i]);
		if (v->tells_modseqs)
			mine->flags |= VIEW_STAMPED;
	}
}

void
view_apply_vanished(struct view *v, struct slice uids)
{
	for (size_t i = 0; i + 4 <= uids.len; i += 4) {
		struct index_row *mine = view_find(v, (uint32_t)bytes_get_le(uids.at + i, 4));
		if (mine)
			mark_gone(v, mine);
	}
}

void
view_apply_whole(struct view *v, const struct index_row *rows, size_t n, uint32_t first, uint32_t last)
{
	size_t end = last == UINT32_MAX ? v->count : view_index(v, last + 1), r = 0;
	for (size_t i = view_index(v, first); i < end; i++) {
		while (r < n && rows[r].uid < v->rows[i].uid)
			r++;
		if (r == n || rows[r].uid != v->rows[i].uid)
			mark_gone(v, &v->rows[i]);
	}
	view_apply_rows(v, rows, n, 0);
}

/* ---- telling */

size_t
view_next_gone(const struct view *v, size_t below)
{
	for (size_t i = MIN(below, v->marked_end); v->gone && i-- > v->marked_from;)
		if (v->rows[i].flags & VIEW_GONE)
			return i + 1;
	return 0;
}

void
view_close_gaps(struct view *v)
{
	if (!v->gone)
		return;
	size_t to = v->marked_from;
	for (size_t i = to; i < v->count; i++) {
		const struct index_row *row = &v->rows[i];
		if (row->flags & VIEW_GONE) {
			v->recent -= (row->flags & VIEW_RECENT) != 0;
			v->dirty -= (row->flags & VIEW_DIRTY) != 0;
			v->stale -= (row->flags & VIEW_STALE) != 0;
		} else {
			v->rows[to++] = *row;
		}
	}
	v->count = to;
	v->gone = 0;
	v->marked_end = MIN(v->marked_end, to);
}

/* ---- keywords */

void
view_keywords_set(struct view *v, uint32_t id, struct slice names)
{
	if (view_keywords_get(v, id))
		return;
	v->keywords = must_realloc(v->keywords, (v->nkeywords + 1) * sizeof *v->keywords);
	size_t at = v->nkeywords++;
	while (at > 0 && v->keywords[at - 1].id > id) {
		v->keywords[at] = v->keywords[at - 1];
		at--;
	}
	v->keywords[at] = (struct view_keywords){ id, slice_keep(&v->keyword_arena, names) };
}

const struct slice *
view_keywords_get(const struct view *v, uint32_t id)
{
	static const struct slice none = { "", 0 };
	if (id == 0)
		return &none;
	size_t low = 0, high = v->nkeywords;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (v->keywords[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < v->nkeywords && v->keywords[low].id == id ? &v->keywords[low].names : NULL;
}

/* ---- sets */

static bool
span_of_sequence(const struct view *v, const struct imap_range *r, struct view_span *span)
{
	size_t low = r->low, high = r->star ? v->count : r->high;
	if (r->star && (low == IMAP_STAR || low > v->count))
		low = v->count; /* "*:9": the order does not matter, and "*" is the largest number there is */
	*span = (struct view_span){ low ? low - 1 : 0, MIN(high, v->count) };
	return low <= v->count;
}

static struct view_span
span_of_uids(const struct view *v, const struct imap_range *r)
{
	uint32_t last = view_uid_last(v), low = r->low, high = r->high;
	if (r->star) {
		low = MIN(low, last);
		high = last;
	}
	return (struct view_span){ view_index(v, low), high == UINT32_MAX ? v->count : view_index(v, high + 1) };
}

static int
compare_spans(const void *a, const void *b)
{
	const struct view_span *x = a, *y = b;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* Sorted, without overlaps. */
static void
merge_spans(struct view_spans *s)
{
	size_t n = 0;
	qsort(s->spans, s->count, sizeof *s->spans, compare_spans);
	for (size_t i = 0; i < s->count; i++) {
		if (n && s->spans[i].from <= s->spans[n - 1].to)
			s->spans[n - 1].to = MAX(s->spans[n - 1].to, s->spans[i].to);
		else
			s->spans[n++] = s->spans[i];
	}
	s->count = n;
	for (size_t i = 0; i < n; i++)
		s->messages += s->spans[i].to - s->spans[i].from;
}

bool
view_resolve(const struct view *v, const struct imap_set *set, bool by_uid, struct arena *a, struct view_spans *out)
{
	struct imap_set saved = { v->saved, v->nsaved, true };
	if (set->saved)
		set = &saved;
	*out = (struct view_spans){ .spans = ARENA_ARRAY(a, struct view_span, set->count) };
	for (size_t i = 0; i < set->count; i++) {
		struct view_span span = { 0, 0 };
		if (by_uid || set->saved)
			span = span_of_uids(v, &set->ranges[i]);
		else if (!span_of_sequence(v, &set->ranges[i], &span))
			return false;
		if (span.from < span.to)
			out->spans[out->count++] = span;
	}
	merge_spans(out);
	return true;
}

void
view_save(struct view *v, const uint32_t *rows, size_t n)
{
	free(v->saved);
	v->saved = n ? must_calloc(n, sizeof *v->saved) : NULL;
	v->nsaved = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = v->rows[rows[i]].uid;
		if (i && rows[i] == rows[i - 1])
			continue;
		/* neighbours stay neighbours: what comes later has a higher UID */
		if (i && rows[i] == rows[i - 1] + 1)
			v->saved[v->nsaved - 1].high = uid;
		else
			v->saved[v->nsaved++] = (struct imap_range){ uid, uid, false };
	}
	if (v->nsaved)
		v->saved = must_realloc(v->saved, v->nsaved * sizeof *v->saved);
}

bool
view_spans_hold(const struct view_spans *s, size_t index)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->spans[middle].to <= index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->spans[low].from <= index;
}

void
view_spans_keep_last(struct view_spans *s, size_t n)
{
	size_t drop = s->messages - n;
	s->messages = n;
	while (s->count && drop >= s->spans->to - s->spans->from) {
		drop -= s->spans->to - s->spans->from;
		s->spans++;
		s->count--;
	}
	if (s->count)
		s->spans->from += drop;
}

struct view_walk
view_walk_of(const struct view_spans *s)
{
	return (struct view_walk){ s, 0, s->count ? s->spans[0].from : 0 };
}

bool
view_walk_next(struct view_walk *w, size_t *index)
{
	if (w->span == w->spans->count)
		return false;
	*index = w->next++;
	if (w->next == w->spans->spans[w->span].to && ++w->span < w->spans->count)
		w->next = w->spans->spans[w->span].from;
	return true;
}

bool
view_has_keyword(const struct view *v, const struct index_row *row, struct slice keyword)
{
	const struct slice *names = row->keyword_set ? view_keywords_get(v, row->keyword_set) : NULL;
	struct slice name, rest = names ? *names : SLICE_NONE;
	bool more = rest.len > 0;
	while (more) {
		more = slice_cut(rest, ' ', &name, &rest);
		if (slice_equal_nocase(name, keyword))
			return true;
	}
	return false;
}
