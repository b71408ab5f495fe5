/* SPDX-License-Identifier: Apache-2.0 */
/* domain.c - posthouse domain add|list|show|set|delete. */
#include "cmd/cmd.h"

/* Mail is taken for another server. */
static int
add_relay(struct args *a)
{
	json_t *body = json_object();
	if (!a->relay_to) {
		json_decref(body);
		return cmd_fail(a, "posthouse domain add D --relay-to HOST", "--users is for domains of other servers");
	}
	json_object_set_new(body, "domain", json_string(a->words[0]));
	json_object_set_new(body, "to", json_string(a->relay_to));
	json_object_set_new(body, "users", json_string(a->users ? a->users : "list"));
	return cmd_do(a, "POST", "/api/v1/relay-domains", body, "mail for %s is taken for %s", a->words[0], a->relay_to);
}

static int
add(struct args *a)
{
	if (a->given & OPT_RELAY)
		return add_relay(a);
	json_t *body = json_object();
	json_object_set_new(body, "domain", json_string(a->words[0]));
	return cmd_do(a, "POST", "/api/v1/domains", body, "domain %s added", a->words[0]);
}

static void
print_one(const json_t *row, void *arg)
{
	(void)arg;
	puts(json_is_string(row) ? json_string_value(row) : "");
}

static int
list(struct args *a)
{
	return cmd_list(a, "/api/v1/domains", "domains", NULL, print_one, NULL);
}

static int delete (struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/domains/", a->words[0], ""), NULL, "domain %s deleted",
	              a->words[0]);
}

static const char *
yes_or_no(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name)) ? "yes" : "no";
}

static int
show(struct args *a)
{
	json_t *o;
	if (!cmd_ask(a, "GET", cmd_path(a, "/api/v1/domains/", a->words[0], ""), NULL, &o))
		return EXIT_FAILED;
	if (a->json) {
		cmd_print_json(o);
	} else {
		const char *feedback = cmd_text(o, "feedback");
		printf("verp         %s\nbounces      %s\nfeedback     %s\nunsubscribe  %s\n", yes_or_no(o, "verp"),
		       cmd_text(o, "bounces"), feedback[0] ? feedback : "none", yes_or_no(o, "unsubscribe"));
	}
	json_decref(o);
	return EXIT_DONE;
}

/* "verp=yes", "bounces=forward", "feedback=fbl@example.org" */
static bool
take_setting(struct args *a, const char *word, json_t *body)
{
	struct slice name, value;
	bool good = slice_cut(slice_text(word), '=', &name, &value);
	bool yes = slice_equal(value, S("yes")), none = slice_equal(value, S("none"));
	json_t *j = NULL;
	bool flag = slice_equal(name, S("verp")) || slice_equal(name, S("unsubscribe"));
	if (good && flag && (yes || slice_equal(value, S("no"))))
		j = json_boolean(yes);
	else if (good && (slice_equal(name, S("bounces")) || slice_equal(name, S("feedback"))))
		j = none ? json_null() : json_string(slice_keep_text(a->arena, value));
	if (j)
		json_object_set_new(body, slice_keep_text(a->arena, name), j);
	else
		cmd_fail(a,
		         "verp=yes, verp=no, bounces=count, bounces=forward, feedback=ADDRESS, feedback=none, unsubscribe=yes, "
		         "unsubscribe=no",
		         "'%.60s' is no setting of a domain", word);
	return j != NULL;
}

static int
set(struct args *a)
{
	json_t *body = json_object();
	for (size_t i = 1; i < a->nwords; i++)
		if (!take_setting(a, a->words[i], body)) {
			json_decref(body);
			return EXIT_FAILED;
		}
	return cmd_do(a, "PATCH", cmd_path(a, "/api/v1/domains/", a->words[0], ""), body, "domain %s is set", a->words[0]);
}

static const struct verb rows[] = {
	{ "domain", "add", add, 1, 1, OPT_RELAY, "domain add D [--relay-to HOST [--users list|ask|any]]",
	  "mail for this domain is ours, or is taken for HOST" },
	{ "domain", "list", list, 0, 0, 0, "domain list", "the domains" },
	{ "domain", "show", show, 1, 1, 0, "domain show D", "how it sends bulk mail" },
	{ "domain", "set", set, 2, 10, 0,
	  "domain set D [verp=yes|no] [bounces=count|forward] [feedback=ADDRESS|none] [unsubscribe=yes|no]",
	  "return paths of bulk mail, where complaints come in, links to unsubscribe" },
	{ "domain", "delete", delete, 1, 1, 0, "domain delete D", "once it has no accounts and aliases" },
};
const struct verbs domain_verbs = { rows, COUNT_OF(rows) };
