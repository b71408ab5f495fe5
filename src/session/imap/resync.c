/* SPDX-License-Identifier: Apache-2.0 */
/* resync.c - what changed and what went since a change number that a client kept (RFC 7162 3.2.5, 3.2.6). Called by
 * SELECT and UID FETCH. What went comes from the store's log of changes; where that does not reach back so far, every
 * UID that is asked for and is not there is said to have gone (RFC 7162 3.2.6). Fails: what mailbox_changes answers,
 * ERR_AGAIN without shared memory. */
#include "session/imap/imap.h"

enum {
	CHANGES_BYTES = 256 << 10,
	CHANGES_BYTES_MIN = 64 << 10,
	TEXT_BYTES = 32 << 10,
	RANGES_MAX = 1000,        /* of one response */
	VANISHED_MAX = 256 << 20, /* bytes of UIDs */
};

/* ---- the set that is asked for */

static int
compare_ranges(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;
	return x->low < y->low ? -1 : x->low > y->low;
}

/* Sorted, without overlaps, within what the mailbox can have had and the client does not know of. */
static struct imap_set
asked_for(struct imap *im, const struct resync *r)
{
	uint32_t first = r->known_up_to + 1, last = im->view.uidnext - 1;
	struct imap_range all = { 1, last, false };
	struct imap_set whole = { &all, 1 }, set = { 0 };
	const struct imap_set *from = r->set ? r->set : &whole;
	struct imap_range *to = ARENA_ARRAY(&im->arena, struct imap_range, from->count);
	for (size_t i = 0; i < from->count; i++) {
		uint32_t low = MAX(MIN(from->ranges[i].low, from->ranges[i].star ? last : UINT32_MAX), first);
		uint32_t high = MIN(from->ranges[i].high, last);
		if (low <= high && high)
			to[set.count++] = (struct imap_range){ low, high, false };
	}
	qsort(to, set.count, sizeof *to, compare_ranges);
	size_t n = 0;
	for (size_t i = 0; i < set.count; i++) {
		if (n && to[i].low <= to[n - 1].high)
			to[n - 1].high = MAX(to[n - 1].high, to[i].high);
		else
			to[n++] = to[i];
	}
	return (struct imap_set){ to, n };
}

static bool
set_holds(const struct imap_set *set, uint32_t uid)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->ranges[middle].high < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->ranges[low].low <= uid;
}

/* ---- VANISHED (EARLIER) */

struct putting {
	struct imap *im;
	size_t ranges;      /* of this response */
	uint32_t low, high; /* the next range; high 0: none */
};

static void
put_range(struct putting *p)
{
	struct buf *to = &p->im->text;
	if (!p->high)
		return;
	buf_put(to, p->ranges++ ? S(",") : S("* VANISHED (EARLIER) "));
	buf_put_u64(to, p->low);
	if (p->high != p->low) {
		buf_put_char(to, ':');
		buf_put_u64(to, p->high);
	}
	p->high = 0;
}

static void
await_put_end(struct putting *p)
{
	put_range(p);
	if (p->ranges)
		buf_put(&p->im->text, S("\r\n"));
	p->ranges = 0;
	await_imap_text(p->im);
}

/* Ranges come in rising order. */
static void
await_put_range(struct putting *p, uint32_t low, uint32_t high)
{
	if (p->high && low == p->high + 1) {
		p->high = high;
		return;
	}
	put_range(p);
	if (p->ranges >= RANGES_MAX)
		await_put_end(p);
	p->low = low;
	p->high = high;
}

/* All that is asked for and not there. */
static void
await_put_missing(struct putting *p, const struct imap_set *asked)
{
	const struct view *v = &p->im->view;
	for (size_t i = 0; i < asked->count; i++) {
		uint64_t low = asked->ranges[i].low, high = asked->ranges[i].high;
		for (size_t row = view_index(v, (uint32_t)low); low <= high; row++) {
			uint64_t next = row < v->count ? MIN((uint64_t)v->rows[row].uid, high + 1) : high + 1;
			if (low < next)
				await_put_range(p, (uint32_t)low, (uint32_t)next - 1);
			low = next + 1;
		}
	}
}

static int
compare_uids(const void *a, const void *b)
{
	uint64_t x = bytes_get_le(a, 4), y = bytes_get_le(b, 4);
	return x < y ? -1 : x > y;
}

/* Those of the log that are asked for. What is still in the view went a moment ago: it is told as a new EXPUNGE. */
static void
await_put_logged(struct putting *p, const struct imap_set *asked, struct buf *uids)
{
	if (uids->len)
		qsort(uids->at, uids->len / 4, 4, compare_uids);
	for (size_t i = 0; i < uids->len; i += 4) {
		uint32_t uid = (uint32_t)bytes_get_le(uids->at + i, 4);
		if (set_holds(asked, uid) && !view_find(&p->im->view, uid))
			await_put_range(p, uid, uid);
	}
}

/* UIDs that went since, from the log; *whole: it does not reach back so far. */
static enum err
await_log(struct imap *im, uint64_t since, struct buf *uids, bool *whole)
{
	size_t got;
	char *block = await_imap_block(im, CHANGES_BYTES, CHANGES_BYTES_MIN, &got);
	enum err e = block ? OK : ERR_AGAIN;
	bool more = block != NULL;
	while (more && e == OK) {
		struct store_mailbox_changes_in in = { .mailbox = im->view.mailbox,
			                                   .since = since,
			                                   .into = imap_region(im, block, got) };
		struct store_mailbox_changes_out out = { 0 };
		e = await_imap_ask_selected(im, mailbox_changes, &in, &im->arena, &out);
		*whole = e == OK && out.whole;
		if (e == OK && !out.whole)
			buf_put(uids, out.vanished);
		more = e == OK && !out.whole && out.more && out.upto > since;
		since = out.upto;
	}
	if (block)
		shm_free(im->c->session->shm, block);
	*whole = *whole || uids->over;
	return e;
}

enum err
await_imap_vanished(struct imap *im, const struct resync *r)
{
	struct putting p = { .im = im };
	struct imap_set asked = asked_for(im, r);
	struct buf uids;
	bool whole = false;
	if (!asked.count || r->since >= im->view.modseq)
		return OK;
	buf_init(&uids, VANISHED_MAX);
	enum err e = await_log(im, r->since, &uids, &whole);
	if (e == OK && whole)
		await_put_missing(&p, &asked);
	else if (e == OK)
		await_put_logged(&p, &asked, &uids);
	await_put_end(&p);
	buf_release(&uids);
	im->changed = true; /* what went while we looked is told at the end of the command */
	return e;
}

/* ---- what changed */

void
await_imap_changed(struct imap *im, const struct resync *r)
{
	struct resync all = *r;
	all.known_up_to = 0;
	struct imap_set asked = asked_for(im, &all);
	for (size_t i = 0; i < im->view.count && im->c->io.error == OK; i++) {
		const struct index_row *row = &im->view.rows[i];
		if (row->modseq > r->since && set_holds(&asked, row->uid))
			imap_put_flag_update(im, i, true);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}
