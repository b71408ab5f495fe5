/* SPDX-License-Identifier: Apache-2.0 */
/* match.c - looks into one message for several substrings at once. Called by scan, for messages whose text is not kept.
 * Each piece of search_text.c is searched for each needle that was not found before. Linear in message times needles.
 */
#include "mail/match.h"

#include "base/arena.h"
#include "mail/fold.h"
#include "mail/search_text.h"

struct match {
	struct search_walk walk;
	const struct match_key *keys;
	size_t nkeys;
	uint64_t hits, all, of_body;
	struct slice needles[MATCH_KEYS_MAX], fields[MATCH_KEYS_MAX]; /* folded */
	struct arena arena;
};

static struct slice
keep_folded(struct match *m, struct buf *folded, struct slice text)
{
	buf_clear(folded);
	fold_put_as(folded, m->walk.how, text);
	return slice_keep(&m->arena, buf_slice(folded));
}

static void
fold_keys(struct match *m)
{
	struct buf folded;
	buf_init(&folded, 1u << 20);
	for (size_t i = 0; i < m->nkeys; i++) {
		m->needles[i] = keep_folded(m, &folded, m->keys[i].needle);
		m->fields[i] = slice_keep_upper(&m->arena, m->keys[i].field);
		m->all |= (uint64_t)1 << i;
		if (m->keys[i].where != MATCH_IN_HEADER)
			m->of_body |= (uint64_t)1 << i;
	}
	buf_release(&folded);
}

static bool
holds(const struct match *m, size_t i, bool of_body, struct slice text)
{
	switch (m->keys[i].where) {
	case MATCH_IN_HEADER:
		return !of_body && search_field_value(text, m->fields[i], &text) && slice_find(text, m->needles[i]) >= 0;
	case MATCH_IN_BODY: return of_body && slice_find(text, m->needles[i]) >= 0;
	default: return slice_find(text, m->needles[i]) >= 0;
	}
}

static bool
look(struct search_walk *w, bool of_body, struct slice text)
{
	struct match *m = CONTAINER_OF(w, struct match, walk);
	for (size_t i = 0; i < m->nkeys; i++)
		if (!(m->hits >> i & 1) && holds(m, i, of_body, text))
			m->hits |= (uint64_t)1 << i;
	return m->hits != m->all;
}

uint64_t
match_message(struct slice message, const struct match_key *keys, size_t nkeys)
{
	struct match m = { .walk = { .header = true, .piece = look }, .keys = keys, .nkeys = nkeys };
	ASSERT(nkeys <= MATCH_KEYS_MAX);
	m.walk.how = nkeys ? keys[0].how : FOLD_UNICODE;
	if (message.len >= UINT32_MAX)
		return 0;
	arena_init(&m.arena, 0);
	fold_keys(&m);
	search_walk(&m.walk, message);
	m.walk.header = false;
	m.walk.body = (m.of_body & ~m.hits) != 0;
	search_walk(&m.walk, message);
	for (size_t i = 0; i < nkeys; i++) /* nothing is everywhere, in a message without any text, too */
		if (keys[i].where != MATCH_IN_HEADER && m.needles[i].len == 0)
			m.hits |= (uint64_t)1 << i;
	arena_release(&m.arena);
	return m.hits;
}
