/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - atoms, strings, sets, flags, dates and mailbox names of IMAP (RFC 3501 9). Pure; results live in the arena
 * or in the text itself. FETCH and SEARCH have files of their own. */
#include "session/imap/parse.h"

#include "mail/date.h"
#include "mail/nfc.h"
#include "session/imap/mutf7.h"
#include "store/rows.h"

#define MAILBOX_NAME_BYTES_MAX 1000

/* ---- characters */

static bool
is_text_char(char c)
{
	return c != '\r' && c != '\n' && c != '\0';
}

/* RFC 3501 9: ATOM-CHAR = any CHAR except atom-specials */
bool
imap_is_atom_char(char c)
{
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '%':
	case '*':
	case '"':
	case '\\':
	case ']': return false;
	default: return c > 0x20 && c < 0x7f;
	}
}

/* ASTRING-CHAR = ATOM-CHAR / resp-specials */
static bool
is_astring_char(char c)
{
	return imap_is_atom_char(c) || c == ']';
}

static bool
is_list_char(char c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
static bool
is_tag_char(char c)
{
	return is_astring_char(c) && c != '+';
}

bool
imap_take_space(struct cursor *c)
{
	return take_char(c, ' ');
}

bool
imap_take_tag(struct cursor *c, struct slice *tag)
{
	return take_while(c, is_tag_char, tag);
}

bool
imap_take_atom(struct cursor *c, struct slice *atom)
{
	return take_while(c, imap_is_atom_char, atom);
}

/* ---- strings */

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static bool
take_quoted(struct cursor *c, struct arena *a, struct slice *s)
{
	struct cursor p = *c;
	if (!take_char(&p, '"'))
		return false;
	const char *start = p.at;
	size_t escapes = 0;
	while (!cursor_done(&p) && *p.at != '"') {
		if (*p.at == '\\') {
			escapes++;
			p.at++;
			if (peek(&p) != '"' && peek(&p) != '\\')
				return false;
		} else if (!is_text_char(*p.at)) {
			return false;
		}
		p.at++;
	}
	*s = slice_of(start, (size_t)(p.at - start));
	if (!take_char(&p, '"'))
		return false;
	*c = p;
	if (!escapes)
		return true;
	char *to = arena_alloc(a, s->len);
	size_t len = 0;
	for (size_t i = 0; i < s->len; i++) {
		i += s->at[i] == '\\';
		to[len++] = s->at[i];
	}
	*s = slice_of(to, len);
	return true;
}

/* "{" number ["+"] "}" CRLF, without the bytes */
bool
imap_take_literal_head(struct cursor *c, struct imap_literal *literal)
{
	struct cursor p = *c;
	uint64_t bytes;
	if (!take_char(&p, '{') || !take_u64(&p, &bytes))
		return false;
	bool sync = !take_char(&p, '+');
	if (!take_char(&p, '}') || !take_exact(&p, S("\r\n")))
		return false;
	*literal = (struct imap_literal){ .bytes = bytes, .sync = sync };
	*c = p;
	return true;
}

bool
imap_take_literal8(struct cursor *c, struct slice *s)
{
	struct cursor p = *c;
	struct imap_literal literal;
	if (!take_char(&p, '~') || !imap_take_literal_head(&p, &literal) || literal.bytes > cursor_left(&p) ||
	    !take_bytes(&p, (size_t)literal.bytes, s))
		return false;
	*c = p;
	return true;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8 (RFC 3501 9, RFC 7888 8): any byte but NUL */
static bool
take_literal(struct cursor *c, struct slice *s)
{
	struct cursor p = *c;
	struct imap_literal literal;
	struct slice bytes;
	if (!imap_take_literal_head(&p, &literal) || literal.bytes > cursor_left(&p) ||
	    !take_bytes(&p, (size_t)literal.bytes, &bytes) || slice_find_char(bytes, '\0') >= 0)
		return false;
	*s = bytes;
	*c = p;
	return true;
}

bool
imap_take_string(struct cursor *c, struct arena *a, struct slice *s)
{
	return take_quoted(c, a, s) || take_literal(c, s);
}

bool
imap_take_astring(struct cursor *c, struct arena *a, struct slice *s)
{
	return take_while(c, is_astring_char, s) || imap_take_string(c, a, s);
}

bool
imap_take_nstring(struct cursor *c, struct arena *a, struct slice *s, bool *nil)
{
	*nil = take_nocase(c, S("NIL"));
	return *nil || imap_take_string(c, a, s);
}

bool
imap_literal_at_end(struct slice line, struct imap_literal *literal)
{
	ptrdiff_t brace = slice_find_last_char(line, '{');
	if (brace < 0 || !slice_ends(line, S("}")))
		return false;
	struct slice inside = slice_part(line, (size_t)brace + 1, line.len - (size_t)brace - 2);
	literal->sync = !slice_ends(inside, S("+"));
	if (!literal->sync)
		inside.len--;
	return slice_to_u64(inside, &literal->bytes);
}

/* ---- numbers and sets */

/* nz-number = digit-nz *DIGIT */
bool
imap_take_nz_number(struct cursor *c, uint32_t *n)
{
	return peek(c) != '0' && take_u32(c, n);
}

bool
imap_take_modseq(struct cursor *c, uint64_t *n)
{
	struct cursor p = *c;
	if (!take_u64(&p, n) || *n > INT64_MAX)
		return false;
	*c = p;
	return true;
}

static bool
take_set_number(struct cursor *c, uint32_t *n)
{
	if (take_char(c, '*')) {
		*n = IMAP_STAR;
		return true;
	}
	return imap_take_nz_number(c, n);
}

/* seq-range = seq-number ":" seq-number / seq-number */
static bool
take_set_range(struct cursor *c, struct imap_range *r)
{
	bool first_star = peek(c) == '*';
	if (!take_set_number(c, &r->low))
		return false;
	r->high = r->low;
	r->star = first_star;
	if (!take_char(c, ':'))
		return true;
	bool second_star = peek(c) == '*';
	if (!take_set_number(c, &r->high))
		return false;
	r->star = first_star || second_star;
	if (r->low > r->high) {
		uint32_t low = r->high;
		r->high = r->low;
		r->low = low;
	}
	return true;
}

static size_t
count_set_elements(const struct cursor *c)
{
	size_t n = 1;
	for (const char *p = c->at; p < c->end && (ascii_digit(*p) || *p == ',' || *p == ':' || *p == '*'); p++)
		n += *p == ',';
	return n;
}

/* sequence-set = (seq-number / seq-range) *("," sequence-set) */
bool
imap_take_set(struct cursor *c, struct arena *a, struct imap_set *set)
{
	struct cursor p = *c;
	*set = (struct imap_set){ .saved = take_char(&p, '$') }; /* RFC 5182 3: seq-last-command, and nothing beside it */
	if (set->saved) {
		bool alone = cursor_done(&p) || !imap_is_atom_char(*p.at);
		*c = alone ? p : *c;
		return alone;
	}
	if (!ascii_digit((char)peek(&p)) && peek(&p) != '*')
		return false;
	set->ranges = ARENA_ARRAY(a, struct imap_range, count_set_elements(&p));
	do {
		if (!take_set_range(&p, &set->ranges[set->count++]))
			return false;
	} while (take_char(&p, ','));
	*c = p;
	return true;
}

/* ---- mailbox names */

/* RFC 9051 5.1, RFC 6855 3: U+0080 to U+009F, U+2028 and U+2029 are in no name, as UTF-8 has them */
static bool
has_separator(struct slice name)
{
	for (size_t i = 0; i + 1 < name.len; i++) {
		unsigned char a = (unsigned char)name.at[i], b = (unsigned char)name.at[i + 1];
		if (a == 0xc2 && b < 0xa0)
			return true;
		if (a == 0xe2 && b == 0x80 && i + 2 < name.len && ((unsigned char)name.at[i + 2] & 0xfe) == 0xa8)
			return true;
	}
	return false;
}

/* Names that no mailbox can have: control characters, empty levels, "." and ".." (which tools that export to a file
 * system could not keep). */
static bool
is_valid_name(struct slice name)
{
	if (!name.len || name.len > MAILBOX_NAME_BYTES_MAX || slice_has_control(name) || !slice_is_utf8(name) ||
	    has_separator(name))
		return false;
	struct slice level, rest = name;
	bool more = true;
	while (more) {
		more = slice_cut(rest, '/', &level, &rest);
		if (!level.len || slice_equal(level, S(".")) || slice_equal(level, S("..")))
			return false;
	}
	return true;
}

/* RFC 3501 5.1: INBOX is not case-sensitive; so that there is no second one beside it, neither is the first level. */
static struct slice
fold_inbox(struct arena *a, struct slice name)
{
	struct slice first, rest;
	bool deeper = slice_cut(name, '/', &first, &rest);
	if (!slice_equal_nocase(first, S("INBOX")))
		return name;
	return deeper ? arena_join(a, S("INBOX/"), rest) : S("INBOX");
}

static bool
decode_name(struct arena *a, enum imap_names names, struct slice wire, struct slice *name)
{
	struct buf utf8;
	if (names == NAMES_UTF8) {
		*name = wire;
		return slice_is_utf8(wire);
	}
	buf_init(&utf8, 4 * (size_t)MAILBOX_NAME_BYTES_MAX);
	bool ok = mutf7_decode(wire, &utf8);
	if (ok)
		*name = slice_keep(a, buf_slice(&utf8));
	buf_release(&utf8);
	return ok;
}

/* The one form of a name: RFC 9051 5.1: names are Net-Unicode, so in NFC; INBOX in capitals. */
static struct slice
canonical_name(struct arena *a, struct slice name)
{
	return fold_inbox(a, slice_is_ascii(name) ? name : nfc_keep(a, name));
}

bool
imap_take_supplied_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *name,
                           struct slice *supplied, bool *valid)
{
	struct slice wire;
	if (!imap_take_astring(c, a, &wire))
		return false;
	*name = *supplied = SLICE_NONE;
	/* RFC 3501 6.3.3: a delimiter at the end only says that children will follow */
	if (wire.len > 1 && slice_ends(wire, S("/")))
		wire.len--;
	*valid = decode_name(a, names, wire, supplied);
	if (*valid)
		*name = canonical_name(a, *supplied);
	*valid = *valid && is_valid_name(*name);
	return true;
}

bool
imap_take_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *name, bool *valid)
{
	struct slice supplied;
	return imap_take_supplied_mailbox(c, a, names, name, &supplied, valid);
}

bool
imap_take_list_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *pattern, bool *valid)
{
	struct slice wire;
	if (!take_while(c, is_list_char, &wire) && !imap_take_string(c, a, &wire))
		return false;
	*pattern = SLICE_NONE;
	*valid = wire.len <= MAILBOX_NAME_BYTES_MAX && decode_name(a, names, wire, pattern);
	if (*valid)
		*pattern = canonical_name(a, *pattern);
	return true;
}

/* ---- flags */

static const struct {
	struct slice word;
	uint32_t flag;
} system_flags[] = {
	{ S_ROW("\\Seen"), MESSAGE_SEEN },       { S_ROW("\\Answered"), MESSAGE_ANSWERED },
	{ S_ROW("\\Flagged"), MESSAGE_FLAGGED }, { S_ROW("\\Deleted"), MESSAGE_DELETED },
	{ S_ROW("\\Draft"), MESSAGE_DRAFT },
};

static bool
take_flag(struct cursor *c, struct imap_flags *flags)
{
	struct cursor p = *c;
	struct slice word;
	bool system = take_char(&p, '\\');
	if (!imap_take_atom(&p, &word))
		return false;
	if (!system) {
		if (flags->nkeywords == IMAP_KEYWORDS_MAX || word.len > IMAP_KEYWORD_BYTES_MAX)
			return false;
		flags->keywords[flags->nkeywords++] = word;
		*c = p;
		return true;
	}
	word = slice_of(c->at, (size_t)(p.at - c->at));
	for (size_t i = 0; i < COUNT_OF(system_flags); i++) {
		if (slice_equal_nocase(word, system_flags[i].word)) {
			flags->system |= system_flags[i].flag;
			*c = p;
			return true;
		}
	}
	return false;
}

static bool
take_flags(struct cursor *c, struct imap_flags *flags)
{
	do {
		if (!take_flag(c, flags))
			return false;
	} while (imap_take_space(c));
	return true;
}

static void
flags_start(struct imap_flags *flags, struct arena *a)
{
	*flags = (struct imap_flags){ .keywords = ARENA_ARRAY(a, struct slice, IMAP_KEYWORDS_MAX) };
}

/* flag-list = "(" [flag *(SP flag)] ")" */
bool
imap_take_flag_list(struct cursor *c, struct arena *a, struct imap_flags *flags)
{
	struct cursor p = *c;
	if (!take_char(&p, '('))
		return false;
	flags_start(flags, a);
	if (take_char(&p, ')') || (take_flags(&p, flags) && take_char(&p, ')'))) {
		*c = p;
		return true;
	}
	return false;
}

bool
imap_take_store_flags(struct cursor *c, struct arena *a, struct imap_flags *flags)
{
	if (imap_take_flag_list(c, a, flags))
		return true;
	struct cursor p = *c;
	flags_start(flags, a);
	if (!take_flags(&p, flags))
		return false;
	*c = p;
	return true;
}

/* ---- dates */

/* date = date-text / DQUOTE date-text DQUOTE */
bool
imap_take_date(struct cursor *c, int64_t *day)
{
	struct cursor p = *c;
	bool quoted = take_char(&p, '"');
	if (!take_imap_date(&p, day) || (quoted && !take_char(&p, '"')))
		return false;
	*c = p;
	return true;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
bool
imap_take_date_time(struct cursor *c, int64_t *seconds)
{
	struct cursor p = *c;
	if (!take_char(&p, '"') || !take_imap_date_time(&p, seconds) || !take_char(&p, '"'))
		return false;
	*c = p;
	return true;
}
