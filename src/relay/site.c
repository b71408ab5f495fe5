/* SPDX-License-Identifier: Apache-2.0 */
/* site.c - which site a row goes to, and whether it waits in memory or in the queue.
 *
 * Of a domain that is not known the hosts are looked up once (a learner, one task); its rows wait until then. A row
 * that would wait long in memory, because its site is suspended or slow, is put back into the queue: settled as it is,
 * without a try, due when its turn will come. So what is claimed is what can be sent soon, however much there is for
 * slow sites. */
#include "relay/site.h"

#include "base/crc32c.h"
#include "relay/route.h"
#include "relay/verify.h"
#include "store/rows.h"

/* ---- names and limits */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "*.example.net" means all hosts below it, "mx.example.net" that host. */
static bool
host_is_in(struct slice host, struct slice site)
{
	if (slice_starts(site, S("*.")))
		return slice_ends_nocase(host, slice_from(site, 1));
	return slice_equal_nocase(host, site);
}

static const struct conf_pace *
own_limits(const struct conf *conf, struct slice domain, const struct route *route)
{
	for (size_t i = 0; i < conf->npaces; i++) {
		struct slice site = slice_text(conf->paces[i].site);
		bool all = route->nhosts > 0;
		for (size_t h = 0; h < route->nhosts; h++)
			all = all && host_is_in(slice_text(route->hosts[h].name), site);
		if (all || slice_equal_nocase(domain, site))
			return &conf->paces[i];
	}
	return NULL;
}

void
site_name_of(const struct conf *conf, struct slice domain, const struct route *route, char name[SITE_NAME_BYTES],
             struct pace_limits *limits)
{
	const struct conf_pace *own = own_limits(conf, domain, route);
	const char *hosts[ROUTE_HOSTS_MAX];
	uint32_t sum = 0;
	*limits = (struct pace_limits){ (uint32_t)conf->v.relay_connections, (uint32_t)conf->v.relay_messages,
		                            (uint32_t)conf->v.relay_rate };
	if (own) {
		limits->connections = own->connections ? own->connections : limits->connections;
		limits->messages = own->messages ? own->messages : limits->messages;
		limits->rate = own->rate ? own->rate : limits->rate;
		snprintf(name, SITE_NAME_BYTES, "%s", own->site);
		return;
	}
	if (route->nhosts == 0) { /* there is nobody to ask: each domain for itself */
		snprintf(name, SITE_NAME_BYTES, "%.*s", SLICE_ARG(domain));
		return;
	}
	for (size_t i = 0; i < route->nhosts; i++)
		hosts[i] = route->hosts[i].name;
	qsort(hosts, route->nhosts, sizeof *hosts, compare_names);
	for (size_t i = 0; i < route->nhosts; i++)
		sum = crc32c(sum, hosts[i], strlen(hosts[i]) + 1);
	if (route->hosts[0].fixed && route->hosts[0].port != 25)
		snprintf(name, SITE_NAME_BYTES, "%s:%u", hosts[0], route->hosts[0].port);
	else if (route->nhosts == 1)
		snprintf(name, SITE_NAME_BYTES, "%s", hosts[0]);
	else
		snprintf(name, SITE_NAME_BYTES, "%s/%08x", hosts[0], sum);
}

unsigned
job_class(const struct job *j)
{
	bool bulk = j->row.envelope.class == CLASS_BULK || j->row.nrecipients > BULK_RECIPIENTS;
	return bulk ? FAIR_BULK : FAIR_PERSONAL;
}

static uint64_t
job_sender(const struct job *j)
{
	uint64_t account = j->row.envelope.account;
	return account ? account : slice_hash_nocase(j->row.envelope.reverse_path);
}

/* ---- sites */

static void
site_timer_fired(struct timer *t)
{
	site_go(CONTAINER_OF(t, struct site, timer));
}

static struct site *
site_of(struct relay *r, const char *name, const struct pace_limits *limits, bool *new)
{
	uint64_t key = slice_hash_nocase(slice_text(name));
	struct site *site = map_get(&r->sites, key);
	*new = !site;
	if (site) {
		if (memcmp(&site->pace.limits, limits, sizeof *limits) != 0)
			pace_limit(&site->pace, limits);
		return site;
	}
	site = must_calloc(1, sizeof *site);
	site->relay = r;
	site->key = key;
	site->usual = true;
	site->timer.fire = site_timer_fired;
	site->reached_ms = site->dead_ms = clock_mono_ms() - DEAD_MS;
	snprintf(site->name, sizeof site->name, "%s", name);
	fair_init(&site->waiting);
	pace_init(&site->pace, limits, clock_mono_ms());
	map_set(&r->sites, key, site);
	return site;
}

void
site_free_unused(struct site *site)
{
	if (site->connections > 0 || site->domains > 0 || fair_waiting(&site->waiting) > 0 || list_in(&site->in_changed))
		return;
	list_remove(&site->in_waiting);
	timer_cancel(&site->timer);
	fair_release(&site->waiting);
	pool_counts_release(&site->counts);
	map_remove(&site->relay->sites, site->key);
	free(site);
}

/* ---- waiting in memory or in the queue */

void
job_put_back(struct job *j, int64_t at_ms)
{
	int64_t wait = MIN(MAX(at_ms - clock_mono_ms(), (int64_t)1000), (int64_t)PARK_MS_MAX);
	int64_t end = job_end_sec(j), now = clock_wall_sec();
	if (j->row.envelope.by_mode && j->row.envelope.by_time > now)
		end = MIN(end, j->row.envelope.by_time);
	site_forget_job(j);
	j->begun = true; /* it is the settler's */
	if (now < end)
		j->put_back = MAX(MIN(now + (wait + 999) / 1000, end), now + 1);
	else /* its time is over: as after a try, so that its sender hears */
		job_answer(j, "451 4.7.0 the destination takes no more mail from this server for now", "4.7.0",
		           j->site ? j->site->name : "");
	settle_job(j);
}

/* About when one more of the class would have its turn. */
static int64_t
turn_ms(struct site *site, unsigned class, int64_t *each)
{
	int64_t now = clock_mono_ms(), wait = pace_wait(&site->pace, now);
	size_t before = class == FAIR_PERSONAL ? site->waiting.waiting[FAIR_PERSONAL] : fair_waiting(&site->waiting);
	*each = MAX(pace_interval(&site->pace), site->message_ms);
	return now + wait + (int64_t)before * *each;
}

static void
put_back(struct site *site, struct job *j, int64_t turn, int64_t each)
{
	int64_t *after = &site->parked_ms[job_class(j)];
	*after = MIN(MAX(*after + each + each / 32, turn), clock_mono_ms() + PARK_MS_MAX);
	job_put_back(j, *after);
}

void
site_add(struct site *site, struct job *j)
{
	unsigned class = job_class(j);
	int64_t each, turn = turn_ms(site, class, &each);
	j->site = site;
	if (turn - clock_mono_ms() > HOLD_MS) {
		put_back(site, j, turn, each);
		return;
	}
	fair_put(&site->waiting, &j->item, class, job_sender(j), MAX(j->row.nrecipients, 1u));
	site_go(site);
}

void
site_put_back(struct site *site)
{
	size_t n = fair_waiting(&site->waiting);
	int64_t now = clock_mono_ms(), each, turn = MAX(site->pace.suspended_ms, site->pace.next_ms);
	if (turn - now <= HOLD_MS)
		return;
	(void)turn_ms(site, FAIR_PERSONAL, &each);
	for (; n > 0; n--) {
		struct job *j = CONTAINER_OF(fair_take(&site->waiting, true), struct job, item);
		put_back(site, j, turn, each);
	}
}

/* Nothing stays in memory for long while others could have its place. */
static void
sweep_fired(struct timer *t)
{
	struct relay *r = CONTAINER_OF(t, struct relay, sweep);
	struct job *late[JOBS_MAX];
	size_t at = 0, n = 0;
	uint64_t id;
	void *held;
	while (r->jobs > JOBS_MAX / 2 && map_each(&r->held, &at, &id, &held)) {
		struct job *j = held;
		if (!j->begun && clock_mono_ms() - j->taken_ms > HOLD_MS)
			late[n++] = j;
	}
	for (size_t i = 0; i < n && !r->stopping; i++)
		job_put_back(late[i], clock_mono_ms() + 3 * HOLD_MS);
	if (!r->stopping && r->jobs > 0)
		timer_set(t, deadline_in_ms(HOLD_MS / 2));
}

/* ---- domains */

static void
domain_free(struct domain *d)
{
	struct site *site = d->site;
	ASSERT(d->njobs == 0 && !d->learning);
	list_remove(&d->in_domains);
	list_remove(&d->in_unknown);
	map_remove(&d->relay->domains, d->key);
	free(d);
	if (site) {
		site->domains--;
		site_free_unused(site);
	}
}

/* Those not used for longest go first. */
static void
domains_trim(struct relay *r)
{
	LIST_EACH (&r->domain_list, it) {
		struct domain *d = CONTAINER_OF(it, struct domain, in_domains);
		if (r->domains.count < DOMAINS_MAX)
			break;
		if (d->njobs == 0 && !d->learning)
			domain_free(d);
	}
}

static struct domain *
domain_of(struct relay *r, struct slice name)
{
	uint64_t key = slice_hash_nocase(name);
	struct domain *d = map_get(&r->domains, key);
	if (d) {
		list_remove(&d->in_domains);
		list_append(&r->domain_list, &d->in_domains);
		return d;
	}
	domains_trim(r);
	d = must_calloc(1, sizeof *d);
	d->relay = r;
	d->key = key;
	list_init(&d->jobs);
	snprintf(d->name, sizeof d->name, "%.*s", SLICE_ARG(name));
	map_set(&r->domains, key, d);
	list_append(&r->domain_list, &d->in_domains);
	return d;
}

static void
domain_learnt(struct domain *d, struct site *site)
{
	struct site *old = d->site;
	site->domains++;
	d->site = site;
	d->learnt_ms = clock_mono_ms();
	if (old) {
		old->domains--;
		site_free_unused(old);
	}
}

#define HOP_LOCAL S("<local>")

/* The domain, or what stands for it: rows for mailboxes of ours go nowhere, rerouted ones to their own host. */
static struct slice
job_hop(struct job *j)
{
	return j->row.local         ? HOP_LOCAL
	       : j->row.reroute.len ? arena_join(&j->arena, S(">"), j->row.reroute)
	                            : j->row.domain;
}

static void
await_hop_route(struct relay *r, struct slice hop, struct route *route)
{
	route->nhosts = 0;
	if (slice_starts(hop, S(">")))
		route_by_hand(slice_from(hop, 1), route);
	else if (!slice_equal(hop, HOP_LOCAL))
		await_route_of(r, hop, route);
}

static void
await_learn(struct domain *d, struct route *route)
{
	struct relay *r = d->relay;
	char name[SITE_NAME_BYTES];
	struct pace_limits limits;
	bool new;
	await_hop_route(r, slice_text(d->name), route);
	site_name_of(r->conf, slice_text(d->name), route, name, &limits);
	struct site *site = site_of(r, name, &limits, &new);
	domain_learnt(d, site);
	if (new)
		await_site_remember(site);
}

static void learn_next(struct relay *r);

static void
learner(void *arg)
{
	struct relay *r = arg;
	struct route *route = must_calloc(1, sizeof *route);
	for (struct link *l; !r->stopping && (l = list_first(&r->unknown));) {
		struct domain *d = CONTAINER_OF(l, struct domain, in_unknown);
		list_remove(l);
		d->learning = true;
		await_learn(d, route);
		d->learning = false;
		while (!r->stopping && (l = list_first(&d->jobs))) {
			list_remove(l);
			site_add(d->site, CONTAINER_OF(l, struct job, link));
		}
	}
	free(route);
	r->learners--;
	gate_open(&r->idle, OK);
}

static void
learn_next(struct relay *r)
{
	if (r->learners >= LEARNERS_MAX || list_empty(&r->unknown) || r->stopping)
		return;
	r->learners++;
	if (!task_start(learner, r))
		r->learners--; /* go_on comes by */
}

/* ---- jobs */

void
site_take(struct relay *r, struct job *j)
{
	struct domain *d = domain_of(r, job_hop(j));
	j->domain = d;
	j->taken_ms = clock_mono_ms();
	d->njobs++;
	if (job_decided(j)) {
		j->begun = true;
		settle_job(j);
		return;
	}
	if (!r->sweep.slot)
		timer_set(&r->sweep, deadline_in_ms(HOLD_MS / 2));
	if (!d->learning && d->site && clock_mono_ms() - d->learnt_ms < ROUTE_KEPT_MS) {
		site_add(d->site, j);
		return;
	}
	list_append(&d->jobs, &j->link);
	if (!d->learning && !list_in(&d->in_unknown))
		list_append(&r->unknown, &d->in_unknown);
	learn_next(r);
}

void
site_forget_job(struct job *j)
{
	if (j->item.flow)
		fair_remove(&j->site->waiting, &j->item);
	list_remove(&j->link);
}

void
job_drop(struct job *j)
{
	ASSERT(!j->begun);
	site_forget_job(j);
	job_free(j);
}

void
go_on(struct relay *r)
{
	learn_next(r);
	if (r->connections < r->conf->v.relay_connections_max)
		next_site_go(r);
	settle_finished(r);
}

void
sites_init(struct relay *r)
{
	list_init(&r->waiting);
	list_init(&r->domain_list);
	list_init(&r->unknown);
	list_init(&r->changed);
	r->sweep.fire = sweep_fired;
	r->memo_timer.fire = memo_fired;
}

void
sites_release(struct relay *r)
{
	timer_cancel(&r->sweep);
	timer_cancel(&r->memo_timer);
	sources_release(r);
	for (struct link *l; (l = list_first(&r->changed));)
		list_remove(l);
	for (struct link *l; (l = list_first(&r->domain_list));)
		domain_free(CONTAINER_OF(l, struct domain, in_domains));
	ASSERT(r->sites.count == 0);
	map_release(&r->sites);
	map_release(&r->domains);
}
