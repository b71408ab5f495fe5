/* SPDX-License-Identifier: Apache-2.0 */
/* search_kept.c - the round of a search in which the store looks into the texts that it keeps (mail/search_text.h).
 * Called by search.c between the view and the facts. What it cannot say (a text that is not made yet, or was cut) stays
 * not known and is left to the rounds behind. Fails: the store is away. */
#include "session/imap/search.h"

#include "mail/fuzzy.h"

enum {
	UIDS_MAX = 4096,            /* of one search_text: when fewer are undecided they are named */
	ANSWER_BYTES_MAX = 1 << 20, /* more is asked for again from there on */
	ENTRY_BYTES = 8,
};

static bool
is_text_key(const struct imap_search_key *k)
{
	return !k->fuzzy && (k->op == SEARCH_HEADER || k->op == SEARCH_BODY || k->op == SEARCH_TEXT);
}

struct store_search_key
search_kept_key(struct imap *im, const struct imap_search_key *k)
{
	return (struct store_search_key){
		.where = k->op == SEARCH_BODY   ? SEARCH_IN_BODY
		         : k->op == SEARCH_TEXT ? SEARCH_IN_TEXT
		                                : SEARCH_IN_HEADER,
		.field = k->field.len ? slice_keep_upper(&im->arena, k->field) : S(""),
		.needle = k->folded.len ? k->folded : S(""),
	};
}

/* The first STORE_SEARCH_KEYS_MAX texts of the program: each gets a bit. */
static uint32_t
make_keys(struct search_run *r, struct store_search_key keys[STORE_SEARCH_KEYS_MAX])
{
	uint32_t n = 0;
	for (size_t i = 0; i < r->program->count && n < STORE_SEARCH_KEYS_MAX; i++) {
		if (!is_text_key(&r->program->keys[i]))
			continue;
		keys[n++] = search_kept_key(r->im, &r->program->keys[i]);
		r->kept_bit[i] = (uint8_t)n; /* bit n - 1; 0: it has none */
	}
	return n;
}

static size_t
next_undecided(const struct search_run *r, size_t i)
{
	while (i < r->im->view.count && r->found[i] != SEARCH_UNKNOWN)
		i++;
	return i;
}

/* The uids of what is undecided, or none when they are too many to name. */
static struct slice
name_undecided(const struct search_run *r, struct arena *a)
{
	char *uids = arena_alloc(a, 4 * UIDS_MAX);
	size_t n = 0;
	for (size_t i = 0; (i = next_undecided(r, i)) < r->im->view.count; i++) {
		if (n == UIDS_MAX)
			return S("");
		bytes_set_le(uids + 4 * n++, r->im->view.rows[i].uid, 4);
	}
	return slice_of(uids, 4 * n);
}

/* Entries of a block to the rows of the view; both rise. What lies between two entries was looked at and has nothing.
 */
static void
take_entries(struct search_run *r, struct slice entries, uint32_t from, uint32_t upto, uint8_t *scores)
{
	const struct view *v = &r->im->view;
	size_t at = 0;
	for (size_t i = index_rows_from(v->rows, v->count, from); i < v->count && v->rows[i].uid <= upto; i++) {
		while (at < entries.len && bytes_get_le(entries.at + at, 4) < v->rows[i].uid)
			at += ENTRY_BYTES;
		bool here = at < entries.len && bytes_get_le(entries.at + at, 4) == v->rows[i].uid;
		struct search_kept kept = { 0 };
		if (here) {
			kept.found = (uint16_t)bytes_get_le(entries.at + at + 4, 2);
			kept.unknown = (uint16_t)bytes_get_le(entries.at + at + 6, 2);
		}
		if (scores)
			scores[i] = kept.unknown ? FUZZY_NOT_KNOWN : (uint8_t)MIN(kept.found, 100u);
		else
			r->kept[i] = kept;
	}
}

enum err
await_search_ask(struct search_run *r, struct store_search_text_in *in, const struct search_asking *how,
                 uint8_t *scores)
{
	struct imap *im = r->im;
	in->mailbox = im->view.mailbox;
	in->into = imap_region(im, how->block, how->got / ENTRY_BYTES * ENTRY_BYTES);
	for (bool more = true; more && im->c->io.error == OK;) {
		struct store_search_text_out out = { 0 };
		enum err e = await_imap_ask_selected(im, search_text, in, &im->arena, &out);
		if (e)
			return e;
		if (out.filled > in->into.len || out.filled % ENTRY_BYTES || (out.more && out.upto < in->from))
			return ERR_DAMAGED;
		/* The named ones are all there is to say; otherwise all up to upto, and behind the last one nothing follows. */
		uint32_t upto = out.more ? out.upto : UINT32_MAX;
		take_entries(r, slice_of(how->block, out.filled), in->from, upto, scores);
		more = out.more && out.upto < UINT32_MAX;
		in->from = out.upto + 1;
	}
	return OK;
}

static void
judge_again(struct search_run *r)
{
	for (size_t i = 0; (i = next_undecided(r, i)) < r->im->view.count; i++)
		r->found[i] = search_judge(r, i, NULL, NULL);
}

static void
kept_init(struct search_run *r)
{
	r->kept = must_calloc(r->im->view.count + 1, sizeof *r->kept);
	for (size_t i = 0; i < r->im->view.count; i++)
		r->kept[i].unknown = UINT16_MAX;
}

enum err
await_search_kept(struct search_run *r)
{
	struct imap *im = r->im;
	struct store_search_key keys[STORE_SEARCH_KEYS_MAX];
	struct store_search_text_in in = { .keys = keys, .nkeys = make_keys(r, keys), .from = 1 };
	struct search_asking how;
	struct arena a;
	bool exact = in.nkeys && r->program->how == FOLD_UNICODE; /* they are kept for that one */
	enum err e = OK;
	if (!exact && !r->program->fuzzy)
		return OK;
	size_t want = MIN(im->view.count * ENTRY_BYTES, (size_t)ANSWER_BYTES_MAX);
	how.block = await_imap_block(im, want, SHM_BLOCK_BYTES_MIN, &how.got);
	if (!how.block)
		return ERR_AGAIN;
	arena_init(&a, 0);
	in.uids = how.uids = name_undecided(r, &a);
	im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
	if (exact) {
		kept_init(r);
		e = await_search_ask(r, &in, &how, NULL);
	}
	if (e == OK)
		e = await_search_fuzzy(r, &how);
	arena_release(&a);
	shm_free(im->c->session->shm, how.block);
	if (e == OK)
		judge_again(r);
	return e == ERR_UNSUPPORTED ? OK : e;
}
