/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - posthouse breaker list|release|discard, posthouse suppression list|add|remove. */
#include "cmd/cmd.h"

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
