/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - mail that waits for remote servers: rows 'q', and 'Q' by time. Relay claims rows that are due under a lease
 * that stands in the row (lease.c). A row that is claimed stands in 'Q' at the end of its lease, one whose scope is
 * paused at the end of the pause; a row that is held stands in it nowhere. 'Q' has bands: of high, normal and low
 * priority, and for times that somebody asked for, which no wrong clock brought about. Each row counts as one reference
 * to the body. What administrators do with rows is in queue_admin.c. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/random.h"
#include "store/directory_name.h"
#include "store/memo.h"
#include "store/rows.h"

/* ---- rows */

enum err
queue_row_get(struct txn *t, uint64_t id, struct row_queue *row)
{
	struct key k = key1('q', id);
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	return e ? e : row_queue_take(value, txn_arena(t), row) ? OK : row_damaged("queue");
}

static struct key
slot_key(int64_t slot, uint64_t id)
{
	return key2('Q', (uint64_t)slot, id);
}

void
queue_row_put(struct job *j, struct txn *t, uint64_t id, int64_t was, const struct row_queue *row)
{
	int64_t now = row_queue_slot(row);
	struct key k = key1('q', id), old = slot_key(was, id), new = slot_key(now, id);
	txn_put(t, key_slice(&k), row_queue_put(txn_arena(t), row));
	if (was != INT64_MAX && was != now)
		txn_delete(t, key_slice(&old));
	if (now != INT64_MAX && was != now)
		txn_put(t, key_slice(&new), SLICE_NONE);
	if (!row->lease && !row->held && !row->paused_until)
		j->queue_due = MIN(j->queue_due, SLOT_WHEN(now));
}

/* ---- mail that was sent for a later time (RFC 4865) counts for its account as long as it is here */

static struct slice
held_name(struct txn *t, uint64_t account)
{
	return arena_printf(txn_arena(t), "held %llu", (unsigned long long)account);
}

enum err
queue_held_bytes(struct txn *t, uint64_t account, uint64_t *bytes)
{
	struct row_sequence held;
	enum err e = sequence_get(t, held_name(t, account), &held);
	*bytes = held.count;
	return e;
}

enum err
queue_hold(struct job *j, struct txn *t, const struct store_mail *mail, uint64_t bytes)
{
	struct row_account account;
	struct row_counters used;
	struct row_sequence held;
	struct slice name = held_name(t, mail->envelope.account);
	if (!mail->envelope.hold_until || !mail->envelope.account)
		return OK;
	enum err e = account_get(t, mail->envelope.account, &account);
	e = e ? e : counters_get(t, mail->envelope.account, &used);
	e = e ? e : sequence_get(t, name, &held);
	if (e)
		return e;
	used.bytes += held.count;
	used.messages = 0; /* those in mailboxes: another matter */
	e = quota_check(j->s, &account, &used, bytes, 0);
	held.count += bytes;
	sequence_put(t, name, &held);
	return e;
}

static enum err
held_remove(struct txn *t, const struct row_queue *row)
{
	struct row_sequence held;
	struct slice name = held_name(t, row->envelope.account);
	enum err e = sequence_get(t, name, &held);
	held.count -= MIN(held.count, row->bytes);
	if (!e)
		sequence_put(t, name, &held);
	return e;
}

/* ---- */

enum err
queue_row_delete(struct job *j, struct txn *t, uint64_t id, const struct row_queue *row)
{
	int64_t was = row_queue_slot(row);
	struct key k = key1('q', id), old = slot_key(was, id);
	txn_delete(t, key_slice(&k));
	if (was != INT64_MAX)
		txn_delete(t, key_slice(&old));
	j->queue_rows--;
	enum err e = row_queue_is_for_later(row) ? held_remove(t, row) : OK;
	return e ? e : object_refer(j->s, t, row->object, -1);
}

enum err
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

/* RFC 6531 3.2: DNS, policies and routes know a domain by its A-labels only. */
static struct slice
domain_for_dns(struct txn *t, struct slice domain)
{
	struct slice ascii;
	return !slice_is_ascii(domain) && directory_domain(domain, txn_arena(t), &ascii) ? ascii : domain;
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
		                     .domain = domain_for_dns(t, group->domain),
		                     .due = group->due ? group->due : clock_wall_sec(),
		                     .born = clock_wall_sec(),
		                     .bytes = bytes,
		                     .envelope = mail->envelope,
		                     .recipients = group->recipients,
		                     .nrecipients = group->nrecipients,
		                     .appointed = group->appointed,
		                     .local = group->local };
	sequence.last++;
	sequence.count++;
	sequence_put(t, S("queue"), &sequence);
	queue_row_put(j, t, sequence.last, INT64_MAX, &row);
	j->queued++;
	j->queue_rows++;
	return OK;
}

/* The last ones stay. */
static void
add_attempt(struct txn *t, struct row_queue *row, const struct store_attempt *a)
{
	if (a->at == 0)
		return;
	struct store_attempt *all = ARENA_ARRAY(txn_arena(t), struct store_attempt, row->nattempts + 1);
	uint32_t from = row->nattempts < QUEUE_ATTEMPTS_MAX ? 0 : row->nattempts + 1 - QUEUE_ATTEMPTS_MAX, n = 0;
	for (uint32_t i = from; i < row->nattempts; i++)
		all[n++] = row->attempts[i];
	all[n++] = *a;
	row->attempts = all;
	row->nattempts = n;
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
	int64_t was = row_queue_slot(&row);
	row.lease = 0;
	row.lease_until = 0;
	row.paused_until = 0;
	row.appointed = false;
	row.due = settle->due;
	row.tries = settle->tries;
	row.notices = settle->notices;
	row.recipients = settle->recipients;
	row.nrecipients = settle->nrecipients;
	add_attempt(t, &row, &settle->attempt);
	queue_row_put(j, t, settle->id, was, &row);
	return OK;
}

/* ---- claim */

static size_t
recipient_bytes(const struct store_recipient *r)
{
	return 32 + r->address.len + r->orcpt.len + r->reply.len + r->status.len + r->mta.len;
}

uint32_t
queue_state(const struct row_queue *row)
{
	int64_t now = clock_wall_sec();
	return row->held                              ? QUEUE_STATE_HELD
	       : row->paused_until > now              ? QUEUE_STATE_PAUSED
	       : row->lease && row->lease_until > now ? QUEUE_STATE_ACTIVE
	       : row->appointed && row->due > now     ? QUEUE_STATE_SCHEDULED
	                                              : QUEUE_STATE_WAITING;
}

size_t
queue_answer(struct job *j, uint64_t id, const struct row_queue *row, struct store_queue_row *out)
{
	struct arena *a = &j->call->arena;
	size_t bytes = 3200;
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
		                             .nrecipients = row->nrecipients,
		                             .state = queue_state(row),
		                             .hold_reason = slice_keep(a, row->hold_reason),
		                             .reroute = slice_keep(a, row->reroute),
		                             .local = row->local,
		                             .returned = row->returned };
	out->envelope.reverse_path = slice_keep(a, row->envelope.reverse_path);
	out->envelope.envid = slice_keep(a, row->envelope.envid);
	out->envelope.session = slice_keep(a, row->envelope.session);
	out->envelope.language = slice_keep(a, row->envelope.language);
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
	int64_t slot;
	uint64_t id;
};

/* What is due, band by band; one more than is wanted tells that there are more. */
struct dues {
	size_t max;
	struct due at[BANDS][CLAIM_MAX + 1];
	size_t n[BANDS], taken[BANDS];
	int64_t next; /* when the first that is not due will be; 0: none */
};

static struct due
due_of(struct slice key)
{
	return (struct due){ (int64_t)bytes_get_be(key.at + 1, 8), bytes_get_be(key.at + 9, 8) };
}

static enum err
find_due(struct txn *t, int64_t now, int64_t band, struct dues *d)
{
	struct slice k, value;
	struct key from = key1('Q', (uint64_t)(band << BAND_SHIFT)), to = key1('Q', (uint64_t)((band + 1) << BAND_SHIFT));
	size_t *n = &d->n[band];
	int64_t next = 0;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (next == 0 && *n <= d->max && range_next(r, &k, &value)) {
		struct due due = due_of(k);
		if (SLOT_WHEN(due.slot) > now)
			next = MAX(SLOT_WHEN(due.slot), (int64_t)1);
		else
			d->at[band][(*n)++] = due;
	}
	if (next && (d->next == 0 || next < d->next))
		d->next = next;
	return range_end(&r);
}

/* Rows later than that were scheduled, or leased, by a clock that was wrong: they are due. But not those that somebody
 * holds at this moment: the next renewal puts their end right. */
static enum err
find_astray(struct job *j, struct txn *t, int64_t later_than, int64_t band, struct dues *d)
{
	struct slice k, value;
	struct key from = key1('Q', (uint64_t)(band << BAND_SHIFT | MIN(later_than, SLOT_WHEN(-1ll))) + 1);
	struct key to = key1('Q', (uint64_t)((band + 1) << BAND_SHIFT));
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (d->n[band] <= d->max && range_next(r, &k, &value)) {
		struct due due = due_of(k);
		if (!lease_is_held(j->s, due.id))
			d->at[band][d->n[band]++] = due;
	}
	return range_end(&r);
}

/* RFC 6710 5: higher priority first; but an eighth for each band, so that none waits for ever. */
static size_t
choose(struct dues *d, const struct due *chosen[CLAIM_MAX])
{
	static const int64_t order[BANDS] = { BAND_HIGH, BAND_NORMAL, BAND_APPOINTED, BAND_LOW };
	size_t n = 0, share = d->max / 8;
	for (size_t i = 0; i < BANDS; i++)
		n += d->taken[order[i]] = MIN(d->n[order[i]], share);
	for (size_t i = 0; i < BANDS && n < d->max; i++) {
		size_t more = MIN(d->n[order[i]] - d->taken[order[i]], d->max - n);
		d->taken[order[i]] += more;
		n += more;
	}
	n = 0;
	for (size_t i = 0; i < BANDS; i++)
		for (size_t k = 0; k < d->taken[order[i]]; k++)
			chosen[n++] = &d->at[order[i]][k];
	return n;
}

/* When the first that is due and was not chosen was to be tried; 0: all were chosen. */
static int64_t
left_over(const struct dues *d)
{
	int64_t when = 0;
	for (size_t band = 0; band < BANDS; band++)
		if (d->taken[band] < d->n[band]) {
			int64_t first = MAX(SLOT_WHEN(d->at[band][d->taken[band]].slot), (int64_t)1);
			when = when ? MIN(when, first) : first;
		}
	return when;
}

static struct slice
lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

/* Until when what the row belongs to is paused; 0: nothing is. */
static enum err
paused_until(struct txn *t, const struct row_queue *row, int64_t *until)
{
	struct arena *a = txn_arena(t);
	struct slice domain = lower(a, row->domain), sender = lower(a, row->envelope.reverse_path);
	struct slice scopes[4] = { S("all"), arena_join(a, S("domain/"), domain), arena_join(a, S("sender/"), sender),
		                       arena_printf(a, "account/%llu", (unsigned long long)row->envelope.account) };
	enum err e = OK;
	*until = 0;
	for (size_t i = 0; i < COUNT_OF(scopes) && !e; i++) {
		int64_t one;
		e = memo_until(t, S("pause"), scopes[i], &one);
		*until = MAX(*until, one);
	}
	return e;
}

struct claiming {
	bool pauses; /* there are any */
	size_t bytes;
	struct store_queue_claim_out *out;
};

static enum err
claim_one(struct job *j, struct txn *t, const struct due *d, struct claiming *c)
{
	const struct store_queue_claim_in *in = j->in;
	struct row_queue row;
	enum err e = queue_row_get(t, d->id, &row);
	if (e)
		return e == ERR_NOT_FOUND ? row_damaged("queue by time") : e;
	row.paused_until = 0;
	if (c->pauses && (e = paused_until(t, &row, &row.paused_until)))
		return e;
	if (!row.paused_until) {
		row.lease = random_u64() | 1;
		row.lease_until = in->now + in->lease_sec;
		row.appointed = false;
	}
	queue_row_put(j, t, d->id, d->slot, &row);
	if (row.paused_until)
		return OK;
	struct store_queue_row *out = &c->out->rows[c->out->nrows++];
	c->bytes += queue_answer(j, d->id, &row, out);
	return bounced_key(j, t, &row, out);
}

static void
sort_by_priority(struct store_queue_row *rows, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k > 0 && rows[k - 1].envelope.priority < rows[k].envelope.priority; k--) {
			struct store_queue_row row = rows[k];
			rows[k] = rows[k - 1];
			rows[k - 1] = row;
		}
}

static enum err
find_rows(struct job *j, struct txn *t, struct dues *d)
{
	const struct store_queue_claim_in *in = j->in;
	enum err e = OK;
	for (int64_t band = 0; band < BANDS && !e; band++) {
		int64_t before = d->next;
		e = find_due(t, in->now, band, d);
		if (e || !in->horizon || band == BAND_APPOINTED)
			continue;
		if (d->next != before && d->next > in->now + in->horizon)
			d->next = before;
		e = find_astray(j, t, in->now + in->horizon, band, d);
	}
	return e;
}

enum err
queue_claim(struct job *j, struct txn *t)
{
	const struct store_queue_claim_in *in = j->in;
	struct store_queue_claim_out *out = j->out;
	struct dues *d = ARENA_NEW(txn_arena(t), struct dues);
	const struct due *chosen[CLAIM_MAX];
	struct claiming c = { .out = out };
	d->max = MIN(in->max, (uint32_t)CLAIM_MAX);
	enum err e = find_rows(j, t, d);
	if (!e)
		e = memo_any(t, S("pause"), &c.pauses);
	size_t i, n = choose(d, chosen);
	out->rows = ARENA_ARRAY(&j->call->arena, struct store_queue_row, n + 1);
	for (i = 0; i < n && !e && c.bytes < ANSWER_BYTES_MAX / 2; i++)
		e = claim_one(j, t, chosen[i], &c);
	int64_t left = i < n ? SLOT_WHEN(chosen[i]->slot) : left_over(d);
	out->next = i < n || left ? MAX(MIN(left, in->now), (int64_t)1) : d->next;
	sort_by_priority(out->rows, out->nrows);
	return e;
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
