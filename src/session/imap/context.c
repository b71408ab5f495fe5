/* SPDX-License-Identifier: Apache-2.0 */
/* context.c - which searches are kept, with what they found (RFC 5267 4.3). Called by SEARCH, SORT, ESEARCH and
 * CANCELUPDATE. A context owns its program, made again from the text of its command, because that command's memory is
 * gone when it ended. What changes is told in context_update.c. Fails: limits, which the client hears as NOUPDATE. */
#include "session/imap/context.h"

#include "session/imap/search.h"

struct context *
context_find(struct imap *im, struct slice tag)
{
	struct context *c = im->contexts;
	while (c && !slice_equal(c->tag, tag))
		c = c->next;
	return c;
}

static void
context_free(struct context *c)
{
	for (size_t i = 0; c->keys && i < c->n; i++)
		free(c->keys[i]);
	free(c->keys);
	free(c->uids);
	arena_release(&c->arena);
	free(c);
}

void
context_end(struct imap *im, struct context *gone)
{
	struct context **at = &im->contexts;
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	context_free(gone);
	im->view.watched = im->contexts != NULL;
	if (!im->contexts)
		view_settle(&im->view);
}

void
contexts_end(struct imap *im)
{
	while (im->contexts)
		context_end(im, im->contexts);
}

size_t
contexts_bytes(const struct imap *im)
{
	size_t bytes = 0;
	for (const struct context *c = im->contexts; c; c = c->next)
		bytes += c->bytes + c->arena.bytes + c->cap * (sizeof *c->uids + (c->sorted ? sizeof *c->keys : 0));
	return bytes;
}

/* RFC 5267 4.3.1 */
void
context_refuse(struct imap *im, struct slice tag)
{
	buf_put(&im->text, S("* NO [NOUPDATE "));
	imap_put_string(&im->text, tag);
	buf_put(&im->text, S("] too many searches to be kept, or too large ones\r\n"));
}

/* ---- making */

struct sort_key *
context_keep_keys(struct context *c, const struct sort_key *keys)
{
	size_t bytes = c->by.nby * sizeof *keys;
	for (size_t k = 0; k < c->by.nby; k++)
		bytes += keys[k].text.len;
	struct sort_key *kept = must_calloc(1, bytes + 1);
	char *at = (char *)(kept + c->by.nby);
	for (size_t k = 0; k < c->by.nby; k++) {
		size_t len = keys[k].text.len;
		if (len)
			memcpy(at, keys[k].text.at, len);
		kept[k] = (struct sort_key){ keys[k].number, slice_of(at, len) };
		at += len;
	}
	c->bytes += bytes;
	return kept;
}

/* RFC 5267 4.3: sequence numbers mean the messages that had them when the command came; so does "$". */
static void
pin_numbers(struct imap *im, struct context *c)
{
	for (size_t i = 0; i < c->program.count; i++) {
		struct imap_search_key *k = &c->program.keys[i];
		struct view_spans spans;
		if (k->op != SEARCH_SEQUENCE && !(k->op == SEARCH_UID && k->set.saved))
			continue;
		(void)view_resolve(&im->view, &k->set, false, &im->arena, &spans);
		struct imap_range *ranges = ARENA_ARRAY(&c->arena, struct imap_range, spans.count);
		for (size_t s = 0; s < spans.count; s++) {
			ranges[s].low = im->view.rows[spans.spans[s].from].uid;
			ranges[s].high = im->view.rows[spans.spans[s].to - 1].uid;
		}
		k->op = SEARCH_UID;
		k->set = (struct imap_set){ ranges, spans.count };
	}
}

/* Program and FETCH are read again, from texts that were good. */
static bool
take_again(struct context *c, const struct context_of *of)
{
	struct cursor program = cursor_of(slice_keep(&c->arena, of->program->text));
	if (imap_parse_search(&program, &c->arena, &c->program) != SEARCH_FINE)
		return false;
	c->program.charset = slice_keep(&c->arena, of->program->charset);
	c->program.how = of->program->how;
	c->program.how = of->program->how;
	if (imap_search_prepare(&c->arena, &c->program).status != IMAP_OK)
		return false;
	if (!of->ret->fetches)
		return true;
	struct imap_return *ret = ARENA_NEW(&c->arena, struct imap_return);
	struct cursor text = cursor_of(slice_keep(&c->arena, of->text));
	c->fetch = &ret->fetch;
	return imap_take_space(&text) && imap_take_return(&text, &c->arena, ret);
}

static void
keep_results(struct imap *im, struct context *c, const struct context_of *of)
{
	c->uids = must_calloc(of->n + 1, sizeof *c->uids);
	c->keys = c->sorted ? must_calloc(of->n + 1, sizeof *c->keys) : NULL;
	c->n = of->n;
	c->cap = of->n + 1;
	for (size_t i = 0; i < of->n; i++) {
		c->uids[i] = im->view.rows[of->rows[i]].uid;
		if (c->sorted)
			c->keys[i] = context_keep_keys(c, of->sorted->items[i].keys);
	}
}

static struct context *
context_new(struct imap *im, const struct context_of *of)
{
	struct context *c = must_calloc(1, sizeof *c);
	arena_init(&c->arena, 0);
	c->tag = slice_keep(&c->arena, im->tag);
	c->by_uid = im->by_uid;
	c->sorted = of->sorted != NULL;
	if (c->sorted) { /* the criteria of it; what it sorted is the command's */
		c->by = *of->sorted;
		c->by.items = NULL;
	}
	bool good = take_again(c, of);
	ASSERT(good);
	pin_numbers(im, c);
	keep_results(im, c, of);
	return c;
}

void
context_add(struct imap *im, const struct context_of *of)
{
	size_t contexts = 0, each = of->sorted ? 64 : 4;
	for (const struct context *c = im->contexts; c; c = c->next)
		contexts++;
	if (contexts == CONTEXTS_MAX || contexts_bytes(im) + of->n * each > CONTEXT_BYTES_MAX) {
		context_refuse(im, im->tag);
		return;
	}
	struct context *c = context_new(im, of);
	c->next = im->contexts;
	im->contexts = c;
	im->view.watched = true;
	if (contexts_bytes(im) > CONTEXT_BYTES_MAX) {
		context_refuse(im, im->tag);
		context_end(im, c);
	}
}

/* ---- CANCELUPDATE: RFC 5267 4.3.5 */

static bool
take_tags(struct imap *im, struct cursor *args, struct slice *tags, size_t *n)
{
	*n = 0;
	do {
		if (*n == CONTEXTS_MAX || !imap_take_space(args) || peek(args) != '"' ||
		    !imap_take_string(args, &im->arena, &tags[*n]))
			return false;
		if (!context_find(im, tags[(*n)++]))
			return false;
	} while (!take_end(args));
	return true;
}

struct imap_reply
imap_cmd_cancelupdate(struct imap *im, struct cursor *args)
{
	struct slice tags[CONTEXTS_MAX];
	size_t n;
	if (!take_tags(im, args, tags, &n))
		return imap_bad("CANCELUPDATE takes quoted tags of searches with UPDATE");
	for (size_t i = 0; i < n; i++) {
		struct context *c = context_find(im, tags[i]); /* NULL: named twice */
		if (c)
			context_end(im, c);
	}
	return imap_ok("no further updates");
}
