/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - posthouse account limits, posthouse breaker list|release|discard, posthouse suppression list|add|remove.
 */
#include "cmd/cmd.h"

#include "store/sent.h"

/* ---- limits */

static void
print_limits(const json_t *o)
{
	for (size_t i = 0; i < SEND_LIMITS; i++) {
		const char *name = send_limit_rows[i].name.at;
		const json_t *value = json_object_get(o, name);
		if (json_is_integer(value))
			printf("%-20s %lld\n", name, (long long)json_integer_value(value));
		else
			printf("%-20s the server's\n", name);
	}
}

/* "messages-per-hour=100", "messages-per-hour=default" */
static bool
take_limit(struct args *a, const char *word, json_t *body)
{
	struct slice name, value;
	uint64_t n = 0;
	bool good = slice_cut(slice_text(word), '=', &name, &value);
	bool none = slice_equal(value, S("default"));
	if (!good || (!none && (!slice_to_u64(value, &n) || n >= SEND_LIMIT_DEFAULT))) {
		cmd_fail(a, "for instance messages-per-hour=100; 0 is no limit, default the server's", "'%.60s' is no limit",
		         word);
		return false;
	}
	json_object_set_new(body, slice_keep_text(a->arena, name), none ? json_null() : json_integer((json_int_t)n));
	return true;
}

static int
limits(struct args *a)
{
	const char *path = cmd_path(a, "/api/v1/accounts/", a->words[0], "/limits");
	json_t *o, *body = a->nwords > 1 ? json_object() : NULL;
	for (size_t i = 1; i < a->nwords; i++)
		if (!take_limit(a, a->words[i], body)) {
			json_decref(body);
			return EXIT_FAILED;
		}
	if (!cmd_ask(a, body ? "PATCH" : "GET", path, body, &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else
		print_limits(o);
	json_decref(o);
	return EXIT_DONE;
}

/* ---- breakers */

static void
print_breaker(const json_t *row, void *arg)
{
	(void)arg;
	printf("%s  %s\n", cmd_text(row, "address"), cmd_text(row, "why"));
}

static int
breaker_list(struct args *a)
{
	return cmd_list(a, "/api/v1/breakers", "breakers", "id", print_breaker, NULL);
}

static int
breaker_release(struct args *a)
{
	return cmd_do(a, "POST", cmd_path(a, "/api/v1/breakers/", a->words[0], "/release"), NULL,
	              "%s may send again, and what was held leaves", a->words[0]);
}

static int
breaker_discard(struct args *a)
{
	return cmd_do(a, "POST", cmd_path(a, "/api/v1/breakers/", a->words[0], "/discard"), NULL,
	              "what %s sent and was held is deleted; the account may send again", a->words[0]);
}

/* ---- suppression */

static void
print_suppression(const json_t *row, void *arg)
{
	struct args *a = arg;
	const json_t *until = json_object_get(row, "until");
	printf("%s  %s  %s  %s\n", cmd_text(row, "domain"), cmd_text(row, "address"), cmd_text(row, "reason"),
	       json_is_integer(until) ? cmd_when(a->arena, json_integer_value(until)) : "for ever");
}

static int
suppression_list(struct args *a)
{
	const char *path =
	    a->nwords ? cmd_path(a, "/api/v1/suppressions?domain=", a->words[0], "") : "/api/v1/suppressions";
	return cmd_list(a, path, "suppressions", "name", print_suppression, a);
}

static int
suppression_add(struct args *a)
{
	uint64_t days = 0;
	json_t *body = json_object();
	if (a->nwords > 3 && !slice_to_u64(slice_text(a->words[3]), &days)) {
		json_decref(body);
		return cmd_fail(a, NULL, "'%.40s' is no number of days", a->words[3]);
	}
	json_object_set_new(body, "domain", json_string(a->words[0]));
	json_object_set_new(body, "address", json_string(a->words[1]));
	if (a->nwords > 2)
		json_object_set_new(body, "reason", json_string(a->words[2]));
	json_object_set_new(body, "days", json_integer((json_int_t)days));
	return cmd_do(a, "POST", "/api/v1/suppressions", body, "%s does not write to %s any more", a->words[0],
	              a->words[1]);
}

static int
suppression_remove(struct args *a)
{
	const char *path = cmd_path(a, cmd_path(a, "/api/v1/suppressions/", a->words[0], "/"), a->words[1], "");
	return cmd_do(a, "DELETE", path, NULL, "%s may write to %s again", a->words[0], a->words[1]);
}

static const struct verb rows[] = {
	{ "account", "limits", limits, 1, 20, 0, "account limits ADDRESS [NAME=N|NAME=default]...", "what it may send" },
	{ "breaker", "list", breaker_list, 0, 0, 0, "breaker list", "accounts whose mail is held" },
	{ "breaker", "release", breaker_release, 1, 1, 0, "breaker release ADDRESS", "it may send, and its mail leaves" },
	{ "breaker", "discard", breaker_discard, 1, 1, 0, "breaker discard ADDRESS", "it may send, its mail is deleted" },
	{ "suppression", "list", suppression_list, 0, 1, 0, "suppression list [DOMAIN]",
	  "addresses that a domain of ours does not write to" },
	{ "suppression", "add", suppression_add, 2, 4, 0, "suppression add DOMAIN ADDRESS [REASON [DAYS]]",
	  "DOMAIN does not write to it" },
	{ "suppression", "remove", suppression_remove, 2, 2, 0, "suppression remove DOMAIN ADDRESS", "it does again" },
};
const struct verbs sending_verbs = { rows, COUNT_OF(rows) };
