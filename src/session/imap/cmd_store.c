/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_store.c - STORE and UID STORE (RFC 3501 6.4.6): flags of messages. Durable when answered. */
#include "session/imap/imap.h"

enum {
	UIDS_PER_CALL = 32768, /* their rows take 1.3 MB of shared memory */
	TEXT_BYTES = 32 << 10,
};

struct change {
	uint32_t op;
	bool silent;
	struct imap_flags flags;
	struct store_keyword *keywords;
};

/* (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool
take_change(struct imap *im, struct cursor *c, struct change *change)
{
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
await_store_flags(struct imap *im, const struct change *change, struct slice uids)
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
		.unchanged_since = STORE_MODSEQ_ANY,
		.into = imap_region(im, block, got),
	};
	struct store_message_store_out out = { 0 };
	enum err e = await_imap_ask(im, message_store, &in, &im->arena, &out);
	if (e == OK)
		view_apply_own(&im->view, (const void *)block, MIN(out.filled, got) / INDEX_ROW_BYTES);
	shm_free(im->c->session->shm, block);
	return e;
}

static void
await_tell(struct imap *im, const struct view_spans *spans)
{
	size_t i;
	await_imap_keywords(im, true);
	for (struct view_walk w = view_walk_of(spans); view_walk_next(&w, &i) && im->c->io.error == OK;) {
		if (!(im->view.rows[i].flags & VIEW_GONE))
			imap_put_flag_update(im, i, im->by_uid);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}

struct imap_reply
imap_cmd_store(struct imap *im, struct cursor *args)
{
	struct imap_set set;
	struct view_spans spans;
	struct change change;
	if (!imap_take_space(args) || !imap_take_set(args, &im->arena, &set) || !imap_take_space(args) ||
	    !take_change(im, args, &change) || !take_end(args))
		return imap_bad("STORE takes a set, FLAGS, +FLAGS or -FLAGS, and flags that a client may set");
	if (im->view.read_only)
		return imap_no("READ-ONLY", "the mailbox is open for reading only");
	if (!view_resolve(&im->view, &set, im->by_uid, &im->arena, &spans))
		return imap_bad("there is no message of that number");
	struct view_walk w = view_walk_of(&spans);
	for (;;) {
		struct slice uids = imap_uids(im, &w, 0, VIEW_GONE, UIDS_PER_CALL, &im->arena);
		if (!uids.len)
			break;
		enum err e = await_store_flags(im, &change, uids);
		if (e != OK)
			return imap_err(e);
	}
	if (!change.silent)
		await_tell(im, &spans);
	return imap_ok("stored");
}
