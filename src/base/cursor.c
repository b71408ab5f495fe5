/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.c - primitives of the parsers. Pure. */
#include "base/cursor.h"

struct cursor
cursor_of(struct slice s)
{
	const char *at = s.at ? s.at : "";
	return (struct cursor){ at, at + s.len };
}

struct slice
cursor_rest(const struct cursor *c)
{
	return slice_of(c->at, cursor_left(c));
}

bool
take_end(struct cursor *c)
{
	return cursor_done(c);
}

bool
take_char(struct cursor *c, char ch)
{
	if (cursor_done(c) || *c->at != ch)
		return false;
	c->at++;
	return true;
}

bool
take_any(struct cursor *c, char *ch)
{
	if (cursor_done(c))
		return false;
	*ch = *c->at++;
	return true;
}

bool
take_exact(struct cursor *c, struct slice text)
{
	if (!slice_starts(cursor_rest(c), text))
		return false;
	c->at += text.len;
	return true;
}

bool
take_nocase(struct cursor *c, struct slice text)
{
	if (!slice_starts_nocase(cursor_rest(c), text))
		return false;
	c->at += text.len;
	return true;
}

bool
take_while(struct cursor *c, bool (*accept)(char), struct slice *out)
{
	const char *p = c->at;
	while (p < c->end && accept(*p))
		p++;
	if (p == c->at)
		return false;
	*out = slice_of(c->at, (size_t)(p - c->at));
	c->at = p;
	return true;
}

bool
take_until_char(struct cursor *c, char stop, struct slice *out)
{
	ptrdiff_t i = slice_find_char(cursor_rest(c), stop);
	return i >= 0 && take_bytes(c, (size_t)i, out);
}

bool
take_bytes(struct cursor *c, size_t n, struct slice *out)
{
	if (cursor_left(c) < n)
		return false;
	*out = slice_of(c->at, n);
	c->at += n;
	return true;
}

static bool
is_digit(char c)
{
	return ascii_digit(c);
}

bool
take_u64(struct cursor *c, uint64_t *value)
{
	struct cursor start = *c;
	struct slice digits;
	if (take_while(c, is_digit, &digits) && slice_to_u64(digits, value))
		return true;
	*c = start;
	return false;
}

bool
take_u32(struct cursor *c, uint32_t *value)
{
	struct cursor start = *c;
	uint64_t v;
	if (take_u64(c, &v) && v <= UINT32_MAX) {
		*value = (uint32_t)v;
		return true;
	}
	*c = start;
	return false;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

bool
take_spaces(struct cursor *c)
{
	struct slice ignored;
	return take_while(c, is_space, &ignored);
}

void
skip_spaces(struct cursor *c)
{
	(void)take_spaces(c);
}
