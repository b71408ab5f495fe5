/* SPDX-License-Identifier: Apache-2.0 */
/* filters.c - searches that were given a name (RFC 5466): FILTER name stands for the text of the annotation
 * "/private/filters/values/name" of the server, or of the one under "/shared". The text takes the place of the key,
 * then all is parsed again, until no filter is named any more. Called by whoever parses a search program. */
#include "session/imap/search.h"

enum {
	REPLACEMENTS_MAX = 100, /* of one command: filters that name each other come to an end */
	PROGRAM_BYTES_MAX = 64 << 10,
};

/* The text of a filter; empty: there is none. */
static enum err
await_filter(struct imap *im, struct arena *a, struct slice name, struct slice *text)
{
	char *lower = arena_alloc(a, name.len + 1);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(name.at[i]); /* RFC 5464 3.2: the case of entries does not matter */
	struct store_name entries[2] = {
		{ arena_join(a, S("/private/filters/values/"), slice_of(lower, name.len)) },
		{ arena_join(a, S("/shared/filters/values/"), slice_of(lower, name.len)) },
	};
	struct store_metadata_get_in in = { .name = S(""), .entries = entries, .nentries = 2 };
	struct store_metadata_get_out out = { 0 };
	*text = SLICE_NONE;
	if (entries[0].text.len > METADATA_ENTRY_BYTES_MAX)
		return OK;
	enum err e = await_imap_ask(im, metadata_get, &in, a, &out);
	for (uint32_t i = out.nannotations; e == OK && i-- > 0;)
		if (!out.annotations[i].gone)
			*text = out.annotations[i].value;
	return e;
}

static struct imap_reply
undefined(struct imap *im, struct slice name)
{
	return imap_no(arena_printf(&im->arena, "UNDEFINED-FILTER %.*s", SLICE_ARG(name)).at, "there is no such filter");
}

static bool
is_utf8(struct slice charset)
{
	return !charset.len || slice_equal_nocase(charset, S("UTF-8")) || slice_equal_nocase(charset, S("US-ASCII"));
}

/* Puts the filter in the place of the key that names it. OK status: *text is another now, in the arena. */
static struct imap_reply
await_replace(struct imap *im, struct arena *a, const struct imap_search *program, struct slice *text)
{
	struct slice value, key = program->filter_key;
	if (!is_utf8(program->charset)) /* RFC 5466 3.1 */
		return (struct imap_reply){ IMAP_BAD, S("BADCHARSET (US-ASCII UTF-8)"), "filters are in UTF-8" };
	enum err e = await_filter(im, a, program->filter, &value);
	if (e != OK)
		return imap_err(e);
	if (!value.len || text->len + value.len > PROGRAM_BYTES_MAX)
		return undefined(im, program->filter);
	struct slice before = slice_of(text->at, (size_t)(key.at - text->at));
	struct slice after = slice_from(*text, before.len + key.len);
	*text = arena_join(a, arena_join(a, before, value), after);
	return imap_ok("");
}

static enum imap_search_fault
parse(struct slice text, struct arena *a, struct slice charset, struct imap_search *program)
{
	struct cursor c = cursor_of(text);
	enum imap_search_fault fault = imap_parse_search(&c, a, program);
	program->text = text;
	if (charset.len)
		program->charset = charset;
	return fault;
}

/* Rounds: each reads the text that the one before made, and makes another. What a round read is of no use after the
 * next one; the program without filters is read once more, for the command. */
static struct imap_reply
await_rounds(struct imap *im, struct arena rounds[2], struct slice text, struct slice charset,
             struct imap_search *program)
{
	for (int i = 0; i < REPLACEMENTS_MAX; i++) {
		struct arena *next = &rounds[i % 2], *last = &rounds[(i + 1) % 2];
		arena_clear(next);
		struct imap_reply no = await_replace(im, next, program, &text);
		if (no.status != IMAP_OK)
			return no;
		if (parse(text, next, charset, program) != SEARCH_FINE) /* RFC 5466 3.1: a filter that is no whole criterion */
			return imap_no("CANNOT", "the search does not read with the text of its filters");
		arena_clear(last);
		if (!program->filter.len)
			return imap_search_fault(parse(slice_keep(&im->arena, text), &im->arena, charset, program));
	}
	return undefined(im, program->filter);
}

struct imap_reply
await_imap_search_program(struct imap *im, struct cursor *args, struct slice charset, struct imap_search *program)
{
	struct arena rounds[2];
	enum imap_search_fault fault = parse(cursor_rest(args), &im->arena, charset, program);
	if (fault != SEARCH_FINE || !program->filter.len)
		return imap_search_fault(fault);
	arena_init(&rounds[0], 0);
	arena_init(&rounds[1], 0);
	struct imap_reply r = await_rounds(im, rounds, cursor_rest(args), charset, program);
	arena_release(&rounds[0]);
	arena_release(&rounds[1]);
	return r;
}
