/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - see reply.h. */
#include "relay/reply.h"

#include "base/cursor.h"

void
reply_begin(struct remote_reply *r)
{
	r->code = 0;
	r->status[0] = r->text[0] = '\0';
	r->len = r->lines = 0;
	r->done = false;
}

static void
text_add(struct remote_reply *r, struct slice s)
{
	if (r->len > 0 && r->len < REPLY_TEXT_BYTES && s.len > 0)
		r->text[r->len++] = ' ';
	bool utf8 = slice_is_utf8(s);
	for (size_t i = 0; i < s.len && r->len < REPLY_TEXT_BYTES; i++) {
		unsigned char c = (unsigned char)s.at[i];
		bool printable = (c >= ' ' && c < 0x7f) || (c >= 0x80 && utf8);
		r->text[r->len++] = printable ? (char)c : '?';
	}
	r->text[r->len] = '\0';
}

/* RFC 3463 2: class "." subject "." detail, up to three digits each. */
static bool
take_status(struct cursor *c, struct slice *status)
{
	struct cursor start = *c;
	uint32_t class, subject, detail;
	if (take_u32(c, &class) && take_char(c, '.') && take_u32(c, &subject) && take_char(c, '.') &&
	    take_u32(c, &detail) && (class == 2 || class == 4 || class == 5) && subject < 1000 && detail < 1000 &&
	    (cursor_done(c) || peek(c) == ' ')) {
		*status = slice_of(start.at, (size_t)(c->at - start.at));
		return status->len < sizeof((struct remote_reply *)0)->status;
	}
	*c = start;
	return false;
}

bool
reply_add(struct remote_reply *r, struct slice line)
{
	uint32_t code;
	struct cursor c = cursor_of(line);
	struct slice digits, status;
	if (++r->lines > REPLY_LINES_MAX || !take_bytes(&c, 3, &digits) || !slice_to_u32(digits, &code) || code < 200 ||
	    code > 599)
		return false;
	bool more = take_char(&c, '-');
	if (!more && !cursor_done(&c) && !take_char(&c, ' '))
		return false;
	if (r->code != 0 && r->code != code) /* RFC 5321 4.2.1: each line has the same code */
		return false;
	r->code = code;
	if (take_status(&c, &status)) {
		if (!r->status[0] && (unsigned)(status.at[0] - '0') == code / 100)
			memcpy(r->status, status.at, status.len), r->status[status.len] = '\0';
		skip_spaces(&c);
	}
	text_add(r, cursor_rest(&c));
	r->done = !more;
	return true;
}

void
reply_set(struct remote_reply *r, unsigned code, const char *status, const char *text)
{
	reply_begin(r);
	r->code = code;
	snprintf(r->status, sizeof r->status, "%s", status);
	text_add(r, slice_text(text));
	r->done = true;
}
