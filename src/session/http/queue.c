/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - /api/v1/queue: mail that waits to leave. A row is one message for the recipients of one domain. */
#include "session/http/api.h"

#include "store/rows.h"

static json_t *
recipient_json(const struct store_recipient *r)
{
	static const char *const states[] = { "waiting", "done", "failed" };
	json_t *o = json_object();
	json_put(o, "address", r->address);
	json_put(o, "state", slice_text(r->state < COUNT_OF(states) ? states[r->state] : "unknown"));
	json_put(o, "reply", r->reply);
	json_put(o, "status", r->status);
	json_put(o, "server", r->mta);
	return o;
}

static json_t *
row_json(const struct store_queue_row *row)
{
	json_t *o = json_object(), *list = json_array();
	json_put_number(o, "id", row->id);
	json_put(o, "domain", row->domain);
	json_put(o, "from", row->envelope.reverse_path);
	json_put(o, "session", row->envelope.session);
	json_object_set_new(o, "born", json_integer(row->born));
	json_object_set_new(o, "due", json_integer(row->due));
	json_put_number(o, "tries", row->tries);
	json_object_set_new(o, "held", json_boolean(row->held));
	json_put_number(o, "bytes", row->bytes);
	for (uint32_t i = 0; i < row->nrecipients; i++)
		json_array_append_new(list, recipient_json(&row->recipients[i]));
	json_object_set_new(o, "recipients", list);
	return o;
}

static enum err
await_page(struct api_call *call, uint64_t after, uint64_t id, struct store_queue_list_out *out)
{
	struct store_queue_list_in in = { .after = after, .id = id };
	return await_store_queue_list(&call->session->store, &in, call->arena, out);
}

static void
await_list(struct api_call *call)
{
	uint64_t after = 0;
	struct slice word = api_query(call, S("after"));
	struct store_queue_list_out out;
	if (word.len && !slice_to_u64(word, &after)) {
		api_error(call, 400, "after must be the number of a queue row", NULL);
		return;
	}
	if (api_failed(call, await_page(call, after, 0, &out), "queue", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nrows; i++)
		json_array_append_new(list, row_json(&out.rows[i]));
	json_object_set_new(o, "rows", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

static bool
id_of(struct api_call *call, uint64_t *id)
{
	if (slice_to_u64(call->words[0], id) && *id > 0)
		return true;
	api_error(call, 400, "the id of a queue row is a number", "posthouse queue list shows them");
	return false;
}

static void
await_show(struct api_call *call)
{
	uint64_t id;
	struct store_queue_list_out out;
	if (!id_of(call, &id))
		return;
	enum err e = await_page(call, 0, id, &out);
	if (!api_failed(call, e ? e : out.nrows ? OK : ERR_NOT_FOUND, "queue row", call->words[0]))
		api_answer(call, 200, row_json(&out.rows[0]));
}

static void
await_change(struct api_call *call, uint64_t id, uint32_t op)
{
	struct store_queue_change_in in = { .id = id, .op = op };
	struct store_queue_change_out out;
	enum err e = await_store_queue_change(&call->session->store, &in, call->arena, &out);
	if (!e && id && out.changed == 0)
		e = ERR_NOT_FOUND;
	if (api_failed(call, e, "queue row", id ? call->words[0] : S("")))
		return;
	json_t *o = json_object();
	json_put_number(o, "changed", out.changed);
	api_answer(call, 200, o);
}

static void
await_change_one(struct api_call *call, uint32_t op)
{
	uint64_t id;
	if (id_of(call, &id))
		await_change(call, id, op);
}

#define METHOD(name, op)                                                                                               \
	static void await_##name(struct api_call *call)                                                                    \
	{                                                                                                                  \
		await_change_one(call, op);                                                                                    \
	}                                                                                                                  \
	static void await_##name##_all(struct api_call *call)                                                              \
	{                                                                                                                  \
		await_change(call, 0, op);                                                                                     \
	}
METHOD(retry, QUEUE_RETRY)
METHOD(delete, QUEUE_DELETE)
METHOD(hold, QUEUE_HOLD)
METHOD(release, QUEUE_RELEASE)

static const struct api_row rows[] = {
	{ "GET", "/api/v1/queue", await_list },
	{ "DELETE", "/api/v1/queue", await_delete_all },
	{ "POST", "/api/v1/queue/retry", await_retry_all },
	{ "POST", "/api/v1/queue/hold", await_hold_all },
	{ "POST", "/api/v1/queue/release", await_release_all },
	{ "GET", "/api/v1/queue/{}", await_show },
	{ "DELETE", "/api/v1/queue/{}", await_delete },
	{ "POST", "/api/v1/queue/{}/retry", await_retry },
	{ "POST", "/api/v1/queue/{}/hold", await_hold },
	{ "POST", "/api/v1/queue/{}/release", await_release },
};
const struct api_rows queue_methods = { rows, COUNT_OF(rows) };
