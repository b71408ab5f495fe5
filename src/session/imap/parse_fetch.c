/* SPDX-License-Identifier: Apache-2.0 */
/* parse_fetch.c - what FETCH asks for (RFC 3501 6.4.5, 9: fetch-att). A further item is a row of items[] and a bit. */
#include "base/buf.h"
#include "session/imap/parse.h"

static const struct {
	struct slice word;
	uint32_t items;
	bool macro; /* only alone */
} items[] = {
	{ S_ROW("ALL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE, true },
	{ S_ROW("FAST"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE, true },
	{ S_ROW("FULL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY, true },
	{ S_ROW("UID"), FETCH_UID, false },
	{ S_ROW("FLAGS"), FETCH_FLAGS, false },
	{ S_ROW("INTERNALDATE"), FETCH_INTERNALDATE, false },
	{ S_ROW("RFC822.SIZE"), FETCH_SIZE, false },
	{ S_ROW("ENVELOPE"), FETCH_ENVELOPE, false },
	{ S_ROW("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE, false },
	{ S_ROW("BODY"), FETCH_BODY, false },
	{ S_ROW("MODSEQ"), FETCH_MODSEQ, false },
	{ S_ROW("SAVEDATE"), FETCH_SAVEDATE, false },
	{ S_ROW("PREVIEW"), FETCH_PREVIEW, false },
	{ S_ROW("EMAILID"), FETCH_EMAILID, false },
	{ S_ROW("THREADID"), FETCH_THREADID, false },
};

/* RFC 3501 6.4.5: each is a BODY section under another name */
static const struct {
	struct slice word;
	enum imap_section_text text;
	bool peek;
} old_sections[] = {
	{ S_ROW("RFC822"), SECTION_ALL, false },
	{ S_ROW("RFC822.HEADER"), SECTION_HEADER, true },
	{ S_ROW("RFC822.TEXT"), SECTION_TEXT, false },
};

static bool
is_word_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '.' || c == '-';
}

static struct imap_section *
add_section(struct imap_fetch *fetch, struct arena *a)
{
	if (fetch->nsections == FETCH_SECTIONS_MAX)
		return NULL;
	if (!fetch->sections)
		fetch->sections = ARENA_ARRAY(a, struct imap_section, FETCH_SECTIONS_MAX);
	return &fetch->sections[fetch->nsections++];
}

/* RFC 5322 2.2: ftext. Nothing else could be found in a header. */
static bool
is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= 0x20 || name.at[i] >= 0x7f || name.at[i] == ':')
			return false;
	return name.len > 0;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool
take_header_list(struct cursor *c, struct arena *a, struct imap_section *s)
{
	if (!imap_take_space(c) || !take_char(c, '('))
		return false;
	s->fields = ARENA_ARRAY(a, struct slice, MIN(cursor_left(c) / 2 + 1, (size_t)FETCH_FIELDS_MAX));
	do {
		if (s->nfields == FETCH_FIELDS_MAX || !imap_take_astring(c, a, &s->fields[s->nfields]) ||
		    !is_field_name(s->fields[s->nfields]))
			return false;
		s->nfields++;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* section-text = section-msgtext / "MIME" */
static bool
take_section_text(struct cursor *c, struct arena *a, struct imap_section *s)
{
	if (take_nocase(c, S("HEADER.FIELDS.NOT"))) {
		s->text = SECTION_FIELDS_NOT;
		return take_header_list(c, a, s);
	}
	if (take_nocase(c, S("HEADER.FIELDS"))) {
		s->text = SECTION_FIELDS;
		return take_header_list(c, a, s);
	}
	if (take_nocase(c, S("HEADER")))
		s->text = SECTION_HEADER;
	else if (take_nocase(c, S("TEXT")))
		s->text = SECTION_TEXT;
	else if (s->depth && take_nocase(c, S("MIME"))) /* RFC 3501 6.4.5: MIME must be prefixed by numbers */
		s->text = SECTION_MIME;
	else
		return false;
	return true;
}

/* section-spec = section-msgtext / (section-part ["." section-text]) */
bool
imap_take_section_spec(struct cursor *c, struct arena *a, struct imap_section *s)
{
	if (peek(c) == ']')
		return true;
	if (!ascii_digit((char)peek(c)))
		return take_section_text(c, a, s);
	s->path = ARENA_ARRAY(a, uint32_t, SECTION_DEPTH_MAX);
	do {
		if (!ascii_digit((char)peek(c)))
			return take_section_text(c, a, s);
		if (s->depth == SECTION_DEPTH_MAX || !imap_take_nz_number(c, &s->path[s->depth]))
			return false;
		s->depth++;
	} while (take_char(c, '.'));
	return true;
}

/* "<" number "." nz-number ">" */
static bool
take_partial(struct cursor *c, struct imap_section *s)
{
	if (!take_char(c, '<'))
		return true;
	s->partial = true;
	return take_u32(c, &s->from) && take_char(c, '.') && imap_take_nz_number(c, &s->count) && take_char(c, '>');
}

static void
put_label_field(struct buf *to, struct slice field)
{
	bool plain = true;
	for (size_t i = 0; i < field.len; i++)
		plain = plain && imap_is_atom_char(field.at[i]);
	if (plain) {
		buf_put(to, field);
		return;
	}
	buf_put_char(to, '"');
	for (size_t i = 0; i < field.len; i++) {
		if (field.at[i] == '"' || field.at[i] == '\\')
			buf_put_char(to, '\\');
		buf_put_char(to, field.at[i]);
	}
	buf_put_char(to, '"');
}

/* BODY[1.2.HEADER.FIELDS (DATE FROM)]<0>, as RFC 3501 7.4.2 wants it back */
static struct slice
make_label(struct arena *a, const struct imap_section *s)
{
	static const char *const words[] = { "", "HEADER", "HEADER.FIELDS (", "HEADER.FIELDS.NOT (", "TEXT", "MIME" };
	struct buf b;
	buf_init(&b, 1u << 20);
	static const char *const forms[] = { "BODY[", "BINARY[", "BINARY.SIZE[" };
	buf_put(&b, slice_text(forms[s->form]));
	for (size_t i = 0; i < s->depth; i++) {
		if (i)
			buf_put_char(&b, '.');
		buf_put_u64(&b, s->path[i]);
	}
	if (s->depth && s->text != SECTION_ALL)
		buf_put_char(&b, '.');
	buf_put(&b, slice_text(words[s->text]));
	for (size_t i = 0; i < s->nfields; i++) {
		if (i)
			buf_put_char(&b, ' ');
		put_label_field(&b, s->fields[i]);
	}
	buf_put(&b, s->nfields ? S(")]") : S("]"));
	if (s->partial)
		buf_printf(&b, "<%u>", s->from);
	struct slice label = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return label;
}

static const struct {
	struct slice word;
	enum imap_section_form form;
	bool peek;
} section_words[] = {
	{ S_ROW("BODY["), FORM_BODY, false },
	{ S_ROW("BODY.PEEK["), FORM_BODY, true },
	{ S_ROW("BINARY["), FORM_BINARY, false },
	{ S_ROW("BINARY.PEEK["), FORM_BINARY, true },
	{ S_ROW("BINARY.SIZE["), FORM_BINARY_SIZE, true },
};

static bool
take_section_word(struct cursor *c, struct imap_section *s)
{
	for (size_t i = 0; i < COUNT_OF(section_words); i++) {
		if (take_nocase(c, section_words[i].word)) {
			*s = (struct imap_section){ .form = section_words[i].form, .peek = section_words[i].peek };
			return true;
		}
	}
	return false;
}

/* "BODY" ["." "PEEK"] section ["<" number "." nz-number ">"], and the same of BINARY, without words in the section, and
 * BINARY.SIZE, always whole (RFC 3516 7) */
static bool
take_body_section(struct cursor *c, struct arena *a, struct imap_fetch *fetch)
{
	struct cursor p = *c;
	struct imap_section taken;
	if (!take_section_word(&p, &taken))
		return false;
	struct imap_section *s = add_section(fetch, a);
	if (!s)
		return false;
	*s = taken;
	if (!imap_take_section_spec(&p, a, s) || !take_char(&p, ']') || (s->form != FORM_BODY && s->text != SECTION_ALL) ||
	    (s->form != FORM_BINARY_SIZE && !take_partial(&p, s)))
		return false;
	s->label = make_label(a, s);
	fetch->sets_seen = fetch->sets_seen || !s->peek;
	*c = p;
	return true;
}

static bool
add_word(struct slice word, struct arena *a, struct imap_fetch *fetch, bool macros)
{
	for (size_t i = 0; i < COUNT_OF(items); i++) {
		if (slice_equal_nocase(word, items[i].word) && (macros || !items[i].macro)) {
			fetch->items |= items[i].items;
			return true;
		}
	}
	for (size_t i = 0; i < COUNT_OF(old_sections); i++) {
		if (!slice_equal_nocase(word, old_sections[i].word))
			continue;
		struct imap_section *s = add_section(fetch, a);
		if (!s)
			return false;
		*s = (struct imap_section){ .label = old_sections[i].word,
			                        .text = old_sections[i].text,
			                        .peek = old_sections[i].peek };
		fetch->sets_seen = fetch->sets_seen || !s->peek;
		return true;
	}
	return false;
}

/* RFC 5257 4.3; once */
static bool
take_annotation(struct cursor *c, struct arena *a, struct imap_fetch *fetch)
{
	if (fetch->annotations)
		return false;
	fetch->annotations = ARENA_NEW(a, struct imap_annotation_fetch);
	fetch->items |= FETCH_ANNOTATION;
	return imap_take_annotation_fetch(c, a, fetch->annotations);
}

static bool
take_item(struct cursor *c, struct arena *a, struct imap_fetch *fetch, bool macros)
{
	if (take_body_section(c, a, fetch))
		return true;
	if (take_nocase(c, S("ANNOTATION ")))
		return take_annotation(c, a, fetch);
	struct cursor p = *c;
	struct slice word;
	if (!take_while(&p, is_word_char, &word) || !add_word(word, a, fetch, macros))
		return false;
	if (slice_equal_nocase(word, S("PREVIEW")))
		(void)take_nocase(&p, S(" (LAZY)")); /* RFC 8970 4.1: previews are there, nothing has to be put off */
	*c = p;
	return true;
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
bool
imap_take_fetch(struct cursor *c, struct arena *a, struct imap_fetch *fetch)
{
	struct cursor p = *c;
	*fetch = (struct imap_fetch){ .items = 0 };
	if (!take_char(&p, '(')) {
		if (!take_item(&p, a, fetch, true))
			return false;
		*c = p;
		return true;
	}
	do {
		if (!take_item(&p, a, fetch, false))
			return false;
	} while (imap_take_space(&p));
	if (!take_char(&p, ')'))
		return false;
	*c = p;
	return true;
}

/* RFC 4466 2.4, RFC 7162 7: "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" */
static bool
take_modifier(struct cursor *c, struct imap_fetch *fetch)
{
	if (take_nocase(c, S("VANISHED"))) {
		fetch->vanished = true;
		return true;
	}
	if (take_nocase(c, S("PARTIAL "))) { /* RFC 9394 4 */
		fetch->partial_only = true;
		return imap_take_partial(c, &fetch->partial);
	}
	fetch->changed_only = take_nocase(c, S("CHANGEDSINCE ")) && imap_take_modseq(c, &fetch->changed_since);
	fetch->items |= FETCH_MODSEQ; /* RFC 7162 3.1.4.1 */
	return fetch->changed_only;
}

bool
imap_take_fetch_modifiers(struct cursor *c, struct imap_fetch *fetch)
{
	struct cursor p = *c;
	if (!imap_take_space(&p))
		return true;
	if (!take_char(&p, '('))
		return false;
	do {
		if (!take_modifier(&p, fetch))
			return false;
	} while (imap_take_space(&p));
	if (!take_char(&p, ')'))
		return false;
	*c = p;
	return true;
}
