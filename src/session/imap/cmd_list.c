/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_list.c - LIST (RFC 3501 6.3.8, with options: RFC 5258, 5819, 6154), LSUB, NAMESPACE: what mailboxes there are.
 * Names come from the store in pages. */
#include "session/imap/imap.h"

#include "base/map.h"
#include "session/imap/match.h"
#include "session/imap/mutf7.h"

enum {
	PATTERNS_MAX = 100,
	/* bits of our own among the attributes */
	LIST_SUBSCRIBED = 1 << 29,
	LIST_CHILDINFO = 1 << 30,
};

static const struct {
	uint32_t bit;
	struct slice word;
} attribute_words[] = {
	{ LIST_NONEXISTENT, S_ROW("\\NonExistent ") }, /* RFC 5258 3 */
	{ LIST_NOACCESS, S_ROW("\\NoAccess ") },       /* RFC 5465 5.9 */
	{ MAILBOX_REMOTE, S_ROW("\\Remote ") },
	{ LIST_SUBSCRIBED, S_ROW("\\Subscribed ") },
	{ MAILBOX_NOSELECT, S_ROW("\\Noselect ") },
	{ MAILBOX_HAS_CHILDREN, S_ROW("\\HasChildren ") }, /* RFC 3348 3 */
	{ MAILBOX_SPECIAL_ALL, S_ROW("\\All ") },          /* RFC 6154 2 */
	{ MAILBOX_SPECIAL_ARCHIVE, S_ROW("\\Archive ") },
	{ MAILBOX_SPECIAL_DRAFTS, S_ROW("\\Drafts ") },
	{ MAILBOX_SPECIAL_FLAGGED, S_ROW("\\Flagged ") },
	{ MAILBOX_SPECIAL_JUNK, S_ROW("\\Junk ") },
	{ MAILBOX_SPECIAL_SENT, S_ROW("\\Sent ") },
	{ MAILBOX_SPECIAL_TRASH, S_ROW("\\Trash ") },
};

enum { /* selection options, and those of RETURN */
	   LIST_BY_SUBSCRIPTION = 1,
	   LIST_REMOTE = 2,
	   LIST_RECURSIVE = 4,
	   LIST_BY_SPECIAL_USE = 8,
	   LIST_BASE = LIST_BY_SUBSCRIPTION | LIST_BY_SPECIAL_USE, /* options that can stand by themselves */
};

struct listing {
	bool remote; /* RLIST and RLSUB: names that are on other servers, too */
	struct slice *patterns;
	size_t npatterns;
	uint32_t select;
	bool extended, shows_subscribed;
	bool asks_delimiter; /* an empty name (RFC 3501 6.3.8) */
	bool my_rights;      /* are told with each, too (RFC 8440) */
	imap_mailbox_visitor *visit;
	/* subscriptions to mailboxes of others, which stand among one's own names; those that were visited are taken out */
	struct map subscribed;
	struct slice *elsewhere;
	size_t nelsewhere, elsewhere_cap;
	struct imap_metadata metadata; /* entries that are told with each */
	uint32_t status;               /* items of STATUS that are told with each */
	struct map told;               /* LSUB: names that were answered */
	/* RECURSIVEMATCH: names that there are, those above one that was selected, those above one of these that is not
	 * itself answered */
	struct map names, above, above_hidden;
};

static void
listing_release(struct listing *l)
{
	map_release(&l->told);
	map_release(&l->subscribed);
	map_release(&l->names);
	map_release(&l->above);
	map_release(&l->above_hidden);
}

/* RFC 5258 3.5 */
static void
put_childinfo(struct buf *to, uint32_t select)
{
	buf_put(to, S(" (CHILDINFO ("));
	if (select & LIST_BY_SUBSCRIPTION)
		buf_put(to, S("\"SUBSCRIBED\""));
	if ((select & LIST_BASE) == LIST_BASE)
		buf_put_char(to, ' ');
	if (select & LIST_BY_SPECIAL_USE)
		buf_put(to, S("\"SPECIAL-USE\""));
	buf_put(to, S("))"));
}

/* * LIST (\HasNoChildren) "/" "INBOX" */
static void
put_name(struct imap *im, struct slice word, uint32_t attributes, struct slice name)
{
	struct buf *to = &im->text;
	buf_put(to, S("* "));
	buf_put(to, word);
	buf_put(to, S(" ("));
	for (size_t i = 0; i < COUNT_OF(attribute_words); i++)
		if (attributes & attribute_words[i].bit)
			buf_put(to, attribute_words[i].word);
	if (attributes & MAILBOX_HAS_CHILDREN)
		buf_drop_end(to, 1);
	else if (!(attributes & LIST_CHILDREN_UNKNOWN))
		buf_put(to, S("\\HasNoChildren"));
	if (to->at[to->len - 1] == ' ')
		buf_drop_end(to, 1);
	buf_put(to, S(") \"/\" "));
	imap_put_mailbox(im, to, name);
}

static void
put_listed(struct imap *im, const struct listing *l, struct slice word, uint32_t attributes, struct slice name)
{
	put_name(im, word, attributes, name);
	if (attributes & LIST_CHILDINFO)
		put_childinfo(&im->text, l->select);
	buf_put(&im->text, S("\r\n"));
}

void
imap_put_list(struct imap *im, uint32_t attributes, struct slice name, struct slice old)
{
	if (attributes & MAILBOX_SUBSCRIBED)
		attributes |= LIST_SUBSCRIBED;
	put_name(im, S("LIST"), attributes, name);
	if (!slice_equal(name, old)) {
		buf_put(&im->text, S(" (\"OLDNAME\" ("));
		imap_put_mailbox(im, &im->text, old);
		buf_put(&im->text, S("))"));
	}
	buf_put(&im->text, S("\r\n"));
}

enum err
await_imap_put_list(struct imap *im, const struct imap_place *p, struct slice name, struct slice old)
{
	struct store_mailbox_status_in in = { .name = p->name };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_imap_ask_of(im, p->owner, mailbox_status, &in, &im->arena, &out);
	if (e == OK)
		imap_put_list(im, out.mailbox.attributes, name, old);
	return e;
}

enum err
await_imap_each_mailbox(struct imap *im, bool numbers, imap_mailbox_visitor *visit, void *to)
{
	return await_imap_each_own(im, numbers, false, visit, to);
}

/* Each mailbox in order of names. */
enum err
await_imap_each_own(struct imap *im, bool numbers, bool remote, imap_mailbox_visitor *visit, void *to)
{
	struct arena page;
	arena_init(&page, 0);
	struct store_mailbox_list_in in = { .after = S(""), .names_only = !numbers, .remote = remote };
	struct store_mailbox_list_out out;
	enum err e;
	do {
		out = (struct store_mailbox_list_out){ 0 };
		arena_clear(&page);
		e = await_imap_ask(im, mailbox_list, &in, &page, &out);
		for (uint32_t i = 0; e == OK && i < out.nmailboxes; i++)
			visit(im, to, &out.mailboxes[i]);
		if (e == OK && out.nmailboxes)
			in.after = slice_keep(&im->arena, out.mailboxes[out.nmailboxes - 1].name);
		await_imap_text(im);
	} while (e == OK && out.more && out.nmailboxes && im->c->io.error == OK);
	arena_release(&page);
	return e;
}

/* ---- arguments */

static bool
add_pattern(struct imap *im, struct listing *l, struct slice reference, struct slice pattern, bool valid)
{
	if (l->npatterns == PATTERNS_MAX)
		return false;
	/* RFC 5258 3: what no mailbox can be called is passed over */
	l->asks_delimiter = valid && !pattern.len;
	if (valid && pattern.len)
		l->patterns[l->npatterns++] = arena_join(&im->arena, reference, pattern);
	return true;
}

/* reference SP (list-mailbox / "(" list-mailbox *(SP list-mailbox) ")") */
static bool
take_patterns(struct imap *im, struct cursor *args, struct listing *l)
{
	struct slice reference, pattern;
	bool reference_valid, valid;
	l->patterns = ARENA_ARRAY(&im->arena, struct slice, PATTERNS_MAX);
	if (!imap_take_list_mailbox(args, &im->arena, imap_names(im), &reference, &reference_valid) ||
	    !imap_take_space(args))
		return false;
	bool several = take_char(args, '(');
	l->extended = l->extended || several;
	do {
		if (!imap_take_list_mailbox(args, &im->arena, imap_names(im), &pattern, &valid) ||
		    !add_pattern(im, l, reference, pattern, reference_valid && valid))
			return false;
	} while (several && imap_take_space(args));
	return !several || take_char(args, ')');
}

static const struct {
	struct slice word;
	uint32_t bit;
} select_words[] = {
	{ S_ROW("SUBSCRIBED"), LIST_BY_SUBSCRIPTION },
	{ S_ROW("REMOTE"), LIST_REMOTE },
	{ S_ROW("RECURSIVEMATCH"), LIST_RECURSIVE },
	{ S_ROW("SPECIAL-USE"), LIST_BY_SPECIAL_USE }, /* RFC 6154 5 */
};

static bool
take_select_option(struct cursor *c, struct listing *l)
{
	struct slice word;
	if (!imap_take_atom(c, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(select_words); i++) {
		if (slice_equal_nocase(word, select_words[i].word)) {
			l->select |= select_words[i].bit;
			return true;
		}
	}
	return false;
}

/* ["(" [option *(SP option)] ")" SP] */
static bool
take_select_options(struct cursor *c, struct listing *l)
{
	if (!take_char(c, '('))
		return true;
	l->extended = true;
	if (take_exact(c, S(") ")))
		return true;
	do {
		if (!take_select_option(c, l))
			return false;
	} while (imap_take_space(c));
	/* RFC 5258 3.1: RECURSIVEMATCH says nothing by itself */
	return take_exact(c, S(") ")) && (!(l->select & LIST_RECURSIVE) || (l->select & LIST_BASE));
}

static bool
take_return_option(struct cursor *c, struct arena *a, struct listing *l)
{
	struct slice word;
	if (!imap_take_atom(c, &word))
		return false;
	if (slice_equal_nocase(word, S("SUBSCRIBED")))
		return l->shows_subscribed = true;
	if (slice_equal_nocase(word, S("STATUS"))) /* RFC 5819 4 */
		return imap_take_space(c) && imap_take_status_items(c, &l->status);
	if (slice_equal_nocase(word, S("METADATA"))) /* RFC 9590 5 */
		return imap_take_space(c) && imap_take_entry_list(c, a, &l->metadata);
	if (slice_equal_nocase(word, S("MYRIGHTS"))) /* RFC 8440 3 */
		return l->my_rights = true;
	/* both are told in any case */
	return slice_equal_nocase(word, S("CHILDREN")) || slice_equal_nocase(word, S("SPECIAL-USE"));
}

/* [SP "RETURN" SP "(" [option *(SP option)] ")"] */
static bool
take_return_options(struct cursor *c, struct arena *a, struct listing *l)
{
	if (!imap_take_space(c))
		return true;
	l->extended = true;
	if (!take_nocase(c, S("RETURN (")))
		return false;
	if (take_char(c, ')'))
		return true;
	do {
		if (!take_return_option(c, a, l))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

static bool
matches(const struct listing *l, struct slice name)
{
	for (size_t i = 0; i < l->npatterns; i++)
		if (imap_match(l->patterns[i], name))
			return true;
	return false;
}

/* ---- LIST */

static bool
exists(const struct store_mailbox *m)
{
	return m->id != 0 || (m->attributes & (MAILBOX_HAS_CHILDREN | MAILBOX_REMOTE));
}

static bool
is_selected(const struct listing *l, const struct store_mailbox *m)
{
	if ((l->select & LIST_BY_SUBSCRIPTION) && !(m->attributes & MAILBOX_SUBSCRIBED))
		return false;
	if ((l->select & LIST_BY_SPECIAL_USE) && !(m->attributes & MAILBOX_SPECIAL_MASK))
		return false;
	return (l->select & LIST_BY_SUBSCRIPTION) || exists(m);
}

/* RECURSIVEMATCH, the first time through: what stands above what was selected */
static void
note_parents(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct listing *l = to;
	map_set(&l->names, slice_hash(m->name), im);
	if (!is_selected(l, m))
		return;
	bool hidden = !matches(l, m->name);
	for (size_t i = 1; i < m->name.len; i++) {
		if (m->name.at[i] != '/')
			continue;
		map_set(&l->above, slice_hash(slice_part(m->name, 0, i)), im);
		if (hidden)
			map_set(&l->above_hidden, slice_hash(slice_part(m->name, 0, i)), im);
	}
}

/* Parents of what was selected that are no names themselves. */
static void
tell_missing_parents(struct imap *im, struct listing *l, const struct store_mailbox *m)
{
	if (!(l->select & LIST_RECURSIVE) || !is_selected(l, m) || matches(l, m->name))
		return;
	for (size_t i = 1; i < m->name.len; i++) {
		struct slice parent = slice_part(m->name, 0, i);
		if (m->name.at[i] == '/' && matches(l, parent) && !map_get(&l->names, slice_hash(parent)) &&
		    !map_set(&l->told, slice_hash(parent), im))
			put_listed(im, l, S("LIST"), LIST_NONEXISTENT | MAILBOX_HAS_CHILDREN | LIST_CHILDINFO, parent);
	}
}

/* RFC 9590 3; what cannot be read is left out. It asks the store while the names of a page are gone through. */
static void
await_listed_metadata(struct imap *im, const struct listing *l, struct slice name)
{
	struct imap_metadata m = l->metadata;
	uint64_t longest;
	m.mailbox = slice_keep(&im->arena, name);
	m.max_size = UINT32_MAX;
	m.entries = ARENA_ARRAY(&im->arena, struct imap_annotation, m.count);
	memcpy(m.entries, l->metadata.entries, m.count * sizeof *m.entries);
	(void)await_imap_metadata(im, &m, &longest);
}

/* RFC 2193 5.1, RFC 5258 3.4: what it can be asked there is not known here. */
static uint32_t
remote_attributes(const struct listing *l, uint32_t attributes)
{
	if (!(attributes & MAILBOX_REMOTE))
		return attributes;
	attributes &= ~(uint32_t)(MAILBOX_NOSELECT | MAILBOX_HAS_CHILDREN);
	return (l->select & LIST_REMOTE ? attributes : attributes & ~(uint32_t)MAILBOX_REMOTE) | LIST_CHILDREN_UNKNOWN;
}

static void
await_list_matching(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct listing *l = to;
	uint64_t hash = l->select & LIST_RECURSIVE ? slice_hash(m->name) : 0;
	bool selected = is_selected(l, m);
	tell_missing_parents(im, l, m);
	/* RFC 5258 3.5: what was not selected is told only for children that are not */
	if ((!selected && !map_get(&l->above_hidden, hash)) || !matches(l, m->name))
		return;
	uint32_t attributes = remote_attributes(l, m->attributes);
	if (l->extended && !exists(m)) /* it implies \Noselect */
		attributes = (attributes & ~(uint32_t)MAILBOX_NOSELECT) | LIST_NONEXISTENT;
	if (l->shows_subscribed && (attributes & MAILBOX_SUBSCRIBED))
		attributes |= LIST_SUBSCRIBED;
	if (map_get(&l->above, hash))
		attributes |= LIST_CHILDINFO;
	put_listed(im, l, S("LIST"), attributes, m->name);
	bool told = selected && m->id && !(m->attributes & MAILBOX_NOSELECT);
	if (l->my_rights && told)
		imap_put_my_rights(im, m->name, m->rights);
	if (l->status && told && (m->rights & ACL_READ)) /* RFC 5819 2 */
		imap_put_status(im, m->name, m, l->status);
	if (l->metadata.count && selected && m->id && !(m->attributes & MAILBOX_NOSELECT))
		await_listed_metadata(im, l, m->name);
}

/* One's own names. Subscriptions to mailboxes of others wait for them. */
static void
visit_own(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct listing *l = to;
	if (!imap_is_elsewhere(m->name)) {
		l->visit(im, l, m);
		return;
	}
	if (!(m->attributes & MAILBOX_SUBSCRIBED))
		return;
	if (l->nelsewhere == l->elsewhere_cap) {
		struct slice *more = ARENA_ARRAY(&im->arena, struct slice, 2 * l->elsewhere_cap + 16);
		if (l->nelsewhere)
			memcpy(more, l->elsewhere, l->nelsewhere * sizeof *more);
		l->elsewhere = more;
		l->elsewhere_cap = 2 * l->elsewhere_cap + 16;
	}
	l->elsewhere[l->nelsewhere++] = slice_keep(&im->arena, m->name);
	map_set(&l->subscribed, slice_hash(m->name), im);
}

static void
visit_shared(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct listing *l = to;
	struct store_mailbox shown = *m;
	if (map_remove(&l->subscribed, slice_hash(m->name)))
		shown.attributes |= MAILBOX_SUBSCRIBED;
	l->visit(im, l, &shown);
}

/* One's own mailboxes, those that others share, and subscriptions to what is shared no longer. */
static enum err
await_visit_all(struct imap *im, struct listing *l, imap_mailbox_visitor *visit)
{
	struct imap_wanted wanted = { l->patterns, l->npatterns, .all = l->select & LIST_RECURSIVE, .numbers = l->status };
	l->visit = visit;
	l->nelsewhere = 0;
	enum err e = await_imap_each_own(im, wanted.numbers, l->remote || (l->select & LIST_REMOTE), visit_own, l);
	e = e ? e : await_imap_each_shared(im, &wanted, visit_shared, l);
	for (size_t i = 0; i < l->nelsewhere && e == OK; i++)
		if (map_remove(&l->subscribed, slice_hash(l->elsewhere[i])))
			visit(im, l,
			      &(struct store_mailbox){ .name = l->elsewhere[i],
			                               .attributes = MAILBOX_NOSELECT | MAILBOX_SUBSCRIBED });
	return e;
}

static struct imap_reply
await_list(struct imap *im, struct listing *l)
{
	enum err e = OK;
	imap_status_enables(im, l->status);
	if (l->select & LIST_RECURSIVE)
		e = await_visit_all(im, l, note_parents);
	if (e == OK)
		e = await_visit_all(im, l, await_list_matching);
	return e ? imap_err(e) : imap_ok("listed");
}

/* RFC 3501 6.3.8, RFC 5258 6 */
static struct imap_reply
await_list_command(struct imap *im, struct cursor *args, bool remote)
{
	struct listing l = { .remote = remote };
	if (!imap_take_space(args) || !take_select_options(args, &l) || !take_patterns(im, args, &l) ||
	    !take_return_options(args, &im->arena, &l) || !take_end(args))
		return imap_bad("LIST takes a reference, mailbox names with wildcards, and options that are known here");
	l.shows_subscribed = l.shows_subscribed || (l.select & LIST_BY_SUBSCRIPTION);
	if (!l.extended && l.asks_delimiter) {
		imap_untagged(im, S("LIST (\\Noselect) \"/\" \"\""));
		return imap_ok("listed");
	}
	if (!l.npatterns)
		return imap_ok("no mailbox can have such a name");
	struct imap_reply r = await_list(im, &l);
	listing_release(&l);
	return r;
}

struct imap_reply
imap_cmd_list(struct imap *im, struct cursor *args)
{
	return await_list_command(im, args, false);
}

struct imap_reply
imap_cmd_rlist(struct imap *im, struct cursor *args)
{
	return await_list_command(im, args, true);
}

/* ---- LSUB */

static void
tell_once(struct imap *im, struct listing *l, uint32_t attributes, struct slice name)
{
	if (!map_set(&l->told, slice_hash(name), im))
		put_listed(im, l, S("LSUB"), attributes, name);
}

/* RFC 3501 6.3.9: a name below "%" that is subscribed shows as its parent, \Noselect */
static void
tell_parents(struct imap *im, struct listing *l, struct slice name)
{
	for (size_t i = 1; i < name.len; i++)
		if (name.at[i] == '/' && matches(l, slice_part(name, 0, i)))
			tell_once(im, l, MAILBOX_NOSELECT | MAILBOX_HAS_CHILDREN, slice_part(name, 0, i));
}

static void
list_subscribed(struct imap *im, void *to, const struct store_mailbox *m)
{
	struct listing *l = to;
	if (!(m->attributes & MAILBOX_SUBSCRIBED))
		return;
	/* whether somebody else still shares it is not looked up */
	uint32_t hidden = imap_is_elsewhere(m->name) ? MAILBOX_NOSELECT : 0;
	if (matches(l, m->name))
		tell_once(im, l, remote_attributes(l, m->attributes & ~hidden), m->name);
	else if (slice_ends(l->patterns[0], S("%")))
		tell_parents(im, l, m->name);
}

static struct imap_reply
await_lsub_command(struct imap *im, struct cursor *args, bool remote)
{
	struct listing l = { .remote = remote };
	if (!imap_take_space(args) || !take_patterns(im, args, &l) || !take_end(args) || l.extended)
		return imap_bad("LSUB takes a reference and a mailbox name with wildcards");
	if (!l.npatterns)
		return imap_ok("no mailbox can have such a name");
	enum err e = await_imap_each_own(im, false, remote, list_subscribed, &l);
	listing_release(&l);
	return e ? imap_err(e) : imap_ok("listed");
}

struct imap_reply
imap_cmd_lsub(struct imap *im, struct cursor *args)
{
	return await_lsub_command(im, args, false);
}

struct imap_reply
imap_cmd_rlsub(struct imap *im, struct cursor *args)
{
	return await_lsub_command(im, args, true);
}

/* RFC 5255 3.4: ("Other Users/" "/" "TRANSLATION" ("Andere Benutzer/")), in modified UTF-7 whatever was enabled */
static void
put_root(struct imap *im, struct slice root)
{
	struct slice local = lang_text(im->language, root);
	buf_put(&im->text, S("((\""));
	buf_put(&im->text, root);
	buf_put(&im->text, S("/\" \"/\""));
	if (!slice_equal(local, root)) {
		buf_put(&im->text, S(" \"TRANSLATION\" (\""));
		mutf7_encode(local, &im->text);
		buf_put(&im->text, S("/\")"));
	}
	buf_put(&im->text, S("))"));
}

void
imap_put_namespace(struct imap *im)
{
	buf_put(&im->text, S("* NAMESPACE ((\"\" \"/\")) "));
	put_root(im, S(ROOT_OTHERS));
	buf_put_char(&im->text, ' ');
	put_root(im, S(ROOT_SHARED));
	buf_put(&im->text, S("\r\n"));
}

/* RFC 2342 5: one's own mailboxes, those of others, those that are public in the domain */
struct imap_reply
imap_cmd_namespace(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("NAMESPACE takes no arguments");
	imap_put_namespace(im);
	return imap_ok("done");
}
