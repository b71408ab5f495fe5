/* SPDX-License-Identifier: Apache-2.0 */
/* expiry.c - messages that POP3 fetched go so many days later, where the rules of the account say so; and rows 'y' of
 * messages that are gone go, too. Walks all rows 'y' once an hour, a stretch at a time: a look that changes nothing
 * first, an update only where there is something to do. */
#include "store/rows_state.h"

#include "base/clock.h"

#define STRETCH_ROWS 500
#define LOOK_AGAIN_MS (60 * 60 * 1000)
#define DAY_SEC 86400

struct due { /* a row 'y' whose time has come */
	uint64_t account, mailbox;
	uint32_t uid;
};
struct expiry {
	struct store *s;
	struct update update;
	struct timer timer;
	struct later next;
	bool busy;
	struct key from; /* where the next stretch begins */
	/* results of a stretch */
	struct key reached;
	bool more;
	struct due due[STRETCH_ROWS];
	size_t ndue;
	uint64_t modseqs[STRETCH_ROWS]; /* of the mailboxes of due, where something went */
};

struct rules { /* of the account that was looked at last */
	uint64_t account;
	struct row_maildrop row;
};

static enum err
is_due(struct txn *t, const struct due *d, struct slice value, struct rules *rules, bool *due)
{
	struct row_fetched row;
	struct row_message m;
	*due = false;
	if (!row_fetched_take(value, &row))
		return row_damaged("fetched");
	enum err e = message_get(t, d->account, d->mailbox, d->uid, &m);
	*due = e == ERR_NOT_FOUND;
	if (e)
		return *due ? OK : e;
	if (rules->account != d->account) {
		e = maildrop_get(t, d->account, &rules->row);
		rules->account = d->account;
	}
	*due = !e && row.fetched && rules->row.expire_days &&
	       clock_wall_sec() - row.fetched >= (int64_t)rules->row.expire_days * DAY_SEC;
	return e;
}

/* The rows of one stretch whose time has come. */
static enum err
stretch(struct expiry *x, struct txn *t)
{
	struct rules rules = { 0 };
	struct slice k, value;
	enum err e = OK;
	x->ndue = 0;
	x->more = false;
	struct range *r = range_begin(t, key_slice(&x->from), S("z"), false);
	for (size_t n = 0; !e && range_next(r, &k, &value); n++) {
		bool due;
		if (n == STRETCH_ROWS) {
			x->more = true;
			break;
		}
		if (k.len != 21)
			continue;
		struct due d = { bytes_get_be(k.at + 1, 8), bytes_get_be(k.at + 9, 8), (uint32_t)bytes_get_be(k.at + 17, 4) };
		e = is_due(t, &d, value, &rules, &due);
		if (due)
			x->due[x->ndue++] = d;
		x->reached = key_message(d.account, d.mailbox, d.uid);
		x->reached.bytes[0] = 'y';
		key_nul(&x->reached);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

static enum err
expire_one(struct expiry *x, struct txn *t, struct change *c, struct box *b, const struct due *d)
{
	struct row_message m;
	struct key k = key2('y', d->account, d->mailbox);
	key_u32(&k, d->uid);
	txn_delete(t, key_slice(&k));
	enum err e = message_get(t, d->account, d->mailbox, d->uid, &m);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = box_take_out(c, b, d->uid, &m);
	return e ? e : object_refer(x->s, t, m.object, -1);
}

/* The due messages of one mailbox, from number first on; *next: the first of another one. */
static enum err
expire_mailbox(struct expiry *x, struct txn *t, size_t first, size_t *next)
{
	const struct due *d = &x->due[first];
	struct change c;
	struct box b;
	size_t i = first;
	enum err e = change_begin(&c, x->s, t, d->account);
	bool there = !e && box_get(&c, d->mailbox, &b) == OK;
	for (; !e && i < x->ndue && x->due[i].account == d->account && x->due[i].mailbox == d->mailbox; i++) {
		struct key k = key2('y', d->account, d->mailbox);
		key_u32(&k, x->due[i].uid);
		if (there)
			e = expire_one(x, t, &c, &b, &x->due[i]);
		else /* with its mailbox */
			txn_delete(t, key_slice(&k));
	}
	*next = MAX(i, first + 1);
	if (e == ERR_NOT_FOUND) /* the account is being removed, and its rows with it */
		return OK;
	if (!e && there) {
		box_put(&c, &b);
		change_end(&c);
		x->modseqs[first] = b.row.modseq;
	}
	return e;
}

static enum err
expiry_run(struct store *s, struct txn *t, struct update *u)
{
	struct expiry *x = CONTAINER_OF(u, struct expiry, update);
	memset(x->modseqs, 0, sizeof x->modseqs);
	enum err e = stretch(x, t);
	for (size_t i = 0; !e && i < x->ndue;)
		e = expire_mailbox(x, t, i, &i);
	return e;
}

/* On with the next stretch, or again in an hour. */
static void
go_on(struct expiry *x, enum err e)
{
	x->busy = !e && x->more;
	if (x->busy) {
		x->from = x->reached;
		loop_later(&x->next);
	} else {
		timer_set(&x->timer, deadline_in_ms(LOOK_AGAIN_MS));
	}
}

static void
expiry_done(struct store *s, struct update *u, enum err e)
{
	struct expiry *x = CONTAINER_OF(u, struct expiry, update);
	for (size_t i = 0; !e && i < x->ndue; i++)
		if (x->modseqs[i])
			notice_changed(s, x->due[i].account, x->due[i].mailbox, x->modseqs[i]);
	go_on(x, e);
}

static enum err
look(struct store *s, struct txn *t, void *arg)
{
	return stretch(arg, t);
}

static void
next_stretch(struct later *l)
{
	struct expiry *x = CONTAINER_OF(l, struct expiry, next);
	enum err e = store_view(x->s, look, x);
	if (e || x->ndue == 0) {
		go_on(x, e);
		return;
	}
	x->update = (struct update){ .run = expiry_run, .done = expiry_done, .makes_space = true };
	store_update(x->s, &x->update);
}

void
expiry_soon(struct store *s)
{
	struct expiry *x = s->rows->expiry;
	if (x->busy)
		return;
	x->busy = true;
	timer_cancel(&x->timer);
	key_begin(&x->from, 'y');
	loop_later(&x->next);
}

static void
look_again(struct timer *t)
{
	expiry_soon(CONTAINER_OF(t, struct expiry, timer)->s);
}

struct expiry *
expiry_new(struct store *s)
{
	struct expiry *x = must_calloc(1, sizeof *x);
	x->s = s;
	x->timer.fire = look_again;
	x->next.fn = next_stretch;
	return x;
}

void
expiry_free(struct expiry **x)
{
	if (!*x)
		return;
	timer_cancel(&(*x)->timer);
	later_cancel(&(*x)->next);
	free(*x);
	*x = NULL;
}
