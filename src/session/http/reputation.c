/* SPDX-License-Identifier: Apache-2.0 */
/* reputation.c - /api/v1/reputation: what the destinations of our mail made of it, and how fast it goes there now and
 * why. Relay puts both down as memos (relay/site_memo.c): words NAME=NUMBER, and why= up to the end. */
#include "base/clock.h"
#include "session/http/api.h"

#include <time.h>

#define PAGE 100
#define NAME_BYTES_MAX 600
#define SOURCES_LISTED_MAX 1000
#define RESET_KEPT_SEC 600 /* if relay is away for that long, it begins anew anyway */

static void
put_words(json_t *o, struct arena *a, struct slice value)
{
	struct slice word, name, number;
	uint64_t n;
	for (bool more = true; more && !slice_starts(value, S("why="));) {
		more = slice_cut(value, ' ', &word, &value);
		if (slice_cut(word, '=', &name, &number) && slice_to_u64(number, &n))
			json_put_number(o, slice_keep_text(a, name), n);
	}
	if (slice_starts(value, S("why=")))
		json_put(o, "why", slice_from(value, 4));
}

/* Without a memo it goes by the limits of the configuration. */
static enum err
await_put_pace(struct api_call *call, struct slice site, json_t *o)
{
	struct store_memo_get_in in = { .kind = S("pace"), .name = site };
	struct store_memo_get_out out;
	enum err e = await_store_memo_get(&call->session->store, &in, call->arena, &out);
	json_t *pace = !e && out.found ? json_object() : json_null();
	if (json_is_object(pace))
		put_words(pace, call->arena, out.memo.value);
	json_object_set_new(o, "pace", pace);
	return e;
}

static void
await_list(struct api_call *call)
{
	struct store_memo_list_in in = { .kind = S("reputation"), .max = PAGE };
	struct store_memo_list_out out;
	in.after = slice_part(api_query(call, S("after")), 0, NAME_BYTES_MAX);
	in.prefix = slice_part(api_query(call, S("site")), 0, NAME_BYTES_MAX);
	enum err e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos && !e; i++) {
		json_t *site = json_object();
		json_put(site, "site", out.memos[i].name);
		put_words(site, call->arena, out.memos[i].value);
		e = await_put_pace(call, out.memos[i].name, site);
		json_array_append_new(list, site);
	}
	json_object_set_new(o, "sites", list);
	json_object_set_new(o, "more", json_boolean(!e && out.more));
	if (api_failed(call, e, "reputation", S("")))
		json_decref(o);
	else
		api_answer(call, 200, o);
}

static const struct conf_source *
source_of(const struct conf *conf, struct slice address)
{
	for (size_t i = 0; i < conf->nsources; i++)
		if (slice_equal(address, slice_text(conf->sources[i].address)))
			return &conf->sources[i];
	return NULL;
}

static const char *
day_text(struct arena *a, int64_t day)
{
	time_t sec = (time_t)(day * 86400);
	struct tm tm;
	gmtime_r(&sec, &tm);
	return arena_printf(a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday).at;
}

/* value: of its memo; empty: nothing went out from it yet. */
static void
put_source(struct api_call *call, json_t *list, struct slice address, struct slice value)
{
	const struct conf_source *s = source_of(call->session->conf, address);
	json_t *o = json_object();
	json_put(o, "source", address);
	json_object_set_new(o, "pool", s ? json_string(s->pool) : json_null());
	json_object_set_new(o, "since", s && s->since >= 0 ? json_string(day_text(call->arena, s->since)) : json_null());
	put_words(o, call->arena, value);
	json_array_append_new(list, o);
}

/* Those that mail went out from, then those that the configuration names beside them. */
static void
await_sources(struct api_call *call)
{
	struct store_memo_list_in in = { .kind = S("source"), .max = SOURCES_LISTED_MAX };
	struct store_memo_list_out out;
	const struct conf *conf = call->session->conf;
	enum err e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "reputation", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++)
		put_source(call, list, out.memos[i].name, out.memos[i].value);
	for (size_t i = 0; i < conf->nsources; i++) {
		bool listed = false;
		for (uint32_t k = 0; k < out.nmemos && !listed; k++)
			listed = slice_equal(out.memos[k].name, slice_text(conf->sources[i].address));
		if (!listed)
			put_source(call, list, slice_text(conf->sources[i].address), SLICE_NONE);
	}
	json_object_set_new(o, "sources", list);
	json_object_set_new(o, "more", json_false());
	api_answer(call, 200, o);
}

/* Relay hears of the memo, forgets the pace, and takes the memo away. */
static void
await_pace_reset(struct api_call *call)
{
	struct store_memo_get_in get = { .kind = S("reputation"), .name = slice_part(call->words[0], 0, NAME_BYTES_MAX) };
	struct store_memo_get_out got;
	struct store_memo memo = { S("pace-reset"), get.name, S(""), clock_wall_sec() + RESET_KEPT_SEC };
	struct store_memo_put_in in = { &memo, 1 };
	struct store_memo_put_out out;
	enum err e = await_store_memo_get(&call->session->store, &get, call->arena, &got);
	e = e ? e : got.found ? await_store_memo_put(&call->session->store, &in, call->arena, &out) : ERR_NOT_FOUND;
	if (!api_failed(call, e, "destination", get.name))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "DELETE", "/api/v1/reputation/{}/pace", await_pace_reset },
	{ "GET", "/api/v1/reputation", await_list },
	{ "GET", "/api/v1/reputation/sources", await_sources },
};
const struct api_rows reputation_methods = { rows, COUNT_OF(rows) };
