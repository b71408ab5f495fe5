/* SPDX-License-Identifier: Apache-2.0 */
/* bodystructure.c - the structure of one part out of that of its message, as facts have it (RFC 3501 7.4.2, RFC 5524
 * 3.2). Called by cmd_url.c. Pure; what is no structure is answered with false. */
#include "session/imap/bodystructure.h"

enum { FIELD_ENCODING = 5, FIELD_BYTES = 6, FIELD_ENVELOPE = 7, FIELD_INNER = 8 };

/* A literal, or a quoted string. */
static bool
skip_string(struct cursor *c)
{
	char ch;
	uint64_t n;
	struct slice bytes;
	if (take_char(c, '{'))
		return take_u64(c, &n) && take_exact(c, S("}\r\n")) && take_bytes(c, (size_t)n, &bytes);
	if (!take_char(c, '"'))
		return false;
	while (take_any(c, &ch) && ch != '"')
		if (ch == '\\' && !take_any(c, &ch))
			return false;
	return ch == '"';
}

/* A list, a string, a number or NIL; *value: all of it. */
static bool
take_value(struct cursor *c, struct slice *value)
{
	const char *start = c->at;
	size_t depth = 0;
	char ch;
	do {
		int next = peek(c);
		if (next == '"' || next == '{') {
			if (!skip_string(c))
				return false;
		} else if (!depth && (next == ' ' || next == ')')) {
			break;
		} else if (!take_any(c, &ch)) {
			break;
		} else {
			depth += ch == '(';
			depth -= ch == ')';
		}
	} while (depth || (peek(c) != ' ' && peek(c) != ')' && peek(c) != '('));
	*value = slice_of(start, (size_t)(c->at - start));
	return !depth && value->len > 0;
}

/* The n-th value of a list. */
static bool
field_of(struct slice list, size_t n, struct slice *value)
{
	struct cursor c = cursor_of(list);
	if (!take_char(&c, '('))
		return false;
	do {
		(void)take_char(&c, ' ');
		if (!take_value(&c, value))
			return false;
	} while (n--);
	return true;
}

/* The n-th child of a multipart; they stand before all else. */
static bool
child_of(struct slice list, uint32_t n, struct slice *child)
{
	struct cursor c = cursor_of(list);
	if (!take_char(&c, '('))
		return false;
	while (n--)
		if (!take_value(&c, child) || !slice_starts(*child, S("(")))
			return false;
	return true;
}

static bool
is_multipart(struct slice list)
{
	return slice_starts(list, S("(("));
}

static bool
inner_of(struct slice list, struct slice *inner)
{
	struct slice envelope;
	return slice_starts_nocase(list, S("(\"MESSAGE\" ")) && field_of(list, FIELD_ENVELOPE, &envelope) &&
	       slice_starts(envelope, S("(")) && field_of(list, FIELD_INNER, inner) && slice_starts(*inner, S("("));
}

bool
bodystructure_part(struct slice list, const uint32_t *path, size_t depth, struct slice *part)
{
	bool addressed = false; /* as in fetch_section.c */
	*part = list;
	for (size_t i = 0; i < depth; i++) {
		struct slice inner;
		if (addressed && inner_of(*part, &inner)) {
			*part = inner;
			addressed = false;
		}
		if (is_multipart(*part)) {
			struct slice parent = *part;
			if (!child_of(parent, path[i], part))
				return false;
		} else if (addressed || path[i] != 1) {
			return false;
		}
		addressed = true;
	}
	return slice_starts(*part, S("("));
}

void
bodystructure_put_decoded(struct buf *to, struct slice part, uint64_t bytes)
{
	struct slice encoding, size;
	if (is_multipart(part) || !field_of(part, FIELD_ENCODING, &encoding) || !field_of(part, FIELD_BYTES, &size)) {
		buf_put(to, part);
		return;
	}
	buf_put(to, slice_part(part, 0, (size_t)(encoding.at - part.at)));
	buf_put(to, S("\"BINARY\" "));
	buf_put_u64(to, bytes);
	buf_put(to, slice_from(part, (size_t)(size.at - part.at) + size.len));
}
