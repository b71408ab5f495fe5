/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - posthouse account limits, posthouse plan list|set|remove. */
#include "cmd/cmd.h"

#include "store/sent.h"

/* other: whose limit counts where there is none. */
static void
print_limits(const json_t *o, const char *other)
{
	for (size_t i = 0; i < SEND_LIMITS; i++) {
		const char *name = send_limit_rows[i].name.at;
		const json_t *value = json_object_get(o, name);
		if (json_is_integer(value))
			printf("%-20s %lld\n", name, (long long)json_integer_value(value));
		else
			printf("%-20s %s\n", name, other);
	}
}

/* "messages-per-hour=100", "messages-per-hour=default", "plan=small", "plan=none" */
static bool
take_limit(struct args *a, const char *word, json_t *body)
{
	struct slice name, value;
	uint64_t n = 0;
	bool good = slice_cut(slice_text(word), '=', &name, &value);
	if (slice_equal(name, S("plan")) && value.len) {
		json_object_set_new(body, "plan",
		                    slice_equal(value, S("none")) ? json_null() : json_stringn(value.at, value.len));
		return true;
	}
	bool none = slice_equal(value, S("default"));
	if (!good || (!none && (!slice_to_u64(value, &n) || n >= SEND_LIMIT_DEFAULT))) {
		cmd_fail(a, "for instance messages-per-hour=100; 0 is no limit, default the server's", "'%.60s' is no limit",
		         word);
		return false;
	}
	json_object_set_new(body, slice_keep_text(a->arena, name), none ? json_null() : json_integer((json_int_t)n));
	return true;
}

/* The words behind the first; NULL: there are none, or one is wrong (*good). */
static json_t *
take_limits(struct args *a, bool *good)
{
	json_t *body = a->nwords > 1 ? json_object() : NULL;
	*good = true;
	for (size_t i = 1; i < a->nwords && *good; i++)
		*good = take_limit(a, a->words[i], body);
	if (!*good) {
		json_decref(body);
		body = NULL;
	}
	return body;
}

static int
limits(struct args *a)
{
	const char *path = cmd_path(a, "/api/v1/accounts/", a->words[0], "/limits"), *plan;
	bool good;
	json_t *o, *body = take_limits(a, &good);
	if (!good || !cmd_ask(a, body ? "PATCH" : "GET", path, body, &o))
		return EXIT_FAILED;
	plan = cmd_text(o, "plan");
	if (a->json) {
		cmd_print_json(o);
	} else {
		printf("%-20s %s\n", "plan", *plan ? plan : "none");
		print_limits(o, *plan ? "the plan's" : "the server's");
	}
	json_decref(o);
	return EXIT_DONE;
}

static int
plan_set(struct args *a)
{
	bool good;
	json_t *o, *body = take_limits(a, &good);
	if (!good || !cmd_ask(a, "PATCH", cmd_path(a, "/api/v1/plans/", a->words[0], ""), body ? body : json_object(), &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else
		print_limits(o, "the server's");
	json_decref(o);
	return EXIT_DONE;
}

static void
print_plan(const json_t *plan, void *arg)
{
	(void)arg;
	printf("%s", cmd_text(plan, "name"));
	for (size_t i = 0; i < SEND_LIMITS; i++) {
		const json_t *value = json_object_get(plan, send_limit_rows[i].name.at);
		if (json_is_integer(value))
			printf(" %s=%lld", send_limit_rows[i].name.at, (long long)json_integer_value(value));
	}
	printf("\n");
}

static int
plan_list(struct args *a)
{
	return cmd_list(a, "/api/v1/plans", "plans", "name", print_plan, NULL);
}

static int
plan_remove(struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/plans/", a->words[0], ""), NULL, "the plan %s is gone",
	              a->words[0]);
}

static const struct verb rows[] = {
	{ "account", "limits", limits, 1, 20, 0, "account limits ADDRESS [plan=PLAN] [NAME=N|NAME=default]...",
	  "what it may send" },
	{ "plan", "list", plan_list, 0, 0, 0, "plan list", "sets of limits that accounts may have" },
	{ "plan", "set", plan_set, 1, 20, 0, "plan set PLAN [NAME=N|NAME=default]...", "what accounts with it may send" },
	{ "plan", "remove", plan_remove, 1, 1, 0, "plan remove PLAN", "one that no account has" },
};
const struct verbs limit_verbs = { rows, COUNT_OF(rows) };
