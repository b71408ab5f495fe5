/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_surrogate.c - messages with UTF-8 in their headers, for clients that did not ask for it: all headers, those of
 * parts and of messages inside, too, are replaced (mail/downgrade.h), the bodies stay. The structure of the surrogate
 * is made by scan, as that of any message. Called by cmd_fetch.c. Fails as store and scan do. */
#include "mail/downgrade.h"
#include "session/imap/fetch.h"

static enum err
await_add_patch(struct fetch_body *b, struct arena *a, const struct facts_part *part, struct buf *text,
                struct fetch_patch *patch, bool *made)
{
	struct slice header;
	*made = false;
	if (part->body <= part->header || part->body - part->header > FETCH_HEADER_BYTES_MAX)
		return OK;
	enum err e = await_fetch_stretch(b, part->header, part->body - part->header, &header);
	if (e != OK)
		return e;
	buf_clear(text);
	*made = downgrade_header(text, header);
	if (*made)
		*patch = (struct fetch_patch){ .from = part->header, .to = part->body, .text = slice_keep(a, buf_slice(text)) };
	return OK;
}

static enum err
await_patches(struct fetch_body *b, struct arena *a, const struct facts *facts, struct fetch_patch *patches, size_t *n)
{
	struct buf text;
	enum err e = OK;
	uint64_t to = 0;
	buf_init(&text, 2 * FETCH_HEADER_BYTES_MAX);
	for (size_t i = 0; i < facts_parts(facts) && e == OK; i++) {
		struct facts_part part;
		bool made = false;
		if (facts_part(facts, i, &part) && part.header >= to) /* a damaged record must not make them overlap */
			e = await_add_patch(b, a, &part, &text, &patches[*n], &made);
		to = made ? patches[*n].to : to;
		*n += made;
	}
	buf_release(&text);
	return e;
}

bool
fetch_patches_find(const struct fetch_body *b, uint64_t *from, size_t *len, struct slice *out)
{
	uint64_t shown = 0, kept = 0; /* behind the last patch that ends before */
	for (size_t i = 0; i < b->npatches; i++) {
		const struct fetch_patch *p = &b->patches[i];
		if (*from < p->at) {
			*len = (size_t)MIN((uint64_t)*len, p->at - *from);
			break;
		}
		if (*from < p->at + p->text.len) {
			*out = slice_part(p->text, (size_t)(*from - p->at), *len);
			return true;
		}
		shown = p->at + p->text.len;
		kept = p->to;
	}
	*from = *from - shown + kept;
	return false;
}

/* A message in memory is put together at once. */
static void
put_together(struct fetch_body *b, struct arena *a, const struct fetch_patch *patches, size_t n, uint64_t bytes)
{
	char *to = arena_alloc(a, (size_t)bytes + 1);
	size_t at = 0, from = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(to + at, b->whole.at + from, (size_t)patches[i].from - from);
		at += (size_t)patches[i].from - from;
		if (patches[i].text.len)
			memcpy(to + at, patches[i].text.at, patches[i].text.len);
		at += patches[i].text.len;
		from = (size_t)patches[i].to;
	}
	memcpy(to + at, b->whole.at + from, b->whole.len - from);
	b->whole = slice_of(to, (size_t)bytes);
}

static void
apply(struct fetch_body *b, struct arena *a, struct fetch_patch *patches, size_t n)
{
	uint64_t grown = 0, cut = 0;
	for (size_t i = 0; i < n; i++) {
		patches[i].at = patches[i].from + grown - cut;
		grown += patches[i].text.len;
		cut += patches[i].to - patches[i].from;
	}
	uint64_t bytes = b->bytes + grown - cut;
	if (b->whole.at) {
		put_together(b, a, patches, n, bytes);
	} else {
		b->patches = patches;
		b->npatches = n;
	}
	b->bytes = bytes;
}

enum err
await_fetch_surrogate(struct fetch_body *b, struct arena *a, struct facts *facts, bool *made)
{
	struct fetch_patch *patches = ARENA_ARRAY(a, struct fetch_patch, facts_parts(facts));
	size_t n = 0;
	enum err e = await_patches(b, a, facts, patches, &n);
	*made = n > 0;
	if (e != OK || !n)
		return e;
	apply(b, a, patches, n);
	return await_fetch_facts(b, a, SLICE_NONE, facts);
}
