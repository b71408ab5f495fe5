/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report.c - see tls_report.h. Counts in memory; every few seconds a task adds them to the memos of the day, one
 * domain after the other. Only this process writes them, so reading, adding and writing back loses nothing. */
#include "relay/tls_report.h"

#include "base/log.h"
#include "base/random.h"
#include "relay/sts_policy.h"
#include "resolver_msg.h"

enum { DNS_TXT = 16, DAY_SEC = 86400 };

struct record {
	int64_t until_ms;
	bool asks;
};

struct tls_reports *
tls_reports_new(struct relay *r)
{
	struct tls_reports *t = must_calloc(1, sizeof *t);
	json_object_seed((size_t)random_u64()); /* jansson would look for a file otherwise */
	t->relay = r;
	arena_init(&t->arena, 0);
	gate_init(&t->ended);
	return t;
}

static void
map_free_values(struct map *m)
{
	size_t at = 0;
	uint64_t key;
	void *value;
	while (map_each(m, &at, &key, &value))
		free(value);
	map_release(m);
}

void
tls_reports_free(struct tls_reports **t)
{
	timer_cancel(&(*t)->flush);
	timer_cancel(&(*t)->due);
	map_release(&(*t)->pending);
	map_release(&(*t)->days);
	map_free_values(&(*t)->records);
	arena_release(&(*t)->arena);
	free(*t);
	*t = NULL;
}

bool
tls_reports_busy(const struct tls_reports *t)
{
	return t->flushing || t->sending || t->senders > 0;
}

/* ---- counting */

static uint64_t
session_hash(const struct tls_session *s, int64_t day)
{
	const struct slice texts[] = { s->domain, s->policy_domain, s->policy, s->mx, s->host, s->ip, s->from_ip, s->why };
	struct buf all;
	buf_init(&all, 1 << 20);
	buf_put_le(&all, (uint64_t)day, 8);
	buf_put_le(&all, (uint64_t)s->type << 8 | (uint64_t)s->result, 4);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		buf_put(&all, texts[i]);
		buf_put_char(&all, '\0');
	}
	uint64_t hash = slice_hash(buf_slice(&all));
	buf_release(&all);
	return hash;
}

static struct slice
keep_lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

static struct tls_pending *
pending_new(struct arena *a, const struct tls_session *s, int64_t day)
{
	struct tls_pending *p = ARENA_NEW(a, struct tls_pending);
	*p = (struct tls_pending){ .s = *s, .day = day };
	p->s.domain = keep_lower(a, slice_part(s->domain, 0, 255));
	p->s.policy_domain = keep_lower(a, slice_part(s->policy_domain, 0, 255));
	p->s.policy = slice_keep(a, slice_part(s->policy, 0, TLS_REPORT_POLICY_BYTES_MAX));
	p->s.mx = slice_keep(a, slice_part(s->mx, 0, TLS_REPORT_POLICY_BYTES_MAX));
	p->s.host = keep_lower(a, slice_part(s->host, 0, 255));
	p->s.ip = slice_keep(a, slice_part(s->ip, 0, 64));
	p->s.from_ip = slice_keep(a, slice_part(s->from_ip, 0, 64));
	p->s.why = slice_keep(a, slice_part(s->why, 0, 120));
	return p;
}

static bool
is_off(const struct tls_reports *t)
{
	return strcmp(t->relay->conf->v.tls_report, "no") == 0;
}

void
tls_report_count(struct tls_reports *t, const struct tls_session *s)
{
	struct tls_session one = *s;
	int64_t day = clock_wall_sec() / DAY_SEC;
	if (t->stopped || is_off(t) || s->domain.len == 0 || s->domain.at[0] == '[' || slice_has_control(s->domain) ||
	    slice_find_char(s->domain, ' ') >= 0)
		return;
	if (s->result == TLS_RESULT_SUCCESS)
		one.host = one.ip = one.from_ip = one.why = SLICE_NONE;
	uint64_t key = session_hash(&one, day);
	struct tls_pending *p = map_get(&t->pending, key);
	if (!p && t->pending.count >= TLS_REPORT_PENDING_MAX) {
		t->lost++;
		return;
	}
	if (!p)
		map_set(&t->pending, key, p = pending_new(&t->arena, &one, day));
	p->n++;
	if (!t->flush.slot && !t->flushing)
		timer_set(&t->flush, deadline_in_ms(TLS_REPORT_FLUSH_MS));
}

/* ---- who asks for reports */

/* Where the configuration would send none: by mail they are not signed yet. */
static void
leave_out(const struct tls_reports *t, struct tls_report_uris *uris)
{
	bool mail = strcmp(t->relay->conf->v.tls_report, "yes") == 0;
	size_t n = 0;
	for (size_t i = 0; i < uris->count; i++)
		if (mail || uris->rows[i].address.len == 0)
			uris->rows[n++] = uris->rows[i];
	uris->count = n;
}

/* RFC 8460 3: exactly one record that begins with the version. */
bool
await_tls_report_uris(struct tls_reports *t, struct slice domain, struct arena *a, struct tls_report_uris *uris)
{
	struct resolver_lookup_in in = { .name = arena_printf(a, "_smtp._tls.%.*s", SLICE_ARG(domain)), .type = DNS_TXT };
	struct resolver_lookup_out out;
	size_t n = 0;
	bool good = false;
	uris->count = 0;
	if (in.name.len > 253 || await_resolver_lookup(&t->relay->resolver, &in, a, &out) != OK || out.verdict != OK)
		return false;
	for (uint32_t i = 0; i < out.nrecords; i++) {
		struct slice text = txt_join(out.records[i].bytes, arena_alloc(a, out.records[i].bytes.len + 1));
		if (!slice_starts(text, S("v=TLSRPTv1;")))
			continue;
		n++;
		good = tls_report_record(text, a, uris);
	}
	leave_out(t, uris);
	return n == 1 && good && uris->count > 0;
}

static bool
await_asks(struct tls_reports *t, struct slice domain, struct arena *a)
{
	uint64_t key = slice_hash_nocase(domain);
	struct record *r = map_get(&t->records, key);
	if (r && r->until_ms > clock_mono_ms())
		return r->asks;
	struct tls_report_uris uris;
	bool asks = await_tls_report_uris(t, domain, a, &uris);
	if (t->records.count >= TLS_REPORT_RECORDS_MAX)
		map_free_values(&t->records); /* what is forgotten is asked for again */
	if (!(r = map_get(&t->records, key)))
		map_set(&t->records, key, r = must_calloc(1, sizeof *r));
	*r = (struct record){ deadline_in_ms(TLS_REPORT_RECORD_MS), asks };
	return asks;
}

/* ---- putting it down */

/* One more report of that day, when there is room. */
static bool
day_has_room(struct tls_reports *t, int64_t day, struct slice name)
{
	uint64_t key = slice_hash(name);
	if (day != t->day) {
		map_release(&t->days);
		t->day = day;
	}
	if (map_get(&t->days, key))
		return true;
	if (t->days.count >= TLS_REPORT_DOMAINS_MAX)
		return false;
	map_set(&t->days, key, t);
	return true;
}

static json_t *
await_value(struct relay *r, struct slice name, struct arena *a, enum err *e)
{
	struct store_memo_get_in in = { .kind = S("tls-report"), .name = name };
	struct store_memo_get_out out = { 0 };
	*e = await_store_memo_get(&r->store, &in, a, &out);
	json_t *o = *e == OK && out.found ? json_loadb(out.memo.value.at, out.memo.value.len, 0, NULL) : NULL;
	if (json_is_object(o))
		return o;
	json_decref(o);
	return json_object();
}

static bool
await_put_value(struct relay *r, const json_t *o, struct slice name, int64_t due, struct arena *a)
{
	char *text = json_dumps(o, JSON_COMPACT);
	struct store_memo m = {
		.kind = S("tls-report"), .name = name, .value = slice_text(text), .until = due + TLS_REPORT_KEPT_SEC
	};
	struct store_memo_put_out out;
	bool good = text && m.value.len <= TLS_REPORT_VALUE_BYTES_MAX &&
	            await_store_memo_put(&r->store, &(struct store_memo_put_in){ .memos = &m, .nmemos = 1 }, a, &out) == OK;
	free(text);
	return good;
}

/* Those of one domain and one day. */
static void
await_flush_some(struct tls_reports *t, struct tls_pending **some, size_t n, struct arena *a)
{
	struct slice domain = some[0]->s.domain;
	int64_t due = tls_report_due(t->relay->conf->v.hostname, domain, some[0]->day);
	struct slice name = tls_report_name(a, due, domain);
	enum err e;
	if (!await_asks(t, domain, a))
		return;
	if (!day_has_room(t, some[0]->day, name)) {
		t->lost += n;
		return;
	}
	json_t *o = await_value(t->relay, name, a, &e);
	json_object_set_new(o, "day", json_integer(some[0]->day));
	for (size_t i = 0; i < n; i++)
		if (!tls_report_add(o, &some[i]->s, some[i]->n))
			t->lost += some[i]->n;
	if (e || !await_put_value(t->relay, o, name, due, a))
		for (size_t i = 0; i < n; i++)
			t->lost += some[i]->n;
	json_decref(o);
	if (!t->stopped && (!t->due.slot || t->due.due_ms > deadline_in_ms((due - clock_wall_sec()) * 1000)))
		timer_set(&t->due, deadline_in_ms(MIN(MAX((due - clock_wall_sec()) * 1000, (int64_t)0), (int64_t)3600000)));
}

static int
by_day_and_domain(const void *x, const void *y)
{
	const struct tls_pending *a = *(struct tls_pending *const *)x, *b = *(struct tls_pending *const *)y;
	if (a->day != b->day)
		return a->day < b->day ? -1 : 1;
	return slice_compare(a->s.domain, b->s.domain);
}

static void
log_lost(struct tls_reports *t)
{
	struct log l;
	if (t->lost == 0)
		return;
	log_begin(&l, LOG_WARN, "tls_report.lost");
	log_u64(&l, "sessions", t->lost);
	log_text(&l, "why", "more domains, policies or failures than reports have room for, or the store was not there");
	log_end(&l);
	t->lost = 0;
}

/* What was pending, sorted. Several tasks share it. */
struct batch {
	struct tls_reports *t;
	struct tls_pending **all;
	size_t n, next, tasks;
	struct gate done;
};

static void
await_batch(struct batch *b)
{
	struct arena a;
	arena_init(&a, 0);
	while (b->next < b->n) {
		size_t from = b->next;
		while (b->next < b->n && by_day_and_domain(&b->all[from], &b->all[b->next]) == 0)
			b->next++;
		arena_clear(&a);
		await_flush_some(b->t, b->all + from, b->next - from, &a);
	}
	arena_release(&a);
}

static void
batch_task(void *arg)
{
	struct batch *b = arg;
	await_batch(b);
	if (--b->tasks == 0)
		gate_open(&b->done, OK);
}

static void
await_batch_done(struct batch *b)
{
	gate_init(&b->done);
	for (size_t i = 1; i < TLS_REPORT_TASKS_MAX && b->next < b->n; i++) {
		b->tasks++;
		if (!task_start(batch_task, b)) {
			b->tasks--;
			break;
		}
	}
	await_batch(b);
	while (b->tasks > 0)
		(void)await_gate(&b->done, DEADLINE_NONE);
}

/* What is pending is taken away first: sessions go on being counted meanwhile. */
static void
flush_task(void *arg)
{
	struct tls_reports *t = arg;
	struct map pending = t->pending;
	struct arena theirs = t->arena;
	struct batch b = { .t = t, .all = must_calloc(pending.count + 1, sizeof *b.all) };
	size_t at = 0;
	uint64_t key;
	void *value;
	t->pending = (struct map){ 0 };
	arena_init(&t->arena, 0);
	while (map_each(&pending, &at, &key, &value))
		b.all[b.n++] = value;
	qsort(b.all, b.n, sizeof(struct tls_pending *), by_day_and_domain);
	await_batch_done(&b);
	free(b.all);
	map_release(&pending);
	arena_release(&theirs);
	log_lost(t);
	t->flushing = false;
	if (t->pending.count && !t->stopped)
		timer_set(&t->flush, deadline_in_ms(TLS_REPORT_FLUSH_MS));
	gate_open(&t->relay->idle, OK);
}

static void
flush_fired(struct timer *timer)
{
	struct tls_reports *t = CONTAINER_OF(timer, struct tls_reports, flush);
	if (t->flushing || t->pending.count == 0)
		return;
	t->flushing = true;
	if (task_start(flush_task, t))
		return;
	t->flushing = false;
	timer_set(timer, deadline_in_ms(TLS_REPORT_FLUSH_MS));
}

void
tls_reports_go(struct tls_reports *t)
{
	t->flush.fire = flush_fired;
	t->due.fire = tls_report_due_fired;
	timer_set(&t->due, deadline_in_ms(TLS_REPORT_FLUSH_MS));
}

void
tls_reports_stop(struct tls_reports *t)
{
	timer_cancel(&t->flush);
	timer_cancel(&t->due);
	t->stopped = true;
	if (t->flush.fire)
		flush_fired(&t->flush);
}
