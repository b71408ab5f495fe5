/* SPDX-License-Identifier: Apache-2.0 */
/* domains.c - /api/v1/domains: the domains that are ours. */
#include "session/http/api.h"

static void
await_list(struct api_call *call)
{
	struct store_domain_list_in in = { .after = api_query(call, S("after")) };
	struct store_domain_list_out out;
	enum err e = await_store_domain_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "list of domains", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.ndomains; i++)
		json_array_append_new(list, json_slice(out.domains[i].text));
	json_object_set_new(o, "domains", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

/* RFC 1123 2.1: letters, digits and inner hyphens; what is not ASCII is judged by the store (IDNA). */
static bool
is_domain(struct slice domain)
{
	struct slice label;
	if (domain.len == 0 || domain.len > 255)
		return false;
	for (bool more = true; more;) {
		more = slice_cut(domain, '.', &label, &domain);
		if (label.len == 0 || label.at[0] == '-' || label.at[label.len - 1] == '-')
			return false;
	}
	return true;
}

static void
await_add(struct api_call *call)
{
	struct store_domain_add_in in;
	struct store_domain_add_out out;
	if (!api_text_needed(call, "domain", &in.domain))
		return;
	enum err e =
	    !is_domain(in.domain) ? ERR_SYNTAX : await_store_domain_add(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "domain", in.domain))
		return;
	json_t *o = json_object();
	json_put(o, "domain", in.domain);
	api_answer(call, 201, o);
}

static void
await_delete(struct api_call *call)
{
	struct store_domain_delete_in in = { .domain = slice_part(call->words[0], 0, 255) };
	struct store_domain_delete_out out;
	enum err e = await_store_domain_delete(&call->session->store, &in, call->arena, &out);
	if (!api_failed(call, e, "domain", in.domain))
		api_answer(call, 204, NULL);
}

static void
answer_settings(struct api_call *call, struct slice domain, const struct store_domain_settings *s)
{
	json_t *o = json_object();
	json_put(o, "domain", domain);
	json_object_set_new(o, "verp", json_boolean(s->verp));
	json_put(o, "bounces", s->forward ? S("forward") : S("count"));
	json_object_set_new(o, "unsubscribe", json_boolean(s->unsubscribe));
	json_object_set_new(o, "feedback", s->feedback.len ? json_slice(s->feedback) : json_null());
	api_answer(call, 200, o);
}

/* False: answered. */
static bool
await_settings(struct api_call *call, struct store_domain_show_out *out)
{
	struct store_domain_show_in in = { .domain = slice_part(call->words[0], 0, 255) };
	return !api_failed(call, await_store_domain_show(&call->session->store, &in, call->arena, out), "domain",
	                   in.domain);
}

static void
await_show(struct api_call *call)
{
	struct store_domain_show_out out;
	if (await_settings(call, &out))
		answer_settings(call, out.domain, &out.settings);
}

/* Those that are named; null: as without. */
static bool
settings_of(struct api_call *call, struct store_domain_settings *s)
{
	const json_t *verp = json_object_get(call->body, "verp"), *feedback = json_object_get(call->body, "feedback");
	const json_t *unsubscribe = json_object_get(call->body, "unsubscribe");
	struct slice bounces;
	if (!api_text(call, "bounces", &bounces) ||
	    (feedback && !json_is_null(feedback) && !api_text(call, "feedback", &s->feedback)))
		return false;
	if (json_is_null(feedback))
		s->feedback = S("");
	if (bounces.len)
		s->forward = slice_equal(bounces, S("forward"));
	if (verp)
		s->verp = json_is_true(verp);
	if (unsubscribe)
		s->unsubscribe = json_is_true(unsubscribe);
	bool good = (!verp || json_is_boolean(verp)) && (!unsubscribe || json_is_boolean(unsubscribe)) &&
	            (!bounces.len || s->forward || slice_equal(bounces, S("count")));
	if (!good)
		api_error(call, 400, "\"verp\" and \"unsubscribe\" are true or false, \"bounces\" is count or forward", NULL);
	return good;
}

static void
await_set(struct api_call *call)
{
	struct store_domain_show_out was;
	struct store_domain_set_in in;
	struct store_domain_set_out out;
	if (!await_settings(call, &was) || !settings_of(call, &was.settings))
		return;
	in = (struct store_domain_set_in){ slice_part(call->words[0], 0, 255), was.settings };
	if (!api_failed(call, await_store_domain_set(&call->session->store, &in, call->arena, &out), "address",
	                in.settings.feedback))
		answer_settings(call, was.domain, &in.settings);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/domains", await_list },         { "POST", "/api/v1/domains", await_add },
	{ "GET", "/api/v1/domains/{}", await_show },      { "PATCH", "/api/v1/domains/{}", await_set },
	{ "DELETE", "/api/v1/domains/{}", await_delete },
};
const struct api_rows domain_methods = { rows, COUNT_OF(rows) };
