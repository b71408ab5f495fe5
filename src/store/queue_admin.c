/* SPDX-License-Identifier: Apache-2.0 */
/* queue_admin.c - the queue for administrators: pages of rows that match a filter, and changes to one row or to all
 * that match. A look and a change go on a step at a time: a million rows hold nobody up. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "store/rows.h"

#define QUEUE_PAGE 100
#define LIST_STEP 5000   /* rows that one page looks at */
#define CHANGE_STEP 1000 /* rows that queue_change looks at in one transaction */

/* ---- filters */

static bool
address_matches(struct slice address, struct slice wanted)
{
	if (wanted.len == 0)
		return true;
	if (slice_equal(wanted, S("<>")))
		return address.len == 0;
	return *wanted.at == '@' ? slice_ends_nocase(address, wanted) : slice_equal_nocase(address, wanted);
}

static bool
recipients_match(const struct row_queue *row, const struct store_queue_filter *f)
{
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (address_matches(row->recipients[i].address, f->recipient))
			return true;
	return f->recipient.len == 0;
}

static bool
reason_matches(const struct row_queue *row, struct slice reason)
{
	if (reason.len == 0 || slice_find_nocase(row->hold_reason, reason) >= 0)
		return true;
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (slice_find_nocase(row->recipients[i].reply, reason) >= 0)
			return true;
	return false;
}

static bool
matches(const struct row_queue *row, const struct store_queue_filter *f)
{
	return address_matches(row->envelope.reverse_path, f->sender) && recipients_match(row, f) &&
	       (f->domain.len == 0 || slice_equal_nocase(row->domain, f->domain)) && reason_matches(row, f->reason) &&
	       (f->born_after == 0 || row->born > f->born_after) && (f->born_before == 0 || row->born < f->born_before) &&
	       (f->state == QUEUE_STATE_ANY || queue_state(row) == f->state) &&
	       (f->account == 0 || row->envelope.account == f->account);
}

/* ---- lists */

/* With its history. */
static void
answer_attempts(struct job *j, const struct row_queue *row, struct store_queue_row *out)
{
	struct arena *a = &j->call->arena;
	out->attempts = ARENA_ARRAY(a, struct store_attempt, row->nattempts + 1);
	for (uint32_t i = 0; i < row->nattempts; i++)
		out->attempts[out->nattempts++] =
		    (struct store_attempt){ row->attempts[i].at, slice_keep(a, row->attempts[i].host),
			                        slice_keep(a, row->attempts[i].said) };
}

static enum err
list_one(struct job *j, struct txn *t, uint64_t id)
{
	struct store_queue_list_out *out = j->out;
	struct row_queue row;
	enum err e = queue_row_get(t, id, &row);
	if (e)
		return e;
	queue_answer(j, id, &row, &out->rows[out->nrows]);
	answer_attempts(j, &row, &out->rows[out->nrows++]);
	out->last = id;
	return OK;
}

enum err
queue_list(struct job *j, struct txn *t)
{
	const struct store_queue_list_in *in = j->in;
	struct store_queue_list_out *out = j->out;
	struct slice k, value;
	struct row_queue row;
	size_t bytes = 0, looked = 0;
	enum err e = OK;
	out->rows = ARENA_ARRAY(&j->call->arena, struct store_queue_row, QUEUE_PAGE);
	out->last = in->after;
	if (in->id)
		return list_one(j, t, in->id);
	if (in->after == UINT64_MAX)
		return OK;
	struct key from = key1('q', in->after + 1);
	struct range *r = range_begin(t, key_slice(&from), S("r"), false);
	while (!e && !out->more && range_next(r, &k, &value)) {
		/* A row came in a frame and fits into one: half a frame, and one more. */
		if (out->nrows == QUEUE_PAGE || bytes > ANSWER_BYTES_MAX / 2 || looked == LIST_STEP) {
			out->more = true;
			continue;
		}
		looked++;
		out->last = bytes_get_be(k.at + 1, 8);
		if (!row_queue_take(value, txn_arena(t), &row))
			e = row_damaged("queue");
		else if (matches(&row, &in->filter))
			bytes += queue_answer(j, out->last, &row, &out->rows[out->nrows++]);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

/* ---- changes */

/* All rows are changed a step at a time, each step a transaction of its own. */
struct changing {
	struct job j;
	uint64_t from;    /* first row of this step */
	uint64_t next;    /* of the next one; 0: this is the last */
	uint64_t changed; /* in this step */
	uint64_t total;
};

static enum err
change_row(struct job *j, struct txn *t, uint64_t id, struct row_queue *row)
{
	const struct store_queue_change_in *in = j->in;
	int64_t was = row_queue_slot(row), now = clock_wall_sec();
	if (in->op == QUEUE_DELETE)
		return queue_row_delete(j, t, id, row);
	if (in->op == QUEUE_RELEASE || in->op == QUEUE_RETURN)
		row->held = false;
	if (in->op == QUEUE_HOLD)
		row->held = true;
	row->hold_reason = row->held && in->op == QUEUE_HOLD ? in->text : row->held ? row->hold_reason : SLICE_NONE;
	if (in->op == QUEUE_REROUTE)
		row->reroute = in->text;
	if (in->op == QUEUE_RETURN)
		row->returned = true;
	if (in->op != QUEUE_HOLD)
		row->paused_until = 0; /* the next claim looks again */
	bool now_whatever = in->op == QUEUE_RETRY || in->op == QUEUE_RETURN;
	if (in->op == QUEUE_DUE || now_whatever)
		row->appointed = in->op == QUEUE_DUE && in->due > now;
	if (in->op == QUEUE_DUE)
		row->due = in->due;
	else if (now_whatever || ((in->op == QUEUE_RELEASE || in->op == QUEUE_REROUTE) && !row->appointed))
		row->due = now;
	queue_row_put(j, t, id, was, row);
	return OK;
}

static bool
is_changed_by(uint32_t op, const struct row_queue *row)
{
	switch (op) {
	case QUEUE_HOLD: return !row->held;
	case QUEUE_RELEASE: return row->held;
	case QUEUE_RESUME: return row->paused_until != 0;
	case QUEUE_RETRY:
	case QUEUE_DUE: return !row->held;
	default: return true;
	}
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
		if (e || !is_changed_by(in->op, &row) || !matches(&row, &in->filter))
			continue;
		e = change_row(j, t, ids[i], &row);
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
	if (in->op >= QUEUE_OPS || in->filter.state >= QUEUE_STATES || in->due < 0 || in->due > SLOT_WHEN(-1ll) ||
	    slice_has_control(in->text)) {
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	struct changing *c = ARENA_NEW(&call->arena, struct changing);
	c->from = in->id;
	c->j.update.makes_space = in->op == QUEUE_DELETE;
	c->j.answers = step_made;
	job_update(&c->j, call, in, 0, change_step);
}
