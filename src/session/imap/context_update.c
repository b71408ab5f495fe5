/* SPDX-License-Identifier: Apache-2.0 */
/* context_update.c - what changed in the results of kept searches: ADDTO and REMOVEFROM (RFC 5267 4.3.2 to 4.3.4).
 * Called by sync.c after EXISTS and FETCH, before EXPUNGE. Only messages that came, went or changed are searched again.
 * When that cannot be done now (store or scan are away) they stay marked, and are searched the next time: to look twice
 * does no harm, because what is told is the difference to what the client has. */
#include "session/imap/context.h"
#include "session/imap/notify.h"
#include "session/imap/search.h"

enum { OUT_BYTES_MAX = 256 << 20, TEXT_BYTES = 32 << 10 };

#define NOT_HELD SIZE_MAX

struct updating {
	struct imap *im;
	uint32_t *rows; /* that changed, rising */
	size_t n;
	uint8_t *mask;    /* the same, by row of the view */
	size_t *position; /* of each in the context at work; NOT_HELD: not in it */
	uint8_t *now;     /* of each: SEARCH_YES, SEARCH_NO, SEARCH_UNKNOWN: leave it as it is */
	uint64_t *wanted; /* of each: contexts that it came to, by their number: for FETCH */
	size_t first_new;
	struct buf out;
	bool failed;
};

/* ---- who is in, who should be */

/* Where among the changed rows is this UID? NOT_HELD: nowhere. */
static size_t
changed_index(const struct updating *u, uint32_t uid)
{
	size_t low = 0, high = u->n;
	const struct index_row *rows = u->im->view.rows;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows[u->rows[middle]].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < u->n && rows[u->rows[low]].uid == uid ? low : NOT_HELD;
}

static void
find_positions(struct updating *u, const struct context *c)
{
	for (size_t i = 0; i < u->n; i++)
		u->position[i] = NOT_HELD;
	for (size_t p = 0; p < c->n; p++) {
		size_t i = changed_index(u, c->uids[p]);
		if (i != NOT_HELD)
			u->position[i] = p;
	}
}

static void
await_judge(struct updating *u, const struct context *c)
{
	struct search_run r;
	struct imap_reply done = await_search_some(&r, u->im, &c->program, u->mask);
	for (size_t i = 0; i < u->n; i++) {
		bool gone = u->im->view.rows[u->rows[i]].flags & VIEW_GONE;
		u->now[i] = gone ? SEARCH_NO : done.status == IMAP_OK ? r.found[u->rows[i]] : SEARCH_UNKNOWN;
	}
	u->failed = u->failed || done.status != IMAP_OK;
	search_run_release(&r);
}

/* ---- writing */

static uint32_t
number_of(const struct updating *u, const struct context *c, uint32_t uid)
{
	return c->by_uid ? uid : (uint32_t)view_index(&u->im->view, uid) + 1;
}

/* A set in this order; only numbers that rise by one are joined (RFC 5267 3.2). */
static void
put_set(struct updating *u, const struct context *c, const uint32_t *uids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t first = number_of(u, c, uids[i]), last = first;
		while (i + 1 < n && number_of(u, c, uids[i + 1]) == last + 1) {
			last++;
			i++;
		}
		buf_put_u64(&u->out, first);
		if (last != first) {
			buf_put_char(&u->out, ':');
			buf_put_u64(&u->out, last);
		}
		if (i + 1 < n)
			buf_put_char(&u->out, ',');
	}
}

static void
put_head(struct updating *u, const struct context *c)
{
	buf_put(&u->out, S("* ESEARCH (TAG "));
	imap_put_string(&u->out, c->tag);
	buf_put(&u->out, c->by_uid ? S(") UID") : S(")"));
}

/* One position with what stands, or stood, from there on. */
static void
put_pair(struct updating *u, const struct context *c, bool *any, size_t position, const uint32_t *uids, size_t n)
{
	if (*any)
		buf_put_char(&u->out, ' ');
	*any = true;
	buf_put_u64(&u->out, position);
	buf_put_char(&u->out, ' ');
	put_set(u, c, uids, n);
}

/* ---- REMOVEFROM */

static bool
goes(const struct updating *u, size_t i)
{
	return u->position[i] != NOT_HELD && u->now[i] == SEARCH_NO;
}

/* Marks by position what goes; NULL: nothing does. */
static uint8_t *
mark_going(const struct updating *u, const struct context *c)
{
	uint8_t *going = NULL;
	for (size_t i = 0; i < u->n; i++) {
		if (!goes(u, i))
			continue;
		if (!going)
			going = must_calloc(c->n, 1);
		going[u->position[i]] = 1;
	}
	return going;
}

/* From the end to the beginning, so that no position changes under another. */
static void
put_removed_sorted(struct updating *u, const struct context *c, const uint8_t *going)
{
	bool any = false;
	for (size_t end = c->n; end > 0;) {
		size_t from = end;
		while (from > 0 && going[from - 1])
			from--;
		if (from < end)
			put_pair(u, c, &any, from + 1, c->uids + from, end - from);
		end = from ? from - 1 : 0;
	}
}

static void
drop_results(struct context *c, const uint8_t *going)
{
	size_t to = 0;
	for (size_t i = 0; i < c->n; i++) {
		if (going[i]) {
			if (c->keys)
				free(c->keys[i]);
			continue;
		}
		c->uids[to] = c->uids[i];
		if (c->keys)
			c->keys[to] = c->keys[i];
		to++;
	}
	c->n = to;
}

/* Results in the order of the mailbox need no positions (RFC 5267 4.3.4). */
static void
put_removed(struct updating *u, const struct context *c, const uint8_t *going)
{
	uint32_t *uids = must_calloc(u->n, sizeof *uids);
	size_t n = 0;
	bool any = false;
	for (size_t p = 0; p < c->n; p++)
		if (going[p])
			uids[n++] = c->uids[p];
	put_pair(u, c, &any, 0, uids, n);
	free(uids);
}

static bool
remove_from(struct updating *u, struct context *c)
{
	uint8_t *going = mark_going(u, c);
	if (!going)
		return false;
	put_head(u, c);
	buf_put(&u->out, S(" REMOVEFROM ("));
	if (c->sorted)
		put_removed_sorted(u, c, going);
	else
		put_removed(u, c, going);
	buf_put_char(&u->out, ')');
	drop_results(c, going);
	free(going);
	return true;
}

/* ---- ADDTO */

static size_t
coming(struct updating *u, uint32_t *rows)
{
	size_t n = 0;
	for (size_t i = 0; i < u->n; i++)
		if (u->position[i] == NOT_HELD && u->now[i] == SEARCH_YES)
			rows[n++] = u->rows[i];
	return n;
}

/* The results with the new ones, whose keys become the context's. Items are in order; their rows are UIDs by now.
 * Tells where they are when told. */
static void
merge_sorted(struct updating *u, struct context *c, const struct sort_item *items, size_t n)
{
	uint32_t *uids = must_calloc(c->n + n, sizeof *uids);
	struct sort_key **keys = must_calloc(c->n + n, sizeof *keys);
	bool any = false;
	size_t at = 0, i = 0, to = 0;
	while (at < c->n || i < n) {
		size_t from = to;
		for (; i < n; i++) {
			struct sort_item old = { at < c->n ? c->uids[at] : 0, at < c->n ? c->keys[at] : NULL };
			if (old.keys && sort_compare(&old, &items[i], &c->by) < 0)
				break;
			uids[to] = items[i].row;
			keys[to++] = context_keep_keys(c, items[i].keys);
		}
		if (to > from)
			put_pair(u, c, &any, from + 1, uids + from, to - from);
		if (at < c->n) {
			uids[to] = c->uids[at];
			keys[to++] = c->keys[at++];
		}
	}
	free(c->uids);
	free(c->keys);
	c->uids = uids;
	c->keys = keys;
	c->n = c->cap = to;
}

static bool
await_add_sorted(struct updating *u, struct context *c, const uint32_t *rows, size_t n, bool begun)
{
	struct sorting s = c->by;
	enum err e = await_sort_items(&s, rows, n);
	if (e == OK) {
		for (size_t i = 0; i < n; i++)
			s.items[i].row = u->im->view.rows[s.items[i].row].uid;
		if (!begun)
			put_head(u, c);
		buf_put(&u->out, S(" ADDTO ("));
		merge_sorted(u, c, s.items, n);
		buf_put_char(&u->out, ')');
	}
	u->failed = u->failed || e != OK;
	sort_release(&s);
	return e == OK;
}

static bool
add_in_order(struct updating *u, struct context *c, const uint32_t *rows, size_t n, bool begun)
{
	uint32_t *uids = must_calloc(c->n + n, sizeof *uids), *added = must_calloc(n, sizeof *added);
	size_t at = 0, to = 0;
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		added[i] = u->im->view.rows[rows[i]].uid;
		while (at < c->n && c->uids[at] < added[i])
			uids[to++] = c->uids[at++];
		uids[to++] = added[i];
	}
	while (at < c->n)
		uids[to++] = c->uids[at++];
	free(c->uids);
	c->uids = uids;
	c->n = c->cap = to;
	if (!begun)
		put_head(u, c);
	buf_put(&u->out, S(" ADDTO ("));
	put_pair(u, c, &any, 0, added, n);
	buf_put_char(&u->out, ')');
	free(added);
	return true;
}

/* RFC 5465 7: new messages that came to a context are fetched; those that came to it because they changed are not. */
static void
note_wanted(struct updating *u, const struct context *c, size_t number)
{
	for (size_t i = 0; i < u->n && c->fetch; i++)
		if (u->rows[i] >= u->first_new && u->position[i] == NOT_HELD && u->now[i] == SEARCH_YES)
			u->wanted[i] |= (uint64_t)1 << number;
}

static void
await_update(struct updating *u, struct context *c, size_t number)
{
	uint32_t *rows = must_calloc(u->n, sizeof *rows);
	await_judge(u, c);
	find_positions(u, c);
	bool told = remove_from(u, c);
	size_t n = coming(u, rows);
	if (n)
		told = (c->sorted ? await_add_sorted : add_in_order)(u, c, rows, n, told) || told;
	if (told)
		buf_put(&u->out, S("\r\n"));
	note_wanted(u, c, number);
	free(rows);
}

/* ---- all contexts */

static void
updating_init(struct updating *u, struct imap *im, size_t first_new)
{
	struct view *v = &im->view;
	size_t stale = v->stale;
	*u = (struct updating){ .im = im, .first_new = first_new };
	u->rows = must_calloc(stale + 1, sizeof *u->rows);
	u->position = must_calloc(stale + 1, sizeof *u->position);
	u->now = must_calloc(stale + 1, 1);
	u->wanted = must_calloc(stale + 1, sizeof *u->wanted);
	u->mask = must_calloc(v->count + 1, 1);
	buf_init(&u->out, OUT_BYTES_MAX);
	for (size_t i = 0; i < v->count && u->n < stale; i++) {
		if (!(v->rows[i].flags & VIEW_STALE))
			continue;
		u->mask[i] = 1;
		u->rows[u->n++] = (uint32_t)i;
	}
}

static void
updating_release(struct updating *u)
{
	free(u->rows);
	free(u->position);
	free(u->now);
	free(u->wanted);
	free(u->mask);
	buf_release(&u->out);
}

/* Results only grow: the limit is looked at again (RFC 5267 4.3.1). */
static void
end_too_large(struct imap *im)
{
	while (im->contexts && contexts_bytes(im) > CONTEXT_BYTES_MAX) {
		context_refuse(im, im->contexts->tag);
		context_end(im, im->contexts);
	}
}

static void
await_put_out(struct updating *u)
{
	struct slice out = buf_slice(&u->out);
	await_imap_text(u->im);
	if (out.len)
		(void)await_put(&u->im->c->io, out);
}

void
await_imap_contexts(struct imap *im, size_t first_new)
{
	struct view *v = &im->view;
	struct updating u;
	size_t number = 0;
	bool fetches = im->notify && im->notify->fetch; /* then FETCH comes last (RFC 5465 5.2), else before (7) */
	if (!(im->contexts && v->stale) && !(fetches && first_new < v->count))
		return;
	updating_init(&u, im, first_new);
	for (struct context *c = im->contexts; c && u.n; c = c->next)
		await_update(&u, c, number++);
	if (fetches)
		await_put_out(&u);
	await_imap_fetch_new(im, first_new, u.rows, u.wanted, u.n);
	if (!fetches)
		await_put_out(&u);
	if (!u.failed)
		view_settle(v);
	end_too_large(im);
	updating_release(&u);
}
