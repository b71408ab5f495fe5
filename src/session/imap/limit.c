/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c - how many messages one command may work on (RFC 9738), when the administrator set a limit: the last ones are
 * worked on, those with the highest UIDs, and the reply says down to where; COPY, APPEND and THREAD refuse more. */
#include "session/imap/imap.h"

enum { LIMIT_LEAST = 1000 }; /* RFC 9738 3 */

static size_t
limit_of(uint64_t option)
{
	return option ? MAX((size_t)option, (size_t)LIMIT_LEAST) : 0;
}

size_t
imap_messages_max(const struct imap *im)
{
	return limit_of(im->c->conf->v.imap_messages_max);
}

size_t
imap_save_max(const struct imap *im)
{
	size_t all = imap_messages_max(im);
	return all ? all : limit_of(im->c->conf->v.imap_save_messages_max);
}

void
imap_limit(struct imap *im, struct view_spans *spans)
{
	size_t max = imap_messages_max(im);
	if (!max || spans->messages <= max)
		return;
	view_spans_keep_last(spans, max);
	im->limited_to = im->view.rows[spans->spans[0].from].uid;
}

/* RFC 9738 3.1: of UID EXPUNGE, messages with \Deleted count only */
void
imap_limit_deleted(struct imap *im, struct view_spans *spans)
{
	size_t max = imap_messages_max(im), deleted = 0, before = 0, i;
	if (!max || spans->messages <= max)
		return;
	for (struct view_walk w = view_walk_of(spans); view_walk_next(&w, &i);)
		deleted += (im->view.rows[i].flags & MESSAGE_DELETED) != 0;
	if (deleted <= max)
		return;
	size_t skip = deleted - max;
	for (struct view_walk w = view_walk_of(spans); view_walk_next(&w, &i); before++)
		if ((im->view.rows[i].flags & MESSAGE_DELETED) && !skip--)
			break;
	view_spans_keep_last(spans, spans->messages - before);
	im->limited_to = im->view.rows[i].uid;
}

struct imap_reply
imap_over_limit(struct imap *im, size_t max, const struct view_spans *spans)
{
	static const char text[] = "these are too many messages for one command";
	struct view_spans last = *spans;
	if (!spans->messages)
		return (struct imap_reply){ IMAP_NO, arena_printf(&im->arena, "MESSAGELIMIT %zu", max), text };
	struct view_walk w = view_walk_of(&last);
	size_t skip = last.messages - max, i = 0;
	do
		(void)view_walk_next(&w, &i);
	while (skip--);
	return (struct imap_reply){ IMAP_NO, arena_printf(&im->arena, "MESSAGELIMIT %zu %u", max, im->view.rows[i].uid),
		                        text };
}

void
imap_put_limited(struct imap *im, struct imap_reply *r)
{
	struct slice code = arena_printf(&im->arena, "MESSAGELIMIT %zu %u", imap_messages_max(im), im->limited_to);
	im->limited_to = 0;
	if (r->status == IMAP_OK && !r->code.len) {
		r->code = code;
		r->text = "done for the last messages of these";
	} else if (r->status == IMAP_OK || slice_equal(r->code, S("EXPUNGEISSUED"))) { /* RFC 9738 3.1 */
		buf_put(&im->text, S("* NO ["));
		buf_put(&im->text, code);
		buf_put(&im->text, S("] done for the last messages of these\r\n"));
	}
}

void
imap_put_limit_capability(const struct imap *im, struct buf *to)
{
	size_t all = imap_messages_max(im), save = imap_save_max(im);
	if (all || save)
		buf_printf(to, all ? " MESSAGELIMIT=%zu" : " SAVELIMIT=%zu", save);
}
