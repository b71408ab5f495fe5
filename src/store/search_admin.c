/* SPDX-License-Identifier: Apache-2.0 */
/* search_admin.c - what the administrator asks of texts for search: how far they are made for an account, and that all
 * of them are made again. While that goes on searches find the same as ever: texts stay until new ones come, packs go
 * at once and are made again behind them. */
#include "store/texts.h"

#include "store/rows_state.h"

struct mailbox_found {
	uint64_t id;
	struct row_mailbox row;
};

/* Calls each for all mailboxes of the account. */
static enum err
each_mailbox(struct txn *t, uint64_t account, struct mailbox_found **found, size_t *n)
{
	struct key from = key1('m', account), to = from;
	struct slice k, value;
	size_t cap = 0;
	*found = NULL;
	*n = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value)) {
		if (*n == cap)
			*found = must_realloc(*found, (cap = 2 * cap + 16) * sizeof **found);
		(*found)[*n].id = bytes_get_be(k.at + 9, 8);
		*n += row_mailbox_take(value, &(*found)[*n].row);
	}
	return range_end(&r);
}

/* ---- search_status */

struct status {
	struct ipc_call *call;
	struct store *s;
	const struct store_search_status_in *in;
	struct store_search_status_out out;
	enum err e;
};

/* Messages behind uid. */
static uint64_t
count_behind(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t uid)
{
	struct key from = key_message(account, mailbox, uid), to = key2('u', account, mailbox);
	struct slice k, value;
	uint64_t n = 0;
	key_nul(&from);
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value))
		n++;
	(void)range_end(&r); /* a row that cannot be read is told elsewhere */
	return n;
}

static enum err
status_of(struct status *s, struct txn *t, uint64_t account)
{
	struct mailbox_found *found;
	size_t n;
	enum err e = each_mailbox(t, account, &found, &n);
	for (size_t i = 0; i < n && !e; i++) {
		struct row_texts texts;
		e = texts_get(t, account, found[i].id, &texts);
		uint64_t behind_texts = count_behind(t, account, found[i].id, texts.text_uid);
		uint64_t behind_packs = count_behind(t, account, found[i].id, texts.pack_uid);
		s->out.messages += found[i].row.messages;
		s->out.texts += found[i].row.messages - MIN(behind_texts, (uint64_t)found[i].row.messages);
		s->out.packed += found[i].row.messages - MIN(behind_packs, (uint64_t)found[i].row.messages);
	}
	free(found);
	return e;
}

static void
status_run(void *arg)
{
	struct status *s = arg;
	uint64_t account;
	struct txn *t = txn_begin(s->s->engine, false);
	s->e = directory_account_of(t, s->in->address, &account);
	s->e = s->e ? s->e : status_of(s, t, account);
	txn_end(&t);
}

static void
status_done(void *arg)
{
	struct status *s = arg;
	s->out.on = s->s->conf->v.search_index;
	if (s->e)
		ipc_fail(s->call, s->e);
	else
		ipc_reply(s->call, &s->out);
}

void
search_status_call(struct ipc_call *call, const struct store_search_status_in *in)
{
	struct status *s = ARENA_NEW(&call->arena, struct status);
	*s = (struct status){ .call = call, .s = ((struct store_peer *)call->peer->state)->store, .in = in };
	store_search_later(s->s, 0, status_run, status_done, s);
}

/* ---- search_rebuild */

struct rebuilding {
	struct job job;
	uint64_t account;
};

static enum err
rebuild_run(struct job *j, struct txn *t)
{
	struct rebuilding *b = CONTAINER_OF(j, struct rebuilding, job);
	const struct store_search_rebuild_in *in = j->in;
	struct store_search_rebuild_out *out = j->out;
	struct mailbox_found *found;
	size_t n;
	enum err e = directory_account_of(t, in->address, &b->account);
	if (e)
		return e;
	e = each_mailbox(t, b->account, &found, &n);
	for (size_t i = 0; i < n && !e; i++) {
		struct row_texts texts = { .redo_uid = found[i].row.uidnext - 1 };
		e = packs_remove(j->s, t, b->account, found[i].id);
		if (!e)
			texts_put(t, b->account, found[i].id, &texts);
		out->messages += found[i].row.messages;
	}
	free(found);
	return e;
}

static void
rebuild_answer(struct job *j, enum err e)
{
	if (e) {
		ipc_fail(j->call, e);
		return;
	}
	texts_changed(j->s, CONTAINER_OF(j, struct rebuilding, job)->account, 0);
	ipc_reply(j->call, j->out);
}

void
search_rebuild_call(struct ipc_call *call, const struct store_search_rebuild_in *in)
{
	struct job *j = &ARENA_NEW(&call->arena, struct rebuilding)->job;
	j->answers = rebuild_answer;
	if (((struct store_peer *)call->peer->state)->store->conf->v.search_index)
		job_update(j, call, in, sizeof(struct store_search_rebuild_out), rebuild_run);
	else
		ipc_fail(call, ERR_UNSUPPORTED);
}
