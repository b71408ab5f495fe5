/* SPDX-License-Identifier: Apache-2.0 */
/* removal.c - rows that go in the background: the messages of deleted mailboxes and accounts (a row 'D' names them
 * until they are all gone, so that a restart goes on), annotations of messages that went, old answers of commits,
 * memos whose time is over, and those of accounts and domains that are gone. Each step is an ordinary update of a
 * bounded number of rows; steps follow each other while there is work, then a timer looks again. */
#include "store/rows_state.h"
#include "store/texts.h"

#define STEP_ROWS 500
#define GRANTS_WEIGH 10 /* a list of rights is as much work as this many rows */
#define LOOK_AGAIN_MS (10 * 60 * 1000)

struct removal {
	struct store *s;
	struct update update;
	struct timer timer;
	bool busy;
	bool soon; /* asked for while busy */
	bool more; /* result of a step */
};

/* Deletes rows that begin with prefix while there is budget. References of messages to bodies go with them. */
static enum err
remove_prefix(struct store *s, struct txn *t, const struct key *prefix, size_t *budget)
{
	struct arena *a = txn_arena(t);
	struct slice *keys = ARENA_ARRAY(a, struct slice, *budget + 1);
	uint64_t *objects = ARENA_ARRAY(a, uint64_t, *budget + 1);
	struct key to = *prefix;
	struct slice k, value;
	struct row_message m;
	struct row_pack pack;
	size_t n = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(prefix), key_slice(&to), false);
	for (; n < *budget && range_next(r, &k, &value); n++) {
		keys[n] = slice_keep(a, k);
		if (k.at[0] == 'u' && row_message_take(value, &m))
			objects[n] = m.object;
		if (k.at[0] == 'z' && row_pack_take(k, value, &pack))
			objects[n] = pack.object;
	}
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++) {
		txn_delete(t, keys[i]);
		if (objects[i])
			e = object_refer(s, t, objects[i], -1);
	}
	*budget -= n;
	return e;
}

/* The rights that an account gave (kind 'r'), and those that it was given ('g'). */
static enum err
remove_grants(struct store *s, struct txn *t, char kind, uint64_t account, size_t *budget)
{
	struct arena *a = txn_arena(t);
	struct slice *keys = ARENA_ARRAY(a, struct slice, *budget + 1);
	struct key from = key1(kind, account), to = from;
	struct slice k, value;
	size_t n = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	for (; n < *budget / GRANTS_WEIGH && range_next(r, &k, &value); n++)
		keys[n] = slice_keep(a, k);
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++) {
		e = kind == 'r' ? acl_drop(t, account, bytes_get_be(keys[i].at + 9, 8), NULL) : acl_forget(s, t, keys[i]);
		e = e == ERR_DAMAGED ? OK : e; /* it was logged, and goes all the same */
		txn_delete(t, keys[i]);
	}
	*budget -= n == *budget / GRANTS_WEIGH ? *budget : n;
	return e;
}

/* mailbox 0: the whole account; its own rows 'D' go last. */
static enum err
remove_rows(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, size_t *budget)
{
	const char *kinds = mailbox ? "ulkKeExiyzvU" : "cnmulkKeExiyYzvURD";
	enum err e = OK;
	for (const char *grants = mailbox ? "" : "gr"; *grants && *budget && !e; grants++)
		e = remove_grants(s, t, *grants, account, budget);
	for (; *kinds && *budget && !e; kinds++) {
		struct key prefix = mailbox ? key2(*kinds, account, mailbox) : key1(*kinds, account);
		e = remove_prefix(s, t, &prefix, budget);
	}
	if (!e && *budget && mailbox) {
		struct key k = key2('D', account, mailbox);
		txn_delete(t, key_slice(&k));
	}
	return e;
}

static enum err
first_to_remove(struct txn *t, uint64_t *account, uint64_t *mailbox, bool *any)
{
	struct slice k, value;
	struct range *r = range_begin(t, S("D"), S("E"), false);
	*any = range_next(r, &k, &value) && k.len == 17;
	if (*any) {
		*account = bytes_get_be(k.at + 1, 8);
		*mailbox = bytes_get_be(k.at + 9, 8);
	}
	return range_end(&r);
}

static enum err
step_run(struct store *s, struct txn *t, struct update *u)
{
	struct removal *r = CONTAINER_OF(u, struct removal, update);
	uint64_t account, mailbox;
	size_t budget = STEP_ROWS;
	bool any;
	enum err e = first_to_remove(t, &account, &mailbox, &any);
	r->more = any;
	if (e)
		return e;
	if (any)
		return remove_rows(s, t, account, mailbox, &budget);
	bool more_answers, more_memos, more_forgotten, more_annotations;
	e = answers_remove(t, STEP_ROWS, &more_answers);
	e = e ? e : memos_remove(t, STEP_ROWS, &more_memos);
	e = e ? e : memos_forget(t, STEP_ROWS, &more_forgotten);
	e = e ? e : annotations_remove(t, STEP_ROWS, &more_annotations);
	r->more = !e && (more_answers || more_memos || more_forgotten || more_annotations);
	return e;
}

static void
step_done(struct store *s, struct update *u, enum err e)
{
	struct removal *r = CONTAINER_OF(u, struct removal, update);
	bool go_on = !e && (r->more || r->soon);
	r->busy = r->soon = false;
	if (go_on)
		removal_soon(s);
	else
		timer_set(&r->timer, deadline_in_ms(LOOK_AGAIN_MS));
}

void
removal_soon(struct store *s)
{
	struct removal *r = s->rows->removal;
	if (r->busy) {
		r->soon = true;
		return;
	}
	r->busy = true;
	r->update = (struct update){ .run = step_run, .done = step_done, .makes_space = true };
	store_update(s, &r->update);
}

static void
look_again(struct timer *t)
{
	removal_soon(CONTAINER_OF(t, struct removal, timer)->s);
}

struct removal *
removal_new(struct store *s)
{
	struct removal *r = must_calloc(1, sizeof *r);
	r->s = s;
	r->timer.fire = look_again;
	return r;
}

void
removal_free(struct removal **r)
{
	if (!*r)
		return;
	timer_cancel(&(*r)->timer);
	free(*r);
	*r = NULL;
}
