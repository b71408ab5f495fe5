/* SPDX-License-Identifier: Apache-2.0 */
/* relay_domains.c - /api/v1/relay-domains: domains whose mail we take for other servers, and whom we take it for. They
 * are memos of the store (store/backup.c says what stands in them). */
#include "session/http/api.h"
#include "store/rows.h"

#define NAMES_MAX 1000 /* of one request */
#define AT_ONCE 100    /* memos of one call */
#define DOMAIN_BYTES_MAX 253

static struct slice
lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

static enum err
await_memos_put(struct api_call *call, struct store_memo *memos, uint32_t n)
{
	struct store_memo_put_in in = { memos, n };
	struct store_memo_put_out out;
	return await_store_memo_put(&call->session->store, &in, call->arena, &out);
}

/* RFC 1123 2.1, as A-labels. */
static bool
is_domain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]) && s.at[i] != '-' && s.at[i] != '.')
			return false;
	return s.len > 0 && s.len <= DOMAIN_BYTES_MAX && s.at[0] != '.' && slice_find(s, S("..")) < 0;
}

/* HOST[:PORT] with commas between, or "mx". */
static bool
is_target(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]) && !strchr("-._:[],", s.at[i]))
			return false;
	return s.len > 0 && s.len <= 1000;
}

static bool
is_users(struct slice s)
{
	return slice_equal(s, S("list")) || slice_equal(s, S("ask")) || slice_equal(s, S("any"));
}

static json_t *
domain_json(const struct store_memo *m)
{
	struct slice users, to;
	json_t *o = json_object();
	slice_cut(m->value, ' ', &users, &to);
	json_put(o, "domain", m->name);
	json_put(o, "to", slice_from(to, strlen("to=")));
	json_put(o, "users", slice_from(users, strlen("users=")));
	return o;
}

static void
await_list(struct api_call *call)
{
	struct store_memo_list_in in = { .kind = S("relay-domain"), .max = 1000 };
	struct store_memo_list_out out;
	in.after = slice_part(api_query(call, S("after")), 0, DOMAIN_BYTES_MAX);
	if (api_failed(call, await_store_memo_list(&call->session->store, &in, call->arena, &out), "relay domains", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++)
		json_array_append_new(list, domain_json(&out.memos[i]));
	json_object_set_new(o, "domains", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

/* What is ours cannot be somebody else's. */
static enum err
await_is_ours(struct api_call *call, struct slice domain, bool *ours)
{
	struct store_resolve_in in = { .address = arena_join(call->arena, S("postmaster@"), domain) };
	struct store_resolve_out out = { 0 };
	enum err e = await_store_resolve(&call->session->store, &in, call->arena, &out);
	*ours = e == OK && out.local;
	return e;
}

static void
await_add(struct api_call *call)
{
	struct slice domain, to, users;
	bool ours;
	if (!api_text_needed(call, "domain", &domain) || !api_text_needed(call, "to", &to) ||
	    !api_text(call, "users", &users))
		return;
	domain = lower(call->arena, domain);
	users = users.len ? users : S("list");
	enum err e = is_domain(domain) ? await_is_ours(call, domain, &ours) : ERR_SYNTAX;
	if (e == OK && ours)
		e = ERR_EXISTS;
	if (api_failed(call, e, "domain", domain))
		return;
	if (!is_target(to) || !is_users(users)) {
		api_error(call, 400, "to is HOST[:PORT] with commas between, or mx; users is list, ask or any", NULL);
		return;
	}
	struct store_memo memo = { S("relay-domain"), domain,
		                       arena_printf(call->arena, "users=%.*s to=%.*s", SLICE_ARG(users), SLICE_ARG(to)),
		                       MEMO_FOREVER };
	if (!api_failed(call, await_memos_put(call, &memo, 1), "domain", domain))
		api_answer(call, 201, domain_json(&memo));
}

static enum err
await_known(struct api_call *call, struct slice domain)
{
	struct store_memo_get_in in = { .kind = S("relay-domain"), .name = domain };
	struct store_memo_get_out out;
	enum err e = await_store_memo_get(&call->session->store, &in, call->arena, &out);
	return e ? e : out.found ? OK : ERR_NOT_FOUND;
}

/* Its users page by page, then the domain. */
static void
await_delete(struct api_call *call)
{
	struct slice domain = lower(call->arena, slice_part(call->words[0], 0, DOMAIN_BYTES_MAX));
	struct store_memo_list_in in = { .kind = S("relay-user"), .max = AT_ONCE };
	struct store_memo_list_out out = { .more = true };
	struct store_memo gone = { S("relay-domain"), domain, S(""), 0 };
	in.prefix = arena_join(call->arena, domain, S("/"));
	enum err e = await_known(call, domain);
	while (!e && out.more) {
		e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
		for (uint32_t i = 0; i < out.nmemos && !e; i++)
			out.memos[i].until = 0;
		if (!e && out.nmemos)
			e = await_memos_put(call, out.memos, out.nmemos);
	}
	e = e ? e : await_memos_put(call, &gone, 1);
	if (!api_failed(call, e, "relay domain", domain))
		api_answer(call, 204, NULL);
}

/* ---- users */

static void
await_users(struct api_call *call)
{
	struct slice domain = lower(call->arena, slice_part(call->words[0], 0, DOMAIN_BYTES_MAX)), local;
	struct store_memo_list_in in = { .kind = S("relay-user"), .max = 1000 };
	struct store_memo_list_out out;
	in.prefix = arena_join(call->arena, domain, S("/"));
	if (api_query(call, S("after")).len)
		in.after = arena_join(call->arena, in.prefix, slice_part(api_query(call, S("after")), 0, 300));
	enum err e = await_known(call, domain);
	e = e ? e : await_store_memo_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "relay domain", domain))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos; i++) {
		slice_cut(out.memos[i].name, '/', &domain, &local);
		json_array_append_new(list, json_slice(local));
	}
	json_object_set_new(o, "users", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

/* "user", or with its domain. */
static bool
user_memo(struct api_call *call, struct slice domain, const json_t *j, int64_t until, struct store_memo *memo)
{
	struct slice user = j && json_is_string(j) ? slice_of(json_string_value(j), json_string_length(j)) : SLICE_NONE;
	ptrdiff_t at = slice_find_last_char(user, '@');
	if (at >= 0 && !slice_equal_nocase(slice_from(user, (size_t)at + 1), domain))
		return false;
	user = lower(call->arena, at >= 0 ? slice_part(user, 0, (size_t)at) : user);
	*memo = (struct store_memo){ S("relay-user"),
		                         arena_join(call->arena, arena_join(call->arena, domain, S("/")), user), S(""), until };
	return user.len > 0 && user.len <= 256 && !slice_has_control(user);
}

static bool
await_change(struct api_call *call, struct slice domain, const char *name, int64_t until)
{
	const json_t *list = call->body ? json_object_get(call->body, name) : NULL;
	struct store_memo memos[AT_ONCE];
	size_t n = json_array_size(list);
	bool good = !list || (json_is_array(list) && n <= NAMES_MAX);
	for (size_t i = 0; i < n && good; i += AT_ONCE) {
		uint32_t k = 0;
		for (; k < AT_ONCE && i + k < n && good; k++)
			good = user_memo(call, domain, json_array_get(list, i + k), until, &memos[k]);
		if (good && api_failed(call, await_memos_put(call, memos, k), "users of", domain))
			return false;
	}
	if (!good)
		api_error(call, 400, "add and remove are lists of up to 1,000 users of that domain", NULL);
	return good;
}

static void
await_users_change(struct api_call *call)
{
	struct slice domain = lower(call->arena, slice_part(call->words[0], 0, DOMAIN_BYTES_MAX));
	if (api_failed(call, await_known(call, domain), "relay domain", domain))
		return;
	if (await_change(call, domain, "add", MEMO_FOREVER) && await_change(call, domain, "remove", 0))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/relay-domains", await_list },
	{ "POST", "/api/v1/relay-domains", await_add },
	{ "DELETE", "/api/v1/relay-domains/{}", await_delete },
	{ "GET", "/api/v1/relay-domains/{}/users", await_users },
	{ "POST", "/api/v1/relay-domains/{}/users", await_users_change },
};
const struct api_rows relay_domain_methods = { rows, COUNT_OF(rows) };
