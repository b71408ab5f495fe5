/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c - the mailboxes of others as LIST shows them: below "Other Users" those of whoever shares with the client,
 * below "Shared" the public accounts of his domain (RFC 2342). The store says who shares (sharer_list), and gives what
 * may be looked up, page by page. What no pattern can match is not asked for. */
#include "session/imap/imap.h"

/* ---- what can match */

static size_t
slashes(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == '/';
	return n;
}

/* The part of a pattern before its first wildcard. */
static struct slice
literal(struct slice pattern)
{
	size_t n = 0;
	while (n < pattern.len && pattern.at[n] != '*' && pattern.at[n] != '%')
		n++;
	return slice_part(pattern, 0, n);
}

/* Can any pattern match a name that begins with this? Says yes too often rather than too rarely. */
static bool
can_match(const struct imap_wanted *w, struct slice prefix)
{
	for (size_t i = 0; i < w->npatterns; i++) {
		struct slice p = w->patterns[i], fixed = literal(p);
		bool deep = slice_find_char(p, '*') >= 0 || slashes(p) >= slashes(prefix);
		if (deep && (slice_starts(prefix, fixed) || slice_starts(fixed, prefix)))
			return true;
	}
	return w->all;
}

/* ---- one of them */

struct sharing {
	struct imap *im;
	const struct imap_wanted *wanted;
	imap_mailbox_visitor *visit;
	void *to;
	struct arena page;
	bool told_root[2]; /* by is_public */
};

static void
visit_as(struct sharing *s, const struct store_mailbox *m, struct slice name)
{
	struct store_mailbox shown = *m;
	shown.name = name;
	s->visit(s->im, s->to, &shown);
}

static void
visit_parent(struct sharing *s, struct slice name)
{
	visit_as(s, &(struct store_mailbox){ .attributes = MAILBOX_NOSELECT | MAILBOX_HAS_CHILDREN }, name);
}

/* His INBOX stands where he himself does, and what he shares besides is below it. */
static void
visit_mailbox(struct sharing *s, const struct store_sharer *who, struct slice root, struct store_mailbox *m)
{
	if (slice_equal(m->name, S("INBOX"))) {
		m->attributes &= ~(uint32_t)MAILBOX_HAS_CHILDREN;
		m->attributes |= who->others ? MAILBOX_HAS_CHILDREN : 0;
		visit_as(s, m, root);
	} else {
		visit_as(s, m, arena_join(&s->page, arena_join(&s->page, root, S("/")), m->name));
	}
}

static enum err
await_inbox(struct sharing *s, const struct store_sharer *who, struct imap_owner *owner, struct slice root)
{
	struct store_mailbox_status_in in = { .name = S("INBOX") };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_imap_ask_of(s->im, owner, mailbox_status, &in, &s->page, &out);
	if (e == OK && (out.mailbox.rights & ACL_LOOKUP))
		visit_mailbox(s, who, root, &out.mailbox);
	return e;
}

static enum err
await_mailboxes(struct sharing *s, const struct store_sharer *who, struct imap_owner *owner, struct slice root)
{
	struct store_mailbox_list_in in = { .names_only = !s->wanted->numbers };
	struct store_mailbox_list_out out;
	char last[1000];
	enum err e;
	do {
		out = (struct store_mailbox_list_out){ 0 };
		e = await_imap_ask_of(s->im, owner, mailbox_list, &in, &s->page, &out);
		for (uint32_t i = 0; e == OK && i < out.nmailboxes; i++)
			visit_mailbox(s, who, root, &out.mailboxes[i]);
		size_t n = MIN(out.last.len, sizeof last);
		if (n)
			memcpy(last, out.last.at, n);
		in.after = slice_of(last, n);
		await_imap_text(s->im);
		arena_clear(&s->page);
	} while (e == OK && out.more && in.after.len && s->im->c->io.error == OK);
	return e;
}

/* All that somebody shares. Who stopped sharing meanwhile is passed over. */
static enum err
await_sharer(struct sharing *s, const struct store_sharer *who)
{
	struct imap *im = s->im;
	struct imap_place p;
	bool is_public = who->public.len > 0;
	struct slice root = is_public ? S(ROOT_SHARED) : S(ROOT_OTHERS);
	if (!s->told_root[is_public]) {
		s->told_root[is_public] = true;
		visit_parent(s, root);
	}
	root = arena_join(&im->arena, arena_join(&im->arena, root, S("/")), is_public ? who->public : who->address);
	bool below = can_match(s->wanted, arena_join(&im->arena, root, S("/")));
	if (!below && !can_match(s->wanted, root))
		return OK;
	enum err e = await_imap_place(im, root, &p);
	if (!who->inbox)
		visit_parent(s, root);
	else if (!below && e == OK)
		e = await_inbox(s, who, p.owner, root);
	if (below && e == OK)
		e = await_mailboxes(s, who, p.owner, root);
	await_imap_text(im);
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err
await_imap_each_of(struct imap *im, struct imap_owner *owner, bool numbers, imap_mailbox_visitor *visit, void *to)
{
	const struct imap_wanted wanted = { .all = true, .numbers = numbers };
	const struct store_sharer who = { .others = true };
	struct sharing s = { .im = im, .wanted = &wanted, .visit = visit, .to = to };
	arena_init(&s.page, 0);
	enum err e = await_mailboxes(&s, &who, owner, imap_name_at(&im->arena, owner, S("INBOX")));
	arena_release(&s.page);
	return e;
}

enum err
await_imap_each_shared(struct imap *im, const struct imap_wanted *wanted, imap_mailbox_visitor *visit, void *to)
{
	struct sharing s = { .im = im, .wanted = wanted, .visit = visit, .to = to };
	struct store_sharer_list_in in = { .after = 0 };
	struct store_sharer_list_out out;
	struct arena who;
	enum err e;
	if (!can_match(wanted, S(ROOT_OTHERS)) && !can_match(wanted, S(ROOT_SHARED)))
		return OK;
	arena_init(&s.page, 0);
	arena_init(&who, 0);
	do {
		arena_clear(&who);
		out = (struct store_sharer_list_out){ 0 };
		e = await_imap_ask(im, sharer_list, &in, &who, &out);
		for (uint32_t i = 0; e == OK && i < out.nsharers && im->c->io.error == OK; i++)
			e = await_sharer(&s, &out.sharers[i]);
		in.after = out.after;
	} while (e == OK && out.more && im->c->io.error == OK);
	arena_release(&who);
	arena_release(&s.page);
	return e;
}
