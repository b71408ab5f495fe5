/* SPDX-License-Identifier: Apache-2.0 */
/* header.c - walks over header fields, one memchr a line. Called wherever a header is looked at: facts, IMAP's
 * HEADER.FIELDS, DSNs. Pure; cannot fail, whatever the bytes. */
#include "mail/header.h"

/* The end of the line that starts at p, after its LF; end when there is none. */
static const char *
line_end(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	return lf ? lf + 1 : end;
}

static bool
is_empty_line(const char *p, const char *end)
{
	return p < end && (*p == '\n' || (*p == '\r' && end - p > 1 && p[1] == '\n'));
}

static bool
is_folded(const char *p, const char *end)
{
	return p < end && (*p == ' ' || *p == '\t');
}

void
header_begin(struct header_reader *r, struct slice text)
{
	*r = (struct header_reader){ .at = cursor_of(text) };
}

/* RFC 5322 3.6.8: a name is printable ASCII without colon; 4.5 lets white space stand before the colon. */
static void
split_field(struct header_field *f)
{
	const char *at = f->whole.at;
	const char *colon = memchr(at, ':', f->whole.len);
	f->name = slice_of(at, 0);
	f->value = slice_of(at, f->whole.len);
	if (colon) {
		struct slice name = slice_trim_end(slice_of(at, (size_t)(colon - at)));
		size_t i = 0;
		while (i < name.len && name.at[i] > ' ' && name.at[i] < 0x7f)
			i++;
		if (i == name.len && i > 0) {
			f->name = name;
			f->value = slice_from(f->whole, (size_t)(colon + 1 - at));
		}
	}
	if (slice_ends(f->value, S("\n")))
		f->value.len -= slice_ends(f->value, S("\r\n")) ? 2 : 1;
}

bool
header_next(struct header_reader *r, struct header_field *f)
{
	const char *p = r->at.at, *end = r->at.end;
	if (p == end || r->fields == HEADER_FIELDS_MAX || is_empty_line(p, end))
		return false;
	const char *q = line_end(p, end);
	while (is_folded(q, end))
		q = line_end(q, end);
	f->whole = slice_of(p, (size_t)(q - p));
	split_field(f);
	r->at.at = q;
	r->fields++;
	return true;
}

size_t
header_bytes(struct slice text)
{
	const char *start = cursor_of(text).at, *p = start, *end = p + text.len;
	while (p < end && !is_empty_line(p, end))
		p = line_end(p, end);
	return (size_t)((p < end ? line_end(p, end) : end) - start);
}

bool
header_find(struct slice text, struct slice name, struct header_field *f)
{
	struct header_reader r;
	header_begin(&r, text);
	while (header_next(&r, f))
		if (slice_equal_nocase(f->name, name))
			return true;
	return false;
}

struct slice
header_unfold(struct arena *a, struct slice value)
{
	value = slice_trim(value);
	if (value.len == 0 || (!memchr(value.at, '\n', value.len) && !memchr(value.at, '\r', value.len)))
		return value;
	char *to = arena_alloc(a, value.len);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] != '\r' && value.at[i] != '\n')
			to[n++] = value.at[i];
	return slice_of(to, n);
}

enum header_id
header_id(struct slice name)
{
	static const struct {
		struct slice name;
		enum header_id id;
	} rows[] = {
		{ { "to", 2 }, HEADER_TO },
		{ { "cc", 2 }, HEADER_CC },
		{ { "bcc", 3 }, HEADER_BCC },
		{ { "date", 4 }, HEADER_DATE },
		{ { "from", 4 }, HEADER_FROM },
		{ { "sender", 6 }, HEADER_SENDER },
		{ { "subject", 7 }, HEADER_SUBJECT },
		{ { "reply-to", 8 }, HEADER_REPLY_TO },
		{ { "received", 8 }, HEADER_RECEIVED },
		{ { "message-id", 10 }, HEADER_MESSAGE_ID },
		{ { "references", 10 }, HEADER_REFERENCES },
		{ { "content-id", 10 }, HEADER_CONTENT_ID },
		{ { "in-reply-to", 11 }, HEADER_IN_REPLY_TO },
		{ { "content-md5", 11 }, HEADER_CONTENT_MD5 },
		{ { "content-type", 12 }, HEADER_CONTENT_TYPE },
		{ { "content-language", 16 }, HEADER_CONTENT_LANGUAGE },
		{ { "content-location", 16 }, HEADER_CONTENT_LOCATION },
		{ { "content-description", 19 }, HEADER_CONTENT_DESCRIPTION },
		{ { "content-disposition", 19 }, HEADER_CONTENT_DISPOSITION },
		{ { "content-transfer-encoding", 25 }, HEADER_CONTENT_TRANSFER_ENCODING },
	};
	if (name.len < 2 || name.len > 25)
		return HEADER_OTHER;
	char first = ascii_lower(name.at[0]);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].name.len == name.len && rows[i].name.at[0] == first && slice_equal_nocase(rows[i].name, name))
			return rows[i].id;
	return HEADER_OTHER;
}

void
header_skip_cfws(struct cursor *c)
{
	size_t depth = 0;
	for (; !cursor_done(c); c->at++) {
		char ch = *c->at;
		if (ch == '(')
			depth++;
		else if (depth && ch == ')')
			depth--;
		else if (depth && ch == '\\' && cursor_left(c) > 1)
			c->at++;
		else if (!depth && ch != ' ' && ch != '\t' && ch != '\r' && ch != '\n')
			return;
	}
}
