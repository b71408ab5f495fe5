/* SPDX-License-Identifier: Apache-2.0 */
/* packs.c - packs of texts (mail/search_pack.h): which messages are due for one, the texts for it, and where it is
 * kept. A pack is an object like a body, in a segment, written once; a row 'z' names it. Packs follow each other by
 * uids without gaps; what stands behind the last one is searched text by text. They only make searches faster: all of
 * them may go at any time, and do when most of what they hold is gone. */
#include "store/texts.h"

#include "mail/search_pack.h"
#include "store/rows_state.h"

#define ROW_VERSION 1
#define ROW_PACK_BYTES 17
#define ENTRY_HEAD_BYTES 24

uint32_t pack_messages = SEARCH_PACK_MESSAGES_MAX;

/* ---- rows */

bool
row_pack_take(struct slice key, struct slice value, struct row_pack *row)
{
	if (key.len != 21 || value.len != ROW_PACK_BYTES || value.at[0] != ROW_VERSION)
		return false;
	row->upto = (uint32_t)bytes_get_be(key.at + 17, 4);
	row->from = (uint32_t)bytes_get_le(value.at + 1, 4);
	row->count = (uint32_t)bytes_get_le(value.at + 5, 4);
	row->object = bytes_get_le(value.at + 9, 8);
	return true;
}

static struct key
pack_key(uint64_t account, uint64_t mailbox, uint32_t upto)
{
	struct key k = key2('z', account, mailbox);
	key_u32(&k, upto);
	return k;
}

static void
row_pack_put(struct txn *t, uint64_t account, uint64_t mailbox, const struct row_pack *row)
{
	char bytes[ROW_PACK_BYTES] = { ROW_VERSION };
	struct key k = pack_key(account, mailbox, row->upto);
	bytes_set_le(bytes + 1, row->from, 4);
	bytes_set_le(bytes + 5, row->count, 4);
	bytes_set_le(bytes + 9, row->object, 8);
	txn_put(t, key_slice(&k), slice_of(bytes, sizeof bytes));
}

enum err
packs_remove(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox)
{
	struct key from = key2('z', account, mailbox), to = from;
	struct slice k, value;
	struct row_pack *rows = NULL;
	size_t n = 0, cap = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		if (n == cap)
			rows = must_realloc(rows, (cap = 2 * cap + 16) * sizeof *rows);
		n += row_pack_take(k, value, &rows[n]);
	}
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++) {
		struct key gone = pack_key(account, mailbox, rows[i].upto);
		txn_delete(t, key_slice(&gone));
		e = object_refer(s, t, rows[i].object, -1);
	}
	free(rows);
	return e;
}

/* ---- pack_wanted */

/* Twice as many as there are, and one pack more: so little is done twice. */
static bool
are_mostly_dead(const struct row_texts *texts, const struct row_mailbox *mailbox)
{
	return texts->packed > 2 * (uint64_t)mailbox->messages + pack_messages;
}

/* Of a version that is not read any more. */
static bool
are_old(const struct row_texts *texts)
{
	return texts->packed && texts->pack_version != SEARCH_PACK_VERSION;
}

bool
packs_have_work(const struct row_texts *texts, const struct row_mailbox *mailbox)
{
	return are_mostly_dead(texts, mailbox) || are_old(texts) ||
	       (texts->text_uid > texts->pack_uid && texts->text_uid - texts->pack_uid >= pack_messages &&
	        mailbox->messages >= pack_messages);
}

struct asking {
	struct ipc_call *call;
	struct store *s;
	const void *in;
	void *out;
	char *into;
	size_t into_bytes;
	enum err (*ask)(struct asking *a, struct txn *t);
	enum err e;
};

static void
ask_run(void *arg)
{
	struct asking *a = arg;
	struct txn *t = txn_begin(a->s->engine, false);
	a->e = a->ask(a, t);
	txn_end(&t);
}

static void
ask_done(void *arg)
{
	struct asking *a = arg;
	if (a->e)
		ipc_fail(a->call, a->e);
	else
		ipc_reply(a->call, a->out);
}

static struct asking *
asking_new(struct ipc_call *call, const void *in, void *out, enum err (*ask)(struct asking *a, struct txn *t))
{
	struct asking *a = ARENA_NEW(&call->arena, struct asking);
	*a = (struct asking){ .call = call, .in = in, .out = out, .ask = ask };
	a->s = ((struct store_peer *)call->peer->state)->store;
	return a;
}

/* The first `want` messages behind pack_uid, if there are as many with their texts. */
static enum err
find_wanted(struct txn *t, const struct store_pack_wanted_in *in, const struct row_texts *texts,
            struct store_pack_wanted_out *out)
{
	struct key from = key_message(in->account, in->mailbox, texts->pack_uid + 1);
	struct key to = key_message(in->account, in->mailbox, texts->text_uid);
	struct slice k, value;
	uint32_t n = 0, due = pack_messages, want = in->max && in->max < due ? in->max : due;
	key_nul(&to); /* the last one is inside */
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n < due && range_next(r, &k, &value))
		if (++n == want) {
			out->from = texts->pack_uid + 1;
			out->upto = (uint32_t)bytes_get_be(k.at + 17, 4);
		}
	if (n < due)
		out->from = out->upto = 0;
	return range_end(&r);
}

static enum err
ask_wanted(struct asking *a, struct txn *t)
{
	const struct store_pack_wanted_in *in = a->in;
	struct store_pack_wanted_out *out = a->out;
	struct row_texts texts;
	struct row_mailbox mailbox;
	enum err e = mailbox_get(t, in->account, in->mailbox, &mailbox);
	e = e ? e : texts_get(t, in->account, in->mailbox, &texts);
	if (e || !packs_have_work(&texts, &mailbox))
		return e;
	out->drop = are_mostly_dead(&texts, &mailbox) || are_old(&texts);
	return out->drop ? OK : find_wanted(t, in, &texts, out);
}

void
pack_wanted_call(struct ipc_call *call, const struct store_pack_wanted_in *in)
{
	struct store_pack_wanted_out *out = ARENA_NEW(&call->arena, struct store_pack_wanted_out);
	struct asking *a = asking_new(call, in, out, ask_wanted);
	out->busy = texts_busy(a->s);
	store_search_later(a->s, 0, ask_run, ask_done, a);
}

/* ---- texts_get */

/* False: it does not fit. A text that is not there has no bytes: the message is always proposed then. Nor have facts:
 * then the message is not known to those who sort. */
static bool
put_entry(struct asking *a, struct store_texts_get_out *out, uint32_t uid, uint64_t object, struct slice text,
          struct slice facts)
{
	size_t bytes = text.len + facts.len, padded = (bytes + 7) & ~(size_t)7;
	if (ENTRY_HEAD_BYTES + padded > a->into_bytes - out->filled)
		return false;
	char *to = a->into + out->filled;
	bytes_set_le(to, uid, 4);
	bytes_set_le(to + 4, text.len, 4);
	bytes_set_le(to + 8, object, 8);
	bytes_set_le(to + 16, facts.len, 8);
	to += ENTRY_HEAD_BYTES;
	if (text.len)
		memcpy(to, text.at, text.len);
	if (facts.len)
		memcpy(to + text.len, facts.at, facts.len);
	memset(to + bytes, 0, padded - bytes);
	out->filled += (uint32_t)(ENTRY_HEAD_BYTES + padded);
	return true;
}

static enum err
ask_texts(struct asking *a, struct txn *t)
{
	const struct store_texts_get_in *in = a->in;
	struct store_texts_get_out *out = a->out;
	struct key from = key_message(in->account, in->mailbox, in->from);
	struct key to = key_message(in->account, in->mailbox, in->upto);
	struct slice k, value, text, facts;
	bool fits = true;
	key_nul(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (fits && range_next(r, &k, &value)) {
		struct row_message m;
		uint32_t uid = (uint32_t)bytes_get_be(k.at + 17, 4);
		if (!row_message_take(value, &m))
			continue;
		if (text_get(t, m.object, &text))
			text = SLICE_NONE;
		if (object_facts(t, m.object, &facts))
			facts = SLICE_NONE;
		fits = put_entry(a, out, uid, m.object, text, facts);
		if (fits)
			out->last = uid;
		else if (!out->filled)
			out->last = uid;
	}
	if (fits)
		out->last = 0;
	return range_end(&r);
}

void
texts_get_call(struct ipc_call *call, const struct store_texts_get_in *in)
{
	struct asking *a = asking_new(call, in, ARENA_NEW(&call->arena, struct store_texts_get_out), ask_texts);
	a->into = shm_range(&call->peer->shm, in->into.off, in->into.len);
	a->into_bytes = MIN(in->into.len, (uint64_t)UINT32_MAX);
	if (!a->into)
		ipc_fail(call, ERR_LIMIT);
	else
		store_search_later(a->s, 0, ask_run, ask_done, a);
}

/* ---- pack_put, packs_drop */

struct putting {
	struct update update;
	struct ipc_call *call;
	const void *in;
	struct body_source body;
};

static enum err
put_run(struct store *s, struct txn *t, struct update *u)
{
	const struct putting *p = CONTAINER_OF(u, struct putting, update);
	const struct store_pack_put_in *in = p->in;
	struct row_texts texts;
	struct row_mailbox mailbox;
	struct row_pack row = { .from = in->from, .upto = in->upto, .count = in->count };
	enum err e = mailbox_get(t, in->account, in->mailbox, &mailbox);
	e = e ? e : texts_get(t, in->account, in->mailbox, &texts);
	if (e)
		return e;
	if (in->from != texts.pack_uid + 1 || in->upto < in->from || in->upto > texts.text_uid || are_old(&texts))
		return ERR_STALE;
	e = object_new(s, t, &p->body, SLICE_NONE, 1, &row.object);
	if (e)
		return e;
	row_pack_put(t, in->account, in->mailbox, &row);
	texts.pack_uid = in->upto;
	texts.packed += in->count;
	texts.pack_version = SEARCH_PACK_VERSION;
	texts_put(t, in->account, in->mailbox, &texts);
	return OK;
}

static void
put_done(struct store *s, struct update *u, enum err e)
{
	const struct putting *p = CONTAINER_OF(u, struct putting, update);
	if (e)
		ipc_fail(p->call, e);
	else
		store_pack_put_reply(p->call, &(struct store_pack_put_out){ 0 });
}

void
pack_put_call(struct ipc_call *call, const struct store_pack_put_in *in)
{
	struct putting *p = ARENA_NEW(&call->arena, struct putting);
	*p = (struct putting){ .update = { .run = put_run, .done = put_done }, .call = call, .in = in };
	const struct store_body body = { .at = in->pack };
	enum err e = in->pack.len && in->pack.len <= SEARCH_PACK_BYTES_MAX ? body_source_of(call->peer, &body, &p->body)
	                                                                   : ERR_SYNTAX;
	p->update.bytes = e ? 0 : p->body.len;
	if (e)
		ipc_fail(call, e);
	else
		store_update(((struct store_peer *)call->peer->state)->store, &p->update);
}

static enum err
drop_run(struct job *j, struct txn *t)
{
	const struct store_packs_drop_in *in = j->in;
	struct row_texts texts;
	enum err e = texts_get(t, in->account, in->mailbox, &texts);
	e = e ? e : packs_remove(j->s, t, in->account, in->mailbox);
	if (e || texts.pack_uid == 0)
		return e;
	texts.pack_uid = texts.packed = 0;
	texts_put(t, in->account, in->mailbox, &texts);
	return OK;
}

void
packs_drop_call(struct ipc_call *call, const struct store_packs_drop_in *in)
{
	struct job *j = ARENA_NEW(&call->arena, struct job);
	j->update.makes_space = true;
	job_update(j, call, in, sizeof(struct store_packs_drop_out), drop_run);
}
