/* SPDX-License-Identifier: Apache-2.0 */
/* site_memo.c - what relay remembers of sites when it is started again: memos of the kinds "pace", "reputation" and
 * "warm-up" (store/memo.h), under the name of the site. What changed is put down every few seconds, many sites in one
 * call; what a crash takes away is a few seconds of counts. */
#include "relay/site.h"

#include "base/log.h"

#define RESET_PAGES 20   /* of sites at once */
#define MEMOS_AT_ONCE 33 /* sites in one call */
#define MEMOS_OF_SITE 3

/* ---- values: NAME=NUMBER, and why= up to the end */

static struct slice
why_of(struct slice value)
{
	ptrdiff_t at = slice_find(value, S("why="));
	return at < 0 ? SLICE_NONE : slice_from(value, (size_t)at + 4);
}

/* ahead: wall clock minus monotonic clock. */
struct slice
pace_memo(struct arena *a, const struct pace *p, int64_t ahead_ms)
{
	return arena_printf(a, "connections=%u rate=%u aim=%u suspended=%lld step=%lld cut=%lld why=%s", p->connections,
	                    p->rate, p->rate_aim, (long long)((p->suspended_ms + ahead_ms) / 1000),
	                    (long long)((p->step_ms + ahead_ms) / 1000), (long long)((p->cut_ms + ahead_ms) / 1000),
	                    p->why);
}

void
pace_from_memo(struct pace *p, struct slice value, int64_t ahead_ms)
{
	struct slice why = slice_part(why_of(value), 0, sizeof p->why - 1);
	uint64_t connections = memo_number(value, S("connections")), rate = memo_number(value, S("rate"));
	int64_t now = (int64_t)memo_number(value, S("cut")) * 1000 - ahead_ms;
	if (connections == 0 || rate > UINT32_MAX || why.len == 0)
		return;
	p->connections = (uint32_t)MIN(connections, (uint64_t)p->limits.connections);
	p->rate = p->limits.rate && (rate == 0 || rate > p->limits.rate) ? p->limits.rate : (uint32_t)rate;
	p->rate_aim = (uint32_t)MIN(memo_number(value, S("aim")), (uint64_t)UINT32_MAX);
	p->suspended_ms = (int64_t)memo_number(value, S("suspended")) * 1000 - ahead_ms;
	p->step_ms = (int64_t)memo_number(value, S("step")) * 1000 - ahead_ms;
	p->cut_ms = now;
	snprintf(p->why, sizeof p->why, "%.*s", SLICE_ARG(why));
}

/* ---- store */

static int64_t
clock_ahead_ms(void)
{
	return clock_wall_ms() - clock_mono_ms();
}

static bool
await_memo(struct relay *r, struct arena *a, struct slice kind, const char *name, struct slice *value)
{
	struct store_memo_get_in in = { .kind = kind, .name = slice_text(name) };
	struct store_memo_get_out out;
	if (await_store_memo_get(&r->store, &in, a, &out) || !out.found)
		return false;
	*value = out.memo.value;
	return true;
}

void
await_site_remember(struct site *site)
{
	struct arena a;
	struct slice value;
	arena_init(&a, 0);
	if (await_memo(site->relay, &a, S("pace"), site->name, &value)) {
		pace_from_memo(&site->pace, value, clock_ahead_ms());
		site->usual = false;
	}
	if (await_memo(site->relay, &a, S("warm-up"), site->name, &value))
		pool_from_memo(&site->counts, value);
	if (await_memo(site->relay, &a, S("reputation"), site->name, &value))
		tally_from_memo(&site->tally, value);
	arena_release(&a);
}

/* The pace as long as it is not the usual one, and once more when it is again. */
static uint32_t
memos_of(struct site *site, struct arena *a, struct store_memo *memos)
{
	int64_t now = clock_wall_sec();
	struct slice name = slice_keep(a, slice_text(site->name));
	bool usual = pace_at_rest(&site->pace, clock_mono_ms()), was_usual = site->usual;
	site->usual = usual;
	memos[0] = (struct store_memo){ .kind = S("reputation"), .name = name, .until = now + REPUTATION_KEPT_SEC };
	memos[0].value = tally_memo(a, &site->tally);
	uint32_t n = 1;
	struct slice warm_up = pool_memo(a, &site->counts);
	if (warm_up.len)
		memos[n++] = (struct store_memo){
			.kind = S("warm-up"), .name = name, .value = warm_up, .until = (site->counts.day + 1) * 86400 + 3600
		};
	if (usual && was_usual)
		return n;
	memos[n] = (struct store_memo){ .kind = S("pace"), .name = name, .until = usual ? now : now + PACE_KEPT_SEC };
	memos[n].value = pace_memo(a, &site->pace, clock_ahead_ms());
	return n + 1;
}

/* ---- an administrator says that a destination has its usual pace again */

static void
pace_reset(struct relay *r, struct slice name)
{
	struct site *site = map_get(&r->sites, slice_hash_nocase(name));
	int64_t now = clock_mono_ms();
	if (!site)
		return;
	struct pace_limits limits = site->pace.limits;
	pace_init(&site->pace, &limits, now);
	memset(site->parked_ms, 0, sizeof site->parked_ms);
	site->dead_ms = site->reached_ms = now - DEAD_MS;
	site->usual = true;
	site_go(site);
}

void
await_pace_resets(struct relay *r)
{
	struct arena a;
	struct store_memo_list_in in = { .kind = S("pace-reset"), .max = MEMOS_AT_ONCE };
	struct store_memo_list_out out = { .more = true };
	arena_init(&a, 0);
	for (int page = 0; page < RESET_PAGES && out.more && await_store_memo_list(&r->store, &in, &a, &out) == OK;
	     page++) {
		struct store_memo gone[2 * MEMOS_AT_ONCE];
		struct store_memo_put_in put = { .memos = gone };
		struct store_memo_put_out done;
		for (uint32_t i = 0; i < out.nmemos; i++) {
			pace_reset(r, out.memos[i].name);
			gone[put.nmemos++] = (struct store_memo){ S("pace"), out.memos[i].name, S(""), 0 };
			gone[put.nmemos++] = (struct store_memo){ S("pace-reset"), out.memos[i].name, S(""), 0 };
		}
		if (put.nmemos && await_store_memo_put(&r->store, &put, &a, &done))
			break;
	}
	arena_release(&a);
}

static void
put_down(void *arg)
{
	struct relay *r = arg;
	struct arena a;
	struct store_memo_put_out out;
	arena_init(&a, 0);
	while (!list_empty(&r->changed)) {
		struct store_memo memos[MEMOS_AT_ONCE * MEMOS_OF_SITE];
		struct store_memo_put_in in = { .memos = memos };
		arena_clear(&a);
		for (struct link *l; in.nmemos + MEMOS_OF_SITE <= COUNT_OF(memos) && (l = list_first(&r->changed));) {
			struct site *site = CONTAINER_OF(l, struct site, in_changed);
			list_remove(l);
			in.nmemos += memos_of(site, &a, memos + in.nmemos);
			site_free_unused(site);
		}
		if (await_store_memo_put(&r->store, &in, &a, &out))
			break; /* with the next change */
	}
	arena_release(&a);
	(void)await_sources_put(r); /* else with the next change, too */
	r->putting_down = false;
	gate_open(&r->idle, OK);
}

void
memo_fired(struct timer *t)
{
	struct relay *r = CONTAINER_OF(t, struct relay, memo_timer);
	if (r->putting_down)
		return;
	r->putting_down = true;
	if (task_start(put_down, r))
		return;
	r->putting_down = false;
	timer_set(t, deadline_in_ms(RELAY_MEMO_MS));
}

void
site_changed(struct site *site)
{
	struct relay *r = site->relay;
	if (!list_in(&site->in_changed))
		list_append(&r->changed, &site->in_changed);
	if (!r->memo_timer.slot && !r->stopping)
		timer_set(&r->memo_timer, deadline_in_ms(RELAY_MEMO_MS));
}
