/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - /api/v1/accounts/{}/search: how far the texts for search of an account are made, and that all of them are
 * made again. */
#include "session/http/api.h"

#define ADDRESS_BYTES_MAX 1000

static void
await_show(struct api_call *call)
{
	struct store_search_status_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_search_status_out out;
	enum err e = await_store_search_status(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "account", in.address))
		return;
	json_t *o = json_object();
	json_object_set_new(o, "on", json_boolean(out.on));
	json_put_number(o, "messages", out.messages);
	json_put_number(o, "texts", out.texts);
	json_put_number(o, "packed", out.packed);
	api_answer(call, 200, o);
}

static void
await_rebuild(struct api_call *call)
{
	struct store_search_rebuild_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_search_rebuild_out out;
	enum err e = await_store_search_rebuild(&call->session->store, &in, call->arena, &out);
	if (e == ERR_UNSUPPORTED) {
		api_error(call, 409, "texts for search are not kept here", "option search.index turns them on");
	} else if (!api_failed(call, e, "account", in.address)) {
		json_t *o = json_object();
		json_put_number(o, "messages", out.messages);
		api_answer(call, 202, o);
	}
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/accounts/{}/search", await_show },
	{ "POST", "/api/v1/accounts/{}/search", await_rebuild },
};
const struct api_rows search_methods = { rows, COUNT_OF(rows) };
