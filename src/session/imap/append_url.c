/* SPDX-License-Identifier: Apache-2.0 */
/* append_url.c - URL parts of CATENATE (RFC 4469 3): bytes of messages that the user may read, or that were opened to
 * him by the URL itself (RFC 4467), copied in pieces from the store to the message under way. A URL of another server,
 * or of what is not there (any more), is BADURL. */
#include "session/imap/append.h"
#include "session/imap/url_read.h"

/* RFC 4469 4.1, 5: the URL as it was, but for what no resp-text can hold. */
static void
bad_url(struct appending *ap, struct slice text)
{
	struct buf code;
	buf_init(&code, 3 * IMAP_URL_BYTES_MAX + 20);
	buf_put(&code, S("BADURL "));
	for (size_t i = 0; i < MIN(text.len, (size_t)IMAP_URL_BYTES_MAX); i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (c <= 0x20 || c >= 0x7f || c == ']')
			buf_printf(&code, "%%%02X", c);
		else
			buf_put_char(&code, (char)c);
	}
	struct slice kept = slice_keep(&ap->im->arena, buf_slice(&code));
	buf_release(&code);
	append_refuse(ap, (struct imap_reply){ IMAP_NO, kept, "there is no such message, or part of one" });
}

static enum err
await_copy(struct appending *ap, struct url_part *p)
{
	if (!append_has_room(ap, p->to - p->from))
		return OK;
	for (uint64_t at = p->from; at < p->to && !ap->refused;) {
		struct slice piece;
		enum err e = await_url_piece(p, at, (size_t)MIN(p->to - at, (uint64_t)FETCH_PIECE_BYTES), &piece);
		if (e != OK)
			return e;
		await_append_put(ap, piece);
		at += piece.len;
	}
	return OK;
}

void
await_append_url(struct appending *ap, struct slice text)
{
	struct url_part p;
	enum err e = await_url_find(&p, ap->im, text, false);
	e = e ? e : await_copy(ap, &p);
	url_part_release(&p);
	if (e == ERR_NOT_FOUND)
		bad_url(ap, text);
	else if (e != OK)
		append_refuse(ap, imap_err(e));
}
