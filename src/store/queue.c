/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - mail that waits for remote servers: rows 'q', and 'Q' by time. Relay claims rows that are due under a lease
 * that stands in the row (lease.c). A row that is claimed stands in 'Q' at the end of its lease; a row that is held
 * stands in it nowhere. Each row counts as one reference to the body. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/random.h"

#define QUEUE_PAGE 100
#define CHANGE_STEP 1000 /* rows that queue_change looks at in one transaction */

/* ---- rows */

enum err
queue_row_get(struct txn *t, uint64_t id, struct row_queue *row)
{
	struct key k = key1('q', id);
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	return e ? e : row_queue_take(value, txn_arena(t), row) ? OK : row_damaged("queue");
}

int64_t
queue_time(const struct row_queue *row)
{
	if (row->held)
		return INT64_MAX;
	return row->lease ? row->lease_until : row->due;
}

static struct key
time_key(int64_t when, uint64_t id)
{
	return key2('Q', (uint64_t)MAX(when, (int64_t)0), id);
}

void
queue_row_put(struct job *j, struct txn *t, uint64_t id, int64_t was, const struct row_queue *row)
{
	int64_t now = queue_time(row);
	struct key k = key1('q', id), old = time_key(was, id), new = time_key(now, id);
	txn_put(t, key_slice(&k), row_queue_put(txn_arena(t), row));
	if (was != INT64_MAX && was != now)
		txn_delete(t, key_slice(&old));
	if (now != INT64_MAX && was != now)
		txn_put(t, key_slice(&new), SLICE_NONE);
	if (!row->lease)
		j->queue_due = MIN(j->queue_due, now);
}

static enum err
queue_row_delete(struct job *j, struct txn *t, uint64_t id, const struct row_queue *row)
{
	int64_t was = queue_time(row);
	struct key k = key1('q', id), old = time_key(was, id);
	txn_delete(t, key_slice(&k));
	if (was != INT64_MAX)
		txn_delete(t, key_slice(&old));
	j->queue_rows--;
	return object_refer(j->s, t, row->object, -1);
}

/* The rows of a job are counted once, at its end. */
static enum err
queue_count(struct txn *t, int64_t change, uint64_t *rows)
{
	struct row_sequence sequence;
	enum err e = sequence_get(t, S("queue"), &sequence);
	if (e)
		return e;
	sequence.count += (uint64_t)change;
	*rows = sequence.count;
	if (change)
		sequence_put(t, S("queue"), &sequence);
	return OK;
}

enum err
queue_add(struct job *j, struct txn *t, const struct store_mail *mail, const struct store_group *group, uint64_t object,
          uint64_t bytes)
{
	struct row_sequence sequence;
	enum err e = sequence_get(t, S("queue"), &sequence);
	if (e)
		return e;
	struct row_queue row = { .object = object,
		                     .domain = group->domain,
		                     .due = group->due ? group->due : clock_wall_sec(),
		                     .born = clock_wall_sec(),
		                     .bytes = bytes,
		                     .envelope = mail->envelope,
		                     .recipients = group->recipients,
		                     .nrecipients = group->nrecipients };
	sequence.last++;
	sequence.count++;
	sequence_put(t, S("queue"), &sequence);
	queue_row_put(j, t, sequence.last, INT64_MAX, &row);
	j->queued++;
	j->queue_rows++;
	return OK;
}

enum err
queue_settle(struct job *j, struct txn *t, const struct store_settle *settle)
{
	struct row_queue row;
	uint64_t left;
	enum err e = queue_row_get(t, settle->id, &row);
	if (e)
		return e;
	if (row.lease == 0 || row.lease != settle->lease)
		return ERR_CONFLICT;
	if (settle->gone) {
		e = queue_row_delete(j, t, settle->id, &row);
		return e ? e : queue_count(t, -1, &left);
	}
	int64_t was = queue_time(&row);
	row.lease = 0;
	row.lease_until = 0;
	row.due = settle->due;
	row.tries = settle->tries;
	row.notices = settle->notices;
	row.recipients = settle->recipients;
	row.nrecipients = settle->nrecipients;
	queue_row_put(j, t, settle->id, was, &row);
	return OK;
}

/* ---- claim */

static size_t
recipient_bytes(const struct store_recipient *r)
{
	return 32 + r->address.len + r->orcpt.len + r->reply.len + r->status.len + r->mta.len;
}

/* The row as it is answered; returns about how many bytes of a frame it takes. */
static size_t
queue_answer(struct job *j, uint64_t id, const struct row_queue *row, struct store_queue_row *out)
{
	struct arena *a = &j->call->arena;
	size_t bytes = 2500;
	*out = (struct store_queue_row){ .id = id,
		                             .lease = row->lease,
		                             .domain = slice_keep(a, row->domain),
		                             .due = row->due,
		                             .born = row->born,
		                             .tries = row->tries,
		                             .notices = row->notices,
		                             .held = row->held,
		                             .bytes = row->bytes,
		                             .envelope = row->envelope,
		                             .nrecipients = row->nrecipients };
	out->envelope.reverse_path = slice_keep(a, row->envelope.reverse_path);
	out->envelope.envid = slice_keep(a, row->envelope.envid);
	out->envelope.session = slice_keep(a, row->envelope.session);
	out->recipients = ARENA_ARRAY(a, struct store_recipient, row->nrecipients + 1);
	for (uint32_t i = 0; i < row->nrecipients; i++) {
		struct store_recipient *r = &out->recipients[i];
		*r = row->recipients[i];
		bytes += recipient_bytes(r);
		r->address = slice_keep(a, r->address);
		r->orcpt = slice_keep(a, r->orcpt);
		r->reply = slice_keep(a, r->reply);
		r->status = slice_keep(a, r->status);
		r->mta = slice_keep(a, r->mta);
	}
	return bytes;
}

struct due {
	int64_t when;
	uint64_t id;
};

/* The first rows by time: at most max that are due, and when the one after them is (0: none). */
static enum err
find_due(struct txn *t, int64_t now, size_t max, struct due *due, size_t *n, int64_t *next)
{
	struct slice k, value;
	*n = 0;
	*next = 0;
	struct range *r = range_begin(t, S("Q"), S("R"), false);
	while (*next == 0 && range_next(r, &k, &value)) {
		struct due d = { (int64_t)bytes_get_be(k.at + 1, 8), bytes_get_be(k.at + 9, 8) };
		if (d.when > now || *n == max)
			*next = MAX(d.when, (int64_t)1);
		else
			due[(*n)++] = d;
	}
	return range_end(&r);
}

/* Rows later than that were scheduled, or leased, by a clock that was wrong: they are due. But not those that somebody
 * holds at this moment: the next renewal puts their end right. */
static enum err
find_astray(struct job *j, struct txn *t, int64_t later_than, size_t max, struct due *due, size_t *n)
{
	struct slice k, value;
	struct key from = key1('Q', (uint64_t)later_than + 1);
	struct range *r = range_begin(t, key_slice(&from), S("R"), false);
	while (*n < max && range_next(r, &k, &value)) {
		struct due d = { (int64_t)bytes_get_be(k.at + 1, 8), bytes_get_be(k.at + 9, 8) };
		if (!lease_is_held(j->s, d.id))
			due[(*n)++] = d;
	}
	return range_end(&r);
}

static enum err
claim_one(struct job *j, struct txn *t, const struct due *d, struct store_queue_row *out, size_t *bytes)
{
	const struct store_queue_claim_in *in = j->in;
	struct row_queue row;
	enum err e = queue_row_get(t, d->id, &row);
	if (e)
		return e == ERR_NOT_FOUND ? row_damaged("queue by time") : e;
	row.lease = random_u64() | 1;
	row.lease_until = in->now + in->lease_sec;
	queue_row_put(j, t, d->id, d->when, &row);
	*bytes += queue_answer(j, d->id, &row, out);
	return OK;
}

enum err
queue_claim(struct job *j, struct txn *t)
{
	const struct store_queue_claim_in *in = j->in;
	struct store_queue_claim_out *out = j->out;
	struct due due[CLAIM_MAX];
	size_t n, i, bytes = 0, max = MIN(in->max, (uint32_t)CLAIM_MAX);
	enum err e = find_due(t, in->now, max, due, &n, &out->next);
	if (!e && in->horizon) {
		if (out->next > in->now + in->horizon)
			out->next = 0;
		e = find_astray(j, t, in->now + in->horizon, max, due, &n);
	}
	out->rows = ARENA_ARRAY(&j->call->arena, struct store_queue_row, n + 1);
	for (i = 0; i < n && !e && bytes < ANSWER_BYTES_MAX / 2; i++)
		e = claim_one(j, t, &due[i], &out->rows[i], &bytes);
	out->nrows = (uint32_t)i;
	if (i < n)
		out->next = MAX(MIN(due[i].when, in->now), (int64_t)1);
	return e;
}

/* ---- for people */

enum err
queue_list(struct job *j, struct txn *t)
{
	const struct store_queue_list_in *in = j->in;
	struct store_queue_list_out *out = j->out;
	struct slice k, value;
	struct row_queue row;
	size_t bytes = 0;
	enum err e = OK;
	out->rows = ARENA_ARRAY(&j->call->arena, struct store_queue_row, QUEUE_PAGE);
	if (in->id) {
		e = queue_row_get(t, in->id, &row);
		if (!e)
			queue_answer(j, in->id, &row, &out->rows[out->nrows++]);
		return e;
	}
	if (in->after == UINT64_MAX)
		return OK;
	struct key from = key1('q', in->after + 1);
	struct range *r = range_begin(t, key_slice(&from), S("r"), false);
	while (!e && !out->more && range_next(r, &k, &value)) {
		/* A row came in a frame and fits into one: half a frame, and one more. */
		if (out->nrows == QUEUE_PAGE || bytes > ANSWER_BYTES_MAX / 2)
			out->more = true;
		else if (!row_queue_take(value, txn_arena(t), &row))
			e = row_damaged("queue");
		else
			bytes += queue_answer(j, bytes_get_be(k.at + 1, 8), &row, &out->rows[out->nrows++]);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

/* All rows are changed a step at a time, each step a transaction of its own. */
struct changing {
	struct job j;
	uint64_t from;    /* first row of this step */
	uint64_t next;    /* of the next one; 0: this is the last */
	uint64_t changed; /* in this step */
	uint64_t total;
};

static enum err
change_row(struct job *j, struct txn *t, uint64_t id, uint32_t op, struct row_queue *row)
{
	int64_t was = queue_time(row);
	switch (op) {
	case QUEUE_DELETE: return queue_row_delete(j, t, id, row);
	case QUEUE_HOLD: row->held = true; break;
	case QUEUE_RELEASE: row->held = false; break;
	default: break;
	}
	if (op != QUEUE_HOLD)
		row->due = clock_wall_sec();
	queue_row_put(j, t, id, was, row);
	return OK;
}

static bool
is_changed_by(uint32_t op, const struct row_queue *row)
{
	return op == QUEUE_HOLD ? !row->held : op == QUEUE_RELEASE ? row->held : op == QUEUE_RETRY ? !row->held : true;
}

static enum err
change_step(struct job *j, struct txn *t)
{
	struct changing *c = CONTAINER_OF(j, struct changing, j);
	const struct store_queue_change_in *in = j->in;
	uint64_t *ids = ARENA_ARRAY(txn_arena(t), uint64_t, CHANGE_STEP), left;
	struct slice k, value;
	size_t n = 0;
	struct key from = key1('q', c->from), to = key1('q', in->id ? in->id : UINT64_MAX);
	key_nul(&to);
	c->next = c->changed = 0;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (c->next == 0 && range_next(r, &k, &value)) {
		if (n == CHANGE_STEP)
			c->next = bytes_get_be(k.at + 1, 8);
		else
			ids[n++] = bytes_get_be(k.at + 1, 8);
	}
	enum err e = range_end(&r);
	if (!e && in->id && n == 0)
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < n && !e; i++) {
		struct row_queue row;
		e = queue_row_get(t, ids[i], &row);
		if (e || !is_changed_by(in->op, &row))
			continue;
		e = change_row(j, t, ids[i], in->op, &row);
		c->changed++;
	}
	return e ? e : queue_count(t, j->queue_rows, &left);
}

static void
step_made(struct job *j, enum err e)
{
	struct changing *c = CONTAINER_OF(j, struct changing, j);
	struct store_queue_change_out out = { .changed = c->total + c->changed };
	if (e) {
		ipc_fail(j->call, e);
		return;
	}
	if (c->next == 0) {
		ipc_reply(j->call, &out);
		return;
	}
	c->total += c->changed;
	c->from = c->next;
	store_update(j->s, &j->update);
}

void
queue_change_call(struct ipc_call *call, const struct store_queue_change_in *in)
{
	if (in->op > QUEUE_RELEASE) {
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	struct changing *c = ARENA_NEW(&call->arena, struct changing);
	c->from = in->id;
	c->j.update.makes_space = in->op == QUEUE_DELETE;
	c->j.answers = step_made;
	job_update(&c->j, call, in, 0, change_step);
}

/* ---- notices */

static void
queue_notice_send(struct later *l)
{
	struct rows *r = CONTAINER_OF(l, struct rows, queue_notice);
	struct store_queue_ready_in notice = { .due = r->queue_due };
	r->queue_pending = false;
	for (size_t i = 0; i < r->s->npeers; i++)
		if (r->s->peers[i]->class_bit == IPC_CLASS_RELAY && r->s->peers[i]->conn)
			store_queue_ready_notify(r->s->peers[i], &notice);
}

void
notice_queue(struct store *s, int64_t due)
{
	struct rows *r = s->rows;
	r->queue_due = r->queue_pending ? MIN(r->queue_due, due) : due;
	r->queue_pending = true;
	r->queue_notice.fn = queue_notice_send;
	loop_later(&r->queue_notice);
}

static enum err
read_count(struct store *s, struct txn *t, void *arg)
{
	return queue_count(t, 0, arg);
}

void
queue_open(struct store *s)
{
	uint64_t rows = 0;
	if (store_view(s, read_count, &rows) == OK)
		counter_set(COUNTER_QUEUE_ROWS, rows);
}
