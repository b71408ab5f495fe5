/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_copy.c - COPY (RFC 3501 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315 3). One call of the store, and one
 * durable commit, for up to 65,536 messages: all of them or none; more go in several. */
#include "session/imap/notify.h"

struct copied {
	uint32_t uidvalidity;
	struct buf from, into; /* u32 little endian */
};

static enum err
await_copy(struct imap *im, struct slice uids, const struct imap_place *to, bool move, struct copied *done)
{
	struct store_message_copy_in in = { .mailbox = im->view.mailbox, .uids = uids, .to = to->name, .move = move };
	struct store_message_copy_out out = { 0 };
	if (!await_imap_handle(im, to->owner, &in.to_handle))
		return im->asked;
	enum err e = await_imap_ask_selected(im, message_copy, &in, &im->arena, &out);
	if (e == ERR_STALE && await_imap_handle_again(im, to->owner, &in.to_handle, e)) /* it was that one */
		e = await_imap_ask_selected(im, message_copy, &in, &im->arena, &out);
	if (e != OK)
		return e;
	done->uidvalidity = out.uidvalidity;
	buf_put(&done->from, out.from);
	buf_put(&done->into, out.into);
	imap_notify_own(im, out.uidvalidity, out.into);
	if (move)
		view_apply_vanished(&im->view, out.from);
	return OK;
}

static enum err
await_copy_all(struct imap *im, const struct view_spans *spans, const struct imap_place *to, bool move,
               struct copied *done)
{
	struct view_walk w = view_walk_of(spans);
	for (;;) {
		struct slice uids = imap_uids(im, &w, 0, VIEW_GONE, IMAP_UIDS_MAX, &im->arena);
		if (!uids.len)
			return OK;
		enum err e = await_copy(im, uids, to, move, done);
		if (e != OK)
			return e;
		await_imap_progress(im, done->from.len / 4, spans->messages);
	}
}

static struct slice
copyuid(struct imap *im, const struct copied *done)
{
	struct buf code;
	buf_init(&code, 4u << 20);
	buf_printf(&code, "COPYUID %u ", done->uidvalidity);
	imap_put_set(&code, buf_slice(&done->from));
	buf_put_char(&code, ' ');
	imap_put_set(&code, buf_slice(&done->into));
	struct slice kept = code.over ? SLICE_NONE : slice_keep(&im->arena, buf_slice(&code));
	buf_release(&code);
	return kept;
}

static struct imap_reply
reply_copied(struct imap *im, enum err e, bool move, const struct copied *done)
{
	if (e == ERR_NOT_FOUND)
		return imap_no("TRYCREATE", "there is no such mailbox, create it first");
	if (e != OK)
		return imap_err(e);
	if (!done->from.len)
		return imap_ok("no messages");
	struct slice code = copyuid(im, done);
	if (!move || !code.len)
		return imap_ok_code(code, "copied");
	/* RFC 6851 4.3: before the EXPUNGEs, in an untagged OK */
	buf_put(&im->text, S("* OK ["));
	buf_put(&im->text, code);
	buf_put(&im->text, S("] moved\r\n"));
	return await_imap_expunged(im, true, "moved");
}

static struct imap_reply
await_copy_command(struct imap *im, struct cursor *args, bool move)
{
	struct imap_set set;
	struct view_spans spans;
	struct slice to;
	bool valid;
	if (!imap_take_space(args) || !imap_take_set(args, &im->arena, &set) || !imap_take_space(args) ||
	    !imap_take_mailbox(args, &im->arena, imap_names(im), &to, &valid) || !take_end(args))
		return imap_bad("COPY and MOVE take a set and a mailbox name");
	if (!valid)
		return imap_no("CANNOT", "no mailbox can have that name");
	if (move && im->view.read_only)
		return imap_no("READ-ONLY", "the mailbox is open for reading only");
	if (!view_resolve(&im->view, &set, im->by_uid, &im->arena, &spans))
		return imap_bad("there is no message of that number");
	size_t max = imap_save_max(im);
	if (move)
		imap_limit(im, &spans);
	else if (max && spans.messages > max) /* RFC 9738 3.1 */
		return imap_over_limit(im, max, &spans);
	struct copied done = { .uidvalidity = 0 };
	buf_init(&done.from, 64u << 20);
	buf_init(&done.into, 64u << 20);
	struct imap_place p;
	enum err e = await_imap_place(im, to, &p);
	e = e ? e : await_copy_all(im, &spans, &p, move, &done);
	struct imap_reply r = reply_copied(im, e, move, &done);
	buf_release(&done.from);
	buf_release(&done.into);
	im->changed = true; /* the target may be the mailbox that is selected */
	return r;
}

struct imap_reply
imap_cmd_copy(struct imap *im, struct cursor *args)
{
	return await_copy_command(im, args, false);
}

struct imap_reply
imap_cmd_move(struct imap *im, struct cursor *args)
{
	return await_copy_command(im, args, true);
}
