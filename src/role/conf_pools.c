/* SPDX-License-Identifier: Apache-2.0 */
/* conf_pools.c - options source, pool and relay.warm-up: which addresses mail goes out from, and how new ones are
 * warmed up. As in conf_special.c: checked line by line, made at the end. */
#include "role/conf_special.h"

#define POOL_DEFAULT "default"
#define POOL_NAME_BYTES_MAX 40

static bool
is_pool_name(struct slice s)
{
	if (s.len == 0 || s.len > POOL_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]) && !strchr("-._", s.at[i]))
			return false;
	return true;
}

/* Days since 1970 of a date of the Gregorian calendar: years begin in March, so that the leap day is the last. */
static bool
day_of(struct slice text, int64_t *day)
{
	uint32_t year, month, dom;
	static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (text.len != 10 || text.at[4] != '-' || text.at[7] != '-' || !slice_to_u32(slice_part(text, 0, 4), &year) ||
	    !slice_to_u32(slice_part(text, 5, 2), &month) || !slice_to_u32(slice_part(text, 8, 2), &dom))
		return false;
	if (year < 1970 || month < 1 || month > 12 || dom < 1 || dom > days[month - 1])
		return false;
	int64_t y = (int64_t)year - (month < 3), m = (month + 9) % 12;
	*day = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + dom - 1 - 719468;
	return true;
}

static bool
source_word(struct slice word, struct arena *a, struct conf_source *s)
{
	struct slice name, value;
	if (!slice_cut(word, '=', &name, &value))
		return false;
	if (slice_equal(name, S("ehlo")))
		return conf_is_host(value) && (s->ehlo = slice_keep_text(a, value)) != NULL;
	if (slice_equal(name, S("pool")))
		return is_pool_name(value) && (s->pool = slice_keep_text(a, value)) != NULL;
	return slice_equal(name, S("since")) && day_of(value, &s->since);
}

static bool
source_parse(struct slice value, struct arena *a, struct conf_source *s)
{
	struct slice word;
	uint8_t ip[16];
	*s = (struct conf_source){ .pool = POOL_DEFAULT, .since = -1 };
	if (!conf_next_word(&value, &word) || !(s->family = conf_ip_address(word, ip)))
		return false;
	s->address = slice_keep_text(a, word);
	while (conf_next_word(&value, &word))
		if (!source_word(word, a, s))
			return false;
	return true;
}

void
conf_check_source(struct conf_parser *p, struct slice value)
{
	struct conf_source s;
	if (p->conf->v.nsource > SOURCES_MAX)
		conf_complain(p, "source = '%s' is one too many; allowed: %d", conf_show(p, value), SOURCES_MAX);
	if (!source_parse(value, p->arena, &s))
		conf_complain(p, "source = '%s' is not of the form ADDRESS [ehlo=NAME] [pool=NAME] [since=YYYY-MM-DD]",
		              conf_show(p, value));
}

static bool
pool_word(struct slice word, struct arena *a, struct conf_pool *p)
{
	static const char *const classes[] = { "personal", "bulk", "notice" }; /* in the order of CLASS_* */
	for (unsigned i = 0; i < COUNT_OF(classes); i++)
		if (slice_equal(word, slice_text(classes[i]))) {
			p->classes |= 1u << i;
			return true;
		}
	bool below = word.len > 1 && word.at[0] == '.';
	if (p->nsenders == POOL_SENDERS_MAX || !conf_is_host(slice_from(word, below)))
		return false;
	p->senders[p->nsenders++] = slice_keep_text(a, word);
	return true;
}

static bool
pool_parse(struct slice value, struct arena *a, struct conf_pool *p)
{
	struct slice word;
	*p = (struct conf_pool){ 0 };
	if (!conf_next_word(&value, &word) || !is_pool_name(word))
		return false;
	p->name = slice_keep_text(a, word);
	while (conf_next_word(&value, &word))
		if (!pool_word(word, a, p))
			return false;
	return true;
}

void
conf_check_pool(struct conf_parser *p, struct slice value)
{
	struct conf_pool pool;
	if (!pool_parse(value, p->arena, &pool))
		conf_complain(p,
		              "pool = '%s' is not of the form NAME [personal] [bulk] [notice] [DOMAIN ...], at most %d domains",
		              conf_show(p, value), POOL_SENDERS_MAX);
}

static size_t
warm_up_parse(struct slice value, uint32_t *days, size_t max)
{
	struct slice word;
	size_t n = 0;
	while (conf_next_word(&value, &word))
		if (n == max || !slice_to_u32(word, &days[n++]))
			return SIZE_MAX;
	return n;
}

void
conf_check_warm_up(struct conf_parser *p, struct slice value)
{
	uint32_t days[WARM_UP_DAYS_MAX];
	if (warm_up_parse(value, days, WARM_UP_DAYS_MAX) == SIZE_MAX)
		conf_complain(p, "relay.warm-up = '%s' is not a row of numbers; allowed: %d of them, or none",
		              conf_show(p, value), WARM_UP_DAYS_MAX);
}

void
conf_pools_make(struct conf *c)
{
	c->nsources = c->v.nsource;
	c->sources = ARENA_ARRAY(&c->arena, struct conf_source, c->nsources + 1);
	for (size_t i = 0; i < c->nsources; i++)
		ASSERT(source_parse(slice_text(c->v.source[i]), &c->arena, &c->sources[i]));
	c->npools = c->v.npool;
	c->pools = ARENA_ARRAY(&c->arena, struct conf_pool, c->npools + 1);
	for (size_t i = 0; i < c->npools; i++)
		ASSERT(pool_parse(slice_text(c->v.pool[i]), &c->arena, &c->pools[i]));
	c->warm_up = ARENA_ARRAY(&c->arena, uint32_t, WARM_UP_DAYS_MAX);
	c->nwarm_up = warm_up_parse(slice_text(c->v.relay_warm_up), c->warm_up, WARM_UP_DAYS_MAX);
	ASSERT(c->nwarm_up <= WARM_UP_DAYS_MAX);
}
