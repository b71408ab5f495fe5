/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_esearch.c - ESEARCH (RFC 7377): one search over several mailboxes. Each is opened for reading in the place of the
 * selected one, searched and closed again; the client hears nothing of that but an ESEARCH response with MAILBOX and
 * UIDVALIDITY. What the mailbox that is selected holds is searched as the client knows it. A mailbox that is gone, or
 * that may not be read, is passed over (2.2). */
#include "session/imap/context.h"
#include "session/imap/search.h"

#include "base/map.h"

enum {
	MAILBOXES_MAX = 10000, /* of one search */
	ARENA_BYTES = 256 << 20,
};

struct sources {
	struct imap_filter *filters;
	size_t nfilters, total;
	bool selected; /* the mailbox that is selected is among them, by that name */
	struct slice *names;
	size_t n, cap;
	struct map seen; /* names, by their hash */
};

/* ---- arguments */

static bool
take_source(struct imap *im, struct cursor *c, struct sources *s)
{
	struct imap_filter *f = &s->filters[s->nfilters];
	if (s->nfilters == FILTERS_MAX || !imap_take_filter(c, &im->arena, imap_names(im), f, &s->total))
		return false;
	if (f->kind == FILTER_SELECTED)
		s->selected = true;
	else
		s->nfilters++;
	return f->kind != FILTER_DELAYED;
}

/* ["IN" SP "(" filter-mailboxes *(SP filter-mailboxes) ")" SP]; there are no scope-options */
static bool
take_sources(struct imap *im, struct cursor *c, struct sources *s)
{
	s->filters = ARENA_ARRAY(&im->arena, struct imap_filter, FILTERS_MAX + 1);
	s->selected = !take_nocase(c, S("IN ("));
	if (s->selected)
		return true;
	do {
		if (!take_source(im, c, s))
			return false;
	} while (imap_take_space(c));
	return take_exact(c, S(") "));
}

/* RFC 7377 2.2; OK status: go on. */
static struct imap_reply
judge(struct imap *im, const struct sources *s, const struct imap_return *ret)
{
	bool is_selected = im->state == IMAP_SELECTED;
	if (s->selected && !is_selected)
		return imap_bad("select a mailbox first, or say IN which to search");
	if ((ret->items & RETURN_SAVE) && s->nfilters)
		return imap_bad("only a search of the selected mailbox can be saved");
	if ((ret->items & RETURN_UPDATE) && !is_selected)
		return imap_bad("only a search of the selected mailbox can be kept up to date");
	if ((ret->items & RETURN_UPDATE) && context_find(im, im->tag))
		return imap_bad("this tag is that of a search that is still told of");
	if (s->total > FILTER_NAMES_MAX)
		return imap_no("LIMIT", "at most 1000 names of mailboxes");
	return imap_ok("");
}

/* ---- which mailboxes */

static void
add_name(struct imap *im, struct sources *s, struct slice name)
{
	if (im->state == IMAP_SELECTED && slice_equal(name, imap_selected_name(im))) {
		s->selected = true;
		return;
	}
	if (map_set(&s->seen, slice_hash(name), s)) /* several filters may mean it */
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		struct slice *more = ARENA_ARRAY(&im->arena, struct slice, s->cap);
		if (s->n)
			memcpy(more, s->names, s->n * sizeof *more);
		s->names = more;
	}
	if (s->n <= MAILBOXES_MAX)
		s->names[s->n++] = slice_keep(&im->arena, name);
}

/* RFC 5465 6.2, 6.3: personal mailboxes, and those that mail is delivered to, are one's own. */
static bool
is_wanted(const struct sources *s, struct slice name, bool subscribed)
{
	bool elsewhere = imap_is_elsewhere(name);
	for (size_t i = 0; i < s->nfilters; i++) {
		enum imap_filter_kind kind = s->filters[i].kind;
		if (!(elsewhere && (kind == FILTER_PERSONAL || kind == FILTER_INBOXES)) &&
		    imap_filter_holds(&s->filters[i], name, subscribed))
			return true;
	}
	return false;
}

/* A subscription to a mailbox of somebody else stands among one's own names, and is no mailbox there. */
static void
collect_own(struct imap *im, void *to, const struct store_mailbox *m)
{
	bool there = m->id ? !(m->attributes & MAILBOX_NOSELECT) : imap_is_elsewhere(m->name);
	if (there && is_wanted(to, m->name, m->attributes & MAILBOX_SUBSCRIBED))
		add_name(im, to, m->name);
}

static void
collect_shared(struct imap *im, void *to, const struct store_mailbox *m)
{
	if (m->id && !(m->attributes & MAILBOX_NOSELECT) && (m->rights & ACL_READ) && is_wanted(to, m->name, false))
		add_name(im, to, m->name);
}

/* Patterns that match what these trees hold of the mailboxes of others. */
static struct imap_wanted
trees_elsewhere(struct imap *im, const struct sources *s)
{
	struct slice *patterns = ARENA_ARRAY(&im->arena, struct slice, 2 * MIN(s->total, (size_t)FILTER_NAMES_MAX) + 1);
	size_t n = 0;
	for (size_t i = 0; i < s->nfilters; i++) {
		const struct imap_filter *f = &s->filters[i];
		bool tree = f->kind == FILTER_SUBTREE || f->kind == FILTER_SUBTREE_ONE;
		for (size_t k = 0; tree && k < f->nnames; k++) {
			if (!imap_is_elsewhere(f->names[k]))
				continue;
			patterns[n++] = f->names[k];
			patterns[n++] = arena_join(&im->arena, f->names[k], S("/*"));
		}
	}
	return (struct imap_wanted){ .patterns = patterns, .npatterns = n };
}

static enum err
await_collect(struct imap *im, struct sources *s)
{
	struct imap_wanted trees = trees_elsewhere(im, s);
	enum err e = s->nfilters ? await_imap_each_mailbox(im, false, collect_own, s) : OK;
	for (size_t i = 0; i < s->nfilters && e == OK; i++)
		for (size_t k = 0; s->filters[i].kind == FILTER_MAILBOXES && k < s->filters[i].nnames; k++)
			if (imap_is_elsewhere(s->filters[i].names[k]))
				add_name(im, s, s->filters[i].names[k]);
	if (e == OK && trees.npatterns)
		e = await_imap_each_shared(im, &trees, collect_shared, s);
	return e;
}

/* ---- searching */

struct esearch {
	struct imap *im;
	const struct imap_return *ret;
	const struct imap_search *program;
	struct slice text; /* from RETURN on */
};

static struct imap_reply
await_one(const struct esearch *e, bool is_selected)
{
	struct imap *im = e->im;
	struct search_run r;
	struct imap_reply no = await_search_some(&r, im, e->program, NULL);
	if (no.status == IMAP_OK) {
		uint32_t *rows = must_calloc(im->view.count + 1, sizeof *rows);
		size_t n = search_found(&r, rows);
		await_search_answer(&r, e->ret, S("SEARCH"), rows, n);
		if (is_selected && (e->ret->items & RETURN_UPDATE))
			context_add(im, &(struct context_of){ e->ret, e->text, e->program, rows, n, NULL });
		free(rows);
	}
	search_run_release(&r);
	await_imap_text(im);
	return no;
}

static bool
is_passed_over(enum err e)
{
	return e == ERR_NOT_FOUND || e == ERR_DENIED;
}

/* In the place of the view there is that of another mailbox, and of the command's memory a piece of its own, for as
 * long as this takes. */
static struct imap_reply
await_other(const struct esearch *e, struct slice name)
{
	struct imap *im = e->im;
	struct view view = im->view;
	struct imap_owner *owner = im->owner;
	struct arena arena = im->arena;
	uint32_t state = im->state;
	bool changed = im->changed;
	im->held = owner;
	im->view = (struct view){ .mailbox = 0 };
	im->state = IMAP_AUTHENTICATED;
	arena_init(&im->arena, ARENA_BYTES);
	enum err failed = await_imap_view(im, name);
	struct imap_reply r = failed ? imap_err(failed) : imap_ok("");
	if (!failed) {
		await_imap_keywords(im, false);
		r = await_one(e, false);
	} else if (is_passed_over(failed)) {
		r = imap_ok("");
	}
	view_release(&im->view);
	arena_release(&im->arena);
	im->view = view;
	im->owner = owner;
	im->held = NULL;
	im->arena = arena;
	im->state = state;
	im->changed = changed;
	return r;
}

/* RFC 7162 3.1: a client that asks for change numbers knows them; said while its own mailbox is in its place */
static void
enable_modseq(struct imap *im, const struct imap_search *program)
{
	for (size_t i = 0; i < program->count; i++)
		if (program->keys[i].op == SEARCH_MODSEQ)
			imap_enable(im, ENABLED_CONDSTORE);
}

static struct imap_reply
await_sources(const struct esearch *e, struct sources *s)
{
	struct imap *im = e->im;
	enum err failed = await_collect(im, s);
	map_release(&s->seen);
	if (failed)
		return imap_err(failed);
	if (s->n > MAILBOXES_MAX) /* RFC 7377 2.4 */
		return imap_no("LIMIT", "at most 10000 mailboxes in one search");
	enable_modseq(im, e->program);
	struct imap_reply r = s->selected ? await_one(e, true) : imap_ok("");
	for (size_t i = 0; i < s->n && r.status == IMAP_OK && im->c->io.error == OK; i++)
		r = await_other(e, s->names[i]);
	return r.status == IMAP_OK ? imap_ok("searched") : r;
}

struct imap_reply
imap_cmd_esearch(struct imap *im, struct cursor *args)
{
	struct sources s = { .nfilters = 0 };
	struct imap_search program;
	struct imap_return ret;
	if (!imap_take_space(args) || !take_sources(im, args, &s))
		return imap_bad("ESEARCH takes IN with mailboxes, RETURN with options, and what to search for");
	struct slice text = arena_join(&im->arena, S(" "), cursor_rest(args));
	if (!imap_take_return(args, &im->arena, &ret))
		return imap_bad("ESEARCH does not know these options of RETURN");
	if (!ret.extended) /* RFC 7377 2.1 */
		ret.items = RETURN_ALL;
	ret.extended = ret.correlates = true;
	im->by_uid = true;
	struct imap_reply no = judge(im, &s, &ret);
	if (no.status == IMAP_OK)
		no = await_imap_search_program(im, args, SLICE_NONE, &program);
	if (no.status == IMAP_OK && program.charset.len && (im->enabled & ENABLED_UTF8))
		no = imap_bad("after ENABLE UTF8=ACCEPT a search is in UTF-8"); /* RFC 6855 3 */
	if (no.status == IMAP_OK)
		no = search_fuzzy_check(&program, &ret, false);
	program.how = im->collation; /* RFC 5255 4.2 */
	if (no.status == IMAP_OK)
		no = imap_search_prepare(&im->arena, &program);
	if (no.status == IMAP_OK)
		no = await_sources(&(struct esearch){ im, &ret, &program, text }, &s);
	if (im->state == IMAP_SELECTED && !s.nfilters)
		imap_search_failed(im, &ret, &no);
	return no;
}
