/* SPDX-License-Identifier: Apache-2.0 */
/* parse_metadata.c - what GETMETADATA and SETMETADATA name (RFC 5464 5): a mailbox or "" for the server, entries,
 * values. */
#include "session/imap/parse.h"

/* RFC 5464 3.2: an entry has at least two parts, none of them empty, and neither wildcards nor what is not ASCII. In
 * lower case, since the case does not matter. */
static bool
entry_is_sound(struct slice entry)
{
	size_t part = 0;
	for (size_t i = 0; i < entry.len; i++) {
		char c = entry.at[i];
		if (c < 0x20 || c >= 0x7f || c == '*' || c == '%' || (c == '/' && i > 0 && part == 0))
			return false;
		part = c == '/' ? 0 : part + 1;
	}
	return entry.len <= METADATA_ENTRY_BYTES_MAX && part > 0 && entry.at[0] == '/';
}

bool
imap_take_entry(struct cursor *c, struct arena *a, struct slice *entry)
{
	struct slice given;
	if (!imap_take_astring(c, a, &given))
		return false;
	char *lower = arena_alloc(a, given.len + 1);
	for (size_t i = 0; i < given.len; i++)
		lower[i] = ascii_lower(given.at[i]);
	*entry = slice_of(lower, given.len);
	return entry_is_sound(*entry) && (slice_starts(*entry, S("/private/")) || slice_starts(*entry, S("/shared/")) ||
	                                  slice_equal(*entry, S("/private")) || slice_equal(*entry, S("/shared")));
}

/* entry / "(" entry *(SP entry) ")" */
static bool
take_entries(struct cursor *c, struct arena *a, struct imap_metadata *m)
{
	bool several = take_char(c, '(');
	do {
		if (m->count == METADATA_ENTRIES_MAX || !imap_take_entry(c, a, &m->entries[m->count].entry))
			return false;
		m->count++;
	} while (several && imap_take_space(c));
	return !several || take_char(c, ')');
}

bool
imap_take_entry_list(struct cursor *c, struct arena *a, struct imap_metadata *m)
{
	*m = (struct imap_metadata){ .entries = ARENA_ARRAY(a, struct imap_annotation, METADATA_ENTRIES_MAX) };
	return peek(c) == '(' && take_entries(c, a, m);
}

static bool
take_option(struct cursor *c, struct imap_metadata *m)
{
	uint64_t size;
	if (take_nocase(c, S("DEPTH 0")))
		m->depth = 0;
	else if (take_nocase(c, S("DEPTH 1")))
		m->depth = 1;
	else if (take_nocase(c, S("DEPTH infinity")))
		m->depth = UINT32_MAX;
	else if (take_nocase(c, S("MAXSIZE ")) && take_u64(c, &size))
		m->max_size = MIN(size, (uint64_t)UINT32_MAX);
	else
		return false;
	return true;
}

static bool
take_options(struct cursor *c, struct imap_metadata *m)
{
	if (!take_char(c, '('))
		return false;
	do {
		if (!take_option(c, m))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* mailbox, or the empty string for the server */
static bool
take_place(struct cursor *c, struct arena *a, enum imap_names names, struct imap_metadata *m)
{
	if (take_exact(c, S("\"\""))) {
		m->mailbox = SLICE_NONE;
		m->server = m->valid = true;
		return true;
	}
	return imap_take_mailbox(c, a, names, &m->mailbox, &m->valid);
}

/* RFC 5464 5 has the options before the mailbox, its examples and many clients have them behind it. */
bool
imap_take_getmetadata(struct cursor *c, struct arena *a, enum imap_names names, struct imap_metadata *m)
{
	*m = (struct imap_metadata){ .max_size = UINT32_MAX,
		                         .entries = ARENA_ARRAY(a, struct imap_annotation, METADATA_ENTRIES_MAX) };
	bool first = peek(c) == '(';
	if (first && !(take_options(c, m) && imap_take_space(c)))
		return false;
	if (!take_place(c, a, names, m) || !imap_take_space(c))
		return false;
	struct cursor p = *c;
	if (!first && take_options(&p, m) && imap_take_space(&p))
		*c = p;
	return take_entries(c, a, m);
}

/* value = nstring / literal8 */
static bool
take_value(struct cursor *c, struct arena *a, struct imap_annotation *to)
{
	if (peek(c) == '~')
		return imap_take_literal8(c, &to->value);
	return imap_take_nstring(c, a, &to->value, &to->gone);
}

bool
imap_take_setmetadata(struct cursor *c, struct arena *a, enum imap_names names, struct imap_metadata *m)
{
	*m = (struct imap_metadata){ .entries = ARENA_ARRAY(a, struct imap_annotation, METADATA_ENTRIES_MAX) };
	if (!take_place(c, a, names, m) || !imap_take_space(c) || !take_char(c, '('))
		return false;
	do {
		struct imap_annotation *to = &m->entries[m->count];
		if (m->count == METADATA_ENTRIES_MAX || !imap_take_entry(c, a, &to->entry) || !imap_take_space(c) ||
		    !take_value(c, a, to))
			return false;
		m->count++;
	} while (imap_take_space(c));
	return take_char(c, ')');
}
