/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_idle.c - IDLE (RFC 2177 3). While a client idles its session holds no task: imap.c's await_woken tells it what
 * changed, and the next line of the client comes here. */
#include "session/imap/imap.h"

enum { DONE_LINE_BYTES_MAX = 1000 };

struct imap_reply
imap_cmd_idle(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("IDLE takes no arguments");
	im->idle_tag = slab_dup(im->tag);
	im->idle_tag_bytes = im->tag.len;
	im->idling = true;
	buf_put(&im->text, S("+ idling\r\n"));
	await_imap_sync(im, SYNC_ASK | SYNC_EXPUNGES); /* from here on notices come: none is missed */
	await_imap_text(im);
	return imap_silent;
}

enum next
await_imap_idle_line(struct imap *im)
{
	struct slice line;
	enum err e = await_line(&im->c->io, DONE_LINE_BYTES_MAX, false, &line);
	(void)conn_line_is_endless(im->c);
	if (im->c->io.error)
		return NEXT_CLOSE;
	struct imap_reply r = imap_bad("IDLE ends with DONE");
	if (e == OK && slice_equal_nocase(line, S("DONE")))
		r = imap_ok("IDLE ended");
	im->idling = false;
	im->tag = slice_of(im->idle_tag, im->idle_tag_bytes);
	await_imap_reply(im, NULL, &r);
	slab_free(im->idle_tag, im->idle_tag_bytes + 1);
	im->idle_tag = NULL;
	return im->ended ? NEXT_CLOSE : NEXT_COMMAND;
}
