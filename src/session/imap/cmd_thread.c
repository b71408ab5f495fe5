/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_thread.c - THREAD and UID THREAD (RFC 5256 3): messages that were found, as trees. */
#include "mail/base_subject.h"
#include "mail/fold.h"
#include "session/imap/keys_walk.h"
#include "session/imap/search.h"
#include "session/imap/thread.h"

enum { TEXT_BYTES = 32 << 10, FOLD_BYTES_MAX = 64 << 10 };

static const struct algorithm {
	struct slice word;
	void (*run)(struct thread *t);
	bool by_references;
} algorithms[] = {
	{ S_ROW("ORDEREDSUBJECT"), thread_by_subject, false },
	{ S_ROW("REFERENCES"), thread_by_references, true },
	{ S_ROW("REFS"), thread_by_refs, true },
};

struct threading {
	struct imap *im;
	const struct algorithm *algorithm;
	const uint32_t *rows;
	struct thread t;
	struct buf text;
	struct thread_node **nodes; /* of the ids of the pack under way; NULL: not asked for yet */
};

static void
add_message(void *to, size_t i, const struct facts *facts)
{
	struct threading *h = to;
	struct thread_message m = { .message = h->rows[i] };
	m.sent = facts_sent(facts, &h->im->view.rows[h->rows[i]]);
	if (facts->count) {
		buf_clear(&h->text);
		m.reply = base_subject_put(&h->text, facts_get(facts, FACTS_SUBJECT));
		buf_clear(&h->text);
		fold_put_as(&h->text, h->im->collation, facts_get(facts, FACTS_BASE_SUBJECT));
		m.subject = buf_slice(&h->text);
		if (h->algorithm->by_references) {
			m.id = facts_get(facts, FACTS_MESSAGE_ID);
			m.references = facts_get(facts, FACTS_REFERENCES);
		}
	}
	thread_add(&h->t, &m);
}

/* ---- the same from columns of a pack, in which each id stands once */

static void
begin_pack(void *to, const struct sort_keys *k)
{
	struct threading *h = to;
	memset(h->nodes, 0, k->nids * sizeof(struct thread_node *));
}

static struct thread_node *
node_of(struct threading *h, const struct sort_keys *k, uint16_t id)
{
	if (id == SORT_KEYS_NO_ID)
		return NULL;
	if (!h->nodes[id])
		h->nodes[id] = thread_node_of(&h->t, sort_keys_id(k, id));
	return h->nodes[id];
}

static void
add_columns(void *to, size_t i, const struct sort_keys *k, uint32_t at)
{
	struct threading *h = to;
	uint16_t ids[THREAD_REFERENCES_MAX];
	struct thread_node *references[THREAD_REFERENCES_MAX], *own = NULL;
	struct thread_message m = { .message = h->rows[i] };
	int64_t sent = sort_keys_date(k, at);
	uint32_t n = 0;
	m.sent = sent != INT64_MIN ? sent : h->im->view.rows[h->rows[i]].received;
	m.reply = sort_keys_flags(k, at) & SORT_KEYS_REPLY;
	m.subject = sort_keys_text(k, SORT_KEYS_SUBJECT, at);
	if (h->algorithm->by_references) {
		own = node_of(h, k, sort_keys_own_id(k, at));
		n = sort_keys_references(k, at, ids, THREAD_REFERENCES_MAX);
		for (uint32_t r = 0; r < n; r++)
			references[r] = node_of(h, k, ids[r]);
	}
	thread_add_nodes(&h->t, &m, own, references, n);
}

/* They are kept for one way to fold. */
static uint32_t
columns_wanted(const struct threading *h)
{
	uint32_t columns = 1u << SORT_KEYS_UIDS | 1u << SORT_KEYS_DATE | 1u << SORT_KEYS_SUBJECT;
	if (h->im->collation != FOLD_UNICODE)
		return 0;
	return h->algorithm->by_references ? columns | 1u << SORT_KEYS_IDS : columns;
}

/* ---- writing */

static void
put_number(struct imap *im, const struct thread_node *n)
{
	if (n->message == THREAD_NO_MESSAGE)
		return;
	buf_put_u64(&im->text, im->by_uid ? im->view.rows[n->message].uid : (uint64_t)n->message + 1);
	if (n->first)
		buf_put_char(&im->text, ' ');
}

/* thread-members: a chain, and where it splits a parenthesis for each branch. The stack holds, for each split above,
 * the branches that are still to come. */
static void
await_put_thread(struct imap *im, const struct thread_node *n)
{
	const struct thread_node **left = NULL;
	size_t depth = 0, cap = 0;
	buf_put_char(&im->text, '(');
	while (n) {
		put_number(im, n);
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
		if (n->first && n->first == n->last) {
			n = n->first;
			continue;
		}
		if (n->first) {
			if (depth == cap)
				left = must_realloc(left, (cap = 2 * cap + 16) * sizeof *left);
			left[depth++] = n->first;
		} else {
			buf_put_char(&im->text, ')');
		}
		for (; depth && !left[depth - 1]; depth--)
			buf_put_char(&im->text, ')');
		n = depth ? left[depth - 1] : NULL;
		if (n) {
			left[depth - 1] = n->next;
			buf_put_char(&im->text, '(');
		}
	}
	free(left);
}

static void
await_put_threads(struct imap *im, const struct thread *t)
{
	buf_put(&im->text, t->root.first ? S("* THREAD ") : S("* THREAD"));
	for (const struct thread_node *n = t->root.first; n; n = n->next)
		await_put_thread(im, n);
	buf_put(&im->text, S("\r\n"));
}

/* ---- the command */

static enum err
await_threads(struct threading *h, size_t n)
{
	thread_init(&h->t, h->algorithm->by_references ? n : 0);
	buf_init(&h->text, FOLD_BYTES_MAX);
	h->nodes = must_calloc(SORT_KEYS_IDS_MAX, sizeof(struct thread_node *));
	const struct keys_wanted want = { columns_wanted(h), add_columns, add_message, begin_pack, h };
	enum err e = await_keys_walk(h->im, h->rows, n, &want);
	free(h->nodes);
	if (e == OK) {
		h->algorithm->run(&h->t);
		await_put_threads(h->im, &h->t);
	}
	thread_release(&h->t);
	buf_release(&h->text);
	return e;
}

static struct imap_reply
await_run(struct threading *h, struct imap_search *program)
{
	struct search_run r;
	struct imap_reply no = await_search_limited(&r, h->im, program, true); /* RFC 9738 3.3 */
	if (no.status == IMAP_OK) {
		uint32_t *rows = must_calloc(h->im->view.count + 1, sizeof *rows);
		h->rows = rows;
		enum err e = await_threads(h, search_found(&r, rows));
		no = e ? imap_err(e) : imap_ok("threaded");
		free(rows);
	}
	search_run_release(&r);
	return no;
}

static bool
take_algorithm(struct cursor *c, const struct algorithm **algorithm)
{
	struct slice word;
	if (!imap_take_atom(c, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (slice_equal_nocase(word, algorithms[i].word))
			*algorithm = &algorithms[i];
	return *algorithm != NULL;
}

struct imap_reply
imap_cmd_thread(struct imap *im, struct cursor *args)
{
	struct threading h = { .im = im };
	struct imap_search program;
	struct slice charset;
	if (!imap_take_space(args) || !take_algorithm(args, &h.algorithm) || !imap_take_space(args) ||
	    !imap_take_astring(args, &im->arena, &charset) || !imap_take_space(args))
		return imap_bad("THREAD takes an algorithm that is known here, a charset, and what to search for");
	struct imap_reply no = await_imap_search_program(im, args, charset, &program);
	return no.status == IMAP_OK ? await_run(&h, &program) : no;
}
