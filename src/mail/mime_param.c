/* SPDX-License-Identifier: Apache-2.0 */
/* mime_param.c - parameters of MIME fields. Called by the MIME parser, BODYSTRUCTURE and whoever asks for a file name.
 * Pure; copies into the given arena only what cannot be a slice of the field. */
#include "mail/mime_param.h"

#include "mail/charset.h"
#include "mail/encoded_words.h"
#include "mail/header.h"

#define SECTIONS_MAX 1000 /* the largest number of a continuation that is believed */

static bool
is_tchar(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && memchr("()<>@,;:\\\"/[]?=", c, 15) == NULL;
}

bool
mime_take_token(struct cursor *c, struct slice *token)
{
	return take_while(c, is_tchar, token);
}

/* DQUOTE ... DQUOTE, or up to the end when it does not end. */
static struct slice
take_quoted(struct cursor *c, struct arena *a)
{
	const char *start = ++c->at;
	bool plain = true;
	for (; !cursor_done(c) && *c->at != '"'; c->at++) {
		if (*c->at == '\\' && cursor_left(c) > 1)
			c->at++;
		else if (*c->at != '\r' && *c->at != '\n')
			continue;
		plain = false;
	}
	struct slice inside = slice_of(start, (size_t)(c->at - start));
	take_char(c, '"');
	if (plain)
		return inside;
	char *to = arena_alloc(a, inside.len);
	size_t n = 0;
	for (size_t i = 0; i < inside.len; i++) {
		if (inside.at[i] == '\\' && i + 1 < inside.len)
			i++;
		if (inside.at[i] != '\r' && inside.at[i] != '\n')
			to[n++] = inside.at[i];
	}
	return slice_of(to, n);
}

/* An unquoted value goes to the next ";" - file names with spaces are often left unquoted - or to a comment. */
static struct slice
take_bare(struct cursor *c)
{
	const char *start = c->at;
	while (!cursor_done(c) && *c->at != ';' && *c->at != '\r' && *c->at != '\n') {
		if (*c->at == '(' && c->at > start && (c->at[-1] == ' ' || c->at[-1] == '\t'))
			break;
		c->at++;
	}
	return slice_trim(slice_of(start, (size_t)(c->at - start)));
}

struct raw {
	struct slice name, value;
	uint32_t section; /* of a continuation */
	bool numbered, extended, used;
};

/* attribute ["*" section] ["*"] (RFC 2231 7) */
static void
split_name(struct raw *r)
{
	struct slice base, number;
	if (!slice_cut(r->name, '*', &base, &number) || base.len == 0)
		return;
	bool extended = number.len == 0 || slice_ends(number, S("*"));
	if (extended && number.len)
		number.len--;
	if (number.len && (!slice_to_u32(number, &r->section) || r->section > SECTIONS_MAX))
		return;
	r->numbered = number.len > 0;
	r->extended = extended;
	r->name = base;
}

static bool
take_param(struct cursor *c, struct arena *a, struct raw *r)
{
	*r = (struct raw){ 0 };
	header_skip_cfws(c);
	if (!mime_take_token(c, &r->name))
		return false;
	header_skip_cfws(c);
	if (!take_char(c, '='))
		return false;
	header_skip_cfws(c);
	r->value = peek(c) == '"' ? take_quoted(c, a) : take_bare(c);
	split_name(r);
	return true;
}

static struct raw *
find_section(struct raw *rows, size_t n, struct slice name, uint32_t section)
{
	for (size_t i = 0; i < n; i++)
		if (!rows[i].used && rows[i].numbered && rows[i].section == section && slice_equal_nocase(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* A section without "*" among sections with it stands for itself: what would be read as an escape is escaped. */
static void
put_escaped(struct buf *to, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '%' || s.at[i] == '\'')
			buf_printf(to, "%%%02X", (unsigned char)s.at[i]);
		else
			buf_put_char(to, s.at[i]);
}

/* Sections 0, 1, ... of one parameter as one value (RFC 2231 3, 4.1). */
static void
join_sections(struct raw *rows, size_t n, struct raw *first, struct arena *a, struct mime_param *out)
{
	struct buf joined;
	size_t room = 0;
	for (size_t i = 0; i < n; i++)
		room += rows[i].value.len;
	buf_init(&joined, 3 * room);
	*out = (struct mime_param){ .name = first->name, .extended = first->extended };
	uint32_t section = first->section;
	for (struct raw *r = first; r; r = find_section(rows, n, first->name, ++section)) {
		r->used = true;
		if (out->extended && !r->extended)
			put_escaped(&joined, r->value);
		else
			buf_put(&joined, r->value);
	}
	out->value = slice_keep(a, buf_slice(&joined));
	buf_release(&joined);
}

static size_t
take_raw(struct cursor *c, struct arena *a, struct raw *rows)
{
	size_t n = 0;
	while (!cursor_done(c) && n < MIME_PARAMS_MAX) {
		const char *before = c->at;
		header_skip_cfws(c);
		while (take_char(c, ';'))
			header_skip_cfws(c);
		if (take_param(c, a, &rows[n]))
			n++;
		else /* no parameter: on to the next ";" */
			while (!cursor_done(c) && *c->at != ';')
				c->at++;
		ASSERT(c->at > before || cursor_done(c));
	}
	return n;
}

void
mime_params_take(struct cursor *c, struct arena *a, struct mime_params *p)
{
	struct raw rows[MIME_PARAMS_MAX];
	size_t n = take_raw(c, a, rows);
	*p = (struct mime_params){ 0 };
	if (n == 0)
		return;
	p->rows = ARENA_ARRAY(a, struct mime_param, n);
	for (size_t i = 0; i < n; i++) {
		struct raw *r = &rows[i];
		if (r->used)
			continue;
		struct raw *first = r->numbered ? find_section(rows, n, r->name, 0) : NULL;
		if (r->numbered)
			join_sections(rows, n, first ? first : r, a, &p->rows[p->count++]);
		else
			p->rows[p->count++] = (struct mime_param){ r->name, r->value, r->extended };
	}
}

const struct mime_param *
mime_param_find(const struct mime_params *p, struct slice name)
{
	const struct mime_param *plain = NULL;
	for (size_t i = 0; i < p->count; i++) {
		if (!slice_equal_nocase(p->rows[i].name, name))
			continue;
		if (p->rows[i].extended) /* RFC 6266 4.3, and sense: the better form wins */
			return &p->rows[i];
		if (!plain)
			plain = &p->rows[i];
	}
	return plain;
}

void
mime_param_put(struct buf *to, const struct mime_param *p)
{
	struct slice charset, language, rest, text;
	if (!p->extended || !slice_cut(p->value, '\'', &charset, &rest) || !slice_cut(rest, '\'', &language, &text)) {
		encoded_words_put(to, p->value);
		return;
	}
	struct buf bytes;
	buf_init(&bytes, text.len);
	for (size_t i = 0; i < text.len; i++) {
		int high = text.at[i] == '%' && i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
		int low = high >= 0 ? hex_value(text.at[i + 2]) : -1;
		buf_put_char(&bytes, low >= 0 ? (char)(high << 4 | low) : text.at[i]);
		if (low >= 0)
			i += 2;
	}
	size_t start = to->len;
	charset_put(to, charset, buf_slice(&bytes));
	for (size_t i = start; i < to->len; i++)
		if ((unsigned char)to->at[i] < 0x20 || to->at[i] == 0x7f)
			to->at[i] = ' ';
	buf_release(&bytes);
}
