/* SPDX-License-Identifier: Apache-2.0 */
/* domain.c - posthouse domain add|list|delete. */
#include "cmd/cmd.h"

static int
add(struct args *a)
{
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

static const struct verb rows[] = {
	{ "domain", "add", add, 1, 1, 0, "domain add D", "mail for this domain is ours" },
	{ "domain", "list", list, 0, 0, 0, "domain list", "the domains" },
	{ "domain", "delete", delete, 1, 1, 0, "domain delete D", "once it has no accounts and aliases" },
};
const struct verbs domain_verbs = { rows, COUNT_OF(rows) };
