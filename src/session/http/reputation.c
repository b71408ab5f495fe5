/* SPDX-License-Identifier: Apache-2.0 */
/* reputation.c - /api/v1/reputation: what the destinations of our mail made of it, and how fast it goes there now and
 * why. Relay puts both down as memos (relay/site_memo.c): words NAME=NUMBER, and why= up to the end. */
#include "session/http/api.h"

#define PAGE 100
#define NAME_BYTES_MAX 600

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

static const struct api_row rows[] = { { "GET", "/api/v1/reputation", await_list } };
const struct api_rows reputation_methods = { rows, COUNT_OF(rows) };
