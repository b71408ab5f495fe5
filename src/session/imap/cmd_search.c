/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_search.c - SEARCH and UID SEARCH (RFC 3501 6.4.4), with RETURN (RFC 4731). */
#include "session/imap/context.h"
#include "session/imap/search.h"

static struct imap_reply
await_run(struct imap *im, const struct imap_return *ret, struct imap_search *program, struct slice text)
{
	struct search_run r;
	struct imap_reply no = await_search_limited(&r, im, program, false);
	if (no.status == IMAP_OK) {
		uint32_t *rows = must_calloc(im->view.count + 1, sizeof *rows);
		size_t n = search_found(&r, rows);
		await_search_answer(&r, ret, S("SEARCH"), rows, n);
		if (ret->items & RETURN_UPDATE)
			context_add(im, &(struct context_of){ ret, text, program, rows, n, NULL });
		free(rows);
		no = imap_ok("searched");
	}
	search_run_release(&r);
	return no;
}

struct imap_reply
imap_cmd_search(struct imap *im, struct cursor *args)
{
	struct imap_search program;
	struct imap_return ret;
	struct slice text = cursor_rest(args);
	if (!imap_take_space(args) || !imap_take_return(args, &im->arena, &ret))
		return imap_bad("SEARCH takes what to search for");
	if (imap_rev2(im) && !ret.extended) /* RFC 9051 6.4.4: ALL is assumed */
		ret = (struct imap_return){ .extended = true, .items = RETURN_ALL };
	struct imap_reply no = await_imap_search_program(im, args, SLICE_NONE, &program);
	if (no.status == IMAP_OK && program.charset.len && (im->enabled & ENABLED_UTF8))
		no = imap_bad("after ENABLE UTF8=ACCEPT a search is in UTF-8"); /* RFC 6855 3 */
	if (no.status == IMAP_OK && (ret.items & RETURN_UPDATE) && context_find(im, im->tag))
		no = imap_bad("this tag is that of a search that is still told of"); /* RFC 5267 4.3 */
	if (no.status == IMAP_OK)
		no = search_fuzzy_check(&program, &ret, false);
	if (no.status == IMAP_OK)
		no = await_run(im, &ret, &program, text);
	imap_search_failed(im, &ret, &no);
	return no;
}
