/* SPDX-License-Identifier: Apache-2.0 */
/* html_text.c - HTML to plain text. Called by part_text.c. Pure, linear, no tree: tags are only told from text. */
#include "mail/html_text.h"

#include "base/cursor.h"

#define REFERENCE_BYTES_MAX 12

static void
put_code_point(struct buf *to, uint32_t c)
{
	char out[4];
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x80) {
		buf_put_char(to, c < 0x20 ? ' ' : (char)c);
	} else if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		buf_put(to, slice_of(out, 2));
	} else if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		buf_put(to, slice_of(out, 3));
	} else {
		out[0] = (char)(0xf0 | c >> 18);
		out[1] = (char)(0x80 | (c >> 12 & 0x3f));
		out[2] = (char)(0x80 | (c >> 6 & 0x3f));
		out[3] = (char)(0x80 | (c & 0x3f));
		buf_put(to, slice_of(out, 4));
	}
}

/* The names of ISO-8859-1 from 0xa0 in order, then others that mail uses. */
static uint32_t
named_reference(struct slice name)
{
	static const char *const latin1[] = {
		"nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",   "ordf",
		"laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",   "acute",  "micro",
		"para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave",
		"Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",
		"Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",
		"times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute",
		"acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave",
		"iacute", "icirc",  "iuml",   "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide",
		"oslash", "ugrave", "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml",
	};
	static const struct {
		const char *name;
		uint32_t c;
	} others[] = {
		{ "amp", '&' },       { "lt", '<' },        { "gt", '>' },       { "quot", '"' },      { "apos", '\'' },
		{ "ndash", 0x2013 },  { "mdash", 0x2014 },  { "lsquo", 0x2018 }, { "rsquo", 0x2019 },  { "sbquo", 0x201a },
		{ "ldquo", 0x201c },  { "rdquo", 0x201d },  { "bdquo", 0x201e }, { "bull", 0x2022 },   { "hellip", 0x2026 },
		{ "lsaquo", 0x2039 }, { "rsaquo", 0x203a }, { "euro", 0x20ac },  { "trade", 0x2122 },  { "larr", 0x2190 },
		{ "rarr", 0x2192 },   { "zwnj", 0x200c },   { "zwj", 0x200d },   { "OElig", 0x152 },   { "oelig", 0x153 },
		{ "Scaron", 0x160 },  { "scaron", 0x161 },  { "minus", 0x2212 }, { "thinsp", 0x2009 }, { "emsp", 0x2003 },
		{ "ensp", 0x2002 },
	};
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (others[i].name[0] == name.at[0] && slice_equal(slice_text(others[i].name), name))
			return others[i].c;
	for (uint32_t i = 0; i < COUNT_OF(latin1); i++)
		if (latin1[i][0] == name.at[0] && slice_equal(slice_text(latin1[i]), name))
			return 0xa0 + i;
	return 0;
}

static bool
is_name_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c);
}

static bool
take_number(struct cursor *c, uint32_t *value)
{
	bool hex = take_nocase(c, S("x"));
	uint32_t v = 0;
	size_t digits = 0;
	for (; !cursor_done(c) && digits < 8; c->at++, digits++) {
		char d = ascii_lower(*c->at);
		if (ascii_digit(d))
			v = v * (hex ? 16 : 10) + (uint32_t)(d - '0');
		else if (hex && d >= 'a' && d <= 'f')
			v = v * 16 + (uint32_t)(d - 'a' + 10);
		else
			break;
	}
	*value = v;
	return digits > 0;
}

/* "&name;", "&#8364;" or "&#x20ac;", the semicolon often missing. Anything else is an ampersand. */
static void
put_reference(struct cursor *c, struct buf *to)
{
	struct cursor in = *c;
	struct slice name;
	uint32_t value = 0;
	in.at++;
	bool ok = take_char(&in, '#') ? take_number(&in, &value)
	                              : take_while(&in, is_name_char, &name) && name.len <= REFERENCE_BYTES_MAX &&
	                                    (value = named_reference(name)) != 0;
	if (!ok) {
		buf_put_char(to, '&');
		c->at++;
		return;
	}
	take_char(&in, ';');
	if (value == 0xa0) /* a space, as far as search goes */
		value = ' ';
	if (value != 0xad) /* a soft hyphen is not text */
		put_code_point(to, value);
	*c = in;
}

/* Behind the ">" of the tag that begins at c; quoted attribute values may hold one. */
static void
skip_tag(struct cursor *c)
{
	char quote = 0, before = 0;
	for (; !cursor_done(c); c->at++) {
		char ch = *c->at;
		if (quote) {
			quote = ch == quote ? 0 : quote;
		} else if (ch == '>') {
			c->at++;
			return;
		} else if ((ch == '"' || ch == '\'') && before == '=') {
			quote = ch;
		}
		if (ch != ' ' && ch != '\t' && ch != '\r' && ch != '\n')
			before = ch;
	}
}

static void
skip_past(struct cursor *c, struct slice what)
{
	ptrdiff_t at = slice_find(cursor_rest(c), what);
	c->at = at < 0 ? c->end : c->at + at + what.len;
}

/* The content of a script or style: up to its end tag. */
static void
skip_raw(struct cursor *c, struct slice name)
{
	while (!cursor_done(c)) {
		skip_past(c, S("</"));
		if (slice_starts_nocase(cursor_rest(c), name))
			break;
	}
	skip_tag(c);
}

static bool
is_one_of(struct slice name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (names[i][0] == ascii_lower(name.at[0]) && slice_equal_nocase(slice_text(names[i]), name))
			return true;
	return false;
}

/* A "<" and what it begins. */
static void
put_markup(struct cursor *c, struct buf *to)
{
	static const char *const raw[] = { "script", "style", "title" };
	static const char *const line[] = { "br",      "p",      "div",  "tr",    "li", "ul", "ol",         "h1",
		                                "h2",      "h3",     "h4",   "h5",    "h6", "hr", "dt",         "dd",
		                                "section", "header", "body", "table", "td", "th", "blockquote", "pre" };
	struct cursor in = *c;
	struct slice name;
	in.at++;
	if (take_exact(&in, S("!--"))) {
		*c = in;
		skip_past(c, S("-->"));
		return;
	}
	bool end = take_char(&in, '/');
	int first = peek(&in);
	if (first < 0 || !ascii_alpha((char)first) || !take_while(&in, is_name_char, &name)) {
		if (end || first == '!' || first == '?') {
			skip_tag(c);
		} else { /* a < b */
			buf_put_char(to, '<');
			c->at++;
		}
		return;
	}
	skip_tag(c);
	if (!end && is_one_of(name, raw, COUNT_OF(raw)))
		skip_raw(c, name);
	else if (is_one_of(name, line, COUNT_OF(line)))
		buf_put_char(to, slice_equal_nocase(name, S("td")) || slice_equal_nocase(name, S("th")) ? ' ' : '\n');
}

static bool
is_xml_name_char(char c)
{
	return is_name_char(c) || c == ':' || c == '-' || c == '.' || c == '_';
}

static void
put_element(struct cursor *c, struct buf *to, const struct slice *lines, size_t nlines)
{
	struct cursor in = *c;
	struct slice name = SLICE_NONE;
	in.at++;
	if (take_exact(&in, S("!--"))) {
		*c = in;
		skip_past(c, S("-->"));
		return;
	}
	bool end = take_char(&in, '/');
	(void)take_while(&in, is_xml_name_char, &name);
	skip_tag(c);
	bool empty = c->at[-1] == '>' && c->at[-2] == '/'; /* <w:br/> */
	for (size_t i = 0; i < nlines && (end || empty); i++)
		if (slice_equal(name, lines[i])) {
			buf_put_char(to, '\n');
			return;
		}
}

/* lines NULL: HTML. */
static void
put_text(struct buf *to, struct slice marked, const struct slice *lines, size_t nlines)
{
	struct cursor c = cursor_of(marked);
	while (!cursor_done(&c) && !to->over) {
		const char *text = c.at;
		while (!cursor_done(&c) && *c.at != '<' && *c.at != '&')
			c.at++;
		buf_put(to, slice_of(text, (size_t)(c.at - text)));
		if (peek(&c) == '<' && lines)
			put_element(&c, to, lines, nlines);
		else if (peek(&c) == '<')
			put_markup(&c, to);
		else if (peek(&c) == '&')
			put_reference(&c, to);
	}
}

void
html_text_put(struct buf *to, struct slice html)
{
	put_text(to, html, NULL, 0);
}

void
xml_text_put(struct buf *to, struct slice xml, const struct slice *lines, size_t nlines)
{
	put_text(to, xml, lines, nlines);
}
