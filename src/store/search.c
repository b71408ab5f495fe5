/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - search_text: which messages of a mailbox hold some texts. Runs on the threads for searches, never on the
 * loop, in steps of bounded size, so that searches of several users take turns; memory is bounded by the answer and one
 * text for each thread. What is not kept is said to be not known: the session then looks into the message itself.
 *
 * A search has two phases: one job lists the messages (uid and object), then two jobs look into their texts, a chunk at
 * a time. Each step reads what is durable then; a message that goes meanwhile is not known, and is not asked for any
 * more by who has it no longer. */
#include "store/texts.h"

#include "mail/search_text.h"
#include "store/rows_state.h"

#include <stdatomic.h>

#define MESSAGES_MAX 262144 /* of one answer */
#define CHUNK 256           /* messages that one thread takes at a time */
#define STEP_MS 20          /* then others get a turn */
#define JOBS 2
#define ENTRY_BYTES 8
#define DENSE 4 /* objects are read by range when at least each fourth number in it is wanted */

struct found {
	uint64_t object;
	uint32_t uid;
	uint16_t found, unknown;
};

struct search {
	struct ipc_call *call;
	struct store *s;
	const struct store_search_text_in *in;
	uint64_t account, principal;
	char *into;
	size_t max; /* entries */
	struct search_key keys[STORE_SEARCH_KEYS_MAX];
	uint16_t all;
	struct found *list;
	size_t n;
	bool more;
	enum err e;
	atomic_size_t next; /* message that no thread has taken yet */
	struct search_job {
		struct search *of;
		struct buf record;
		enum err e;
	} jobs[JOBS];
	size_t running;
};

/* ---- looking into texts */

static void
look_into(struct search_job *j, struct found *f, struct slice packed)
{
	struct search *s = j->of;
	struct search_text text;
	f->unknown = s->all;
	if (!search_text_unpack(packed, &j->record) || !search_text_open(&text, buf_slice(&j->record)))
		return;
	f->unknown = 0;
	for (uint32_t i = 0; i < s->in->nkeys; i++) {
		enum search_found found = search_text_find(&text, &s->keys[i]);
		f->found |= (uint16_t)((found == SEARCH_FOUND) << i);
		f->unknown |= (uint16_t)((found == SEARCH_NOT_KNOWN) << i);
	}
}

static enum err
look_one_by_one(struct search_job *j, struct txn *t, struct found *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slice packed;
		enum err e = text_get(t, list[i].object, &packed);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (!e)
			look_into(j, &list[i], packed);
	}
	return OK;
}

static enum err
look_by_range(struct search_job *j, struct txn *t, struct found *list, size_t n)
{
	struct key from = key1('T', list[0].object), to = key1('T', list[n - 1].object);
	struct slice k, packed;
	size_t i = 0;
	key_nul(&to); /* the last one is inside */
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (i < n && range_next(r, &k, &packed)) {
		uint64_t object = bytes_get_be(k.at + 1, 8);
		while (i < n && list[i].object < object)
			i++;
		if (i < n && list[i].object == object)
			look_into(j, &list[i++], packed);
	}
	return range_end(&r);
}

static bool
is_dense(const struct found *list, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (list[i].object <= list[i - 1].object)
			return false;
	return n >= 8 && list[n - 1].object - list[0].object < (uint64_t)DENSE * n;
}

static void
look_at_chunk(struct search_job *j, struct found *list, size_t n)
{
	struct txn *t = txn_begin(j->of->s->engine, false);
	enum err e = (is_dense(list, n) ? look_by_range : look_one_by_one)(j, t, list, n);
	j->e = j->e ? j->e : e;
	txn_end(&t);
}

static void
look_run(void *arg)
{
	struct search_job *j = arg;
	struct search *s = j->of;
	int64_t until = clock_mono_ms() + STEP_MS;
	size_t at;
	while (!j->e && (at = atomic_fetch_add(&s->next, CHUNK)) < s->n) {
		look_at_chunk(j, s->list + at, MIN(s->n - at, (size_t)CHUNK));
		if (clock_mono_ms() >= until)
			break;
	}
}

/* ---- the answer */

static void
answer(struct search *s)
{
	struct store_search_text_out out = { .more = s->more };
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct found *f = &s->list[i];
		if (n == s->max) {
			out.more = true;
			break;
		}
		out.upto = f->uid;
		if (!f->found && !f->unknown)
			continue;
		char *to = s->into + ENTRY_BYTES * n++;
		bytes_set_le(to, f->uid, 4);
		bytes_set_le(to + 4, f->found, 2);
		bytes_set_le(to + 6, f->unknown, 2);
	}
	out.filled = (uint32_t)(ENTRY_BYTES * n);
	ipc_reply(s->call, &out);
}

static void
finish(struct search *s)
{
	for (size_t i = 0; i < JOBS; i++) {
		s->e = s->e ? s->e : s->jobs[i].e;
		buf_release(&s->jobs[i].record);
	}
	struct found *list = s->list;
	if (s->e)
		ipc_fail(s->call, s->e);
	else
		answer(s);
	free(list); /* s went with its call */
}

static void
look_done(void *arg)
{
	struct search_job *j = arg;
	struct search *s = j->of;
	if (!j->e && s->call->peer->conn && atomic_load(&s->next) < s->n)
		store_search_later(s->s, look_run, look_done, j);
	else if (--s->running == 0)
		finish(s);
}

/* ---- the list of messages */

static void
list_add(struct search *s, size_t *cap, uint32_t uid, uint64_t object)
{
	if (s->n == *cap) {
		*cap = *cap ? 2 * *cap : 1024;
		s->list = must_realloc(s->list, *cap * sizeof *s->list);
	}
	s->list[s->n++] = (struct found){ .uid = uid, .object = object, .unknown = s->all };
}

static enum err
list_named(struct search *s, struct txn *t)
{
	struct uid_row *rows;
	size_t n, cap = 0;
	enum err e = messages_get(t, s->account, s->in->mailbox, s->in->uids, &rows, &n);
	for (size_t i = 0; i < n && !e; i++)
		list_add(s, &cap, rows[i].uid, rows[i].row.object);
	free(rows);
	return e;
}

static enum err
list_all(struct search *s, struct txn *t)
{
	struct key from = key_message(s->account, s->in->mailbox, s->in->from), to = key2('u', s->account, s->in->mailbox);
	struct slice k, value;
	size_t cap = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		struct row_message m;
		if (!row_message_take(value, &m))
			continue;
		if (s->n == MESSAGES_MAX) {
			s->more = true;
			break;
		}
		list_add(s, &cap, (uint32_t)bytes_get_be(k.at + 17, 4), m.object);
	}
	return range_end(&r);
}

static void
list_run(void *arg)
{
	struct search *s = arg;
	struct txn *t = txn_begin(s->s->engine, false);
	s->e = acl_check(t, s->account, s->in->mailbox, s->principal, ACL_READ);
	if (!s->e)
		s->e = s->in->uids.len ? list_named(s, t) : list_all(s, t);
	txn_end(&t);
}

static void
list_done(void *arg)
{
	struct search *s = arg;
	if (s->e || s->n == 0) {
		finish(s);
		return;
	}
	s->running = JOBS;
	for (size_t i = 0; i < JOBS; i++)
		store_search_later(s->s, look_run, look_done, &s->jobs[i]);
}

/* ---- the call */

static bool
take_keys(struct search *s)
{
	for (uint32_t i = 0; i < s->in->nkeys; i++) {
		const struct store_search_key *k = &s->in->keys[i];
		if (k->where > SEARCH_IN_HEADER)
			return false;
		s->keys[i] = (struct search_key){ (enum search_where)k->where, k->field, k->needle };
		s->all |= (uint16_t)(1u << i);
	}
	return s->in->nkeys > 0;
}

void
search_text_call(struct ipc_call *call, const struct store_search_text_in *in)
{
	struct store *store = ((struct store_peer *)call->peer->state)->store;
	struct handle *h = handle_of(call, in->handle);
	struct search *s = ARENA_NEW(&call->arena, struct search);
	*s = (struct search){ .call = call, .s = store, .in = in };
	for (size_t i = 0; i < JOBS; i++) {
		s->jobs[i].of = s;
		buf_init(&s->jobs[i].record, SEARCH_TEXT_BYTES_MAX);
	}
	s->into = shm_range(&call->peer->shm, in->into.off, in->into.len);
	s->max = MIN(in->into.len, (uint64_t)UINT32_MAX) / ENTRY_BYTES;
	if (!h) {
		ipc_fail(call, ERR_STALE);
	} else if (!store->conf->v.search_index) {
		ipc_fail(call, ERR_UNSUPPORTED);
	} else if (!s->into || s->max == 0 || !take_keys(s)) {
		ipc_fail(call, ERR_SYNTAX);
	} else {
		s->account = h->account;
		s->principal = h->principal;
		store_search_later(store, list_run, list_done, s);
	}
}
