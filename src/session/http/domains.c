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

static const struct api_row rows[] = {
	{ "GET", "/api/v1/domains", await_list },
	{ "POST", "/api/v1/domains", await_add },
	{ "DELETE", "/api/v1/domains/{}", await_delete },
};
const struct api_rows domain_methods = { rows, COUNT_OF(rows) };
