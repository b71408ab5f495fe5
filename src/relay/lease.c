/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - the leases of the rows that relay holds: renewed well before they end, given back when relay stops. And the
 * wall clock, against which they are written down: somebody may set it.
 *
 * A row is never sent by two jobs at once. When a claim brings a row that a job of this process has (its lease ended
 * for a moment: the clock was set, the connection to the store was lost), the job takes the new lease over. What the
 * store says about a lease counts only while the job still has that lease: the answer may have crossed a settle and a
 * new claim. */
#include "relay/relay.h"

#include "base/log.h"

#define RENEW_MS (LEASE_SEC * 1000LL / 3)
#define RENEW_AGAIN_MS 1000 /* after the store could not be asked */
#define STEP_MS 60000       /* of the wall clock against the monotonic one: more was not adjusted but set */
#define HORIZON_SLACK_SEC 3600

int64_t
relay_now(struct relay *r)
{
	int64_t wall = clock_wall_ms(), ahead = wall - clock_mono_ms(), step = r->clock_seen ? ahead - r->clock_ahead : 0;
	r->clock_seen = true;
	r->clock_ahead = ahead;
	if (step > STEP_MS || step < -STEP_MS) {
		struct log l;
		log_begin(&l, LOG_WARN, "relay.clock_set");
		log_i64(&l, "step", step / 1000);
		log_text(&l, "effect", "what was scheduled by the other time is tried when it can be due no later");
		log_end(&l);
	}
	return wall / 1000;
}

static int64_t
longest_wait(const struct conf_schedule *s)
{
	int64_t longest = s->delayed_after_sec;
	for (size_t i = 0; i < s->nretry; i++)
		longest = MAX(longest, s->retry_sec[i]);
	return longest;
}

int64_t
relay_horizon(const struct relay *r)
{
	int64_t longest = LEASE_SEC;
	for (size_t class = 0; class < COUNT_OF(r->conf->schedules); class ++)
		longest = MAX(longest, longest_wait(&r->conf->schedules[class]));
	for (size_t i = 0; i < r->conf->nroutes; i++)
		longest = MAX(longest, longest_wait(&r->conf->routes[i].schedule));
	return longest + HORIZON_SLACK_SEC;
}

static void
log_lease(const struct job *j, const char *event, const char *effect)
{
	struct log l;
	log_begin(&l, LOG_WARN, event);
	log_slice(&l, "id", j->row.envelope.session);
	log_u64(&l, "row", j->row.id);
	log_text(&l, "effect", effect);
	log_end(&l);
}

bool
lease_taken_over(struct relay *r, const struct store_queue_row *row)
{
	struct job *j = map_get(&r->held, row->id);
	if (!j)
		return false;
	if (!j->begun) { /* the row may have changed: it begins anew */
		job_drop(j);
		return false;
	}
	log_lease(j, "relay.lease_again", "the try under way goes on");
	j->row.lease = row->lease;
	j->lost = false;
	return true;
}

/* ---- renewal */

static void
lease_lost(struct relay *r, const struct store_queue_lease *l)
{
	struct job *j = map_get(&r->held, l->id);
	if (!j || j->row.lease != l->lease)
		return;
	log_lease(j, "relay.lease_lost", j->begun ? "the try under way goes on" : "this try is left to others");
	if (j->begun)
		j->lost = true;
	else
		job_drop(j);
}

static enum err
await_set_leases(struct relay *r, struct store_queue_lease *leases, uint32_t n, uint32_t sec)
{
	struct arena a;
	struct store_queue_renew_in in = { .now = relay_now(r), .lease_sec = sec, .leases = leases, .nleases = n };
	struct store_queue_renew_out out;
	if (n == 0)
		return OK;
	arena_init(&a, 0);
	enum err e = await_store_queue_renew(&r->store, &in, &a, &out);
	for (uint32_t i = 0; i < out.nlost && !e && sec; i++)
		lease_lost(r, &out.lost[i]);
	arena_release(&a);
	return e;
}

/* What an operator wants to know after the store was started again. */
static void
log_told(struct relay *r, uint32_t rows)
{
	struct log l;
	r->tells = false;
	if (rows == 0)
		return;
	log_begin(&l, LOG_INFO, "relay.leases_told");
	log_u64(&l, "rows", rows);
	log_end(&l);
}

static void
renew_task(void *arg)
{
	struct relay *r = arg;
	struct store_queue_lease leases[JOBS_MAX];
	uint32_t n = 0;
	size_t at = 0;
	uint64_t id;
	void *job;
	while (map_each(&r->held, &at, &id, &job)) {
		const struct job *j = job;
		if (!j->lost)
			leases[n++] = (struct store_queue_lease){ id, j->row.lease };
	}
	enum err e = await_set_leases(r, leases, n, LEASE_SEC);
	r->renewing = false;
	if (r->tells && !e)
		log_told(r, n);
	if (!r->stopping)
		timer_set(&r->renew, deadline_in_ms(e ? RENEW_AGAIN_MS : RENEW_MS));
	gate_open(&r->idle, OK);
}

static void
renew_fired(struct timer *t)
{
	struct relay *r = CONTAINER_OF(t, struct relay, renew);
	go_on(r);
	if (!r->renewing) {
		r->renewing = true;
		if (task_start(renew_task, r))
			return;
		r->renewing = false;
	}
	timer_set(&r->renew, deadline_in_ms(RENEW_AGAIN_MS));
}

void
renew_soon(struct relay *r)
{
	r->tells = true;
	r->renew.fire = renew_fired;
	timer_set(&r->renew, deadline_in_ms(0));
}

/* ---- giving back */

void
await_give_back(struct relay *r, const struct job *j)
{
	struct store_queue_lease l = { j->row.id, j->row.lease };
	(void)await_set_leases(r, &l, 1, 0);
}

void
await_give_back_all(struct relay *r)
{
	struct job *jobs[JOBS_MAX];
	struct store_queue_lease leases[JOBS_MAX];
	uint32_t n = 0;
	size_t at = 0;
	uint64_t id;
	void *job;
	while (map_each(&r->held, &at, &id, &job)) {
		jobs[n] = job;
		n += !jobs[n]->begun;
	}
	for (uint32_t i = 0; i < n; i++) {
		leases[i] = (struct store_queue_lease){ jobs[i]->row.id, jobs[i]->row.lease };
		job_drop(jobs[i]);
	}
	(void)await_set_leases(r, leases, n, 0); /* else they end by their time */
}
