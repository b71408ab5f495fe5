/* SPDX-License-Identifier: Apache-2.0 */
/* alias.c - posthouse alias add|list|delete. */
#include "cmd/cmd.h"

static int
add(struct args *a)
{
	json_t *body = json_object(), *targets = json_array();
	for (size_t i = 1; i < a->nwords; i++)
		json_array_append_new(targets, json_string(a->words[i]));
	json_object_set_new(body, "address", json_string(a->words[0]));
	json_object_set_new(body, "targets", targets);
	return cmd_do(a, "POST", "/api/v1/aliases", body, "mail for %s goes to %zu address%s more", a->words[0],
	              a->nwords - 1, a->nwords == 2 ? "" : "es");
}

static void
print_one(const json_t *row, void *arg)
{
	(void)arg;
	const json_t *targets = json_object_get(row, "targets");
	printf("%s ->", cmd_text(row, "address"));
	for (size_t i = 0; i < json_array_size(targets); i++)
		printf(" %s", json_string_value(json_array_get(targets, i)));
	putchar('\n');
}

static int
show(struct args *a)
{
	json_t *o;
	if (!cmd_ask(a, "GET", cmd_path(a, "/api/v1/aliases/", a->words[0], ""), NULL, &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else
		print_one(o, NULL);
	json_decref(o);
	return EXIT_DONE;
}

static int
list(struct args *a)
{
	return a->nwords ? show(a) : cmd_list(a, "/api/v1/aliases", "aliases", "address", print_one, NULL);
}

static int delete (struct args *a)
{
	const char *path = cmd_path(a, "/api/v1/aliases/", a->words[0], "");
	for (size_t i = 1; i < a->nwords; i++)
		path = cmd_path(a, arena_printf(a->arena, "%s%starget=", path, i == 1 ? "?" : "&").at, a->words[i], "");
	return cmd_do(a, "DELETE", path, NULL, a->nwords > 1 ? "targets of alias %s deleted" : "alias %s deleted",
	              a->words[0]);
}

static const struct verb rows[] = {
	{ "alias", "add", add, 2, CMD_WORDS_MAX, 0, "alias add ADDRESS TARGET...", "mail for ADDRESS goes to them too" },
	{ "alias", "list", list, 0, 1, 0, "alias list [ADDRESS]", "the aliases" },
	{ "alias", "delete", delete, 1, CMD_WORDS_MAX, 0, "alias delete ADDRESS [TARGET...]",
	  "all of it, or some targets" },
};
const struct verbs alias_verbs = { rows, COUNT_OF(rows) };
