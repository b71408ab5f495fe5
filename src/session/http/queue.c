/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - /api/v1/queue: mail that waits to leave. A row is one message for the recipients of one domain. */
#include "session/http/api.h"

#include "base/clock.h"
#include "store/rows.h"

static json_t *
recipient_json(const struct store_recipient *r)
{
	static const char *const words[] = { "waiting", "done", "failed" };
	json_t *o = json_object();
	json_put(o, "address", r->address);
	json_put(o, "state", slice_text(r->state < COUNT_OF(words) ? words[r->state] : "unknown"));
	json_put(o, "reply", r->reply);
	json_put(o, "status", r->status);
	json_put(o, "server", r->mta);
	return o;
}

static const char *const states[QUEUE_STATES] = { "any", "waiting", "held", "paused", "active", "scheduled" };

static json_t *
attempts_json(const struct store_queue_row *row)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < row->nattempts; i++) {
		json_t *o = json_object();
		json_object_set_new(o, "at", json_integer(row->attempts[i].at));
		json_put(o, "server", row->attempts[i].host);
		json_put(o, "said", row->attempts[i].said);
		json_array_append_new(list, o);
	}
	return list;
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
	static const char *const classes[CLASSES] = { "personal", "bulk", "notice" };
	json_put(o, "state", slice_text(states[MIN(row->state, (uint32_t)QUEUE_STATES - 1)]));
	json_put(o, "class", slice_text(classes[MIN(row->envelope.class, (uint32_t)CLASSES - 1)]));
	json_object_set_new(o, "priority", json_integer(row->envelope.priority));
	json_put(o, "hold_reason", row->hold_reason);
	json_put(o, "reroute", row->reroute);
	if (row->envelope.by_mode)
		json_object_set_new(o, "deliver_by", json_integer(row->envelope.by_time));
	if (row->nattempts)
		json_object_set_new(o, "attempts", attempts_json(row));
	for (uint32_t i = 0; i < row->nrecipients; i++)
		json_array_append_new(list, recipient_json(&row->recipients[i]));
	json_object_set_new(o, "recipients", list);
	return o;
}

static bool
time_query(struct api_call *call, struct slice name, int64_t *value)
{
	uint64_t sec = 0;
	struct slice word = api_query(call, name);
	if (word.len && (!slice_to_u64(word, &sec) || sec > INT32_MAX)) {
		api_error(call, 400, "older and younger are numbers of seconds", NULL);
		return false;
	}
	*value = word.len ? MAX(clock_wall_sec() - (int64_t)sec, (int64_t)1) : 0;
	return true;
}

static bool
state_query(struct api_call *call, uint32_t *state)
{
	struct slice word = api_query(call, S("state"));
	*state = QUEUE_STATE_ANY;
	for (uint32_t i = 0; i < QUEUE_STATES && word.len; i++)
		if (slice_equal(word, slice_text(states[i]))) {
			*state = i;
			return true;
		}
	if (word.len)
		api_error(call, 400, "state is waiting, held, paused, active or scheduled", NULL);
	return word.len == 0;
}

/* Which rows are meant; false: answered. */
static bool
filter_of(struct api_call *call, struct store_queue_filter *f)
{
	*f = (struct store_queue_filter){ .sender = api_query(call, S("sender")),
		                              .recipient = api_query(call, S("recipient")),
		                              .domain = api_query(call, S("domain")),
		                              .reason = api_query(call, S("reason")) };
	if (f->sender.len > 1000 || f->recipient.len > 1000 || f->domain.len > 260 || f->reason.len > 200) {
		api_error(call, 400, "a filter is too long", NULL);
		return false;
	}
	return time_query(call, S("older"), &f->born_before) && time_query(call, S("younger"), &f->born_after) &&
	       state_query(call, &f->state);
}

static void
await_list(struct api_call *call)
{
	struct store_queue_list_in in = { 0 };
	struct slice word = api_query(call, S("after"));
	struct store_queue_list_out out;
	if (!filter_of(call, &in.filter))
		return;
	if (word.len && !slice_to_u64(word, &in.after)) {
		api_error(call, 400, "after must be the number of a queue row", NULL);
		return;
	}
	enum err e = await_store_queue_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "queue", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nrows; i++)
		json_array_append_new(list, row_json(&out.rows[i]));
	json_object_set_new(o, "rows", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	json_put_number(o, "last", out.last);
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
	struct store_queue_list_in in = { 0 };
	struct store_queue_list_out out;
	if (!id_of(call, &in.id))
		return;
	enum err e = await_store_queue_list(&call->session->store, &in, call->arena, &out);
	if (!api_failed(call, e ? e : out.nrows ? OK : ERR_NOT_FOUND, "queue row", call->words[0]))
		api_answer(call, 200, row_json(&out.rows[0]));
}

static void
await_change(struct api_call *call, const struct store_queue_change_in *in)
{
	struct store_queue_change_out out;
	enum err e = await_store_queue_change(&call->session->store, in, call->arena, &out);
	if (!e && in->id && out.changed == 0)
		e = ERR_NOT_FOUND;
	if (api_failed(call, e, "queue row", in->id ? call->words[0] : S("")))
		return;
	json_t *o = json_object();
	json_put_number(o, "changed", out.changed);
	api_answer(call, 200, o);
}

/* What the verb needs from the body. */
static bool
take_body(struct api_call *call, struct store_queue_change_in *in)
{
	uint64_t due = 0;
	bool good = in->op == QUEUE_HOLD      ? api_text(call, "reason", &in->text)
	            : in->op == QUEUE_REROUTE ? api_text(call, "to", &in->text)
	            : in->op == QUEUE_DUE     ? api_number(call, "due", &due)
	                                      : true;
	if (good && (in->text.len > 200 || (in->op == QUEUE_DUE && (due == 0 || due > UINT32_MAX)))) {
		api_error(call, 400, "reason and to have at most 200 bytes, due is a time in seconds since 1970", NULL);
		return false;
	}
	in->due = (int64_t)due;
	return good;
}

static void
await_verb(struct api_call *call, uint64_t id, struct slice verb)
{
	static const struct {
		struct slice word;
		uint32_t op;
	} verbs[] = { { S_ROW("retry"), QUEUE_RETRY },     { S_ROW("hold"), QUEUE_HOLD },
		          { S_ROW("release"), QUEUE_RELEASE }, { S_ROW("reroute"), QUEUE_REROUTE },
		          { S_ROW("due"), QUEUE_DUE },         { S_ROW("return"), QUEUE_RETURN } };
	struct store_queue_change_in in = { .id = id, .op = QUEUE_OPS };
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (slice_equal(verb, verbs[i].word))
			in.op = verbs[i].op;
	if (in.op == QUEUE_OPS)
		api_error(call, 404, "the queue has no such verb", "retry, hold, release, reroute, due, return");
	else if (filter_of(call, &in.filter) && take_body(call, &in))
		await_change(call, &in);
}

static void
await_verb_one(struct api_call *call)
{
	uint64_t id;
	if (id_of(call, &id))
		await_verb(call, id, call->words[1]);
}

static void
await_verb_all(struct api_call *call)
{
	await_verb(call, 0, call->words[0]);
}

static void
await_delete(struct api_call *call)
{
	struct store_queue_change_in in = { .op = QUEUE_DELETE };
	if (id_of(call, &in.id))
		await_change(call, &in);
}

static void
await_delete_all(struct api_call *call)
{
	struct store_queue_change_in in = { .op = QUEUE_DELETE };
	if (filter_of(call, &in.filter))
		await_change(call, &in);
}

/* ---- pauses: memos of the kind "pause"; claims of relay obey them (store/queue.c) */

#define PAUSE_SEC_MAX (20LL * 365 * 86400)

static bool
scope_of(struct api_call *call, struct slice *scope)
{
	struct slice word = call->words[0];
	char *lower = arena_alloc(call->arena, word.len + 1);
	for (size_t i = 0; i < word.len; i++)
		lower[i] = ascii_lower(word.at[i]);
	*scope = slice_of(lower, word.len);
	bool good = slice_equal(*scope, S("all")) || (slice_starts(*scope, S("domain/")) && scope->len > 7) ||
	            (slice_starts(*scope, S("sender/")) && scope->len > 7);
	if (!good || scope->len > 500 || slice_has_control(*scope))
		api_error(call, 400, "a scope is all, domain/DOMAIN or sender/ADDRESS", NULL);
	return good && scope->len <= 500 && !slice_has_control(*scope);
}

static bool
await_memo(struct api_call *call, struct slice scope, int64_t until)
{
	struct store_memo memo = { .kind = S("pause"), .name = scope, .value = S(""), .until = until };
	struct store_memo_put_in in = { .memos = &memo, .nmemos = 1 };
	struct store_memo_put_out out;
	enum err e = await_store_memo_put(&call->session->store, &in, call->arena, &out);
	return !api_failed(call, e, "pause", scope);
}

static void
await_pause(struct api_call *call)
{
	struct slice scope;
	uint64_t sec = PAUSE_SEC_MAX;
	if (!scope_of(call, &scope) || !api_number(call, "seconds", &sec))
		return;
	int64_t until = clock_wall_sec() + (int64_t)MIN(sec, (uint64_t)PAUSE_SEC_MAX);
	if (!await_memo(call, scope, until))
		return;
	json_t *o = json_object();
	json_put(o, "scope", scope);
	json_object_set_new(o, "until", json_integer(until));
	api_answer(call, 200, o);
}

static void
await_resume(struct api_call *call)
{
	struct slice scope;
	struct store_queue_change_in in = { .op = QUEUE_RESUME };
	if (scope_of(call, &scope) && await_memo(call, scope, 0))
		await_change(call, &in);
}

static void
await_pauses(struct api_call *call)
{
	struct store_memo_list_in in = { .kind = S("pause"), .max = 1000, .after = api_query(call, S("after")) };
	struct store_memo_list_out out;
	enum err e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "pause", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++) {
		json_t *p = json_object();
		json_put(p, "scope", out.memos[i].name);
		json_object_set_new(p, "until", json_integer(out.memos[i].until));
		json_array_append_new(list, p);
	}
	json_object_set_new(o, "pauses", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/queue", await_list },          { "DELETE", "/api/v1/queue", await_delete_all },
	{ "GET", "/api/v1/queue/{}", await_show },       { "DELETE", "/api/v1/queue/{}", await_delete },
	{ "POST", "/api/v1/queue/{}", await_verb_all },  { "POST", "/api/v1/queue/{}/{}", await_verb_one },
	{ "GET", "/api/v1/pauses", await_pauses },       { "PUT", "/api/v1/pauses/{}", await_pause },
	{ "DELETE", "/api/v1/pauses/{}", await_resume },
};
const struct api_rows queue_methods = { rows, COUNT_OF(rows) };
