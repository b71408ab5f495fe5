/* SPDX-License-Identifier: Apache-2.0 */
/* relay_domain.c - posthouse relay list|delete|users|users-add|users-remove: domains whose mail is taken for other
 * servers. domain.c adds them (domain add --relay-to). */
#include "cmd/cmd.h"

#include <stdio.h>

#define AT_ONCE 500 /* users of one request */
#define LINE_BYTES_MAX 1000

static void
print_domain(const json_t *row, void *arg)
{
	(void)arg;
	printf("%s  to %s  users %s\n", cmd_text(row, "domain"), cmd_text(row, "to"), cmd_text(row, "users"));
}

static int
list(struct args *a)
{
	return cmd_list(a, "/api/v1/relay-domains", "domains", "domain", print_domain, NULL);
}

static int delete (struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/relay-domains/", a->words[0], ""), NULL,
	              "mail for %s is not taken any more", a->words[0]);
}

static void
print_user(const json_t *row, void *arg)
{
	(void)arg;
	puts(json_is_string(row) ? json_string_value(row) : "");
}

static int
users(struct args *a)
{
	return cmd_list(a, cmd_path(a, "/api/v1/relay-domains/", a->words[0], "/users"), "users", NULL, print_user, NULL);
}

static bool
put_users(struct args *a, const char *what, json_t *names)
{
	json_t *body = json_object();
	json_object_set_new(body, what, names);
	return cmd_ask(a, "POST", cmd_path(a, "/api/v1/relay-domains/", a->words[0], "/users"), body, NULL);
}

/* Those named, or the lines of the standard input. */
static int
change(struct args *a, const char *what)
{
	json_t *names = json_array();
	char line[LINE_BYTES_MAX];
	bool good = true;
	for (size_t i = 1; i < a->nwords; i++)
		json_array_append_new(names, json_string(a->words[i]));
	while (good && a->nwords == 1 && fgets(line, sizeof line, stdin)) {
		struct slice name = slice_trim(slice_text(line));
		if (name.len == 0)
			continue;
		json_array_append_new(names, json_stringn(name.at, name.len));
		if (json_array_size(names) < AT_ONCE)
			continue;
		good = put_users(a, what, names);
		names = json_array();
	}
	if (!good)
		json_decref(names);
	return good && put_users(a, what, names) ? EXIT_DONE : EXIT_FAILED;
}

static int
users_add(struct args *a)
{
	return change(a, "add");
}

static int
users_remove(struct args *a)
{
	return change(a, "remove");
}

static const struct verb rows[] = {
	{ "relay", "list", list, 0, 0, 0, "relay list", "domains whose mail is taken for other servers" },
	{ "relay", "delete", delete, 1, 1, 0, "relay delete D", "no more of it, and its users are forgotten" },
	{ "relay", "users", users, 1, 1, 0, "relay users D", "for whom mail is taken" },
	{ "relay", "users-add", users_add, 1, CMD_WORDS_MAX, 0, "relay users-add D [USER...]",
	  "for these, too; else for those on standard input, one a line" },
	{ "relay", "users-remove", users_remove, 1, CMD_WORDS_MAX, 0, "relay users-remove D [USER...]",
	  "not for these any more" },
};
const struct verbs relay_domain_verbs = { rows, COUNT_OF(rows) };
