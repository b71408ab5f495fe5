/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c - texts of messages for search: which are missing, and the ones that the indexer made. A text is kept once
 * for each object (row 'T') and goes with it (object.c). How far a mailbox is done says its row 'i': all messages up to
 * a uid have their text. So nothing is written when mail comes in: what is new stands behind that uid.
 *
 * Which mailboxes are worth a look is kept in memory only: those in which something changed, and after a start all of
 * them, one after the other. To look twice costs two reads, to forget one costs nothing but time: SEARCH judges
 * messages without a text by themselves. Rows are read on the threads for searches, written in ordinary updates. */
#include "store/texts.h"

#include "base/counter.h"
#include "store/rows_state.h"

#define ROW_VERSION 2
#define ROW_TEXTS_BYTES 18
#define LOOK_MAX 64          /* mailboxes in one look */
#define WALK_ROWS_MAX 2000   /* rows of mailboxes or messages in one look */
#define DIRTY_MAX 100000     /* mailboxes that wait; beyond, all are looked at again */
#define WANTED_MAX 64        /* of store.msg */
#define TELL_AFTER_MS 300    /* mail often comes in company */
#define BUSY_CHANGES_SEC 200 /* changes in a second from which on the background waits */

struct dirty {
	uint64_t account, mailbox; /* mailbox 0: all of the account */
	struct link link;
};

struct texts {
	struct store *s;
	struct map map; /* hash of account and mailbox -> struct dirty */
	struct link dirty, ready;
	size_t ndirty;
	bool sweeping; /* all mailboxes are looked at, from here on: */
	bool too_many; /* some were not taken down: another sweep follows */
	uint64_t account, mailbox;
	struct timer tell;
	bool told_none; /* the indexer heard that there is nothing: it wants to be told */
	uint64_t changes, window_changes, window_rate;
	int64_t window_ms;
};

/* ---- rows */

bool
row_texts_take(struct slice value, struct row_texts *row)
{
	bool first = value.len == ROW_TEXTS_BYTES - 1 && value.at[0] == 1;
	if (!first && (value.len != ROW_TEXTS_BYTES || value.at[0] != ROW_VERSION))
		return false;
	row->pack_version = first ? 1 : (uint8_t)value.at[17];
	row->text_uid = (uint32_t)bytes_get_le(value.at + 1, 4);
	row->redo_uid = (uint32_t)bytes_get_le(value.at + 5, 4);
	row->pack_uid = (uint32_t)bytes_get_le(value.at + 9, 4);
	row->packed = (uint32_t)bytes_get_le(value.at + 13, 4);
	return true;
}

void
texts_put(struct txn *t, uint64_t account, uint64_t mailbox, const struct row_texts *row)
{
	char bytes[ROW_TEXTS_BYTES] = { ROW_VERSION };
	struct key k = key2('i', account, mailbox);
	bytes_set_le(bytes + 1, row->text_uid, 4);
	bytes_set_le(bytes + 5, row->redo_uid, 4);
	bytes_set_le(bytes + 9, row->pack_uid, 4);
	bytes_set_le(bytes + 13, row->packed, 4);
	bytes[17] = (char)row->pack_version;
	txn_put(t, key_slice(&k), slice_of(bytes, sizeof bytes));
}

enum err
texts_get(struct txn *t, uint64_t account, uint64_t mailbox, struct row_texts *row)
{
	struct slice value;
	struct key k = key2('i', account, mailbox);
	enum err e = txn_get(t, key_slice(&k), &value);
	*row = (struct row_texts){ 0 };
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if (!row_texts_take(value, row))
		*row = (struct row_texts){ 0 }; /* of another version: it begins again */
	return OK;
}

enum err
text_get(struct txn *t, uint64_t object, struct slice *packed)
{
	struct key k = key1('T', object);
	return txn_get(t, key_slice(&k), packed);
}

static bool
text_is_there(struct txn *t, uint64_t object)
{
	struct slice packed;
	return text_get(t, object, &packed) == OK;
}

/* ---- mailboxes that wait */

static uint64_t
dirty_key(uint64_t account, uint64_t mailbox)
{
	return account * 0x9e3779b97f4a7c15u ^ mailbox;
}

static void
dirty_add(struct texts *x, uint64_t account, uint64_t mailbox)
{
	uint64_t key = dirty_key(account, mailbox);
	if (map_get(&x->map, key)) /* when two have one key, the second waits for its next change or the next start */
		return;
	if (x->ndirty == DIRTY_MAX) {
		x->too_many = true;
		return;
	}
	struct dirty *d = must_calloc(1, sizeof *d);
	*d = (struct dirty){ .account = account, .mailbox = mailbox };
	map_set(&x->map, key, d);
	list_append(&x->dirty, &d->link);
	x->ndirty++;
}

static bool
take_first(struct texts *x, struct link *list, uint64_t *account, uint64_t *mailbox)
{
	struct link *l = list_first(list);
	if (!l)
		return false;
	struct dirty *d = CONTAINER_OF(l, struct dirty, link);
	*account = d->account;
	*mailbox = d->mailbox;
	list_remove(l);
	if (list == &x->dirty) {
		map_remove(&x->map, dirty_key(d->account, d->mailbox));
		x->ndirty--;
	}
	free(d);
	return true;
}

static void
tell(struct timer *t)
{
	struct texts *x = CONTAINER_OF(t, struct texts, tell);
	struct store *s = x->s;
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i]->class_bit == IPC_CLASS_INDEXER && s->peers[i]->conn)
			store_index_ready_notify(s->peers[i], &(struct store_index_ready_in){ 0 });
}

void
texts_changed(struct store *s, uint64_t account, uint64_t mailbox)
{
	struct texts *x = s->texts;
	if (!x || !s->conf->v.search_index)
		return;
	x->changes++;
	dirty_add(x, account, mailbox);
	if (x->told_none && !x->tell.slot)
		timer_set(&x->tell, deadline_in_ms(TELL_AFTER_MS));
}

/* Changes that others made in the last second or so. */
static bool
is_busy(struct texts *x)
{
	int64_t now = clock_mono_ms(), passed = now - x->window_ms;
	if (passed >= 250) {
		x->window_rate = passed > 5000 ? 0 : (x->changes - x->window_changes) * 1000 / (uint64_t)passed;
		x->window_changes = x->changes;
		x->window_ms = now;
	}
	return x->window_rate > BUSY_CHANGES_SEC;
}

bool
texts_busy(struct store *s)
{
	return is_busy(s->texts);
}

/* ---- index_next: which mailbox is next */

struct look {
	struct ipc_call *call;
	struct store *s;
	uint64_t asked[LOOK_MAX][2], found[LOOK_MAX][2];
	size_t nasked, nfound, rows;
	bool sweeping, swept;
	uint64_t account, mailbox; /* where the walk over mailboxes stands */
	bool more;                 /* of the account that is walked now */
};

static bool
has_work(struct txn *t, uint64_t account, uint64_t mailbox, struct slice value)
{
	struct row_mailbox row;
	struct row_texts texts;
	if (!row_mailbox_take(value, &row) || texts_get(t, account, mailbox, &texts))
		return false;
	return (row.messages > 0 && texts.text_uid + 1 < row.uidnext) || packs_have_work(&texts, &row);
}

static void
look_at_one(struct look *k, struct txn *t, uint64_t account, uint64_t mailbox)
{
	struct slice value;
	struct key key = key2('m', account, mailbox);
	if (txn_get(t, key_slice(&key), &value) == OK && has_work(t, account, mailbox, value)) {
		k->found[k->nfound][0] = account;
		k->found[k->nfound++][1] = mailbox;
	}
}

/* Mailboxes from (account, mailbox) on: those of this account, or all, some at a time. False: the end was reached. */
static bool
look_along(struct look *k, struct txn *t, uint64_t account, uint64_t mailbox, bool all)
{
	struct key from = key2('m', account, mailbox), to = all ? key1('m', UINT64_MAX) : key1('m', account);
	struct slice key, value;
	bool more = false;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!more && range_next(r, &key, &value)) {
		k->account = bytes_get_be(key.at + 1, 8);
		k->mailbox = bytes_get_be(key.at + 9, 8);
		more = k->nfound == LOOK_MAX || (all && k->rows++ == WALK_ROWS_MAX);
		if (!more && has_work(t, k->account, k->mailbox, value)) {
			k->found[k->nfound][0] = k->account;
			k->found[k->nfound++][1] = k->mailbox;
		}
	}
	(void)range_end(&r); /* what cannot be read is looked at after the next change */
	return more;
}

static void
look_run(void *arg)
{
	struct look *k = arg;
	struct txn *t = txn_begin(k->s->engine, false);
	for (size_t i = 0; i < k->nasked; i++) {
		if (k->asked[i][1])
			look_at_one(k, t, k->asked[i][0], k->asked[i][1]);
		else
			k->more = look_along(k, t, k->asked[i][0], 0, false) || k->more;
	}
	if (k->sweeping)
		k->swept = !look_along(k, t, k->account, k->mailbox, true);
	txn_end(&t);
}

static void look_start(struct look *k);

static bool
answer_first(struct look *k)
{
	struct texts *x = k->s->texts;
	struct store_index_next_out out = { .busy = is_busy(x) };
	if (!take_first(x, &x->ready, &out.account, &out.mailbox))
		return false;
	ipc_reply(k->call, &out);
	return true;
}

static void
look_done(void *arg)
{
	struct look *k = arg;
	struct texts *x = k->s->texts;
	for (size_t i = 0; i < k->nfound; i++) {
		struct dirty *d = must_calloc(1, sizeof *d);
		*d = (struct dirty){ .account = k->found[i][0], .mailbox = k->found[i][1] };
		list_append(&x->ready, &d->link);
	}
	if (k->more) /* an account of many mailboxes: what was found first is done first */
		dirty_add(x, k->asked[k->nasked - 1][0], 0);
	if (k->sweeping) {
		x->sweeping = !k->swept;
		x->account = k->account;
		x->mailbox = k->mailbox;
	}
	look_start(k);
}

/* Answers, or looks on. */
static void
look_start(struct look *k)
{
	struct texts *x = k->s->texts;
	struct ipc_call *call = k->call;
	if (answer_first(k))
		return;
	bool on = x->s->conf->v.search_index;
	*k = (struct look){ .call = call, .s = x->s };
	/* An account whose mailboxes are all looked at comes alone: it may find as many as there is place for. */
	for (bool alone = false; !alone && k->nasked < LOOK_MAX;) {
		if (!take_first(x, &x->dirty, &k->asked[k->nasked][0], &k->asked[k->nasked][1]))
			break;
		alone = k->asked[k->nasked][1] == 0;
		if (alone && k->nasked) {
			dirty_add(x, k->asked[k->nasked][0], 0);
			break;
		}
		k->nasked++;
	}
	if (k->nasked == 0 && !x->sweeping && x->too_many) {
		x->sweeping = true;
		x->too_many = false;
		x->account = x->mailbox = 0;
	}
	k->sweeping = k->nasked == 0 && x->sweeping && on;
	k->account = x->account;
	k->mailbox = x->mailbox;
	if (k->nasked || k->sweeping) {
		store_search_later(k->s, 0, look_run, look_done, k);
		return;
	}
	x->told_none = true;
	ipc_reply(call, &(struct store_index_next_out){ 0 });
}

void
index_next_call(struct ipc_call *call, const struct store_index_next_in *in)
{
	struct store *s = ((struct store_peer *)call->peer->state)->store;
	struct look *k = ARENA_NEW(&call->arena, struct look);
	*k = (struct look){ .call = call, .s = s };
	s->texts->told_none = false;
	timer_cancel(&s->texts->tell);
	look_start(k);
}

/* ---- texts_wanted: what is missing in a mailbox */

struct wanting {
	struct ipc_call *call;
	struct store *s;
	const struct store_texts_wanted_in *in;
	struct store_texts_wanted_out out;
	enum err e;
};

static bool
want(struct wanting *w, struct txn *t, const struct row_texts *texts, uint32_t uid, uint64_t object)
{
	struct object o;
	if ((uid > texts->redo_uid && text_is_there(t, object)) || object_get(t, object, &o))
		return true;
	if (w->out.nwanted == MIN(w->in->max, (uint32_t)WANTED_MAX))
		return false;
	w->out.wanted[w->out.nwanted++] = (struct store_text_wanted){ uid, object, o.at.bytes };
	return true;
}

/* upto: of the last message looked at, or the last there was when nothing follows. */
static enum err
want_from(struct wanting *w, struct txn *t, const struct row_texts *texts, uint32_t last)
{
	struct key from = key_message(w->in->account, w->in->mailbox, texts->text_uid + 1);
	struct key to = key2('u', w->in->account, w->in->mailbox);
	struct slice k, value;
	size_t n = 0;
	bool more = true;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n++ < WALK_ROWS_MAX && (more = range_next(r, &k, &value))) {
		struct row_message m;
		uint32_t uid = (uint32_t)bytes_get_be(k.at + 17, 4);
		if (row_message_take(value, &m) && !want(w, t, texts, uid, m.object))
			break;
		w->out.upto = uid;
	}
	if (!more)
		w->out.upto = last;
	return range_end(&r);
}

static void
want_run(void *arg)
{
	struct wanting *w = arg;
	struct row_texts texts;
	struct row_mailbox mailbox;
	struct txn *t = txn_begin(w->s->engine, false);
	w->e = mailbox_get(t, w->in->account, w->in->mailbox, &mailbox);
	w->e = w->e ? w->e : texts_get(t, w->in->account, w->in->mailbox, &texts);
	if (!w->e && texts.text_uid + 1 < mailbox.uidnext)
		w->e = want_from(w, t, &texts, mailbox.uidnext - 1);
	txn_end(&t);
}

static void
want_done(void *arg)
{
	struct wanting *w = arg;
	w->out.busy = is_busy(w->s->texts);
	if (w->e)
		ipc_fail(w->call, w->e);
	else
		ipc_reply(w->call, &w->out);
}

void
texts_wanted_call(struct ipc_call *call, const struct store_texts_wanted_in *in)
{
	struct wanting *w = ARENA_NEW(&call->arena, struct wanting);
	*w = (struct wanting){ .call = call, .s = ((struct store_peer *)call->peer->state)->store, .in = in };
	w->out.wanted = ARENA_ARRAY(&call->arena, struct store_text_wanted, WANTED_MAX);
	store_search_later(w->s, 0, want_run, want_done, w);
}

/* ---- texts_put */

static enum err
put_run(struct job *j, struct txn *t)
{
	const struct store_texts_put_in *in = j->in;
	struct row_mailbox mailbox;
	struct row_texts texts;
	enum err e = mailbox_get(t, in->account, in->mailbox, &mailbox); /* ERR_NOT_FOUND: it went meanwhile */
	e = e ? e : texts_get(t, in->account, in->mailbox, &texts);
	for (uint32_t i = 0; i < in->ntexts && !e; i++) {
		struct object o;
		e = object_get(t, in->texts[i].object, &o);
		if (!e) {
			struct key k = key1('T', in->texts[i].object);
			txn_put(t, key_slice(&k), in->texts[i].text);
		}
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	if (e || in->upto <= texts.text_uid)
		return e;
	texts.text_uid = MIN(in->upto, mailbox.uidnext - 1);
	texts_put(t, in->account, in->mailbox, &texts);
	return OK;
}

void
texts_put_call(struct ipc_call *call, const struct store_texts_put_in *in)
{
	struct job *j = ARENA_NEW(&call->arena, struct job);
	job_update(j, call, in, sizeof(struct store_texts_put_out), put_run);
}

/* ---- open and close */

void
texts_open(struct store *s)
{
	struct texts *x = must_calloc(1, sizeof *x);
	x->s = s;
	x->sweeping = true;
	x->window_ms = clock_mono_ms();
	x->tell.fire = tell;
	list_init(&x->dirty);
	list_init(&x->ready);
	s->texts = x;
}

void
texts_close(struct store *s)
{
	struct texts *x = s->texts;
	uint64_t account, mailbox;
	s->texts = NULL;
	if (!x)
		return;
	while (take_first(x, &x->dirty, &account, &mailbox) || take_first(x, &x->ready, &account, &mailbox))
		continue;
	map_release(&x->map);
	timer_cancel(&x->tell);
	free(x);
}
