/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_store.c - STORE and UID STORE (RFC 3501 6.4.6): flags of messages. Durable when answered. */
#include "session/imap/imap.h"

enum {
	UIDS_PER_CALL = 32768, /* their rows take 1.3 MB of shared memory */
	TEXT_BYTES = 32 << 10,
};

struct change {
	uint32_t op;
	bool silent, conditional;
	uint64_t unchanged_since;
	struct imap_flags flags;
	struct store_keyword *keywords;
	struct imap_annotations *annotations; /* NULL: flags */
};

/* RFC 7162 7: SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" */
static bool
take_modifiers(struct cursor *c, struct change *change)
{
	change->unchanged_since = STORE_MODSEQ_ANY;
	change->conditional = take_nocase(c, S("(UNCHANGEDSINCE "));
	return !change->conditional || (imap_take_modseq(c, &change->unchanged_since) && take_exact(c, S(") ")));
}

/* (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) / att-annotate */
static bool
take_change(struct imap *im, struct cursor *c, struct change *change)
{
	change->annotations = NULL;
	if (take_nocase(c, S("ANNOTATION "))) { /* RFC 5257 4.5: it is silent */
		change->silent = true;
		change->annotations = ARENA_NEW(&im->arena, struct imap_annotations);
		return imap_take_annotations(c, &im->arena, change->annotations);
	}
	change->op = take_char(c, '+') ? FLAGS_ADD : take_char(c, '-') ? FLAGS_REMOVE : FLAGS_SET;
	if (!take_nocase(c, S("FLAGS")))
		return false;
	change->silent = take_nocase(c, S(".SILENT"));
	if (!imap_take_space(c) || !imap_take_store_flags(c, &im->arena, &change->flags))
		return false;
	change->keywords = ARENA_ARRAY(&im->arena, struct store_keyword, change->flags.nkeywords);
	for (size_t i = 0; i < change->flags.nkeywords; i++)
		change->keywords[i].name = change->flags.keywords[i];
	return true;
}

static enum err
await_store_flags(struct imap *im, const struct change *change, struct slice uids, struct buf *refused)
{
	size_t got, need = uids.len / 4 * INDEX_ROW_BYTES;
	char *block = await_imap_block(im, need, need, &got);
	if (!block)
		return ERR_AGAIN;
	struct store_message_store_in in = {
		.mailbox = im->view.mailbox,
		.uids = uids,
		.op = change->op,
		.flags = change->flags.system,
		.keywords = change->keywords,
		.nkeywords = (uint32_t)change->flags.nkeywords,
		.unchanged_since = change->unchanged_since,
		.into = imap_region(im, block, got),
	};
	struct store_message_store_out out = { 0 };
	enum err e = await_imap_ask_selected(im, message_store, &in, &im->arena, &out);
	struct view_own own = { change->op, change->flags.system, change->flags.nkeywords > 0 };
	if (e == OK) {
		view_apply_own(&im->view, &own, (const void *)block, MIN(out.filled, got) / INDEX_ROW_BYTES);
		imap_stored(im, out.was, out.modseq);
		buf_put(refused, out.refused);
	}
	shm_free(im->c->session->shm, block);
	return e;
}

/* What the client hears of one message: its flags, or only its change number (RFC 7162 3.1.3) after a silent STORE. */
static void
put_stored(struct imap *im, const struct change *change, size_t index)
{
	uint32_t flags = im->view.rows[index].flags;
	if (flags & VIEW_GONE)
		return;
	if (!change->silent || (flags & VIEW_DIRTY))
		imap_put_flag_update(im, index, im->by_uid);
	else if ((im->enabled & ENABLED_CONDSTORE) && (change->conditional || (flags & VIEW_STAMPED)))
		imap_put_modseq_update(im, index);
}

static enum err
await_store_some(struct imap *im, const struct change *change, struct slice uids, struct buf *refused)
{
	if (change->annotations)
		return await_imap_annotate(im, change->annotations, uids, change->unchanged_since, refused);
	return await_store_flags(im, change, uids, refused);
}

static bool
is_refused(struct slice refused, uint32_t uid)
{
	size_t low = 0, high = refused.len / 4;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (bytes_get_le(refused.at + 4 * middle, 4) < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < refused.len / 4 && bytes_get_le(refused.at + 4 * low, 4) == uid;
}

static void
await_tell(struct imap *im, const struct change *change, const struct view_spans *spans, struct slice refused)
{
	size_t i;
	await_imap_keywords(im, true);
	for (struct view_walk w = view_walk_of(spans); view_walk_next(&w, &i) && im->c->io.error == OK;) {
		if (!is_refused(refused, im->view.rows[i].uid)) /* these are told with what others changed */
			put_stored(im, change, i);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}

/* RFC 7162 3.1.3: MODIFIED names those that were not changed, as the command named them. */
static struct imap_reply
reply_stored(struct imap *im, struct buf *refused)
{
	if (!refused->len)
		return imap_ok("stored");
	for (size_t i = 0; !im->by_uid && i < refused->len; i += 4) {
		uint32_t uid = (uint32_t)bytes_get_le(refused->at + i, 4);
		bytes_set_le(refused->at + i, view_index(&im->view, uid) + 1, 4);
	}
	struct buf code;
	buf_init(&code, 4u << 20);
	buf_put(&code, S("MODIFIED "));
	imap_put_set(&code, buf_slice(refused));
	struct imap_reply r = code.over ? imap_no("LIMIT", "too many of these messages were changed meanwhile")
	                                : imap_ok_code(slice_keep(&im->arena, buf_slice(&code)), "others were stored");
	buf_release(&code);
	return r;
}

/* ---- RFC 7162 3.1.12: what was refused, because something else of it changed */

enum { RETRY_KEYWORDS_MAX = 32 }; /* of one STORE; with more it stays refused */

/* The named flags of a message as bits; false: the client need not know them as they are here. */
static bool
named_flags(const struct imap *im, const struct change *change, uint32_t uid, uint64_t known_upto, uint64_t *named)
{
	const struct view *v = &im->view;
	size_t i = index_rows_from(v->rows, v->count, uid);
	if (i == v->count || v->rows[i].uid != uid || (v->rows[i].flags & VIEW_GONE) || v->rows[i].modseq > known_upto)
		return false;
	*named = v->rows[i].flags & change->flags.system;
	for (size_t k = 0; k < change->flags.nkeywords; k++)
		*named |= (uint64_t)view_has_keyword(v, &v->rows[i], change->flags.keywords[k]) << (32 + k);
	return true;
}

static bool
is_dirty(const struct view *v, uint32_t uid)
{
	size_t i = index_rows_from(v->rows, v->count, uid);
	return i < v->count && v->rows[i].uid == uid && (v->rows[i].flags & VIEW_DIRTY);
}

/* Uids of those whose named flags are still what the client knows, after the view was brought up to date. */
static enum err
await_same_flags(struct imap *im, const struct change *change, struct slice refused, struct buf *same)
{
	size_t n = refused.len / 4;
	uint64_t *was = ARENA_ARRAY(&im->arena, uint64_t, n), now;
	bool *known = ARENA_ARRAY(&im->arena, bool, n);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = (uint32_t)bytes_get_le(refused.at + 4 * i, 4);
		known[i] = !is_dirty(&im->view, uid) && named_flags(im, change, uid, change->unchanged_since, &was[i]);
	}
	enum err e = await_imap_catch_up(im);
	await_imap_keywords(im, true);
	for (size_t i = 0; i < n && !e; i++) {
		struct slice uid = slice_part(refused, 4 * i, 4);
		if (known[i] && named_flags(im, change, (uint32_t)bytes_get_le(uid.at, 4), UINT64_MAX, &now) && now == was[i])
			buf_put(same, uid);
	}
	return e;
}

/* Out of refused goes what was stored after all. */
static void
take_out(struct buf *refused, struct slice tried, struct slice again)
{
	size_t to = 0;
	for (size_t i = 0; i < refused->len; i += 4) {
		uint32_t uid = (uint32_t)bytes_get_le(refused->at + i, 4);
		if (is_refused(tried, uid) && !is_refused(again, uid))
			continue;
		memmove(refused->at + to, refused->at + i, 4);
		to += 4;
	}
	refused->len = to;
}

static enum err
await_retry(struct imap *im, const struct change *change, struct buf *refused)
{
	struct change second = *change;
	struct buf same, again;
	if (!refused->len || change->annotations || change->op == FLAGS_SET || change->flags.nkeywords > RETRY_KEYWORDS_MAX)
		return OK;
	buf_init(&same, refused->len);
	buf_init(&again, refused->len);
	enum err e = await_same_flags(im, change, buf_slice(refused), &same);
	second.unchanged_since = im->view.modseq;
	for (size_t at = 0; at < same.len && !e; at += 4 * UIDS_PER_CALL)
		e = await_store_flags(im, &second,
		                      slice_part(buf_slice(&same), at, MIN(same.len - at, (size_t)4 * UIDS_PER_CALL)), &again);
	if (!e)
		take_out(refused, buf_slice(&same), buf_slice(&again));
	buf_release(&same);
	buf_release(&again);
	return e;
}

static struct imap_reply
await_store(struct imap *im, const struct change *change, const struct view_spans *spans, struct buf *refused)
{
	struct view_walk w = view_walk_of(spans);
	size_t max = change->annotations ? MIN(imap_annotations_batch(change->annotations), (size_t)UIDS_PER_CALL)
	                                 : (size_t)UIDS_PER_CALL;
	for (;;) {
		struct slice uids = imap_uids(im, &w, 0, VIEW_GONE, max, &im->arena);
		if (!uids.len)
			break;
		enum err e = await_store_some(im, change, uids, refused);
		if (e != OK)
			return change->annotations ? imap_annotations_err(e) : imap_err(e);
	}
	enum err e = await_retry(im, change, refused);
	if (e != OK)
		return imap_err(e);
	await_tell(im, change, spans, buf_slice(refused));
	return reply_stored(im, refused);
}

/* RFC 5257 4.5, 3.2.1 */
static struct imap_reply
await_judge(struct imap *im, const struct imap_annotations *a, const struct view_spans *spans)
{
	struct imap_reply no = imap_annotations_judge(a);
	bool fit = true;
	if (no.status != IMAP_OK)
		return no;
	enum err e = await_imap_annotations_fit(im, a, spans, &fit);
	return e ? imap_err(e) : fit ? imap_ok("") : imap_bad("one of these messages has no such part");
}

struct imap_reply
imap_cmd_store(struct imap *im, struct cursor *args)
{
	struct imap_set set;
	struct view_spans spans;
	struct change change;
	if (!imap_take_space(args) || !imap_take_set(args, &im->arena, &set) || !imap_take_space(args) ||
	    !take_modifiers(args, &change) || !take_change(im, args, &change) || !take_end(args))
		return imap_bad("STORE takes a set, FLAGS, +FLAGS or -FLAGS, and flags that a client may set, or ANNOTATION");
	/* RFC 5257 3.4: with the right r alone there are private annotations */
	if (change.annotations ? im->view.examined : im->view.read_only)
		return imap_no("READ-ONLY", "the mailbox is open for reading only");
	if (!view_resolve(&im->view, &set, im->by_uid, &im->arena, &spans))
		return imap_bad("there is no message of that number");
	imap_limit(im, &spans);
	struct imap_reply no = change.annotations ? await_judge(im, change.annotations, &spans) : imap_ok("");
	if (no.status != IMAP_OK)
		return no;
	if (change.conditional)
		imap_enable(im, ENABLED_CONDSTORE);
	struct buf refused;
	buf_init(&refused, 64u << 20);
	struct imap_reply r = await_store(im, &change, &spans, &refused);
	buf_release(&refused);
	return r;
}
