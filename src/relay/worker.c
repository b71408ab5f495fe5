/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - tasks with one connection each, which send what waits for a site as fast as its pace allows, and what the
 * answers mean for the pace.
 *
 * One connection of a site, and an eighth of all, are kept free of bulk: a letter finds one. When all connections are
 * in use, sites with letters come before others, and a worker that sent its share makes room. */
#include "relay/site.h"

#include "base/log.h"
#include "store/rows.h"

#define ANSWERS_MAX 8    /* of one row that are looked at */
#define SITES_AT_ONCE 16 /* that are looked at when a connection is free: some may wait for something else */

static bool
bulk_may_go(const struct site *site)
{
	const struct relay *r = site->relay;
	size_t here = site->pace.connections > 1 ? site->pace.connections - 1 : 1;
	size_t all = r->conf->v.relay_connections_max - r->conf->v.relay_connections_max / 8;
	return site->bulk < here && r->bulk < all;
}

static bool
has_work(const struct site *site)
{
	return site->waiting.waiting[FAIR_PERSONAL] > 0 || (site->waiting.waiting[FAIR_BULK] > 0 && bulk_may_go(site));
}

/* ---- what came of a try */

static void
log_pace(const struct site *site)
{
	struct log l;
	log_begin(&l, LOG_INFO, "relay.pace");
	log_text(&l, "site", site->name);
	log_u64(&l, "connections", site->pace.connections);
	log_u64(&l, "rate", site->pace.rate);
	log_i64(&l, "suspended", MAX(site->pace.suspended_ms - clock_mono_ms(), (int64_t)0) / 1000);
	log_text(&l, "why", site->pace.why);
	log_end(&l);
}

static void
take_answer(struct site *site, struct slice reply, struct tally *said)
{
	const struct conf_values *v = &site->relay->conf->v;
	struct answer a = answer_find(v->relay_answer, v->nrelay_answer, reply);
	if (a.pattern.len && slice_find_nocase(a.pattern, S("complaint")) >= 0)
		said->complained++;
	if (pace_cut(&site->pace, &a, reply, (uint32_t)site->open, clock_mono_ms()))
		log_pace(site);
}

static void
take_answers(struct site *site, const struct job *j, struct tally *said)
{
	struct slice last = SLICE_NONE;
	size_t looked_at = 0;
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		said->accepted += to->state == RECIPIENT_DONE;
		said->deferred += to->state == RECIPIENT_WAITING && !j->more;
		said->refused += to->state == RECIPIENT_FAILED;
		if (to->state == RECIPIENT_DONE || looked_at == ANSWERS_MAX || slice_equal(to->reply, last))
			continue;
		if (j->more && to->state == RECIPIENT_WAITING)
			continue;
		last = to->reply;
		looked_at++;
		take_answer(site, last, said);
	}
	tally_add(&site->tally, said);
	site_changed(site);
}

/* A site that nobody could reach is left alone for a moment: what else waits for it hears the same. */
static void
note_reached(struct site *site, const struct job *j, const struct remote *remote)
{
	int64_t now = clock_mono_ms();
	const struct store_recipient *to = j->row.recipients;
	bool dead = j->row.nrecipients > 0 && to->state == RECIPIENT_WAITING && slice_equal(to->status, S("4.4.1")) &&
	            !remote->usable;
	if (!dead) {
		site->reached_ms = now;
	} else if (now - site->reached_ms >= DEAD_MS) {
		site->dead_ms = now + MIN((int64_t)DEAD_MS, site->relay->conf->retry_sec[0] * 500);
		struct slice text = slice_part(to->reply, 0, sizeof site->dead_text - 1);
		snprintf(site->dead_text, sizeof site->dead_text, "%.*s", SLICE_ARG(text));
		snprintf(site->dead_status, sizeof site->dead_status, "%.*s", SLICE_ARG(to->status));
		snprintf(site->dead_mta, sizeof site->dead_mta, "%.*s", SLICE_ARG(to->mta));
	}
}

void
job_answer(struct job *j, const char *text, const char *status, const char *mta)
{
	j->row.tries++;
	j->tried = true;
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		struct store_recipient *to = &j->row.recipients[i];
		to->reply = slice_keep(&j->arena, slice_text(text));
		to->status = slice_keep(&j->arena, slice_text(status));
		to->mta = slice_keep(&j->arena, slice_text(mta));
	}
}

/* What one message takes with all the connections that are at work, smoothed. */
static void
measure(struct site *site, int64_t began)
{
	int64_t took = (clock_mono_ms() - began) / (int64_t)MAX(site->connections, (size_t)1);
	site->message_ms += (took - site->message_ms) / 8;
}

/* ---- workers */

struct worker {
	struct site *site;
	struct remote remote;
	struct route route;
	const struct domain *domain; /* whose mail went last; only compared */
	bool rerouted;               /* to a host that an administrator named */
	unsigned sent;
	bool open; /* counted in site->open */
};

static void
count_open(struct worker *w)
{
	w->site->open -= w->open;
	w->open = w->remote.usable;
	w->site->open += w->open;
}

/* Where an administrator sent the one says nothing about the other. */
static bool
is_elsewhere(const struct worker *w, const struct job *j)
{
	return w->domain != j->domain && (w->rerouted || j->row.reroute.len > 0);
}

static void
await_job(struct worker *w, struct job *j)
{
	struct site *site = w->site;
	struct relay *r = site->relay;
	int64_t began = clock_mono_ms();
	if (j->row.local)
		await_local(r, j);
	if (j->row.local || job_decided(j)) {
		settle_job(j);
		return;
	}
	if (site->dead_ms > began) {
		job_answer(j, site->dead_text, site->dead_status, site->dead_mta);
		settle_job(j);
		return;
	}
	if (!source_there(j)) { /* new addresses sent all that their warm-up allows today */
		job_put_back(j, began + PARK_MS_MAX);
		return;
	}
	if (w->remote.usable && !source_serves(&w->remote, j))
		await_remote_quit(&w->remote);
	if (w->remote.usable &&
	    (is_elsewhere(w, j) || (site->pace.limits.messages && w->remote.messages >= site->pace.limits.messages)))
		await_remote_quit(&w->remote);
	count_open(w);
	w->domain = j->domain;
	w->rerouted = j->row.reroute.len > 0;
	bool bulk = job_class(j) == FAIR_BULK;
	site->bulk += bulk;
	r->bulk += bulk;
	source_begin(&w->remote, j);
	await_try(r, j, &w->route, &w->remote);
	site->bulk -= bulk;
	r->bulk -= bulk;
	w->sent++;
	count_open(w);
	for (unsigned i = 1; i < w->remote.copies; i++) /* each counts for the rate */
		pace_begin(&site->pace, clock_mono_ms());
	measure(site, began);
	note_reached(site, j, &w->remote);
	struct tally said = { 0 };
	take_answers(site, j, &said);
	source_end(&w->remote, j, &said);
	settle_job(j);
	site_put_back(site);
}

/* Waits for the next moment at which a message may begin and takes one; NULL: this worker is not needed any more. */
static struct job *
await_next_job(struct worker *w)
{
	struct site *site = w->site;
	struct relay *r = site->relay;
	int64_t wait = pace_wait(&site->pace, clock_mono_ms());
	if (r->stopping || !has_work(site) || wait > KEEP_MS || site->connections > site->pace.connections)
		return NULL;
	if (w->sent >= YIELD_MESSAGES && !list_empty(&r->waiting))
		return NULL;
	pace_begin(&site->pace, clock_mono_ms());
	if (wait > 0 && await_sleep(wait))
		return NULL;
	if (r->stopping || site->pace.suspended_ms > clock_mono_ms())
		return NULL;
	struct fair_item *item = fair_take(&site->waiting, bulk_may_go(site));
	if (!item)
		return NULL;
	struct job *j = CONTAINER_OF(item, struct job, item);
	j->begun = true;
	return j;
}

static void
worker_ended(struct site *site)
{
	struct relay *r = site->relay;
	r->connections--;
	next_site_go(r); /* before this one goes on: its worker may have made room */
	site->connections--;
	if (fair_waiting(&site->waiting) > 0)
		site_go(site);
	else
		site_free_unused(site);
	if (r->connections == 0)
		gate_open(&r->idle, OK);
}

static void
worker(void *arg)
{
	struct worker *w = must_calloc(1, sizeof *w);
	struct site *site = w->site = arg;
	for (struct job *j; (j = await_next_job(w));)
		await_job(w, j);
	if (w->remote.usable)
		await_remote_quit(&w->remote);
	count_open(w);
	free(w);
	worker_ended(site);
}

/* ---- which site has a connection */

/* Those with letters first, each of both in the order in which they came. */
static void
wait_for_connection(struct site *site)
{
	struct relay *r = site->relay;
	struct link *before = &r->waiting;
	if (list_in(&site->in_waiting))
		return;
	if (site->waiting.waiting[FAIR_PERSONAL] > 0)
		LIST_EACH (&r->waiting, it) {
			const struct site *other = CONTAINER_OF(it, struct site, in_waiting);
			if (other->waiting.waiting[FAIR_PERSONAL] == 0) {
				before = it;
				break;
			}
		}
	list_append(before, &site->in_waiting); /* in front of that one */
}

/* One worker more when there is work for it. What finds all connections busy is sent by those, or waits its turn. */
void
site_go(struct site *site)
{
	struct relay *r = site->relay;
	int64_t now = clock_mono_ms(), wait = pace_wait(&site->pace, now);
	if (fair_waiting(&site->waiting) == 0 || site->connections >= site->pace.connections || r->stopping)
		return;
	if (wait > 0) {
		timer_set(&site->timer, now + wait);
		return;
	}
	if (r->connections < r->conf->v.relay_connections_max && has_work(site)) {
		list_remove(&site->in_waiting);
		site->connections++;
		r->connections++;
		if (task_start(worker, site))
			return;
		site->connections--; /* no stack now: when a worker ends, or soon (go_on) */
		r->connections--;
	}
	if (site->connections == 0)
		wait_for_connection(site);
}

void
next_site_go(struct relay *r)
{
	struct link *l;
	for (int i = 0; i < SITES_AT_ONCE && !r->stopping && r->connections < r->conf->v.relay_connections_max &&
	                (l = list_first(&r->waiting));
	     i++) {
		list_remove(l);
		site_go(CONTAINER_OF(l, struct site, in_waiting));
	}
}
