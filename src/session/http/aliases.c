/* SPDX-License-Identifier: Apache-2.0 */
/* aliases.c - /api/v1/aliases: addresses that stand for others, here or elsewhere. */
#include "session/http/api.h"

#define ADDRESS_BYTES_MAX 1000
#define TARGETS_MAX 1000

static json_t *
alias_json(const struct store_alias *a)
{
	json_t *o = json_object(), *list = json_array();
	json_put(o, "address", a->address);
	for (uint32_t i = 0; i < a->ntargets; i++)
		json_array_append_new(list, json_slice(a->targets[i].text));
	json_object_set_new(o, "targets", list);
	return o;
}

static enum err
await_page(struct api_call *call, struct slice address, struct slice after, struct store_alias_list_out *out)
{
	struct store_alias_list_in in = { .address = address, .after = after };
	return await_store_alias_list(&call->session->store, &in, call->arena, out);
}

static void
await_list(struct api_call *call)
{
	struct store_alias_list_out out;
	if (api_failed(call, await_page(call, S(""), api_query(call, S("after")), &out), "list of aliases", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.naliases; i++)
		json_array_append_new(list, alias_json(&out.aliases[i]));
	json_object_set_new(o, "aliases", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

static void
await_show(struct api_call *call)
{
	struct store_alias_list_out out;
	struct slice address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX);
	enum err e = await_page(call, address, S(""), &out);
	if (!api_failed(call, e ? e : out.naliases ? OK : ERR_NOT_FOUND, "alias", address))
		api_answer(call, 200, alias_json(&out.aliases[0]));
}

static bool
targets_of(struct api_call *call, struct store_alias_add_in *in)
{
	const json_t *list = json_object_get(call->body, "targets");
	size_t n = json_is_array(list) ? json_array_size(list) : 0;
	if (n == 0 || n > TARGETS_MAX) {
		api_error(call, 400, "\"targets\" must be a list of 1 to 1000 addresses", NULL);
		return false;
	}
	in->targets = ARENA_ARRAY(call->arena, struct store_name, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);
		struct slice s = json_is_string(j) ? slice_of(json_string_value(j), json_string_length(j)) : S("");
		if (slice_find_char(s, '@') < 1 || s.len > ADDRESS_BYTES_MAX || slice_has_control(s)) {
			api_error(call, 400, "a target is not an address", "a target is local-part@domain");
			return false;
		}
		in->targets[in->ntargets++].text = s;
	}
	return true;
}

static void
await_add(struct api_call *call)
{
	struct store_alias_add_in in = { 0 };
	struct store_alias_add_out out;
	if (!api_text_needed(call, "address", &in.address) || !targets_of(call, &in))
		return;
	enum err e = in.address.len > ADDRESS_BYTES_MAX || slice_find_char(in.address, '@') < 0
	                 ? ERR_SYNTAX
	                 : await_store_alias_add(&call->session->store, &in, call->arena, &out);
	if (e == ERR_NOT_FOUND) {
		api_error(call, 404, "the domain of the alias is not one of this server", "add it first: posthouse domain add");
		return;
	}
	if (api_failed(call, e, "alias", in.address))
		return;
	json_t *o = json_object();
	json_put(o, "address", in.address);
	api_answer(call, 201, o);
}

/* DELETE /api/v1/aliases/a@b?target=x&target=y; without a target the whole alias goes. */
static void
await_delete(struct api_call *call)
{
	struct store_alias_delete_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_alias_delete_out out;
	struct slice query = call->request->query, target;
	in.targets = ARENA_ARRAY(call->arena, struct store_name, TARGETS_MAX);
	while (in.ntargets < TARGETS_MAX && http_query_next(&query, S("target"), call->arena, &target))
		in.targets[in.ntargets++].text = slice_part(target, 0, ADDRESS_BYTES_MAX);
	enum err e = await_store_alias_delete(&call->session->store, &in, call->arena, &out);
	if (!api_failed(call, e, "alias or target of it:", in.address))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/aliases", await_list },
	{ "POST", "/api/v1/aliases", await_add },
	{ "GET", "/api/v1/aliases/{}", await_show },
	{ "DELETE", "/api/v1/aliases/{}", await_delete },
};
const struct api_rows alias_methods = { rows, COUNT_OF(rows) };
