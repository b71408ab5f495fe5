/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - see pool.h. */
#include "relay/pool.h"

#include "base/buf.h"

#define DAY_SEC 86400
#define COUNTS_MAX                                                                                                     \
	(SOURCES_MAX * 2) /* of one site: those of a configuration that was replaced may still be among them */

void
pool_counts_release(struct pool_counts *c)
{
	free(c->of);
	*c = (struct pool_counts){ 0 };
}

/* ---- which pool */

static bool
sender_fits(const struct conf_pool *p, struct slice domain)
{
	for (size_t i = 0; i < p->nsenders; i++) {
		struct slice s = slice_text(p->senders[i]);
		if (s.at[0] == '.' ? slice_ends_nocase(domain, s) : slice_equal_nocase(domain, s))
			return true;
	}
	return p->nsenders == 0;
}

const char *
pool_of(const struct conf *conf, unsigned class, struct slice sender_domain)
{
	if (conf->nsources == 0)
		return NULL;
	for (size_t i = 0; i < conf->npools; i++) {
		const struct conf_pool *p = &conf->pools[i];
		if ((p->classes == 0 || p->classes >> class & 1) && sender_fits(p, sender_domain))
			return p->name;
	}
	return "default";
}

/* ---- warm-up */

/* What a source may reach at one site on a day; UINT32_MAX: any number. */
static uint32_t
allowed(const struct conf *conf, const struct conf_source *s, int64_t day)
{
	if (s->since < 0)
		return UINT32_MAX;
	int64_t age = day - s->since;
	if (age < 0)
		return 0; /* it begins later */
	return age < (int64_t)conf->nwarm_up ? conf->warm_up[age] : UINT32_MAX;
}

static struct pool_count *
count_of(struct pool_counts *c, const char *address)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->of[i].address, address) == 0)
			return &c->of[i];
	return NULL;
}

static struct pool_count *
count_make(struct pool_counts *c, const char *address)
{
	struct pool_count *one = count_of(c, address);
	if (one || c->n == COUNTS_MAX)
		return one;
	c->of = must_realloc(c->of, (c->n + 1) * sizeof *c->of);
	one = &c->of[c->n++];
	*one = (struct pool_count){ 0 };
	snprintf(one->address, sizeof one->address, "%s", address);
	return one;
}

/* Another day begins with what is under way. */
static void
turn_day(struct pool_counts *c, int64_t day)
{
	size_t n = 0;
	if (c->day == day)
		return;
	c->day = day;
	for (size_t i = 0; i < c->n; i++) {
		c->of[i].sent = 0;
		if (c->of[i].under_way)
			c->of[n++] = c->of[i];
	}
	c->n = n;
}

static bool
may(const struct conf *conf, struct pool_counts *c, const struct conf_source *s, const struct pool_ask *ask)
{
	turn_day(c, ask->now / DAY_SEC);
	uint32_t most = allowed(conf, s, c->day);
	if (most == UINT32_MAX || !ask->bulk)
		return most > 0;
	const struct pool_count *one = count_of(c, s->address);
	uint64_t so_far = one ? (uint64_t)one->sent + one->under_way : 0;
	return most > 0 && (so_far == 0 || so_far + ask->more <= most);
}

static bool
fits(const struct conf *conf, struct pool_counts *c, const struct conf_source *s, const struct pool_ask *ask)
{
	return strcmp(s->pool, ask->pool) == 0 && (ask->family == 0 || ask->family == s->family) && may(conf, c, s, ask);
}

const struct conf_source *
pool_pick(const struct conf *conf, struct pool_counts *c, const struct pool_ask *ask)
{
	uint64_t n = 0;
	for (size_t i = 0; i < conf->nsources; i++)
		n += fits(conf, c, &conf->sources[i], ask);
	uint64_t left = n ? ask->pick % n : 0;
	for (size_t i = 0; n > 0; i++)
		if (fits(conf, c, &conf->sources[i], ask) && left-- == 0)
			return &conf->sources[i];
	return NULL;
}

static const struct conf_source *
source_of(const struct conf *conf, const char *address)
{
	for (size_t i = 0; i < conf->nsources; i++)
		if (strcmp(conf->sources[i].address, address) == 0)
			return &conf->sources[i];
	return NULL;
}

bool
pool_may(const struct conf *conf, struct pool_counts *c, const char *address, const struct pool_ask *ask)
{
	const struct conf_source *s = source_of(conf, address);
	return s && strcmp(s->pool, ask->pool) == 0 && may(conf, c, s, ask);
}

void
pool_begin(const struct conf *conf, struct pool_counts *c, const char *address, uint32_t recipients, int64_t now)
{
	const struct conf_source *s = source_of(conf, address);
	turn_day(c, now / DAY_SEC);
	if (!s || allowed(conf, s, c->day) == UINT32_MAX)
		return;
	struct pool_count *one = count_make(c, address);
	if (one)
		one->under_way += recipients;
}

void
pool_end(struct pool_counts *c, const char *address, uint32_t recipients, uint32_t accepted)
{
	struct pool_count *one = count_of(c, address);
	if (!one)
		return;
	one->under_way -= MIN(recipients, one->under_way);
	one->sent += MIN(accepted, UINT32_MAX - one->sent);
}

/* ---- memos */

struct slice
pool_memo(struct arena *a, const struct pool_counts *c)
{
	struct buf b;
	buf_init(&b, COUNTS_MAX * 80);
	for (size_t i = 0; i < c->n; i++)
		if (c->of[i].sent)
			buf_printf(&b, " %s=%u", c->of[i].address, c->of[i].sent);
	struct slice value = SLICE_NONE;
	if (b.len)
		value = arena_printf(a, "day=%lld%.*s", (long long)c->day, SLICE_ARG(buf_slice(&b)));
	buf_release(&b);
	return value;
}

void
pool_from_memo(struct pool_counts *c, struct slice value)
{
	struct slice word, name, number;
	uint32_t n;
	while (value.len) {
		slice_cut(value, ' ', &word, &value);
		if (!slice_cut(word, '=', &name, &number) || !slice_to_u32(number, &n))
			return;
		char address[64];
		snprintf(address, sizeof address, "%.*s", SLICE_ARG(name));
		if (slice_equal(name, S("day")))
			turn_day(c, n);
		else if (count_make(c, address))
			count_of(c, address)->sent += n;
	}
}
