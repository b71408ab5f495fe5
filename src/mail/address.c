/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - reads address lists, one address a call. Called by facts (ENVELOPE, sort keys) and by all who answer
 * mail. Pure: texts are copied to the arena that was given, at most as many bytes as the list has. Iterative. */
#include "mail/address.h"

void
address_begin(struct address_reader *r, struct arena *a, struct slice value)
{
	size_t room = 2 * value.len + 1; /* each byte is given out at most once; a fold may become a space */
	*r = (struct address_reader){ .at = cursor_of(value), .to = arena_alloc(a, room) };
	r->to_end = r->to + room;
}

static void
put(struct address_reader *r, char c)
{
	ASSERT(r->to < r->to_end);
	*r->to++ = c;
}

static struct slice
put_since(const struct address_reader *r, const char *start)
{
	return slice_of(start, (size_t)(r->to - start));
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Atoms with their dots, 8-bit bytes, and whatever else is not special (RFC 5322 3.2.3). */
static bool
is_word(char c)
{
	return !is_space(c) && memchr("()<>[]:;@,\"", c, 11) == NULL;
}

/* The inside of a comment, nested ones included, as it stands (RFC 5322 3.2.2). */
static struct slice
take_comment(struct cursor *c)
{
	const char *start = ++c->at, *end = c->end;
	for (size_t depth = 1; !cursor_done(c); c->at++) {
		if (*c->at == '\\' && cursor_left(c) > 1) {
			c->at++;
		} else if (*c->at == '(') {
			depth++;
		} else if (*c->at == ')' && --depth == 0) {
			end = c->at++;
			break;
		}
	}
	return slice_trim(slice_of(start, (size_t)(end - start)));
}

/* White space and comments; true when there was any. The last comment that says something is kept. */
static bool
skip_cfws(struct cursor *c, struct slice *comment)
{
	const char *start = c->at;
	for (;;) {
		while (!cursor_done(c) && is_space(*c->at))
			c->at++;
		if (peek(c) != '(')
			return c->at != start;
		struct slice text = take_comment(c);
		if (text.len)
			*comment = text;
	}
}

static struct slice
put_comment(struct address_reader *r, struct slice comment)
{
	const char *start = r->to;
	for (size_t i = 0; i < comment.len; i++) {
		if (comment.at[i] == '\\' && i + 1 < comment.len)
			i++;
		if (comment.at[i] != '\r' && comment.at[i] != '\n')
			put(r, comment.at[i]);
	}
	return put_since(r, start);
}

/* A quoted string's content; one that does not end goes to the end of the list. */
static void
put_quoted(struct address_reader *r)
{
	for (r->at.at++; !cursor_done(&r->at); r->at.at++) {
		char c = *r->at.at;
		if (c == '"') {
			r->at.at++;
			return;
		}
		if (c == '\\' && cursor_left(&r->at) > 1)
			c = *++r->at.at;
		if (c != '\r' && c != '\n')
			put(r, c);
	}
}

static void
put_words(struct address_reader *r)
{
	for (; !cursor_done(&r->at) && is_word(*r->at.at); r->at.at++)
		put(r, *r->at.at);
}

/* Brackets are text in a phrase ("[List] a <b@c>"), a colon inside a group too; a stray ")" or ">" is dropped. */
static bool
take_odd_char(struct address_reader *r)
{
	int c = peek(&r->at);
	if (c == '[' || c == ']' || (c == ':' && r->in_group))
		put(r, (char)c);
	else if (c != ')')
		return false;
	r->at.at++;
	return true;
}

/* Words up to the next special character, white space between them as one space. Only that character tells whether
 * they are a name, a group or a local-part. */
static struct slice
take_phrase(struct address_reader *r, struct slice *comment)
{
	const char *start = r->to;
	for (bool space = false;;) {
		char *mark = r->to;
		if (space && r->to > start)
			put(r, ' ');
		int c = peek(&r->at);
		if (c == '"')
			put_quoted(r);
		else if (c >= 0 && is_word((char)c))
			put_words(r);
		else if (!take_odd_char(r)) {
			r->to = mark;
			return put_since(r, start);
		}
		space = skip_cfws(&r->at, comment);
	}
}

/* obs-local-part: white space around dots is not part of it (RFC 5322 4.4). Works in place: phrase is what was put
 * last. */
static struct slice
close_dots(struct address_reader *r, struct slice phrase)
{
	char *to = r->to - phrase.len;
	size_t n = 0;
	for (size_t i = 0; i < phrase.len; i++) {
		bool beside_dot = (n > 0 && to[n - 1] == '.') || (i + 1 < phrase.len && phrase.at[i + 1] == '.');
		if (phrase.at[i] != ' ' || !beside_dot)
			to[n++] = phrase.at[i];
	}
	r->to = to + n;
	return slice_of(to, n);
}

static struct slice
take_literal(struct address_reader *r)
{
	const char *start = r->to;
	bool open = true;
	for (; open && !cursor_done(&r->at); r->at.at++) {
		open = *r->at.at != ']';
		if (!is_space(*r->at.at))
			put(r, *r->at.at);
	}
	return put_since(r, start);
}

/* What is behind '@'. White space around dots is dropped (obs-domain). */
static struct slice
take_domain(struct address_reader *r, struct slice *comment)
{
	const char *start = r->to;
	skip_cfws(&r->at, comment);
	if (peek(&r->at) == '[')
		return take_literal(r);
	for (;;) {
		const char *word = r->to;
		put_words(r);
		if (r->to == word)
			return put_since(r, start);
		skip_cfws(&r->at, comment);
		if (peek(&r->at) != '.' && r->to[-1] != '.')
			return put_since(r, start);
	}
}

/* obs-route = @a,@b: - without it false. The search is bounded, so that many brackets stay linear. */
static bool
take_route(struct address_reader *r, struct slice *route)
{
	struct slice rest = slice_part(cursor_rest(&r->at), 0, 1000);
	ptrdiff_t close = slice_find_char(rest, '>');
	ptrdiff_t colon = slice_find_char(close < 0 ? rest : slice_part(rest, 0, (size_t)close), ':');
	if (peek(&r->at) != '@' || colon < 0)
		return false;
	const char *start = r->to;
	for (const char *end = r->at.at + colon; r->at.at < end; r->at.at++)
		if (!is_space(*r->at.at))
			put(r, *r->at.at);
	r->at.at++;
	*route = put_since(r, start);
	return true;
}

static void
take_spec(struct address_reader *r, struct address *out, struct slice *comment)
{
	out->local = close_dots(r, take_phrase(r, comment));
	if (take_char(&r->at, '@'))
		out->domain = take_domain(r, comment);
}

/* From "<" to behind ">", or to the next address when that is missing. */
static void
take_angle(struct address_reader *r, struct address *out)
{
	struct slice ignored = { 0 };
	bool in_group = r->in_group;
	r->in_group = true; /* a colon in there begins no group */
	while (peek(&r->at) == '<') {
		r->at.at++;
		skip_cfws(&r->at, &ignored);
	}
	take_route(r, &out->route);
	take_spec(r, out, &ignored);
	r->in_group = in_group;
	while (!cursor_done(&r->at) && peek(&r->at) != ',' && peek(&r->at) != ';')
		if (take_char(&r->at, '>'))
			return;
		else
			r->at.at++;
}

static void
skip_quoted(struct cursor *c)
{
	for (c->at++; !cursor_done(c) && *c->at != '"'; c->at++)
		if (*c->at == '\\' && cursor_left(c) > 1)
			c->at++;
	take_char(c, '"');
}

/* Whatever follows an address, up to the comma. */
static void
skip_rest(struct cursor *c, struct slice *comment)
{
	for (;;) {
		skip_cfws(c, comment);
		int next = peek(c);
		if (next < 0 || next == ',' || next == ';')
			return;
		if (next == '"')
			skip_quoted(c);
		else
			c->at++;
	}
}

/* mailbox = name-addr / addr-spec. phrase was taken already. */
static void
take_rest_of_mailbox(struct address_reader *r, struct slice phrase, struct slice comment, struct address *out)
{
	if (peek(&r->at) == '@') {
		const char *start = phrase.at;
		out->local = close_dots(r, phrase);
		put(r, '@');
		r->at.at++;
		out->domain = take_domain(r, &comment);
		if (peek(&r->at) == '<') /* a@b <a@b>: the name looks like an address */
			phrase = put_since(r, start);
	} else {
		out->local = phrase;
	}
	if (peek(&r->at) == '<') {
		*out = (struct address){ .kind = ADDRESS_MAILBOX, .name = phrase };
		take_angle(r, out);
	}
	skip_rest(&r->at, &comment);
	if (out->name.len == 0)
		out->name = put_comment(r, comment); /* RFC 822 times: a@b (Full Name) */
}

/* Up to where an address begins; true when a group ended before that. */
static bool
skip_to_address(struct address_reader *r)
{
	struct slice ignored;
	for (;;) {
		skip_cfws(&r->at, &ignored);
		int c = peek(&r->at);
		if (r->in_group && (c < 0 || c == ';')) {
			r->in_group = false;
			take_char(&r->at, ';');
			return true;
		}
		if (c != ',' && c != ';' && c != '>' && c != ')' && c != ':')
			return false;
		r->at.at++;
	}
}

bool
address_next(struct address_reader *r, struct address *out)
{
	struct slice comment = { 0 };
	if (skip_to_address(r)) {
		*out = (struct address){ .kind = ADDRESS_GROUP_END };
		return true;
	}
	if (cursor_done(&r->at))
		return false;
	struct slice phrase = take_phrase(r, &comment);
	if (take_char(&r->at, ':')) {
		r->in_group = true;
		*out = (struct address){ .kind = ADDRESS_GROUP, .name = phrase };
		return true;
	}
	*out = (struct address){ .kind = ADDRESS_MAILBOX };
	take_rest_of_mailbox(r, phrase, comment, out);
	return true;
}
