/* SPDX-License-Identifier: Apache-2.0 */
/* parse_annotate.c - annotations of messages (RFC 5257 3.2, 5): what FETCH, STORE, APPEND, SEARCH and SORT name of
 * them. Pure. */
#include "session/imap/parse.h"

/* ---- entries */

static bool
is_wild(char c)
{
	return c == '*' || c == '%';
}

bool
imap_entry_is_wild(struct slice entry)
{
	for (size_t i = 0; i < entry.len; i++)
		if (is_wild(entry.at[i]))
			return true;
	return false;
}

/* RFC 5257 3.2: parts that are not empty, without controls and what is not ASCII. */
static bool
parts_are_sound(struct slice entry, bool wild)
{
	size_t part = 0;
	for (size_t i = 0; i < entry.len; i++) {
		char c = entry.at[i];
		if (c < 0x20 || c >= 0x7f || (is_wild(c) && !wild) || (c == '/' && i > 0 && part == 0))
			return false;
		part = c == '/' ? 0 : part + 1;
	}
	return entry.len <= ANNOTATE_ENTRY_BYTES_MAX && part > 0 && (entry.at[0] == '/' || is_wild(entry.at[0]));
}

/* The first part of the name, without the slash before it; *rest begins with the slash behind it. */
static struct slice
first_part(struct slice entry, struct slice *rest)
{
	struct slice name = slice_from(entry, 1);
	ptrdiff_t end = slice_find_char(name, '/');
	size_t len = end < 0 ? name.len : (size_t)end;
	*rest = slice_from(name, len);
	return slice_part(name, 0, len);
}

/* section-part = nz-number *("." nz-number) */
static bool
take_part(struct slice text, uint32_t *path, size_t *depth)
{
	struct cursor c = cursor_of(text);
	*depth = 0;
	do {
		if (*depth == SECTION_DEPTH_MAX || !imap_take_nz_number(&c, &path[*depth]))
			return false;
		++*depth;
	} while (take_char(&c, '.'));
	return cursor_done(&c);
}

size_t
imap_entry_part(struct slice entry, uint32_t *path)
{
	struct slice rest, part = first_part(entry, &rest);
	size_t depth = 0;
	return part.len && ascii_digit(part.at[0]) && take_part(part, path, &depth) ? depth : 0;
}

/* RFC 5257 3.2.1: a name that begins with a digit is of a part. What is only the top of other names has no value, and
 * /flags is kept for the future (3.5). */
static bool
name_is_sound(struct slice entry)
{
	uint32_t path[SECTION_DEPTH_MAX];
	size_t depth;
	struct slice rest, part = first_part(entry, &rest);
	bool of_part = ascii_digit(part.at[0]);
	if (of_part && (!take_part(part, path, &depth) || rest.len < 2))
		return false;
	if (!of_part && slice_equal(part, S("flags")))
		return false;
	struct slice name = of_part ? rest : entry;
	return !slice_equal(name, S("/flags")) && !slice_equal(name, S("/vendor"));
}

/* The same of a name with wildcards: when they do not stand in its first part. */
static bool
pattern_is_sound(struct slice pattern)
{
	uint32_t path[SECTION_DEPTH_MAX];
	size_t depth;
	struct slice rest, part = first_part(pattern, &rest);
	bool wild = is_wild(pattern.at[0]) || imap_entry_is_wild(part);
	return wild || !part.len || !ascii_digit(part.at[0]) || take_part(part, path, &depth);
}

static bool
take_entry(struct cursor *c, struct arena *a, struct slice *entry)
{
	return imap_take_astring(c, a, entry) && parts_are_sound(*entry, false) && name_is_sound(*entry);
}

static bool
is_list_char(char c)
{
	return imap_is_atom_char(c) || is_wild(c) || c == ']';
}

/* entry-match = list-mailbox */
static bool
take_entry_match(struct cursor *c, struct arena *a, struct slice *entry)
{
	if (!take_while(c, is_list_char, entry) && !imap_take_string(c, a, entry))
		return false;
	if (!parts_are_sound(*entry, true))
		return false;
	return imap_entry_is_wild(*entry) ? pattern_is_sound(*entry) : name_is_sound(*entry);
}

/* ---- attributes */

static const struct {
	struct slice name;
	uint32_t attribs;
} attributes[] = {
	{ S_ROW("value"), ATTRIB_VALUE_PRIVATE | ATTRIB_VALUE_SHARED },
	{ S_ROW("value.priv"), ATTRIB_VALUE_PRIVATE },
	{ S_ROW("value.shared"), ATTRIB_VALUE_SHARED },
	{ S_ROW("size"), ATTRIB_SIZE_PRIVATE | ATTRIB_SIZE_SHARED },
	{ S_ROW("size.priv"), ATTRIB_SIZE_PRIVATE },
	{ S_ROW("size.shared"), ATTRIB_SIZE_SHARED },
};

/* RFC 5257 3.2: case matters; there are no others. */
static bool
take_attrib(struct cursor *c, struct arena *a, uint32_t *attribs)
{
	struct slice name;
	*attribs = 0;
	if (!imap_take_astring(c, a, &name))
		return false;
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (slice_equal(name, attributes[i].name))
			*attribs = attributes[i].attribs;
	return *attribs != 0;
}

static bool
take_value_attrib(struct cursor *c, struct arena *a, uint32_t *attribs)
{
	return take_attrib(c, a, attribs) && !(*attribs & (ATTRIB_SIZE_PRIVATE | ATTRIB_SIZE_SHARED));
}

/* RFC 5257 3.2.2: with its suffix, when something is stored or sorted */
static bool
take_single_attrib(struct cursor *c, struct arena *a, uint32_t *attribs)
{
	return take_value_attrib(c, a, attribs) && *attribs != (ATTRIB_VALUE_PRIVATE | ATTRIB_VALUE_SHARED);
}

/* ---- FETCH */

static void
add_entry(struct imap_annotation_fetch *f, struct slice entry)
{
	uint32_t path[SECTION_DEPTH_MAX];
	for (size_t i = 0; i < f->nentries; i++)
		if (slice_equal(f->entries[i], entry))
			return;
	f->entries[f->nentries++] = entry;
	bool wild = imap_entry_is_wild(entry);
	f->wild = f->wild || wild;
	f->parts = f->parts || (!wild && imap_entry_part(entry, path));
}

/* entries = entry-match / "(" entry-match *(SP entry-match) ")" */
static bool
take_entries(struct cursor *c, struct arena *a, struct imap_annotation_fetch *f)
{
	bool several = take_char(c, '(');
	size_t patterns = 0;
	do {
		struct slice entry;
		if (f->nentries == ANNOTATE_ENTRIES_MAX || !take_entry_match(c, a, &entry))
			return false;
		patterns += imap_entry_is_wild(entry);
		if (patterns > ANNOTATE_PATTERNS_MAX)
			return false;
		add_entry(f, entry);
	} while (several && imap_take_space(c));
	return !several || take_char(c, ')');
}

static void
add_attribs(struct imap_annotation_fetch *f, uint32_t attribs)
{
	for (uint32_t bit = 1; bit <= ATTRIB_SIZE_SHARED; bit <<= 1)
		if (attribs & ~f->all & bit) {
			f->attribs[f->nattribs++] = bit;
			f->all |= bit;
		}
}

/* attribs = attrib / "(" attrib *(SP attrib) ")" */
static bool
take_attribs(struct cursor *c, struct arena *a, struct imap_annotation_fetch *f)
{
	bool several = take_char(c, '(');
	do {
		uint32_t attribs;
		if (!take_attrib(c, a, &attribs))
			return false;
		add_attribs(f, attribs);
	} while (several && imap_take_space(c));
	return !several || take_char(c, ')');
}

/* "(" entries SP attribs ")" */
bool
imap_take_annotation_fetch(struct cursor *c, struct arena *a, struct imap_annotation_fetch *f)
{
	f->nentries = f->nattribs = 0;
	return take_char(c, '(') && take_entries(c, a, f) && imap_take_space(c) && take_attribs(c, a, f) &&
	       take_char(c, ')');
}

/* ---- STORE, APPEND */

/* value = nstring / literal8 */
bool
imap_take_annotation_value(struct cursor *c, struct arena *a, struct slice *value, bool *nil)
{
	*nil = false;
	if (peek(c) == '~')
		return imap_take_literal8(c, value);
	return imap_take_nstring(c, a, value, nil);
}

/* Does the text end with the head of a literal? */
static bool
is_cut(struct cursor c)
{
	struct imap_literal literal;
	(void)take_char(&c, '~');
	return imap_take_literal_head(&c, &literal) && cursor_done(&c) && literal.bytes > 0;
}

/* RFC 5257 3.2.1: flags of parts are "1", "0" or NIL */
static bool
value_is_sound(const struct imap_message_annotation *n)
{
	uint32_t path[SECTION_DEPTH_MAX];
	struct slice rest;
	(void)first_part(n->entry, &rest);
	if (n->gone || !imap_entry_part(n->entry, path) || !slice_starts(rest, S("/flags/")))
		return true;
	return slice_equal(n->value, S("1")) || slice_equal(n->value, S("0"));
}

/* att-value = attrib SP value */
static bool
take_att_value(struct cursor *c, struct arena *a, struct slice entry, struct imap_annotations *to)
{
	struct imap_message_annotation n = { .entry = entry };
	uint32_t attribs;
	if (!take_single_attrib(c, a, &attribs) || !imap_take_space(c))
		return false;
	struct cursor p = *c;
	if (!imap_take_annotation_value(c, a, &n.value, &n.gone)) {
		to->cut = is_cut(p);
		return false;
	}
	n.shared = attribs == ATTRIB_VALUE_SHARED;
	to->too_big = to->too_big || n.value.len > ANNOTATE_VALUE_BYTES_MAX;
	to->too_many = to->too_many || to->n == ANNOTATE_ENTRIES_MAX;
	if (!to->too_many)
		to->list[to->n++] = n;
	to->bytes += n.value.len;
	return value_is_sound(&n);
}

/* entry-att = entry SP "(" att-value *(SP att-value) ")" */
static bool
take_entry_att(struct cursor *c, struct arena *a, struct imap_annotations *to)
{
	struct slice entry;
	struct cursor p = *c;
	if (!take_entry(c, a, &entry)) {
		to->cut = is_cut(p);
		return false;
	}
	if (!imap_take_space(c) || !take_char(c, '('))
		return false;
	do {
		if (!take_att_value(c, a, entry, to))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* "(" entry-att *(SP entry-att) ")" */
bool
imap_take_annotations(struct cursor *c, struct arena *a, struct imap_annotations *to)
{
	*to = (struct imap_annotations){ .list = ARENA_ARRAY(a, struct imap_message_annotation, ANNOTATE_ENTRIES_MAX) };
	if (!take_char(c, '('))
		return false;
	do {
		if (!take_entry_att(c, a, to))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* ---- SEARCH, SORT */

bool
imap_take_annotation_match(struct cursor *c, struct arena *a, struct slice *pattern, uint32_t *attribs)
{
	return take_entry_match(c, a, pattern) && imap_take_space(c) && take_value_attrib(c, a, attribs);
}

bool
imap_take_annotation_key(struct cursor *c, struct arena *a, struct slice *entry, uint32_t *attribs)
{
	return take_entry(c, a, entry) && imap_take_space(c) && take_single_attrib(c, a, attribs);
}
