/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - /api/v1/breakers, /api/v1/suppressions: accounts whose mail is held, and addresses that a domain of ours
 * does not write to any more. They are memos of the store (store/sending.c says what stands in them). */
#include "base/clock.h"
#include "session/http/api.h"
#include "store/rows.h"
#include "store/suppression.h"

#define SUPPRESSED_DAYS_MAX 36500
#define BY_BYTES_MAX 60
#define IMPORT_MAX 1000
#define MEMOS_AT_ONCE 100
#define DAY_SEC 86400

static enum err
await_put_memos(struct api_call *call, struct store_memo *memos, uint32_t n)
{
	struct store_memo_put_in in = { memos, n };
	struct store_memo_put_out out;
	return await_store_memo_put(&call->session->store, &in, call->arena, &out);
}

static enum err
await_list_memos(struct api_call *call, struct slice kind, struct slice prefix, struct store_memo_list_out *out)
{
	struct store_memo_list_in in = {
		.kind = kind, .prefix = prefix, .after = api_query(call, S("after")), .max = 1000
	};
	return await_store_memo_list(&call->session->store, &in, call->arena, out);
}

/* ---- breakers */

static void
await_breakers(struct api_call *call)
{
	struct store_memo_list_out out;
	if (api_failed(call, await_list_memos(call, S("breaker"), S(""), &out), "list of breakers", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++) {
		struct slice address, why;
		json_t *row = json_object();
		(void)slice_cut(out.memos[i].value, '\n', &address, &why);
		json_put(row, "id", out.memos[i].name);
		json_put(row, "address", address);
		json_put(row, "why", why);
		json_array_append_new(list, row);
	}
	json_object_set_new(o, "breakers", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

/* The account may be gone meanwhile: the breaker itself says whose it is. */
static enum err
await_find_breaker(struct api_call *call, uint64_t *id)
{
	struct store_memo_list_in in = { .kind = S("breaker"), .max = 1000 };
	struct store_memo_list_out out = { .more = true };
	for (enum err e = OK; out.more; in.after = out.memos[out.nmemos - 1].name) {
		e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
		if (e)
			return e;
		for (uint32_t i = 0; i < out.nmemos; i++) {
			struct slice address, why;
			(void)slice_cut(out.memos[i].value, '\n', &address, &why);
			if (slice_equal_nocase(address, call->words[0]))
				return slice_to_u64(out.memos[i].name, id) ? OK : ERR_DAMAGED;
		}
		if (out.nmemos == 0)
			break;
	}
	return ERR_NOT_FOUND;
}

/* op: what happens to its queue rows. Rows that are deleted go first: none of them may leave. Counts begin again, or
 * the next message would trip it again. */
static void
await_breaker_end(struct api_call *call, uint32_t op)
{
	uint64_t id;
	struct store_queue_change_out out;
	enum err e = await_find_breaker(call, &id);
	if (api_failed(call, e, "account whose mail is held:", call->words[0]))
		return;
	struct slice name = arena_printf(call->arena, "%llu", (unsigned long long)id);
	struct store_queue_change_in in = { .op = op, .filter.account = id };
	struct store_memo gone[] = { { S("breaker"), name, S(""), 0 },
		                         { S("pause"), arena_join(call->arena, S("account/"), name), S(""), 0 },
		                         { S("sent"), name, S(""), 0 } };
	if (op == QUEUE_DELETE)
		e = await_store_queue_change(&call->session->store, &in, call->arena, &out);
	e = e ? e : await_put_memos(call, gone, COUNT_OF(gone));
	if (!e && op != QUEUE_DELETE)
		e = await_store_queue_change(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "breaker of", call->words[0]))
		return;
	json_t *o = json_object();
	json_put_number(o, "changed", out.changed);
	api_answer(call, 200, o);
}

static void
await_breaker_release(struct api_call *call)
{
	await_breaker_end(call, QUEUE_RESUME);
}

static void
await_breaker_discard(struct api_call *call)
{
	await_breaker_end(call, QUEUE_DELETE);
}

/* ---- suppression */

static json_t *
suppression_json(struct api_call *call, const struct store_memo *m)
{
	struct slice domain, address;
	struct suppression why = { 0 };
	json_t *o = json_object();
	(void)slice_cut(m->name, '/', &domain, &address);
	suppression_take(m->value, &why);
	json_put(o, "name", m->name);
	json_put(o, "domain", domain);
	json_put(o, "address", address);
	json_put(o, "reason", suppress_words[why.reason]);
	json_put(o, "words", suppression_words(&why, call->arena));
	json_put(o, "text", why.text);
	json_put(o, "by", why.by);
	json_object_set_new(o, "added", json_integer(why.added));
	json_object_set_new(o, "until", m->until == MEMO_FOREVER ? json_null() : json_integer(m->until));
	return o;
}

static void
await_suppressions(struct api_call *call)
{
	struct store_memo_list_out out;
	struct slice domain = slice_part(api_query(call, S("domain")), 0, 255);
	struct slice prefix = domain.len ? suppression_name(call->arena, domain, S("")) : S("");
	if (api_failed(call, await_list_memos(call, S("suppress"), prefix, &out), "suppression list", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++)
		json_array_append_new(list, suppression_json(call, &out.memos[i]));
	json_object_set_new(o, "suppressions", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

/* The name of the memo; false: answered. */
static bool
suppression_memo_name(struct api_call *call, struct slice domain, struct slice address, struct slice *name)
{
	*name = suppression_name(call->arena, domain, address);
	bool good = name->len && slice_find_char(address, '@') > 0 && domain.len && slice_find_char(domain, '@') < 0 &&
	            slice_find_char(domain, '/') < 0 && !slice_has_control(*name);
	if (!good)
		api_error(call, 400, "this is no domain, or no address", "an address is local-part@domain");
	return good;
}

/* What stands in the body beside the addresses. False: answered. */
static bool
suppression_of(struct api_call *call, struct slice *domain, struct suppression *s, int64_t *until)
{
	struct slice reason;
	uint64_t days = 0;
	*s = (struct suppression){ .reason = SUPPRESS_ADMINISTRATOR, .added = clock_wall_sec() };
	if (!api_text_needed(call, "domain", domain) || !api_text(call, "reason", &reason) ||
	    !api_text(call, "text", &s->text) || !api_text(call, "by", &s->by) || !api_number(call, "days", &days))
		return false;
	if (reason.len && !suppress_reason_of(reason, &s->reason)) {
		api_error(call, 400, "there is no such reason", "hard, soft, complaint, unsubscribed, administrator");
		return false;
	}
	if (s->by.len == 0)
		s->by = S("administrator");
	if (s->text.len > SUPPRESS_TEXT_BYTES_MAX || s->by.len > BY_BYTES_MAX || slice_find_char(s->by, ' ') >= 0 ||
	    days > SUPPRESSED_DAYS_MAX) {
		api_error(call, 400,
		          "a text has at most 300 bytes, \"by\" is one word of 60 at most, \"days\" is at most 36500", NULL);
		return false;
	}
	*until = days ? s->added + (int64_t)days * DAY_SEC : MEMO_FOREVER;
	return true;
}

static void
await_suppress(struct api_call *call)
{
	struct slice domain, address, name;
	struct suppression s;
	int64_t until;
	if (!suppression_of(call, &domain, &s, &until) || !api_text_needed(call, "address", &address) ||
	    !suppression_memo_name(call, domain, address, &name))
		return;
	struct store_memo m = { S("suppress"), name, suppression_put(&s, call->arena), until };
	if (!api_failed(call, await_put_memos(call, &m, 1), "suppression of", address))
		api_answer(call, 201, suppression_json(call, &m));
}

/* Many addresses at once; those before one that is none are kept. */
static void
await_suppress_many(struct api_call *call)
{
	const json_t *list = json_object_get(call->body, "addresses");
	struct store_memo memos[MEMOS_AT_ONCE];
	struct slice domain;
	struct suppression s;
	int64_t until;
	uint32_t n = 0;
	if (!suppression_of(call, &domain, &s, &until))
		return;
	if (!json_is_array(list) || json_array_size(list) > IMPORT_MAX) {
		api_error(call, 400, "\"addresses\" is a list of at most 1000 addresses", NULL);
		return;
	}
	struct slice value = suppression_put(&s, call->arena);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		struct slice name, address = slice_of(json_string_value(one), json_string_length(one));
		if (!suppression_memo_name(call, domain, address, &name))
			return;
		memos[n++] = (struct store_memo){ S("suppress"), name, value, until };
		bool full = n == MEMOS_AT_ONCE || i + 1 == json_array_size(list);
		if (full && api_failed(call, await_put_memos(call, memos, n), "suppression of", address))
			return;
		n = full ? 0 : n;
	}
	json_t *o = json_object();
	json_put_number(o, "added", json_array_size(list));
	api_answer(call, 201, o);
}

static void
await_unsuppress(struct api_call *call)
{
	struct slice name;
	struct store_memo_get_in in = { .kind = S("suppress") };
	struct store_memo_get_out out;
	if (!suppression_memo_name(call, call->words[0], call->words[1], &name))
		return;
	in.name = name;
	enum err e = await_store_memo_get(&call->session->store, &in, call->arena, &out);
	if (!e && !out.found)
		e = ERR_NOT_FOUND;
	struct store_memo m = { S("suppress"), name, S(""), 0 };
	e = e ? e : await_put_memos(call, &m, 1);
	if (!api_failed(call, e, "suppression of", call->words[1]))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/breakers", await_breakers },
	{ "POST", "/api/v1/breakers/{}/release", await_breaker_release },
	{ "POST", "/api/v1/breakers/{}/discard", await_breaker_discard },
	{ "GET", "/api/v1/suppressions", await_suppressions },
	{ "POST", "/api/v1/suppressions", await_suppress },
	{ "POST", "/api/v1/suppressions/import", await_suppress_many },
	{ "DELETE", "/api/v1/suppressions/{}/{}", await_unsuppress },
};
const struct api_rows sending_methods = { rows, COUNT_OF(rows) };
