/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_uidbatches.c - UIDBATCHES (RFC 10022): the selected mailbox in parts of equal size, the newest messages first, as
 * ranges of UIDs. The view knows where each part begins, so a repeated command costs next to nothing and is not
 * refused, as 3.1.1 would allow. */
#include "session/imap/imap.h"

enum {
	BATCH_LEAST = 500,          /* RFC 10022 3.1.3.2 */
	SPAN_MESSAGES_MAX = 100000, /* 3.1.5: of a range of batches */
};

/* nz-number [SP nz-number ":" nz-number] (RFC 10022 4) */
struct batches {
	uint32_t size, first, last;
	bool some; /* first to last, else all */
};

static bool
take_batches(struct cursor *c, struct batches *b)
{
	if (!imap_take_space(c) || !imap_take_nz_number(c, &b->size))
		return false;
	b->first = 1;
	b->last = UINT32_MAX;
	b->some = imap_take_space(c);
	if (b->some && !(imap_take_nz_number(c, &b->first) && take_char(c, ':') && imap_take_nz_number(c, &b->last)))
		return false;
	return take_end(c);
}

/* 3.1.4: ranges need not end with messages that there are: each begins below the one before, the last ends with 1. */
static void
put_batches(struct imap *im, const struct batches *b)
{
	const struct view *v = &im->view;
	struct buf *to = &im->text;
	char before = ' ';
	for (uint64_t k = b->first; k <= b->last && (k - 1) * b->size < v->count; k++) {
		size_t left = v->count - (size_t)((k - 1) * b->size); /* messages of this batch and of those after it */
		uint32_t high = left == v->count ? view_uid_last(v) : v->rows[left].uid - 1;
		uint32_t low = left <= b->size ? 1 : v->rows[left - b->size].uid;
		buf_put_char(to, before);
		buf_printf(to, "%u:%u", high, low);
		before = ',';
	}
}

struct imap_reply
imap_cmd_uidbatches(struct imap *im, struct cursor *args)
{
	struct batches b;
	if (!take_batches(args, &b))
		return imap_bad("UIDBATCHES takes a number of messages, and perhaps a range of batches");
	if (b.first > b.last)
		return (struct imap_reply){ IMAP_BAD, S("CLIENTBUG"), "the range of batches is in the wrong order" };
	if (b.size < BATCH_LEAST)
		return imap_no("TOOFEW", "a batch has 500 messages or more");
	if (b.some && (uint64_t)(b.last - b.first + 1) * b.size > SPAN_MESSAGES_MAX && b.last > b.first)
		return imap_no("TOOMANY", "these batches have more than 100000 messages");
	buf_put(&im->text, S("* UIDBATCHES (TAG "));
	imap_put_string(&im->text, im->tag);
	buf_put_char(&im->text, ')');
	put_batches(im, &b);
	buf_put(&im->text, S("\r\n"));
	return imap_ok("done");
}
