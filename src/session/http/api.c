/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - from a request to the row that answers it, and the words for what went wrong. Called by http.c. */
#include "session/http/api.h"

#include "base/random.h"

static const struct api_rows *const groups[] = { &domain_methods, &account_methods,    &alias_methods,
	                                             &queue_methods,  &limit_methods,      &sending_methods,
	                                             &search_methods, &reputation_methods, &tls_report_methods,
	                                             &status_methods, &referral_methods,   &relay_domain_methods };

void
api_answer(struct api_call *call, unsigned status, json_t *json)
{
	json_decref(call->json);
	call->status = status;
	call->json = json;
}

void
api_error(struct api_call *call, unsigned status, const char *error, const char *hint)
{
	json_t *o = json_object();
	json_put(o, "error", slice_text(error));
	if (hint)
		json_put(o, "hint", slice_text(hint));
	api_answer(call, status, o);
}

struct failure {
	enum err e;
	unsigned status;
	const char *text, *hint;
};
static const struct failure failures[] = {
	{ ERR_NOT_FOUND, 404, "there is no such", "list what there is to see how it is spelled" },
	{ ERR_EXISTS, 409, "there is already such a thing:", "delete it first, or choose another name" },
	{ ERR_BUSY, 409, "still in use:", "delete its accounts and aliases first" },
	{ ERR_SYNTAX, 400, "this is malformed:", "an address is local-part@domain, a domain like example.org" },
	{ ERR_DENIED, 403, "not allowed:", NULL },
	{ ERR_LIMIT, 400, "a limit was passed:", NULL },
	{ ERR_AGAIN, 503, "the server is busy or starting:", "try again in a moment" },
	{ ERR_TIMEOUT, 503, "the server did not answer in time:", "try again in a moment" },
	{ ERR_CLOSED, 503, "the server is stopping:", "try again in a moment" },
	{ ERR_DISK_FULL, 507, "no space left on the disk:", "make room on the disk that holds the data folder" },
};

bool
api_failed(struct api_call *call, enum err e, const char *noun, struct slice what)
{
	if (e == OK)
		return false;
	for (size_t i = 0; i < COUNT_OF(failures); i++)
		if (failures[i].e == e) {
			struct slice text = arena_printf(call->arena, "%s %s %.*s", failures[i].text, noun, SLICE_ARG(what));
			api_error(call, failures[i].status, slice_trim_end(text).at, failures[i].hint);
			return true;
		}
	struct slice text = arena_printf(call->arena, "%s %.*s: %s", noun, SLICE_ARG(what), err_text(e));
	api_error(call, 500, text.at, "the server's log says more");
	return true;
}

json_t *
json_slice(struct slice s)
{
	json_t *j = json_stringn(s.at ? s.at : "", s.len);
	if (j)
		return j;
	char *ascii = slice_dup(s);
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)ascii[i] >= 0x80)
			ascii[i] = '?';
	j = json_stringn_nocheck(ascii, s.len);
	free(ascii);
	return j;
}

void
json_put(json_t *object, const char *name, struct slice value)
{
	json_object_set_new(object, name, json_slice(value));
}

void
json_put_number(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

static bool
bad_member(struct api_call *call, const char *name, const char *must)
{
	api_error(call, 400, arena_printf(call->arena, "\"%s\" must be %s", name, must).at,
	          "see the manual of the admin API");
	return false;
}

bool
api_text(struct api_call *call, const char *name, struct slice *value)
{
	const json_t *j = json_object_get(call->body, name);
	*value = S("");
	if (!j)
		return true;
	if (!json_is_string(j))
		return bad_member(call, name, "a text");
	*value = slice_of(json_string_value(j), json_string_length(j));
	return !slice_has_control(*value) || bad_member(call, name, "a text without control characters");
}

bool
api_text_needed(struct api_call *call, const char *name, struct slice *value)
{
	if (!api_text(call, name, value))
		return false;
	return value->len > 0 || bad_member(call, name, "there and not empty");
}

bool
api_number(struct api_call *call, const char *name, uint64_t *value)
{
	const json_t *j = json_object_get(call->body, name);
	if (!j)
		return true;
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return bad_member(call, name, "a whole number, not negative");
	*value = (uint64_t)json_integer_value(j);
	return true;
}

struct slice
api_query(struct api_call *call, struct slice name)
{
	struct slice query = call->request->query, value;
	return http_query_next(&query, name, call->arena, &value) ? value : S("");
}

/* ---- which row */

static bool
pattern_matches(struct api_call *call, const char *pattern)
{
	struct slice want = slice_text(pattern), have = call->request->path;
	size_t nwords = 0;
	while (want.len || have.len) {
		struct slice w, h;
		bool more_want = slice_cut(want, '/', &w, &want), more_have = slice_cut(have, '/', &h, &have);
		if (more_want != more_have)
			return false;
		if (slice_equal(w, S("{}"))) {
			ASSERT(nwords < API_WORDS_MAX);
			if (h.len == 0 || !http_decode(h, call->arena, &call->words[nwords++]))
				return false;
		} else if (!slice_equal(w, h))
			return false;
	}
	return true;
}

static const struct api_row *
find_row(struct api_call *call, bool *path_known)
{
	for (size_t g = 0; g < COUNT_OF(groups); g++)
		for (size_t i = 0; i < groups[g]->count; i++) {
			const struct api_row *row = &groups[g]->rows[i];
			if (!pattern_matches(call, row->pattern))
				continue;
			*path_known = true;
			if (slice_equal(call->request->method, slice_text(row->method)))
				return row;
		}
	return NULL;
}

static bool
read_body(struct api_call *call, struct slice body)
{
	json_error_t why;
	call->body = body.len ? json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, &why) : json_object();
	if (call->body && json_is_object(call->body))
		return true;
	const char *hint = call->body ? "an object was expected" : slice_keep_text(call->arena, slice_text(why.text));
	api_error(call, 400, "the body is not the JSON object that was expected", hint);
	return false;
}

/* A password came as a member of the body: its only copy here is wiped before the memory goes back. */
static void
drop_body(struct api_call *call)
{
	const json_t *secret = json_object_get(call->body, "password");
	if (json_is_string(secret))
		secret_wipe((char *)json_string_value(secret), json_string_length(secret));
	json_decref(call->body);
	call->body = NULL;
}

void
await_api(struct api_call *call, struct slice body)
{
	bool path_known = false;
	const struct api_row *row = find_row(call, &path_known);
	if (!row && path_known)
		api_error(call, 405, "this method is not offered here", "GET, POST, PUT, PATCH and DELETE are, see the manual");
	else if (!row)
		api_error(call, 404, "there is nothing at this path", "the admin API begins with /api/v1/");
	else if (read_body(call, body))
		row->await_run(call);
	drop_body(call);
	if (call->status == 0)
		api_error(call, 500, "the method gave no answer", NULL);
}
