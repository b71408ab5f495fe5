/* SPDX-License-Identifier: Apache-2.0 */
/* search_fuzzy.c - the texts of a search that are within FUZZY (RFC 6203): each gets a score for each message, from the
 * texts that the store keeps, or from scan where it keeps none. What has a score above 0 matches. Keys that are no
 * texts are matched exactly (5). Called by search.c and search_kept.c. */
#include "session/imap/search.h"

#include "mail/fuzzy.h"

enum { FUZZY_KEYS_MAX = 16 }; /* of one search */

/* RFC 6203 4, 6: RELEVANCY only with FUZZY */
struct imap_reply
search_fuzzy_check(const struct imap_search *program, const struct imap_return *ret, bool sorts)
{
	size_t n = 0;
	if (!program->fuzzy && (sorts || (ret->items & RETURN_RELEVANCY)))
		return imap_bad("RELEVANCY is of searches with FUZZY");
	for (size_t i = 0; i < program->count; i++)
		n += program->keys[i].fuzzy;
	if (n > FUZZY_KEYS_MAX)
		return imap_no("LIMIT", "at most 16 texts within FUZZY");
	return imap_ok("");
}

void
search_fuzzy_init(struct search_run *r)
{
	size_t messages = r->im->view.count + 1;
	if (!r->program->fuzzy)
		return;
	r->scores = must_calloc(r->program->count + 1, sizeof *r->scores);
	for (size_t i = 0; i < r->program->count; i++) {
		if (!r->program->keys[i].fuzzy)
			continue;
		r->scores[i] = must_calloc(messages, 1);
		memset(r->scores[i], FUZZY_NOT_KNOWN, messages);
	}
}

void
search_fuzzy_release(struct search_run *r)
{
	for (size_t i = 0; r->scores && i < r->program->count; i++)
		free(r->scores[i]);
	free(r->scores);
}

enum err
await_search_fuzzy(struct search_run *r, const struct search_asking *how)
{
	enum err e = OK;
	for (size_t i = 0; i < r->program->count && e == OK; i++) {
		if (!r->program->keys[i].fuzzy)
			continue;
		struct store_search_key key = search_kept_key(r->im, &r->program->keys[i]);
		struct store_search_text_in in = { .keys = &key, .nkeys = 1, .uids = how->uids, .from = 1, .fuzzy = true };
		e = await_search_ask(r, &in, how, r->scores[i]);
	}
	return e;
}

enum err
await_search_scores(struct search_run *r, const struct scan_match_in *match, struct arena *a)
{
	enum err e = OK;
	for (size_t i = 0; i < r->program->count && e == OK; i++) {
		if (!r->program->keys[i].fuzzy || r->scores[i][r->at] != FUZZY_NOT_KNOWN)
			continue;
		struct store_search_key key = search_kept_key(r->im, &r->program->keys[i]);
		struct scan_score_in in = { .file = match->file,
			                        .off = match->off,
			                        .bytes = match->bytes,
			                        .where = key.where,
			                        .field = key.field,
			                        .needle = key.needle };
		struct scan_score_out out = { 0 };
		e = await_scan_score(session_scan(r->im->c->session), &in, a, &out);
		r->scores[i][r->at] = (uint8_t)MIN(out.score, 100u);
	}
	return e;
}

/* ---- of the whole program */

static unsigned
score_and(unsigned a, unsigned b)
{
	return a && b ? (a + b) / 2 : a + b; /* 0: what is exact says nothing of relevancy */
}

uint8_t
search_relevancy(const struct search_run *r, size_t index)
{
	size_t top = 0;
	for (size_t i = 0; i < r->program->count; i++) {
		const struct imap_search_key *k = &r->program->keys[i];
		uint8_t *last = top ? &r->stack[top - 1] : r->stack;
		switch (k->op) {
		case SEARCH_AND:
			top--;
			last[-1] = (uint8_t)score_and(last[-1], last[0]);
			break;
		case SEARCH_OR:
			top--;
			last[-1] = MAX(last[-1], last[0]);
			break;
		case SEARCH_NOT: *last = 0; break;
		default: r->stack[top++] = k->fuzzy && r->scores[i][index] != FUZZY_NOT_KNOWN ? r->scores[i][index] : 0;
		}
	}
	ASSERT(top == 1);
	return r->stack[0] ? r->stack[0] : 100; /* found without any fuzzy text */
}
