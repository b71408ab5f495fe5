/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - atoms, strings, sets, flags, dates and mailbox names of IMAP (RFC 3501 9). Pure; results live in the arena
 * or in the text itself. FETCH and SEARCH have files of their own. */
#include "session/imap/parse.h"

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
static bool
take_literal_head(struct cursor *c, struct imap_literal *literal)
{
	struct cursor p = *c;
	uint64_t bytes;
	if (!take_char(&p, '{') || !take_u64(&p, &bytes))
		return false;
	bool sync = !take_char(&p, '+');
	if (!take_char(&p, '}') || !take_exact(&p, S("\r\n")))
		return false;
	*literal = (struct imap_literal){ bytes, sync };
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
	if (!take_literal_head(&p, &literal) || literal.bytes > cursor_left(&p) ||
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
	if (!ascii_digit((char)peek(&p)) && peek(&p) != '*')
		return false;
	set->ranges = ARENA_ARRAY(a, struct imap_range, count_set_elements(&p));
	set->count = 0;
	do {
		if (!take_set_range(&p, &set->ranges[set->count++]))
			return false;
	} while (take_char(&p, ','));
	*c = p;
	return true;
}

/* ---- mailbox names */

/* Names that no mailbox can have: control characters, empty levels, "." and ".." (which tools that export to a file
 * system could not keep). */
static bool
is_valid_name(struct slice name)
{
	if (!name.len || name.len > MAILBOX_NAME_BYTES_MAX || slice_has_control(name) || !slice_is_utf8(name))
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
decode_name(struct arena *a, struct slice wire, struct slice *name)
{
	struct buf utf8;
	buf_init(&utf8, 4 * (size_t)MAILBOX_NAME_BYTES_MAX);
	bool ok = mutf7_decode(wire, &utf8);
	if (ok)
		*name = fold_inbox(a, slice_keep(a, buf_slice(&utf8)));
	buf_release(&utf8);
	return ok;
}

bool
imap_take_mailbox(struct cursor *c, struct arena *a, struct slice *name, bool *valid)
{
	struct slice wire;
	if (!imap_take_astring(c, a, &wire))
		return false;
	*name = SLICE_NONE;
	/* RFC 3501 6.3.3: a delimiter at the end only says that children will follow */
	if (wire.len > 1 && slice_ends(wire, S("/")))
		wire.len--;
	*valid = decode_name(a, wire, name) && is_valid_name(*name);
	return true;
}

bool
imap_take_list_mailbox(struct cursor *c, struct arena *a, struct slice *pattern, bool *valid)
{
	struct slice wire;
	if (!take_while(c, is_list_char, &wire) && !imap_take_string(c, a, &wire))
		return false;
	*pattern = SLICE_NONE;
	*valid = wire.len <= MAILBOX_NAME_BYTES_MAX && decode_name(a, wire, pattern);
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

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* Days since 1970 in the proleptic Gregorian calendar. */
int64_t
imap_day_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool
take_digits(struct cursor *c, size_t n, int *value)
{
	if (cursor_left(c) < n)
		return false;
	int v = 0;
	for (size_t i = 0; i < n; i++) {
		if (!ascii_digit(c->at[i]))
			return false;
		v = v * 10 + (c->at[i] - '0');
	}
	*value = v;
	c->at += n;
	return true;
}

static bool
take_month(struct cursor *c, int *month)
{
	for (int i = 0; i < 12; i++) {
		if (take_nocase(c, slice_of(months[i], 3))) {
			*month = i + 1;
			return true;
		}
	}
	return false;
}

static bool
take_month_year(struct cursor *c, int *month, int *year)
{
	return take_char(c, '-') && take_month(c, month) && take_char(c, '-') && take_digits(c, 4, year);
}

static bool
is_day(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* date-text = date-day "-" date-month "-" date-year, with or without quotes */
bool
imap_take_date(struct cursor *c, int64_t *day)
{
	struct cursor p = *c;
	bool quoted = take_char(&p, '"');
	int d, m, y;
	if (!(take_digits(&p, 2, &d) || take_digits(&p, 1, &d)) || !take_month_year(&p, &m, &y) || !is_day(y, m, d) ||
	    (quoted && !take_char(&p, '"')))
		return false;
	*day = imap_day_of(y, m, d);
	*c = p;
	return true;
}

static bool
take_time(struct cursor *c, int *seconds)
{
	int h, m, s;
	if (!take_digits(c, 2, &h) || !take_char(c, ':') || !take_digits(c, 2, &m) || !take_char(c, ':') ||
	    !take_digits(c, 2, &s) || h > 23 || m > 59 || s > 60)
		return false;
	*seconds = h * 3600 + m * 60 + s;
	return true;
}

static bool
take_zone(struct cursor *c, int *seconds)
{
	int h, m;
	bool west = take_char(c, '-');
	if ((!west && !take_char(c, '+')) || !take_digits(c, 2, &h) || !take_digits(c, 2, &m) || m > 59)
		return false;
	*seconds = (h * 3600 + m * 60) * (west ? -1 : 1);
	return true;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
bool
imap_take_date_time(struct cursor *c, int64_t *seconds)
{
	struct cursor p = *c;
	int d, m, y, time, zone;
	if (!take_char(&p, '"') || !((imap_take_space(&p) && take_digits(&p, 1, &d)) || take_digits(&p, 2, &d)) ||
	    !take_month_year(&p, &m, &y) || !is_day(y, m, d) || !imap_take_space(&p) || !take_time(&p, &time) ||
	    !imap_take_space(&p) || !take_zone(&p, &zone) || !take_char(&p, '"'))
		return false;
	*seconds = imap_day_of(y, m, d) * 86400 + time - zone;
	*c = p;
	return true;
}

static void
put_digits(char *to, int n, int64_t v)
{
	while (n--) {
		to[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

void
imap_put_date_time(char to[IMAP_DATE_TIME_BYTES], int64_t seconds)
{
	/* the year has four digits here: 0001 to 9999 */
	seconds = MIN(MAX(seconds, INT64_C(-62135596800)), INT64_C(253402300799));
	int64_t days = seconds / 86400, time = seconds % 86400;
	if (time < 0) {
		time += 86400;
		days--;
	}
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100), mp = (5 * of_year + 2) / 153;
	int64_t day = of_year - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
	memcpy(to, "dd-mmm-yyyy hh:mm:ss +0000", IMAP_DATE_TIME_BYTES);
	put_digits(to, 2, day);
	if (to[0] == '0')
		to[0] = ' ';
	memcpy(to + 3, months[month - 1], 3);
	put_digits(to + 7, 4, year + era * 400 + (month <= 2));
	put_digits(to + 12, 2, time / 3600);
	put_digits(to + 15, 2, time / 60 % 60);
	put_digits(to + 18, 2, time % 60);
}

/* ---- APPEND */

bool
imap_take_append(struct cursor *c, struct arena *a, struct imap_append *append)
{
	struct cursor p = *c;
	struct imap_literal literal;
	*append = (struct imap_append){ .dated = false };
	if (!imap_take_mailbox(&p, a, &append->mailbox, &append->valid) || !imap_take_space(&p))
		return false;
	if (peek(&p) == '(' && !(imap_take_flag_list(&p, a, &append->flags) && imap_take_space(&p)))
		return false;
	if (peek(&p) == '"') {
		append->dated = imap_take_date_time(&p, &append->date);
		if (!append->dated || !imap_take_space(&p))
			return false;
	}
	if (!take_literal_head(&p, &literal) || !take_end(&p))
		return false;
	*c = p;
	return true;
}

bool
imap_is_append(struct slice command, struct arena *a)
{
	struct cursor c = cursor_of(command);
	struct slice tag;
	struct imap_append ignored;
	return imap_take_tag(&c, &tag) && take_nocase(&c, S(" APPEND ")) && imap_take_append(&c, a, &ignored);
}
