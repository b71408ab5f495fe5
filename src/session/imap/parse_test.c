/* SPDX-License-Identifier: Apache-2.0 */
/* parse_test.c - the grammar of IMAP: what is taken, and what is not. */
#include "session/imap/parse.h"

#include "session/imap/match.h"
#include "store/rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena arena;

static int
start(void **state)
{
	arena_init(&arena, 0);
	return 0;
}

static int
end(void **state)
{
	arena_release(&arena);
	return 0;
}

/* ---- strings */

static const struct {
	const char *what, *text, *value; /* value NULL: not taken */
} astrings[] = {
	{ "an atom", "hello", "hello" },
	{ "a quoted string", "\"a b\"", "a b" },
	{ "escapes in quotes", "\"a\\\"b\\\\\"", "a\"b\\" },
	{ "an empty quoted string", "\"\"", "" },
	{ "a literal", "{5}\r\nhello", "hello" },
	{ "a non-synchronizing literal", "{2+}\r\nhi", "hi" },
	{ "an empty literal", "{0}\r\n", "" },
	{ "a literal with a line end", "{2}\r\n\r\n", "\r\n" },
	{ "a closing bracket is fine in an astring", "a]b", "a]b" },
	{ "a literal that is cut", "{5}\r\nhell", NULL },
	{ "a quoted string that does not end", "\"abc", NULL },
	{ "a wrong escape", "\"a\\b\"", NULL },
	{ "a line end in quotes", "\"a\r\nb\"", NULL },
	{ "nothing", "", NULL },
	{ "a parenthesis", "(", NULL },
	{ "a literal without its line end", "{5}hello", NULL },
	{ "a literal of more than 64 bits", "{99999999999999999999}\r\nx", NULL },
};

static void
strings(void **state)
{
	for (size_t i = 0; i < COUNT_OF(astrings); i++) {
		struct cursor c = cursor_of(slice_text(astrings[i].text));
		struct slice s;
		bool ok = imap_take_astring(&c, &arena, &s) && take_end(&c);
		if (ok != (astrings[i].value != NULL) || (ok && !slice_equal(s, slice_text(astrings[i].value))))
			fail_msg("%s: %s", astrings[i].what, astrings[i].text);
	}
}

static const struct {
	const char *line;
	bool there;
	uint64_t bytes;
	bool sync;
} literals[] = {
	{ "a LOGIN {5}", true, 5, true },
	{ "a LOGIN {5+}", true, 5, false },
	{ "a LOGIN \"{5}\"", false, 0, false },
	{ "a LOGIN {x}", false, 0, false },
	{ "a LOGIN {}", false, 0, false },
	{ "a LOGIN 5}", false, 0, false },
	{ "{1}", true, 1, true },
	{ "", false, 0, false },
	{ "a {5} ", false, 0, false },
	{ "a {-5}", false, 0, false },
	{ "a {5++}", false, 0, false },
};

static void
literal_at_end(void **state)
{
	for (size_t i = 0; i < COUNT_OF(literals); i++) {
		struct imap_literal l;
		bool ok = imap_literal_at_end(slice_text(literals[i].line), &l);
		if (ok != literals[i].there || (ok && (l.bytes != literals[i].bytes || l.sync != literals[i].sync)))
			fail_msg("%s", literals[i].line);
	}
}

/* ---- sets, dates, names */

static void
sets(void **state)
{
	struct imap_set set;
	struct cursor c = cursor_of(S("1,5:3,7:*,*"));
	assert_true(imap_take_set(&c, &arena, &set) && take_end(&c));
	assert_int_equal(set.count, 4);
	assert_int_equal(set.ranges[0].low, 1);
	assert_int_equal(set.ranges[1].low, 3);
	assert_int_equal(set.ranges[1].high, 5);
	assert_true(set.ranges[2].star && set.ranges[2].low == 7);
	assert_true(set.ranges[3].star && set.ranges[3].low == IMAP_STAR);
	static const char *const bad[] = { "0", "1:0", ",1", "a", "", "1::2", "4294967296", "1,,2" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		c = cursor_of(slice_text(bad[i]));
		if (imap_take_set(&c, &arena, &set) && take_end(&c))
			fail_msg("%s was taken", bad[i]);
	}
}

static const struct {
	const char *text;
	int64_t seconds; /* -1: not taken */
} date_times[] = {
	{ "\"17-Jul-1996 02:44:25 -0700\"", 837596665 },
	{ "\" 1-Jan-1970 00:00:00 +0000\"", 0 },
	{ "\"29-Feb-2024 12:00:00 +0000\"", 1709208000 },
	{ "\"29-Feb-2023 12:00:00 +0000\"", -1 },
	{ "\"1-Jan-1970 00:00:00 +0000\"", -1 },
	{ "\"32-Jan-1970 00:00:00 +0000\"", -1 },
	{ "\"01-Jan-1970 24:00:00 +0000\"", -1 },
	{ "\"01-Foo-1970 00:00:00 +0000\"", -1 },
	{ "01-Jan-1970 00:00:00 +0000", -1 },
};

static void
dates(void **state)
{
	int64_t v;
	for (size_t i = 0; i < COUNT_OF(date_times); i++) {
		struct cursor c = cursor_of(slice_text(date_times[i].text));
		bool ok = imap_take_date_time(&c, &v);
		if (ok != (date_times[i].seconds >= 0) || (ok && v != date_times[i].seconds))
			fail_msg("%s", date_times[i].text);
	}
	struct cursor c = cursor_of(S("1-Feb-1994"));
	assert_true(imap_take_date(&c, &v) && take_end(&c));
	assert_int_equal(v, 8797);
	c = cursor_of(S("\"01-Feb-1994\""));
	assert_true(imap_take_date(&c, &v) && take_end(&c));
}

static const struct {
	const char *what, *text, *name; /* name NULL: no mailbox can have it */
} names[] = {
	{ "an ordinary name", "Sent", "Sent" },
	{ "INBOX in any case", "inBox", "INBOX" },
	{ "below INBOX", "inbox/a", "INBOX/a" },
	{ "modified UTF-7", "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "a delimiter at the end", "a/b/", "a/b" },
	{ "an empty level", "a//b", NULL },
	{ "a delimiter at the start", "/a", NULL },
	{ "dots", "../a", NULL },
	{ "malformed UTF-7", "\"a&b\"", NULL },
	{ "empty", "\"\"", NULL },
	{ "a control character", "{1}\r\n\x01", NULL },
	{ "an accent that follows its letter", "u&Awg-", "\xc3\xbc" },
	{ "INBOX and a name below it", "INBOX/u&Awg-", "INBOX/\xc3\xbc" },
	{ "a line separator", "a&ICg-", NULL },
	{ "a control character of C1", "a&AIU-", NULL },
	{ "8-bit", "\"\xc3\xbc\"", NULL },
};

static void
mailbox_names(void **state)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct cursor c = cursor_of(slice_text(names[i].text));
		struct slice name;
		bool valid;
		if (!imap_take_mailbox(&c, &arena, NAMES_UTF7, &name, &valid) || !take_end(&c) ||
		    valid != (names[i].name != NULL) || (valid && !slice_equal(name, slice_text(names[i].name))))
			fail_msg("%s", names[i].what);
	}
}

static const struct {
	const char *what, *text, *name, *supplied;
} utf8_names[] = {
	{ "UTF-8 in quotes", "\"\xc3\xbc/&\"", "\xc3\xbc/&", "\xc3\xbc/&" },
	{ "& is a letter", "a&b", "a&b", "a&b" },
	{ "what would be UTF-7", "a&APw-", "a&APw-", "a&APw-" },
	{ "INBOX", "inbox", "INBOX", "inbox" },
	{ "an accent that follows its letter", "{3+}\r\nu\xcc\x88", "\xc3\xbc", "u\xcc\x88" },
	{ "no UTF-8", "{1}\r\n\xfc", NULL, NULL },
	{ "a paragraph separator", "\"\xe2\x80\xa9\"", NULL, NULL },
};

static void
mailbox_names_in_utf8(void **state)
{
	for (size_t i = 0; i < COUNT_OF(utf8_names); i++) {
		struct cursor c = cursor_of(slice_text(utf8_names[i].text));
		struct slice name, supplied;
		bool valid;
		if (!imap_take_supplied_mailbox(&c, &arena, NAMES_UTF8, &name, &supplied, &valid) || !take_end(&c) ||
		    valid != (utf8_names[i].name != NULL) ||
		    (valid && (!slice_equal(name, slice_text(utf8_names[i].name)) ||
		               !slice_equal(supplied, slice_text(utf8_names[i].supplied)))))
			fail_msg("%s", utf8_names[i].what);
	}
}

static void
flags(void **state)
{
	struct imap_flags f;
	struct cursor c = cursor_of(S("(\\Seen \\DELETED $Forwarded x)"));
	assert_true(imap_take_flag_list(&c, &arena, &f) && take_end(&c));
	assert_int_equal(f.system, MESSAGE_SEEN | MESSAGE_DELETED);
	assert_int_equal(f.nkeywords, 2);
	c = cursor_of(S("()"));
	assert_true(imap_take_flag_list(&c, &arena, &f));
	c = cursor_of(S("\\Seen x"));
	assert_true(imap_take_store_flags(&c, &arena, &f) && take_end(&c));
	static const char *const bad[] = { "(\\Recent)", "(\\Foo)", "(x", "( x)", "(x )", "(\\)" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		c = cursor_of(slice_text(bad[i]));
		if (imap_take_flag_list(&c, &arena, &f))
			fail_msg("%s was taken", bad[i]);
	}
}

/* The steps through a command, as letters; messages are cut out of the text, {} stands for them. */
static const struct append_row {
	const char *what;
	const char *text; /* behind the mailbox name; stretches end with CRLF */
	const char *steps;
} append_rows[] = {
	{ "a message", " {5}\r\n|", "MLE." },
	{ "flags and a date", " (\\Seen x) \" 1-Jan-2020 00:00:00 +0000\" {5+}\r\n|", "MLE." },
	{ "two", " {5}\r\n| (\\Seen) {6}\r\n|", "MLEMLE." },
	{ "binary", " ~{5}\r\n|", "MBE." },
	{ "UTF-8", " UTF8 (~{5+}\r\n|)", "MUE." },
	{ "UTF-8 is binary", " UTF8 ({5+}\r\n|)", "M!" },
	{ "UTF-8 without its end", " UTF8 (~{5+}\r\n|", "MU!" },
	{ "parts", " CATENATE (TEXT {5}\r\n| URL \"x\" URL y TEXT {6+}\r\n|)", "MLuuLE." },
	{ "parts without text", " CATENATE (URL x)", "MuE." },
	{ "a URL as a literal", " CATENATE (URL {5}\r\n|)", "MlE." },
	{ "UTF-8 among parts", " CATENATE (UTF8 (~{5}\r\n|) URL x)", "MUuE." },
	{ "parts and a message", " CATENATE (URL x) {5}\r\n|", "MuEMLE." },
	{ "no parts", " CATENATE ()", "M!" },
	{ "no message", "", "!" },
	{ "nothing behind a space", " ", "M!" },
	{ "two spaces", "  {5}\r\n|", "M!" },
	{ "something behind a message", " {5}\r\n|x", "MLE!" },
	{ "parts without a space", " CATENATE (URL xTEXT {5}\r\n|)", "Mu!" },
	{ "a list in a list", " CATENATE ((URL x))", "M!" },
	{ "a flag that is none", " (\\Foo) {5}\r\n|", "!" },
	{ "a quoted string", " \"hello\"", "!" },
};

static void
append_steps(void **state)
{
	for (size_t i = 0; i < COUNT_OF(append_rows); i++) {
		struct imap_append p = { .at = APPEND_AT_MESSAGE };
		char got[20] = "";
		enum imap_append_step step = APPEND_MESSAGE;
		struct slice left = slice_text(append_rows[i].text);
		ptrdiff_t end = slice_find_char(left, '|');
		struct cursor c = cursor_of(slice_part(left, 0, end < 0 ? left.len : (size_t)end));
		for (size_t n = 0; step != APPEND_END && step != APPEND_FAULT && n < sizeof got - 1; n++) {
			step = imap_append_next(&c, &arena, &p);
			got[n] = step == APPEND_LITERAL && p.utf8     ? 'U'
			         : step == APPEND_LITERAL && p.binary ? 'B'
			                                              : "MLulE.!"[step];
			if (step != APPEND_LITERAL && step != APPEND_URL_LITERAL)
				continue;
			left = slice_from(left, (size_t)end + 1);
			end = slice_find_char(left, '|');
			c = cursor_of(slice_part(left, 0, end < 0 ? left.len : (size_t)end));
		}
		if (strcmp(got, append_rows[i].steps) != 0)
			fail_msg("%s: %s", append_rows[i].what, got);
	}
}

static void
append(void **state)
{
	assert_true(imap_is_append(S("a APPEND INBOX {5}\r\n"), &arena));
	assert_true(imap_is_append(S("a append \"x y\" (\\Seen) \" 1-Jan-2020 00:00:00 +0000\" {5+}\r\n"), &arena));
	assert_true(imap_is_append(S("a APPEND {1}\r\nx {5}\r\n"), &arena));
	assert_true(imap_is_append(S("a APPEND x CATENATE (URL y TEXT {5}\r\n"), &arena));
	assert_true(imap_is_append(S("a APPEND x CATENATE (URL {5}\r\n"), &arena));
	assert_true(imap_is_append(S("a APPEND x UTF8 (~{5}\r\n"), &arena));
	assert_true(imap_is_append(S("a REPLACE 5 x {5}\r\n"), &arena));
	assert_true(imap_is_append(S("a UID REPLACE * x ~{5}\r\n"), &arena));
	assert_false(imap_is_append(S("a APPEND {5}\r\n"), &arena));
	assert_false(imap_is_append(S("a APPEND {0}\r\n"), &arena));
	assert_false(imap_is_append(S("a APPEND x CATENATE (URL y)"), &arena));
	assert_false(imap_is_append(S("a APPEND INBOX (\\Foo) {5}\r\n"), &arena));
	assert_false(imap_is_append(S("a REPLACE x {5}\r\n"), &arena));
	assert_false(imap_is_append(S("a NOOP {5}\r\n"), &arena));
}

/* ---- FETCH */

static const struct {
	const char *text, *label; /* of the first section; "" none, NULL not taken */
	uint32_t items;
} fetches[] = {
	{ "FLAGS", "", FETCH_FLAGS },
	{ "(UID FLAGS RFC822.SIZE)", "", FETCH_UID | FETCH_FLAGS | FETCH_SIZE },
	{ "FAST", "", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE },
	{ "BODY", "", FETCH_BODY },
	{ "bodystructure", "", FETCH_BODYSTRUCTURE },
	{ "BODY[]", "BODY[]", 0 },
	{ "BODY.PEEK[]<0.100>", "BODY[]<0>", 0 },
	{ "BODY[HEADER]", "BODY[HEADER]", 0 },
	{ "(BODY.PEEK[HEADER.FIELDS (DATE From)] UID)", "BODY[HEADER.FIELDS (DATE From)]", FETCH_UID },
	{ "BODY[HEADER.FIELDS.NOT (\"a(b\")]", "BODY[HEADER.FIELDS.NOT (\"a(b\")]", 0 },
	{ "BODY[1.2.MIME]", "BODY[1.2.MIME]", 0 },
	{ "BODY[4.1.HEADER.FIELDS (x)]<5.6>", "BODY[4.1.HEADER.FIELDS (x)]<5>", 0 },
	{ "BODY[1.TEXT]", "BODY[1.TEXT]", 0 },
	{ "RFC822", "RFC822", 0 },
	{ "RFC822.HEADER", "RFC822.HEADER", 0 },
	{ "(PREVIEW (LAZY) UID)", "", FETCH_PREVIEW | FETCH_UID },
	{ "PREVIEW", "", FETCH_PREVIEW },
	{ "PREVIEW (NONE)", NULL, 0 },
	{ "(FAST)", NULL, 0 },
	{ "()", NULL, 0 },
	{ "(FLAGS", NULL, 0 },
	{ "FLAGS UID", NULL, 0 },
	{ "BODY[MIME]", NULL, 0 },
	{ "BODY[0]", NULL, 0 },
	{ "BODY[1.]", NULL, 0 },
	{ "BODY[]<1.0>", NULL, 0 },
	{ "BODY[HEADER.FIELDS ()]", NULL, 0 },
	{ "BODY[HEADER.FIELDS (a:b)]", NULL, 0 },
	{ "BODY[", NULL, 0 },
	{ "ENVELOPES", NULL, 0 },
	{ "BODY.PEEK", NULL, 0 },
};

static void
fetch_items(void **state)
{
	for (size_t i = 0; i < COUNT_OF(fetches); i++) {
		struct cursor c = cursor_of(slice_text(fetches[i].text));
		struct imap_fetch f;
		bool ok = imap_take_fetch(&c, &arena, &f) && take_end(&c);
		if (ok != (fetches[i].label != NULL))
			fail_msg("%s %s", fetches[i].text, ok ? "was taken" : "was refused");
		if (!ok)
			continue;
		struct slice label = f.nsections ? f.sections[0].label : S("");
		if (f.items != fetches[i].items || !slice_equal(label, slice_text(fetches[i].label)))
			fail_msg("%s: %u %.*s", fetches[i].text, f.items, SLICE_ARG(label));
	}
}

/* ---- SELECT */

static const struct {
	const char *text;
	bool taken, qresync;
	size_t known, pairs;
} selects[] = {
	{ "", true, false, 0, 0 },
	{ " (CONDSTORE)", true, false, 0, 0 },
	{ " (condstore qresync (1 2))", true, true, 0, 0 },
	{ " (QRESYNC (1 2 3:4,7))", true, true, 2, 0 },
	{ " (QRESYNC (1 2 (5,6 7,8)))", true, true, 0, 2 },
	{ " (QRESYNC (1 2 3 (5 7)))", true, true, 1, 1 },
	{ " ()", false, false, 0, 0 },
	{ " (QRESYNC (1 2) QRESYNC (1 2))", false, false, 0, 0 },
	{ " (QRESYNC (1 0))", false, false, 0, 0 },
	{ " (QRESYNC (1 2 3:*))", false, false, 0, 0 },
	{ " (QRESYNC (1 2 3 (5)))", false, false, 0, 0 },
};

static void
select_parameters(void **state)
{
	for (size_t i = 0; i < COUNT_OF(selects); i++) {
		struct cursor c = cursor_of(slice_text(selects[i].text));
		struct imap_select s;
		bool ok = imap_take_select_params(&c, &arena, &s) && take_end(&c);
		if (ok != selects[i].taken)
			fail_msg("%s %s", selects[i].text, ok ? "was taken" : "was refused");
		if (ok && (s.qresync != selects[i].qresync || s.known_uids.count != selects[i].known ||
		           s.match_numbers.count != selects[i].pairs))
			fail_msg("%s", selects[i].text);
	}
}

/* ---- SEARCH */

static const char *const op_names[] = {
	[SEARCH_ALL] = "ALL",
	[SEARCH_AND] = "and",
	[SEARCH_OR] = "or",
	[SEARCH_NOT] = "not",
	[SEARCH_SEQUENCE] = "seq",
	[SEARCH_UID] = "uid",
	[SEARCH_FLAG] = "flag",
	[SEARCH_KEYWORD] = "keyword",
	[SEARCH_RECENT] = "RECENT",
	[SEARCH_BEFORE] = "BEFORE",
	[SEARCH_ON] = "ON",
	[SEARCH_SINCE] = "SINCE",
	[SEARCH_LARGER] = "LARGER",
	[SEARCH_SMALLER] = "SMALLER",
	[SEARCH_SENTBEFORE] = "SENTBEFORE",
	[SEARCH_SENTON] = "SENTON",
	[SEARCH_SENTSINCE] = "SENTSINCE",
	[SEARCH_MODSEQ] = "MODSEQ",
	[SEARCH_OLDER] = "OLDER",
	[SEARCH_YOUNGER] = "YOUNGER",
	[SEARCH_SAVEDBEFORE] = "SAVEDBEFORE",
	[SEARCH_SAVEDON] = "SAVEDON",
	[SEARCH_SAVEDSINCE] = "SAVEDSINCE",
	[SEARCH_HEADER] = "header",
	[SEARCH_BODY] = "BODY",
	[SEARCH_TEXT] = "TEXT",
};

static const struct {
	const char *text, *postfix; /* NULL: refused */
} searches[] = {
	{ "ALL", "ALL" },
	{ "SEEN UNSEEN", "flag flag not and" },
	{ "NOT NOT DELETED", "flag not not" },
	{ "OR SEEN OR 1:3 UID 5", "flag seq uid or or" },
	{ "(SEEN (LARGER 5 SMALLER 6))", "flag LARGER SMALLER and and" },
	{ "NOT (SEEN DELETED) ALL", "flag flag and not ALL and" },
	{ "UIDAFTER 5 UIDBEFORE 9", "uid uid and" },
	{ "NEW", "RECENT flag not and" },
	{ "OLD", "RECENT not" },
	{ "OR NOT SEEN (ALL)", "flag not ALL or" },
	{ "SUBJECT \"a b\" HEADER X-Y z", "header header and" },
	{ "TEXT {2}\r\n) ", "TEXT" },
	{ "SINCE 1-Feb-1994", "SINCE" },
	{ "CHARSET UTF-8 BODY x", "BODY" },
	{ "KEYWORD $Forwarded", "keyword" },
	{ "MODSEQ 5 OR MODSEQ \"/flags/\\\\draft\" all 6 SEEN", "MODSEQ MODSEQ flag or and" },
	{ "MODSEQ 9223372036854775808", NULL },
	{ "OR $ NOT UID $", "uid uid not or" },
	{ "$Junk", NULL },
	{ "SAVEDON 1-Feb-1994 SAVEDATESUPPORTED", "SAVEDON ALL and" },
	{ "$,5", NULL },
	{ "OLDER 5 YOUNGER 4294967295", "OLDER YOUNGER and" },
	{ "OLDER 0", NULL },
	{ "MODSEQ \"/flags/x\" 6", NULL },
	{ "", NULL },
	{ "ALL ", NULL },
	{ " ALL", NULL },
	{ "(", NULL },
	{ "()", NULL },
	{ "(ALL", NULL },
	{ "ALL)", NULL },
	{ "OR SEEN", NULL },
	{ "NOT", NULL },
	{ "NOT )", NULL },
	{ "(OR SEEN) ALL", NULL },
	{ "BOGUS", NULL },
	{ "SUBJECT", NULL },
	{ "SINCE yesterday", NULL },
	{ "CHARSET UTF-8", NULL },
	{ "ALL  ALL", NULL },
};

static void
search_programs(void **state)
{
	for (size_t i = 0; i < COUNT_OF(searches); i++) {
		struct cursor c = cursor_of(slice_text(searches[i].text));
		struct imap_search s;
		bool ok = imap_parse_search(&c, &arena, &s) == SEARCH_FINE;
		if (ok != (searches[i].postfix != NULL))
			fail_msg("'%s' %s", searches[i].text, ok ? "was taken" : "was refused");
		struct buf b;
		buf_init(&b, 10000);
		for (size_t k = 0; ok && k < s.count; k++)
			buf_printf(&b, "%s%s", k ? " " : "", op_names[s.keys[k].op]);
		if (ok && !slice_equal(buf_slice(&b), slice_text(searches[i].postfix)))
			fail_msg("'%s': %.*s", searches[i].text, SLICE_ARG(buf_slice(&b)));
		buf_release(&b);
	}
}

static enum imap_search_fault
fault_of(const char *repeated, size_t times, const char *tail)
{
	struct buf b;
	struct imap_search s;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < times; i++)
		buf_put(&b, slice_text(repeated));
	buf_put(&b, slice_text(tail));
	struct cursor c = cursor_of(buf_slice(&b));
	enum imap_search_fault f = imap_parse_search(&c, &arena, &s);
	buf_release(&b);
	return f;
}

static void
search_limits(void **state)
{
	assert_int_equal(fault_of("NOT ", 62, "ALL"), SEARCH_FINE);
	assert_int_equal(fault_of("NOT ", 64, "ALL"), SEARCH_TOO_DEEP);
	assert_int_equal(fault_of("(", 100000, "ALL"), SEARCH_TOO_DEEP);
	assert_int_equal(fault_of("OR ", 64, "ALL"), SEARCH_TOO_DEEP);
	assert_int_equal(fault_of("ALL ", 999, "ALL"), SEARCH_FINE);
	assert_int_equal(fault_of("ALL ", 1000, "ALL"), SEARCH_TOO_MANY);
	assert_int_equal(fault_of("NEW ", 600, "ALL"), SEARCH_TOO_MANY);
}

/* ---- wildcards */

static const struct {
	const char *pattern, *name;
	bool match;
} matches[] = {
	{ "*", "a/b", true },       { "%", "a", true },          { "%", "a/b", false },      { "a/%", "a/b", true },
	{ "a*c", "abc/c", true },   { "%/b", "a/b", true },      { "%/%", "a/b", true },     { "%/%", "a/b/c", false },
	{ "*%", "a/b", true },      { "%*", "a/b", true },       { "*/c", "a/b/c", true },   { "a%b*c", "axb/c", true },
	{ "", "", true },           { "", "a", false },          { "INBOX", "INBOX", true }, { "*a%b", "xa/ab", true },
	{ "%a%b%", "xaybz", true }, { "%a%b%", "xa/bz", false }, { "a", "A", false },        { "*b", "abab", true },
};

static void
wildcards(void **state)
{
	for (size_t i = 0; i < COUNT_OF(matches); i++)
		if (imap_match(slice_text(matches[i].pattern), slice_text(matches[i].name)) != matches[i].match)
			fail_msg("%s with %s", matches[i].pattern, matches[i].name);
	char pattern[900], name[1000];
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = i % 3 == 0 ? '%' : i % 3 == 1 ? '*' : 'a';
	memset(name, 'a', sizeof name);
	name[sizeof name - 1] = 'b';
	(void)imap_match(slice_of(pattern, sizeof pattern), slice_of(name, sizeof name)); /* ends soon */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strings, start, end),
		cmocka_unit_test_setup_teardown(literal_at_end, start, end),
		cmocka_unit_test_setup_teardown(sets, start, end),
		cmocka_unit_test_setup_teardown(dates, start, end),
		cmocka_unit_test_setup_teardown(mailbox_names, start, end),
		cmocka_unit_test_setup_teardown(mailbox_names_in_utf8, start, end),
		cmocka_unit_test_setup_teardown(flags, start, end),
		cmocka_unit_test_setup_teardown(append, start, end),
		cmocka_unit_test_setup_teardown(append_steps, start, end),
		cmocka_unit_test_setup_teardown(fetch_items, start, end),
		cmocka_unit_test_setup_teardown(select_parameters, start, end),
		cmocka_unit_test_setup_teardown(search_programs, start, end),
		cmocka_unit_test_setup_teardown(search_limits, start, end),
		cmocka_unit_test(wildcards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
