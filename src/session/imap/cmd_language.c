/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_language.c - LANGUAGE: in which language texts are told; COMPARATOR: how SEARCH, SORT and THREAD compare them
 * (RFC 5255). The texts are in session/lang.c. */
#include "session/imap/imap.h"
#include "session/imap/match.h"

enum { RANGES_MAX = 100 };

/* *(SP astring); false: more than that. */
static bool
take_strings(struct imap *im, struct cursor *args, struct slice *strings, size_t *n)
{
	for (*n = 0; *n < RANGES_MAX && imap_take_space(args); ++*n)
		if (!imap_take_astring(args, &im->arena, &strings[*n]))
			return false;
	return take_end(args);
}

/* ---- LANGUAGE, RFC 5255 3.2 */

static void
put_languages(struct imap *im, enum lang first, enum lang last)
{
	buf_put(&im->text, S("* LANGUAGE ("));
	for (enum lang l = first; l <= last; l++) {
		if (l != first)
			buf_put_char(&im->text, ' ');
		buf_put(&im->text, lang_tag(l));
	}
	buf_put(&im->text, S(")\r\n"));
}

struct imap_reply
imap_cmd_language(struct imap *im, struct cursor *args)
{
	struct slice ranges[RANGES_MAX];
	size_t n;
	if (!take_strings(im, args, ranges, &n))
		return imap_bad("LANGUAGE takes languages");
	if (n == 0) {
		put_languages(im, LANG_DEFAULT, LANG_COUNT - 1);
		return imap_ok("these are the languages");
	}
	enum lang lang, preferred = lang_preferred(slice_text(im->c->conf->v.language));
	for (size_t i = 0; i < n; i++) {
		if (!lang_of_range(ranges[i], preferred, &lang))
			continue;
		im->language = lang;
		put_languages(im, lang, lang);
		if (im->state & IMAP_LOGGED_IN)
			imap_put_namespace(im);
		return imap_ok("this is the language now");
	}
	return imap_no(NULL, "none of these languages is spoken here");
}

/* ---- COMPARATOR, RFC 5255 4.7 */

static const struct slice comparators[] = {
	[FOLD_UNICODE] = S_ROW("i;unicode-casemap"),
	[FOLD_ASCII] = S_ROW("i;ascii-casemap"),
	[FOLD_OCTET] = S_ROW("i;octet"),
};

/* collation-order = ["+" / "-"] collation-wild (RFC 4790 4.4): "*" stands for anything. SORT has REVERSE for "-". */
static bool
is_meant(struct imap *im, struct slice wild, enum fold_how how)
{
	if (slice_equal_nocase(wild, S("default")))
		return how == FOLD_UNICODE;
	if (slice_starts(wild, S("+")))
		wild = slice_from(wild, 1);
	char *lower = arena_alloc(&im->arena, wild.len + 1);
	for (size_t i = 0; i < wild.len; i++)
		lower[i] = ascii_lower(wild.at[i]);
	return slice_find_char(wild, '%') < 0 && imap_match(slice_of(lower, wild.len), comparators[how]);
}

static void
put_comparator(struct imap *im, uint32_t meant)
{
	buf_put(&im->text, S("* COMPARATOR "));
	buf_put(&im->text, comparators[im->collation]);
	if (meant & (meant - 1)) { /* 4.8: a list when more than one was meant */
		buf_put(&im->text, S(" ("));
		for (size_t i = 0; i < COUNT_OF(comparators); i++) {
			if (!(meant >> i & 1))
				continue;
			buf_put(&im->text, comparators[i]);
			buf_put_char(&im->text, ' ');
		}
		buf_drop_end(&im->text, 1);
		buf_put_char(&im->text, ')');
	}
	buf_put(&im->text, S("\r\n"));
}

struct imap_reply
imap_cmd_comparator(struct imap *im, struct cursor *args)
{
	struct slice orders[RANGES_MAX];
	uint32_t meant = 0;
	size_t n;
	if (!take_strings(im, args, orders, &n))
		return imap_bad("COMPARATOR takes the names of collations");
	for (size_t i = 0; i < n; i++) {
		for (enum fold_how how = FOLD_UNICODE; how <= FOLD_OCTET; how++) {
			if (!is_meant(im, orders[i], how))
				continue;
			if (!meant) /* the first wins */
				im->collation = how;
			meant |= 1u << how;
		}
	}
	if (n && !meant)
		return imap_no("BADCOMPARATOR", "there is no such way to compare texts");
	put_comparator(im, meant);
	return imap_ok("this is how texts are compared now");
}
