/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - how far a long command has come (RFC 9585): untagged OK responses with the code INPROGRESS, so that a
 * client can show it, and does not take a busy connection for a dead one. */
#include "session/imap/imap.h"

#include "base/clock.h"

void
imap_progress_begin(struct imap *im)
{
	im->progress_ms = clock_mono_ms() + im->c->conf->v.imap_progress;
}

/* RFC 9585 4: the tag is NIL when it holds "]" */
static void
put_tag(struct imap *im)
{
	if (slice_find_char(im->tag, ']') >= 0)
		buf_put(&im->text, S("NIL"));
	else
		imap_put_string(&im->text, im->tag);
}

void
await_imap_progress(struct imap *im, size_t done, size_t goal)
{
	if (done >= goal || clock_mono_ms() < im->progress_ms) /* what is done needs no progress */
		return;
	buf_put(&im->text, S("* OK [INPROGRESS ("));
	put_tag(im);
	buf_printf(&im->text, " %zu %zu)] ", done, goal);
	buf_put(&im->text, lang_text(im->language, S("still at it")));
	buf_put(&im->text, S("\r\n"));
	im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
	await_imap_text(im);
	(void)await_flush(&im->c->io);
	imap_progress_begin(im);
}
