/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_sort.c - SORT and UID SORT (RFC 5256 3), with RETURN (RFC 5267 3). */
#include "session/imap/context.h"
#include "session/imap/search.h"
#include "session/imap/sort.h"

static enum err
await_sort(struct sorting *s, uint32_t *rows, size_t n)
{
	enum err e = await_sort_items(s, rows, n);
	for (size_t i = 0; i < n && e == OK; i++)
		rows[i] = s->items[i].row;
	return e;
}

static struct imap_reply
await_run(struct sorting *s, const struct imap_return *ret, struct imap_search *program, struct slice text)
{
	struct search_run r;
	struct imap_reply no = await_search(&r, s->im, program);
	if (no.status == IMAP_OK) {
		uint32_t *rows = must_calloc(s->im->view.count + 1, sizeof *rows);
		size_t n = search_found(&r, rows);
		s->search = &r;
		enum err e = await_sort(s, rows, n);
		if (e == OK) {
			await_search_answer(&r, ret, S("SORT"), rows, n);
			if ((ret->items & RETURN_UPDATE) && (s->by_relevancy || s->nannotations))
				context_refuse(s->im, s->im->tag); /* scores are those of one search, entries those of one command */
			else if (ret->items & RETURN_UPDATE)
				context_add(s->im, &(struct context_of){ ret, text, program, rows, n, s });
		}
		sort_release(s);
		no = e ? imap_err(e) : imap_ok("sorted");
		free(rows);
	}
	search_run_release(&r);
	return no;
}

struct imap_reply
imap_cmd_sort(struct imap *im, struct cursor *args)
{
	struct sorting s = { .im = im, .how = im->collation };
	struct slice text = cursor_rest(args);
	struct imap_search program;
	struct imap_return ret;
	struct slice charset;
	if (!imap_take_space(args) || !imap_take_return(args, &im->arena, &ret) || !sort_take_criteria(args, &s) ||
	    !imap_take_space(args) || !imap_take_astring(args, &im->arena, &charset) || !imap_take_space(args))
		return imap_bad("SORT takes criteria that are known here, a charset, and what to search for");
	struct imap_reply no = await_imap_search_program(im, args, charset, &program);
	if (no.status == IMAP_OK && (ret.items & RETURN_UPDATE) && context_find(im, im->tag))
		no = imap_bad("this tag is that of a search that is still told of");
	if (no.status == IMAP_OK)
		no = search_fuzzy_check(&program, &ret, s.by_relevancy);
	if (no.status == IMAP_OK)
		no = await_run(&s, &ret, &program, text);
	imap_search_failed(im, &ret, &no);
	return no;
}
