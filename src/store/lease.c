/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - who holds which queue rows. A lease stands in the row, with the time at which it ends by itself; it is
 * short, and relay renews it. Which connection holds which leases is kept in memory alone: when one closes while the
 * store lives, its leases end at once. After the store was started again the next renewals tell it anew; until then
 * leases end by their time.
 *
 * A lease that ended stays in its row until somebody claims the row: whoever had it may still renew it and settle with
 * it. So a relay that lost no more than its connection loses nothing, and nothing is sent twice. */
#include "store/rows_state.h"

#include "base/clock.h"

#define LEASES_MAX 4096u /* of all connections */
#define RELEASE_STEP 512 /* leases that end in one update; as many as one queue_renew names */

/* ---- who holds what */

struct hold {
	uint64_t id, lease;
	int64_t until_ms;    /* of the monotonic clock */
	struct link in_peer; /* store_peer.held: those held longest without renewal first */
};

static void
hold_free(struct rows *r, struct hold *h)
{
	map_remove(&r->held, h->id);
	list_remove(&h->in_peer);
	free(h);
}

bool
lease_is_held(const struct store *s, uint64_t id)
{
	const struct hold *h = map_get(&s->rows->held, id);
	return h && h->until_ms > clock_mono_ms();
}

static void
lease_forget(struct store *s, const struct store_queue_lease *l)
{
	struct hold *h = map_get(&s->rows->held, l->id);
	if (h && h->lease == l->lease)
		hold_free(s->rows, h);
}

void
lease_settled(struct store *s, const struct store_settle *settle)
{
	lease_forget(s, &(struct store_queue_lease){ settle->id, settle->lease });
}

static void
lease_hold(struct store *s, struct store_peer *p, const struct store_queue_lease *l, uint32_t sec)
{
	struct hold *h = map_get(&s->rows->held, l->id);
	if (!h) {
		h = must_calloc(1, sizeof *h);
		h->id = l->id;
		map_set(&s->rows->held, l->id, h);
	}
	h->lease = l->lease;
	h->until_ms = deadline_in_ms((int64_t)sec * 1000);
	list_remove(&h->in_peer);
	list_append(&p->held, &h->in_peer);
}

/* What ended by its time is not remembered any longer. */
static void
forget_ended(struct store *s, struct store_peer *p)
{
	int64_t now = clock_mono_ms();
	LIST_EACH (&p->held, it) {
		struct hold *h = CONTAINER_OF(it, struct hold, in_peer);
		if (h->until_ms > now)
			break;
		hold_free(s->rows, h);
	}
}

/* ---- leases in rows */

/* The lease ends after that many seconds, with 0 at once whatever the clock says. OK and *other: it is somebody else's,
 * or the row is gone. */
static enum err
lease_set(struct job *j, struct txn *t, const struct store_queue_lease *l, int64_t now, uint32_t sec, bool *other)
{
	struct row_queue row;
	enum err e = queue_row_get(t, l->id, &row);
	*other = e == ERR_NOT_FOUND || (!e && (row.lease == 0 || row.lease != l->lease));
	if (e || *other)
		return e == ERR_NOT_FOUND ? OK : e;
	int64_t was = row_queue_slot(&row);
	row.lease_until = sec ? now + sec : MIN(row.lease_until, MIN(row.due, now));
	queue_row_put(j, t, l->id, was, &row);
	if (sec == 0 && !row.held)
		j->queue_due = MIN(j->queue_due, now);
	return OK;
}

/* ---- a connection closed */

struct releasing {
	struct update update;
	int64_t due; /* result */
	uint32_t n;
	struct store_queue_lease leases[RELEASE_STEP];
};

static enum err
release_run(struct store *s, struct txn *t, struct update *u)
{
	struct releasing *r = CONTAINER_OF(u, struct releasing, update);
	struct job j = { .s = s, .queue_due = INT64_MAX };
	enum err e = OK;
	for (uint32_t i = 0; i < r->n && !e; i++) {
		bool other;
		e = lease_set(&j, t, &r->leases[i], clock_wall_sec(), 0, &other);
	}
	r->due = j.queue_due;
	return e;
}

static void
release_done(struct store *s, struct update *u, enum err e)
{
	struct releasing *r = CONTAINER_OF(u, struct releasing, update);
	if (!e && r->due != INT64_MAX)
		notice_queue(s, r->due);
	free(r); /* when it failed they end by their time */
}

/* Updates run in the order in which they came: what the connection asked for before it closed is done before. */
static void
release(struct store *s, const struct store_queue_lease *leases, uint32_t n)
{
	ASSERT(n <= RELEASE_STEP);
	if (n == 0)
		return;
	struct releasing *r = must_calloc(1, sizeof *r);
	r->n = n;
	memcpy(r->leases, leases, n * sizeof *leases);
	r->update = (struct update){ .run = release_run, .done = release_done, .makes_space = true };
	store_update(s, &r->update);
}

void
lease_peer_closed(struct store *s, struct ipc_peer *peer)
{
	struct store_peer *p = peer->state;
	struct store_queue_lease leases[RELEASE_STEP];
	uint32_t n = 0;
	LIST_EACH (&p->held, it) {
		struct hold *h = CONTAINER_OF(it, struct hold, in_peer);
		leases[n++] = (struct store_queue_lease){ h->id, h->lease };
		hold_free(s->rows, h);
		if (n == RELEASE_STEP || list_empty(&p->held)) {
			release(s, leases, n);
			n = 0;
		}
	}
}

/* The leases are durable; who asked for them may have gone meanwhile. */
static void
leases_taken(struct job *j, const struct store_queue_lease *leases, uint32_t n, uint32_t sec)
{
	struct store_peer *p = j->call->peer->state;
	if (!p) {
		release(j->s, leases, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		lease_hold(j->s, p, &leases[i], sec);
}

/* ---- claim */

static void
claimed(struct job *j, enum err e)
{
	const struct store_queue_claim_in *in = j->in;
	const struct store_queue_claim_out *out = j->out;
	struct store_queue_lease leases[CLAIM_MAX];
	j->s->rows->claims--;
	if (e) {
		ipc_fail(j->call, e);
		return;
	}
	for (uint32_t i = 0; i < out->nrows; i++)
		leases[i] = (struct store_queue_lease){ out->rows[i].id, out->rows[i].lease };
	leases_taken(j, leases, out->nrows, in->lease_sec);
	ipc_reply(j->call, out);
}

static bool
is_time(int64_t sec)
{
	return sec >= 0 && sec <= INT64_MAX / 4;
}

void
queue_claim_call(struct ipc_call *call, const struct store_queue_claim_in *in)
{
	struct store_peer *p = call->peer->state;
	struct rows *r = p->store->rows;
	forget_ended(p->store, p);
	if (!is_time(in->now) || !is_time(in->horizon)) {
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	if (r->held.count + (r->claims + 1) * CLAIM_MAX > LEASES_MAX) {
		ipc_fail(call, ERR_LIMIT);
		return;
	}
	r->claims++;
	struct job *j = ARENA_NEW(&call->arena, struct job);
	j->update.makes_space = true; /* what is sent makes space */
	j->answers = claimed;
	job_update(j, call, in, sizeof(struct store_queue_claim_out), queue_claim);
}

/* ---- renew */

static enum err
queue_renew(struct job *j, struct txn *t)
{
	const struct store_queue_renew_in *in = j->in;
	struct store_queue_renew_out *out = j->out;
	enum err e = OK;
	out->lost = ARENA_ARRAY(&j->call->arena, struct store_queue_lease, in->nleases + 1);
	for (uint32_t i = 0; i < in->nleases && !e; i++) {
		const struct store_queue_lease *l = &in->leases[i];
		bool other;
		e = lease_set(j, t, l, in->lease_sec ? in->now : clock_wall_sec(), in->lease_sec, &other);
		if (!e && other)
			out->lost[out->nlost++] = *l;
	}
	return e;
}

static void
renewed(struct job *j, enum err e)
{
	const struct store_queue_renew_in *in = j->in;
	const struct store_queue_renew_out *out = j->out;
	if (e) {
		ipc_fail(j->call, e);
		return;
	}
	struct store_queue_lease kept[RELEASE_STEP];
	uint32_t nkept = 0, lost = 0;
	for (uint32_t i = 0; i < in->nleases; i++) {
		const struct store_queue_lease *l = &in->leases[i], *next = &out->lost[lost];
		if (lost < out->nlost && next->id == l->id && next->lease == l->lease) {
			lease_forget(j->s, l);
			lost++;
		} else if (in->lease_sec == 0) {
			lease_forget(j->s, l);
		} else {
			kept[nkept++] = *l;
		}
	}
	leases_taken(j, kept, nkept, in->lease_sec);
	ipc_reply(j->call, out);
}

void
queue_renew_call(struct ipc_call *call, const struct store_queue_renew_in *in)
{
	struct store_peer *p = call->peer->state;
	forget_ended(p->store, p);
	if (!is_time(in->now)) {
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	struct job *j = ARENA_NEW(&call->arena, struct job);
	j->update.makes_space = true;
	j->answers = renewed;
	job_update(j, call, in, sizeof(struct store_queue_renew_out), queue_renew);
}
