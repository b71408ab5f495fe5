/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - search_text: which messages of a mailbox hold some texts. Runs on the threads for searches, never on the
 * loop, in steps of bounded size, so that searches of several users take turns; memory is bounded by the answer and one
 * text for each thread. What is not kept is said to be not known: the session then looks into the message itself.
 *
 * A search has two phases: one job lists what is to be looked at (packs, and the messages behind them), then two jobs
 * take one unit of it after the other. Each step reads what is durable then; a message that goes meanwhile is not
 * known, and is not asked for any more by who has it no longer. */
#include "store/texts.h"

#include "mail/fuzzy.h"
#include "mail/search_pack.h"
#include "store/rows_state.h"

#include <stdatomic.h>

#define MESSAGES_MAX 262144 /* of one answer */
#define CHUNK 256           /* messages that one thread takes at a time */
#define JOBS 2
#define ENTRY_BYTES 8
#define DENSE 4 /* objects are read by range when at least each fourth number in it is wanted */

struct found {
	uint64_t object;
	uint32_t uid;
	uint16_t found, unknown;
	uint16_t ask; /* keys that its text is to be asked about */
};

int64_t search_step_ms = 20;

/* What one thread takes at a time: a pack, or some messages behind the packs. */
struct unit {
	bool is_pack;
	struct row_pack pack;
	struct found *list; /* of a pack: made by the thread, those with anything to say */
	size_t n, done;     /* done: whose texts were looked into */
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
	struct fuzzy fuzzy; /* when in->fuzzy */
	struct found *list; /* messages behind the packs */
	size_t n, cap;
	struct unit *units;
	size_t nunits, units_cap;
	uint64_t messages; /* in all units */
	uint32_t upto;     /* what is looked at ends here when there is more */
	bool more;
	enum err e;
	atomic_size_t next; /* unit that no thread has taken yet */
	struct search_job {
		struct search *of;
		struct unit *unit; /* under way; NULL: none */
		struct buf record, column;
		int64_t until; /* then others get a turn */
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
	if (!search_text_unpack(packed, &j->record) || !search_text_open(&text, buf_slice(&j->record)))
		return;
	f->unknown = 0;
	if (s->in->fuzzy) {
		f->found = fuzzy_score(&s->fuzzy, &text);
		f->unknown = !f->found && text.flags; /* it was cut */
		return;
	}
	for (uint32_t i = 0; i < s->in->nkeys; i++) {
		if (!(f->ask >> i & 1))
			continue;
		enum search_found found = search_text_find(&text, &s->keys[i]);
		f->found |= (uint16_t)((found == SEARCH_FOUND) << i);
		f->unknown |= (uint16_t)((found == SEARCH_NOT_KNOWN) << i);
	}
}

static bool
time_is_over(const struct search_job *j)
{
	return clock_mono_ms() >= j->until;
}

/* Both look into the first texts of a list, at least into one, until the time is over; *done: so many. */
static enum err
look_one_by_one(struct search_job *j, struct txn *t, struct found *list, size_t n, size_t *done)
{
	for (*done = 0; *done < n && (*done == 0 || !time_is_over(j)); ++*done) {
		struct slice packed;
		enum err e = list[*done].ask ? text_get(t, list[*done].object, &packed) : ERR_NOT_FOUND;
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (!e)
			look_into(j, &list[*done], packed);
	}
	return OK;
}

static enum err
look_by_range(struct search_job *j, struct txn *t, struct found *list, size_t n, size_t *done)
{
	struct key from = key1('T', list[0].object), to = key1('T', list[n - 1].object);
	struct slice k, packed;
	size_t i = 0;
	bool more = true;
	key_nul(&to); /* the last one is inside */
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (i < n && (i == 0 || !time_is_over(j)) && (more = range_next(r, &k, &packed))) {
		uint64_t object = bytes_get_be(k.at + 1, 8);
		while (i < n && list[i].object < object)
			i++;
		if (i < n && list[i].object == object && list[i].ask)
			look_into(j, &list[i], packed);
		i += i < n && list[i].object == object;
	}
	*done = more ? i : n;
	return range_end(&r);
}

static bool
is_dense(const struct found *list, size_t n)
{
	size_t asked = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && list[i].object <= list[i - 1].object)
			return false;
		asked += list[i].ask != 0;
	}
	return asked >= 8 && list[n - 1].object - list[0].object < (uint64_t)DENSE * asked;
}

/* At least one, until the time is over. In transactions of their own: each keeps what it read until it ends. */
static void
look_at_texts(struct search_job *j, struct unit *u)
{
	for (bool first = true; u->done < u->n && !j->e && (first || !time_is_over(j)); first = false) {
		struct found *some = u->list + u->done;
		size_t m = MIN(u->n - u->done, (size_t)CHUNK), done = 0;
		struct txn *t = txn_begin(j->of->s->engine, false);
		j->e = (is_dense(some, m) ? look_by_range : look_one_by_one)(j, t, some, m, &done);
		txn_end(&t);
		u->done += done;
	}
}

/* ---- asking a pack */

struct pack_file {
	struct store *s;
	struct object object;
};

static bool
pack_read(void *from, uint64_t at, void *to, size_t len)
{
	const struct pack_file *f = from;
	return object_read(f->s, &f->object, at, to, len) == OK;
}

struct asked {
	uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
	uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
	uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
	uint16_t found[SEARCH_PACK_MESSAGES_MAX], ask[SEARCH_PACK_MESSAGES_MAX];
};

static void
mark(uint16_t *marks, uint32_t n, const struct search_bits *bits, uint32_t key)
{
	for (uint32_t i = 0; i < n; i++)
		marks[i] |= (uint16_t)(search_bits_get(bits, i) << key);
}

/* Who may have it, but for those that are certain to. */
static bool
propose(struct search_job *j, const struct search_pack *p, uint32_t key, struct asked *a)
{
	const struct search_key *k = &j->of->keys[key];
	struct search_bits bits, certain;
	if (!search_pack_propose(p, k, &bits) || !search_pack_certain(p, k, &j->column, &certain))
		return false;
	for (size_t i = 0; i < SEARCH_PACK_WORDS; i++)
		bits.words[i] &= ~certain.words[i];
	mark(a->found, p->n, &certain, key);
	mark(a->ask, p->n, &bits, key);
	return true;
}

static bool
ask_column(struct search_job *j, const struct search_pack *p, uint32_t key, struct asked *a)
{
	struct search_bits bits;
	if (!search_pack_column(p, &j->of->keys[key], &j->column, &bits))
		return false;
	mark(a->found, p->n, &bits, key);
	return true;
}

/* One key: who has it, and whose text has to be asked. */
static bool
ask_pack(struct search_job *j, const struct search_pack *p, uint32_t key, struct asked *a)
{
	bool column = search_pack_has_column(&j->of->keys[key]);
	uint8_t unsure = column ? SEARCH_TEXT_HEADER_CUT : UINT8_MAX;
	if (!(column ? ask_column : propose)(j, p, key, a))
		return false;
	for (uint32_t i = 0; i < p->n; i++)
		if ((a->flags[i] & unsure) && !(a->found[i] >> key & 1))
			a->ask[i] |= (uint16_t)(1u << key);
	return true;
}

static void
unit_add(struct search_job *j, struct unit *u, const struct asked *a, uint32_t i)
{
	if ((!a->found[i] && !a->ask[i]) || a->uids[i] < j->of->in->from)
		return;
	u->list[u->n++] = (struct found){
		.object = a->objects[i], .uid = a->uids[i], .found = a->found[i], .ask = a->ask[i], .unknown = a->ask[i]
	};
}

/* Makes the list of those that have something to say. False: the pack cannot be asked. */
static bool
list_pack(struct search_job *j, struct unit *u)
{
	struct pack_file file = { .s = j->of->s };
	struct txn *t = txn_begin(j->of->s->engine, false);
	bool good = object_get(t, u->pack.object, &file.object) == OK;
	txn_end(&t);
	struct search_pack p = { .read = pack_read, .from = &file, .bytes = file.object.at.bytes };
	if (!good || !search_pack_open(&p))
		return false;
	struct asked *a = must_calloc(1, sizeof *a);
	good = search_pack_messages(&p, a->uids, a->objects, a->flags);
	if (j->of->in->fuzzy) /* a pack knows nothing of what is alike */
		for (uint32_t i = 0; i < p.n; i++)
			a->ask[i] = 1;
	for (uint32_t key = 0; good && !j->of->in->fuzzy && key < j->of->in->nkeys; key++)
		good = ask_pack(j, &p, key, a);
	if (good) {
		u->list = must_calloc(p.n, sizeof *u->list);
		for (uint32_t i = 0; i < p.n; i++)
			unit_add(j, u, a, i);
	}
	free(a);
	return good;
}

/* ---- the threads */

static enum err list_between(struct search *s, struct txn *t, uint32_t from, uint32_t upto, struct unit *u);

static void
begin_unit(struct search_job *j, struct unit *u)
{
	j->unit = u;
	if (!u->is_pack || list_pack(j, u))
		return;
	struct txn *t = txn_begin(j->of->s->engine, false);
	j->e = list_between(j->of, t, MAX(u->pack.from, j->of->in->from), u->pack.upto, u);
	txn_end(&t);
}

static void
look_run(void *arg)
{
	struct search_job *j = arg;
	struct search *s = j->of;
	size_t at;
	j->until = clock_mono_ms() + search_step_ms;
	do {
		if (!j->unit && (at = atomic_fetch_add(&s->next, 1)) < s->nunits)
			begin_unit(j, &s->units[at]);
		if (!j->unit)
			return;
		look_at_texts(j, j->unit);
		if (j->unit->done == j->unit->n)
			j->unit = NULL;
	} while (!j->e && !time_is_over(j));
}

/* ---- the answer */

/* False: there is no more place. */
static bool
answer_unit(struct search *s, const struct unit *u, struct store_search_text_out *out)
{
	for (size_t i = 0; i < u->n; i++) {
		const struct found *f = &u->list[i];
		if (!f->found && !f->unknown)
			continue;
		if (out->filled == ENTRY_BYTES * s->max)
			return false;
		char *to = s->into + out->filled;
		bytes_set_le(to, f->uid, 4);
		bytes_set_le(to + 4, f->found, 2);
		bytes_set_le(to + 6, f->unknown, 2);
		out->filled += ENTRY_BYTES;
		out->upto = f->uid;
	}
	return true;
}

static void
answer(struct search *s)
{
	struct store_search_text_out out = { .more = s->more };
	bool all = true;
	for (size_t i = 0; i < s->nunits && all; i++)
		all = answer_unit(s, &s->units[i], &out);
	if (all)
		out.upto = s->upto;
	out.more = s->more || !all;
	ipc_reply(s->call, &out);
}

static void
finish(struct search *s)
{
	struct unit *units = s->units;
	struct found *list = s->list;
	size_t n = s->nunits;
	for (size_t i = 0; i < JOBS; i++) {
		s->e = s->e ? s->e : s->jobs[i].e;
		buf_release(&s->jobs[i].record);
		buf_release(&s->jobs[i].column);
	}
	if (s->e)
		ipc_fail(s->call, s->e);
	else
		answer(s);
	for (size_t i = 0; i < n; i++) /* s went with its call */
		if (units[i].is_pack)
			free(units[i].list);
	free(units);
	free(list);
}

static void
look_done(void *arg)
{
	struct search_job *j = arg;
	struct search *s = j->of;
	if (!j->e && s->call->peer->conn && (j->unit || atomic_load(&s->next) < s->nunits))
		store_search_later(s->s, s->principal, look_run, look_done, j);
	else if (--s->running == 0)
		finish(s);
}

/* ---- what is to be looked at */

static struct found
found_of(const struct search *s, uint32_t uid, uint64_t object)
{
	return (struct found){ .uid = uid, .object = object, .unknown = s->all, .ask = s->all };
}

static void
list_add(struct search *s, uint32_t uid, uint64_t object)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->list = must_realloc(s->list, s->cap * sizeof *s->list);
	}
	s->list[s->n++] = found_of(s, uid, object);
	s->messages++;
	s->upto = uid;
}

static struct unit *
units_add(struct search *s)
{
	if (s->nunits == s->units_cap) {
		s->units_cap = 2 * s->units_cap + 64;
		s->units = must_realloc(s->units, s->units_cap * sizeof *s->units);
	}
	s->units[s->nunits] = (struct unit){ 0 };
	return &s->units[s->nunits++];
}

static enum err
list_named(struct search *s, struct txn *t)
{
	struct uid_row *rows;
	size_t n;
	enum err e = messages_get(t, s->account, s->in->mailbox, s->in->uids, &rows, &n);
	for (size_t i = 0; i < n && !e; i++)
		list_add(s, rows[i].uid, rows[i].row.object);
	free(rows);
	return e;
}

/* Packs from `from` on; *behind: the first uid that is in none of them. */
static enum err
list_packs(struct search *s, struct txn *t, uint32_t from, uint32_t *behind)
{
	struct key first = key2('z', s->account, s->in->mailbox), to = first;
	struct slice k, value;
	struct row_pack row;
	key_u32(&first, from);
	key_after_prefix(&to);
	*behind = from;
	struct range *r = range_begin(t, key_slice(&first), key_slice(&to), false);
	while (!s->more && range_next(r, &k, &value)) {
		if (!row_pack_take(k, value, &row) || row.from > *behind || row.upto < *behind)
			break; /* what is not in packs is looked at by itself */
		if (s->messages && s->messages + row.count > MESSAGES_MAX) {
			s->more = true;
			break;
		}
		struct unit *u = units_add(s);
		u->is_pack = true;
		u->pack = row;
		s->messages += row.count;
		s->upto = row.upto;
		*behind = row.upto + 1;
	}
	return range_end(&r);
}

static enum err
list_behind(struct search *s, struct txn *t, uint32_t from)
{
	struct key first = key_message(s->account, s->in->mailbox, from), to = key2('u', s->account, s->in->mailbox);
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&first), key_slice(&to), false);
	while (!s->more && range_next(r, &k, &value)) {
		struct row_message m;
		if (!row_message_take(value, &m))
			continue;
		if (s->messages >= MESSAGES_MAX)
			s->more = true;
		else
			list_add(s, (uint32_t)bytes_get_be(k.at + 17, 4), m.object);
	}
	return range_end(&r);
}

/* The messages of a pack that cannot be asked. */
static enum err
list_between(struct search *s, struct txn *t, uint32_t from, uint32_t upto, struct unit *u)
{
	struct key first = key_message(s->account, s->in->mailbox, from), to = first;
	struct slice k, value;
	to = key_message(s->account, s->in->mailbox, upto);
	key_nul(&to);
	size_t cap = 0;
	u->n = 0;
	struct range *r = range_begin(t, key_slice(&first), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		struct row_message m;
		if (!row_message_take(value, &m))
			continue;
		if (u->n == cap)
			u->list = must_realloc(u->list, (cap = 2 * cap + 256) * sizeof *u->list);
		u->list[u->n++] = found_of(s, (uint32_t)bytes_get_be(k.at + 17, 4), m.object);
	}
	return range_end(&r);
}

static void
list_run(void *arg)
{
	struct search *s = arg;
	uint32_t behind = 1;
	struct txn *t = txn_begin(s->s->engine, false);
	s->e = acl_check(t, s->account, s->in->mailbox, s->principal, ACL_READ);
	if (!s->e && s->in->uids.len)
		s->e = list_named(s, t);
	else if (!s->e)
		s->e = list_packs(s, t, s->in->from, &behind);
	if (!s->e && !s->in->uids.len && !s->more)
		s->e = list_behind(s, t, behind);
	txn_end(&t);
	for (size_t at = 0; at < s->n; at += CHUNK) {
		struct unit *u = units_add(s);
		u->list = s->list + at;
		u->n = MIN(s->n - at, (size_t)CHUNK);
	}
}

static void
list_done(void *arg)
{
	struct search *s = arg;
	if (s->e || s->nunits == 0) {
		finish(s);
		return;
	}
	s->running = JOBS;
	for (size_t i = 0; i < JOBS; i++)
		store_search_later(s->s, s->principal, look_run, look_done, &s->jobs[i]);
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
	if (s->in->fuzzy && s->in->nkeys == 1)
		fuzzy_init(&s->fuzzy, &s->keys[0]);
	return s->in->nkeys == 1 || (s->in->nkeys > 0 && !s->in->fuzzy);
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
		buf_init(&s->jobs[i].column, SEARCH_PACK_BYTES_MAX);
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
		store_search_later(store, s->principal, list_run, list_done, s);
	}
}
