/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_expunge.c - EXPUNGE (RFC 3501 6.4.3) and UID EXPUNGE (RFC 4315 2.1). */
#include "session/imap/imap.h"

/* uids empty: all that are \Deleted. */
static enum err
await_expunge(struct imap *im, struct slice uids, bool *some)
{
	bool more = true;
	while (more) {
		struct store_message_expunge_in in = { .mailbox = im->view.mailbox, .uids = uids };
		struct store_message_expunge_out out = { 0 };
		enum err e = await_imap_ask_selected(im, message_expunge, &in, &im->arena, &out);
		if (e != OK)
			return e;
		view_apply_vanished(&im->view, out.vanished);
		*some = *some || out.vanished.len;
		more = out.more;
	}
	return OK;
}

/* Message by message of the set: an empty list of uids would mean all. */
static enum err
await_expunge_set(struct imap *im, const struct view_spans *spans, bool *some)
{
	struct view_walk w = view_walk_of(spans);
	for (;;) {
		struct slice uids = imap_uids(im, &w, 0, VIEW_GONE, IMAP_UIDS_MAX, &im->arena);
		if (!uids.len)
			return OK;
		enum err e = await_expunge(im, uids, some);
		if (e != OK)
			return e;
	}
}

struct imap_reply
imap_cmd_expunge(struct imap *im, struct cursor *args)
{
	struct imap_set set;
	struct view_spans spans;
	if (im->by_uid && !(imap_take_space(args) && imap_take_set(args, &im->arena, &set)))
		return imap_bad("UID EXPUNGE takes a set of UIDs");
	if (!take_end(args))
		return imap_bad("too many arguments");
	if (im->view.read_only)
		return imap_no("READ-ONLY", "the mailbox is open for reading only");
	bool some = false;
	enum err e;
	if (im->by_uid) {
		view_resolve(&im->view, &set, true, &im->arena, &spans);
		imap_limit_deleted(im, &spans);
		e = await_expunge_set(im, &spans, &some);
	} else {
		e = await_expunge(im, SLICE_NONE, &some);
	}
	struct imap_reply done = await_imap_expunged(im, some, "expunged");
	return e ? imap_err(e) : done;
}
