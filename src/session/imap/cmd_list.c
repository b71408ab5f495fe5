/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_list.c - LIST, LSUB, NAMESPACE, STATUS: what mailboxes there are. Names come from the store in pages. */
#include "session/imap/imap.h"

#include "base/map.h"
#include "session/imap/match.h"

static const struct {
	uint32_t bit;
	struct slice word;
} attribute_words[] = {
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

/* * LIST (\HasNoChildren) "/" "INBOX" */
static void
put_listed(struct imap *im, struct slice word, uint32_t attributes, struct slice name)
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
	else
		buf_put(to, S("\\HasNoChildren"));
	if (to->at[to->len - 1] == ' ')
		buf_drop_end(to, 1);
	buf_put(to, S(") \"/\" "));
	imap_put_mailbox(to, name);
	buf_put(to, S("\r\n"));
}

struct listing {
	struct slice pattern;
	struct map told; /* LSUB: names that were answered */
};
typedef void list_one(struct imap *im, struct listing *l, const struct store_mailbox *m);

/* Each mailbox in order of names. */
static enum err
await_each(struct imap *im, struct listing *l, list_one *one)
{
	struct arena page;
	arena_init(&page, 0);
	struct store_mailbox_list_in in = { .after = S("") };
	struct store_mailbox_list_out out;
	enum err e;
	do {
		out = (struct store_mailbox_list_out){ 0 };
		arena_clear(&page);
		e = await_imap_ask(im, mailbox_list, &in, &page, &out);
		for (uint32_t i = 0; e == OK && i < out.nmailboxes; i++)
			one(im, l, &out.mailboxes[i]);
		if (e == OK && out.nmailboxes)
			in.after = slice_keep(&im->arena, out.mailboxes[out.nmailboxes - 1].name);
		await_imap_text(im);
	} while (e == OK && out.more && out.nmailboxes && im->c->io.error == OK);
	arena_release(&page);
	return e;
}

/* reference SP list-mailbox */
static bool
take_pattern(struct imap *im, struct cursor *args, struct slice *pattern, bool *valid)
{
	struct slice reference;
	bool reference_valid, pattern_valid;
	if (!imap_take_space(args) || !imap_take_list_mailbox(args, &im->arena, &reference, &reference_valid) ||
	    !imap_take_space(args) || !imap_take_list_mailbox(args, &im->arena, pattern, &pattern_valid) || !take_end(args))
		return false;
	*valid = reference_valid && pattern_valid;
	if (pattern->len)
		*pattern = arena_join(&im->arena, reference, *pattern);
	return true;
}

/* ---- LIST */

static void
list_matching(struct imap *im, struct listing *l, const struct store_mailbox *m)
{
	bool exists = m->id != 0 || (m->attributes & MAILBOX_HAS_CHILDREN);
	if (exists && imap_match(l->pattern, m->name))
		put_listed(im, S("LIST"), m->attributes, m->name);
}

/* RFC 3501 6.3.8 */
struct imap_reply
imap_cmd_list(struct imap *im, struct cursor *args)
{
	struct listing l = { .pattern = SLICE_NONE };
	bool valid;
	if (!take_pattern(im, args, &l.pattern, &valid))
		return imap_bad("LIST takes a reference and a mailbox name with wildcards");
	if (!valid)
		return imap_ok("no mailbox can have such a name");
	if (!l.pattern.len) { /* a question for the delimiter */
		imap_untagged(im, S("LIST (\\Noselect) \"/\" \"\""));
		return imap_ok("listed");
	}
	enum err e = await_each(im, &l, list_matching);
	return e ? imap_err(e) : imap_ok("listed");
}

/* ---- LSUB */

static void
tell_once(struct imap *im, struct listing *l, uint32_t attributes, struct slice name)
{
	if (!map_set(&l->told, slice_hash(name), im))
		put_listed(im, S("LSUB"), attributes, name);
}

/* RFC 3501 6.3.9: a name below "%" that is subscribed shows as its parent, \Noselect */
static void
tell_parents(struct imap *im, struct listing *l, struct slice name)
{
	for (size_t i = 1; i < name.len; i++)
		if (name.at[i] == '/' && imap_match(l->pattern, slice_part(name, 0, i)))
			tell_once(im, l, MAILBOX_NOSELECT | MAILBOX_HAS_CHILDREN, slice_part(name, 0, i));
}

static void
list_subscribed(struct imap *im, struct listing *l, const struct store_mailbox *m)
{
	if (!(m->attributes & MAILBOX_SUBSCRIBED))
		return;
	if (imap_match(l->pattern, m->name))
		tell_once(im, l, m->attributes, m->name);
	else if (slice_ends(l->pattern, S("%")))
		tell_parents(im, l, m->name);
}

struct imap_reply
imap_cmd_lsub(struct imap *im, struct cursor *args)
{
	struct listing l = { .pattern = SLICE_NONE };
	bool valid;
	if (!take_pattern(im, args, &l.pattern, &valid))
		return imap_bad("LSUB takes a reference and a mailbox name with wildcards");
	if (!valid)
		return imap_ok("no mailbox can have such a name");
	enum err e = await_each(im, &l, list_subscribed);
	map_release(&l.told);
	return e ? imap_err(e) : imap_ok("listed");
}

/* RFC 2342 5: one's own mailboxes, and no others */
struct imap_reply
imap_cmd_namespace(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("NAMESPACE takes no arguments");
	imap_untagged(im, S("NAMESPACE ((\"\" \"/\")) NIL NIL"));
	return imap_ok("done");
}

/* ---- STATUS */

static uint64_t
value_messages(const struct store_mailbox *m)
{
	return m->messages;
}
static uint64_t
value_recent(const struct store_mailbox *m)
{
	return m->recent;
}
static uint64_t
value_uidnext(const struct store_mailbox *m)
{
	return m->uidnext;
}
static uint64_t
value_uidvalidity(const struct store_mailbox *m)
{
	return m->uidvalidity;
}
static uint64_t
value_unseen(const struct store_mailbox *m)
{
	return m->unseen;
}

static uint64_t
value_highest(const struct store_mailbox *m)
{
	return m->modseq;
}

static const struct status_item {
	struct slice word;
	uint64_t (*value)(const struct store_mailbox *m);
	uint32_t enables;
} status_items[] = {
	{ S_ROW("MESSAGES"), value_messages, 0 },
	{ S_ROW("RECENT"), value_recent, 0 },
	{ S_ROW("UIDNEXT"), value_uidnext, 0 },
	{ S_ROW("UIDVALIDITY"), value_uidvalidity, 0 },
	{ S_ROW("UNSEEN"), value_unseen, 0 },
	{ S_ROW("HIGHESTMODSEQ"), value_highest, ENABLED_CONDSTORE }, /* RFC 7162 3.1.7 */
};

/* "(" status-att *(SP status-att) ")", as bits */
static bool
take_status_items(struct cursor *c, uint32_t *items)
{
	struct slice word;
	if (!take_char(c, '('))
		return false;
	do {
		size_t i = 0;
		if (!imap_take_atom(c, &word))
			return false;
		while (i < COUNT_OF(status_items) && !slice_equal_nocase(word, status_items[i].word))
			i++;
		if (i == COUNT_OF(status_items))
			return false;
		*items |= 1u << i;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

static void
put_status(struct imap *im, struct slice name, const struct store_mailbox *m, uint32_t items)
{
	struct buf *to = &im->text;
	buf_put(to, S("* STATUS "));
	imap_put_mailbox(to, name);
	buf_put(to, S(" ("));
	for (size_t i = 0; i < COUNT_OF(status_items); i++) {
		if (!(items & 1u << i))
			continue;
		buf_put(to, status_items[i].word);
		buf_put_char(to, ' ');
		buf_put_u64(to, status_items[i].value(m));
		buf_put_char(to, ' ');
	}
	buf_drop_end(to, 1);
	buf_put(to, S(")\r\n"));
}

/* RFC 3501 6.3.10 */
struct imap_reply
imap_cmd_status(struct imap *im, struct cursor *args)
{
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	uint32_t items = 0;
	bool valid;
	if (!imap_take_space(args) || !imap_take_mailbox(args, &im->arena, &in.name, &valid) || !imap_take_space(args) ||
	    !take_status_items(args, &items) || !take_end(args))
		return imap_bad("STATUS takes a mailbox name and items in parentheses");
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	enum err e = await_imap_ask(im, mailbox_status, &in, &im->arena, &out);
	if (e == OK && (out.mailbox.id == 0 || (out.mailbox.attributes & MAILBOX_NOSELECT)))
		e = ERR_NOT_FOUND;
	if (e != OK)
		return imap_err(e);
	for (size_t i = 0; i < COUNT_OF(status_items); i++)
		if (items & 1u << i)
			imap_enable(im, status_items[i].enables);
	put_status(im, in.name, &out.mailbox, items);
	return imap_ok("done");
}
