/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - /api/v1/accounts/{}/limits and /api/v1/plans: what an account may send. It has limits of its own, those of
 * its plan, and those of the server, in this order (store/sent.h). They are memos of the store. */
#include "session/http/api.h"
#include "store/rows.h"
#include "store/sent.h"

#define ADDRESS_BYTES_MAX 1000

static enum err
await_keep(struct api_call *call, struct store_memo *m)
{
	struct store_memo_put_in in = { m, 1 };
	struct store_memo_put_out out;
	return await_store_memo_put(&call->session->store, &in, call->arena, &out);
}

static bool
await_account_name(struct api_call *call, struct slice *name)
{
	struct store_account_show_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_account_show_out out;
	enum err e = await_store_account_show(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "account", in.address))
		return false;
	*name = arena_printf(call->arena, "%llu", (unsigned long long)out.account.id);
	return true;
}

static enum err
await_limits_read(struct api_call *call, struct slice kind, struct slice name, bool *found, struct send_limits *l)
{
	struct store_memo_get_in in = { kind, name };
	struct store_memo_get_out out;
	enum err e = await_store_memo_get(&call->session->store, &in, call->arena, &out);
	*found = !e && out.found;
	if (!e && !send_limits_take(out.found ? out.memo.value : S(""), l))
		e = ERR_DAMAGED;
	return e;
}

static json_t *
limits_json(const struct send_limits *l)
{
	json_t *o = json_object();
	for (size_t i = 0; i < SEND_LIMITS; i++)
		json_object_set_new(o, send_limit_rows[i].name.at,
		                    l->max[i] == SEND_LIMIT_DEFAULT ? json_null() : json_integer(l->max[i]));
	return o;
}

static void
answer_account(struct api_call *call, const struct send_limits *l)
{
	json_t *o = limits_json(l);
	json_object_set_new(o, "plan", l->plan.len ? json_slice(l->plan) : json_null());
	api_answer(call, 200, o);
}

static void
await_limits_show(struct api_call *call)
{
	struct slice name;
	struct send_limits l;
	bool found;
	if (await_account_name(call, &name) &&
	    !api_failed(call, await_limits_read(call, S("limits"), name, &found, &l), "limits of", call->words[0]))
		answer_account(call, &l);
}

/* Those that are named; null: as the server has it. */
static bool
limits_of(struct api_call *call, struct send_limits *l)
{
	const char *name;
	json_t *value;
	json_object_foreach(call->body, name, value)
	{
		size_t i = 0;
		if (strcmp(name, "plan") == 0)
			continue;
		while (i < SEND_LIMITS && !slice_equal(slice_text(name), send_limit_rows[i].name))
			i++;
		json_int_t n = json_integer_value(value);
		if (i == SEND_LIMITS || !(json_is_null(value) || json_is_integer(value)) || n < 0 || n >= SEND_LIMIT_DEFAULT) {
			api_error(call, 400, "there is no such limit, or it is neither a number up to 4000000000 nor null",
			          "messages-per-hour, messages-per-day, recipients-per-hour, recipients-per-day, distinct-per-day, "
			          "first-time-per-day, breaker-first-time, breaker-bounces, breaker-complaints");
			return false;
		}
		l->max[i] = json_is_null(value) ? SEND_LIMIT_DEFAULT : (uint32_t)n;
	}
	return true;
}

/* The member "plan": one that there is, or null. */
static bool
await_plan_of(struct api_call *call, struct send_limits *l)
{
	const json_t *value = json_object_get(call->body, "plan");
	struct send_limits plan;
	struct slice name;
	bool found;
	if (json_is_null(value))
		l->plan = SLICE_NONE;
	if (!value || json_is_null(value))
		return true;
	if (!api_text(call, "plan", &name) ||
	    api_failed(call, await_limits_read(call, S("plan"), slice_part(name, 0, PLAN_NAME_BYTES_MAX), &found, &plan),
	               "plan", name))
		return false;
	l->plan = name;
	if (!found || !plan_name_good(name))
		return !api_failed(call, ERR_NOT_FOUND, "plan", name);
	return true;
}

static void
await_limits_set(struct api_call *call)
{
	struct slice name;
	struct send_limits l;
	bool found;
	if (!await_account_name(call, &name) ||
	    api_failed(call, await_limits_read(call, S("limits"), name, &found, &l), "limits of", call->words[0]) ||
	    !limits_of(call, &l) || !await_plan_of(call, &l))
		return;
	struct slice value = send_limits_put(&l, call->arena);
	struct store_memo m = { S("limits"), name, value, value.len ? MEMO_FOREVER : 0 };
	if (!api_failed(call, await_keep(call, &m), "limits of", call->words[0]))
		answer_account(call, &l);
}

/* ---- plans */

static json_t *
plan_json(struct slice name, const struct send_limits *l)
{
	json_t *o = limits_json(l);
	json_put(o, "name", name);
	return o;
}

static void
await_plans(struct api_call *call)
{
	struct store_memo_list_in in = { .kind = S("plan"), .after = api_query(call, S("after")), .max = 1000 };
	struct store_memo_list_out out;
	struct send_limits l;
	if (api_failed(call, await_store_memo_list(&call->session->store, &in, call->arena, &out), "list of plans", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++)
		if (send_limits_take(out.memos[i].value, &l))
			json_array_append_new(list, plan_json(out.memos[i].name, &l));
	json_object_set_new(o, "plans", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

static bool
plan_word(struct api_call *call)
{
	if (plan_name_good(call->words[0]))
		return true;
	api_error(call, 400, "this is no name of a plan", "lower-case letters, digits, '-' and '.', at most 40");
	return false;
}

static void
await_plan_set(struct api_call *call)
{
	struct send_limits l;
	struct slice name = call->words[0];
	bool found;
	if (!plan_word(call) || api_failed(call, await_limits_read(call, S("plan"), name, &found, &l), "plan", name))
		return;
	if (json_object_get(call->body, "plan")) {
		api_error(call, 400, "a plan has no plan of its own", NULL);
		return;
	}
	struct store_memo m = { S("plan"), name, SLICE_NONE, MEMO_FOREVER };
	if (!limits_of(call, &l))
		return;
	m.value = send_limits_put(&l, call->arena);
	if (!api_failed(call, await_keep(call, &m), "plan", name))
		api_answer(call, found ? 200 : 201, plan_json(name, &l));
}

/* *account: of one that has the plan; empty: none has it. */
static enum err
await_find_use(struct api_call *call, struct slice plan, struct slice *account)
{
	struct store_memo_list_in in = { .kind = S("limits"), .max = 1000 };
	struct store_memo_list_out out = { .more = true };
	*account = SLICE_NONE;
	while (out.more) {
		enum err e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
		if (e || out.nmemos == 0)
			return e;
		for (uint32_t i = 0; i < out.nmemos; i++) {
			struct send_limits l;
			if (send_limits_take(out.memos[i].value, &l) && slice_equal(l.plan, plan)) {
				*account = out.memos[i].name;
				return OK;
			}
		}
		in.after = out.memos[out.nmemos - 1].name;
	}
	return OK;
}

static void
await_plan_remove(struct api_call *call)
{
	struct slice name = call->words[0], account = SLICE_NONE;
	struct store_memo m = { S("plan"), name, SLICE_NONE, 0 };
	struct send_limits l;
	bool found;
	if (!plan_word(call))
		return;
	enum err e = await_limits_read(call, S("plan"), name, &found, &l);
	e = e ? e : !found ? ERR_NOT_FOUND : await_find_use(call, name, &account);
	if (api_failed(call, e, "plan", name))
		return;
	if (account.len) {
		api_error(call, 409, "accounts have this plan",
		          "give them another one first: account limits ADDRESS plan=NAME");
		return;
	}
	if (!api_failed(call, await_keep(call, &m), "plan", name))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/accounts/{}/limits", await_limits_show },
	{ "PATCH", "/api/v1/accounts/{}/limits", await_limits_set },
	{ "GET", "/api/v1/plans", await_plans },
	{ "PATCH", "/api/v1/plans/{}", await_plan_set },
	{ "DELETE", "/api/v1/plans/{}", await_plan_remove },
};
const struct api_rows limit_methods = { rows, COUNT_OF(rows) };
