/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - posthouse breaker list|release|discard, posthouse suppression
 * list|add|import|remove. */
#include "cmd/cmd.h"

#define IMPORT_LINES 1000
#define IMPORT_LINE_BYTES 2000

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
	printf("%s  %s  %s  %s  by %s\n", cmd_text(row, "domain"), cmd_text(row, "address"), cmd_text(row, "words"),
	       json_is_integer(until) ? cmd_when(a->arena, json_integer_value(until)) : "for ever", cmd_text(row, "by"));
}

static int
suppression_list(struct args *a)
{
	const char *path =
	    a->nwords ? cmd_path(a, "/api/v1/suppressions?domain=", a->words[0], "") : "/api/v1/suppressions";
	return cmd_list(a, path, "suppressions", "name", print_suppression, a);
}

/* DOMAIN and, from words[at] on, REASON and DAYS; NULL: told. */
static json_t *
suppression_body(struct args *a, size_t at)
{
	uint64_t days = 0;
	if (a->nwords > at + 1 && !slice_to_u64(slice_text(a->words[at + 1]), &days)) {
		cmd_fail(a, NULL, "'%.40s' is no number of days", a->words[at + 1]);
		return NULL;
	}
	json_t *body = json_object();
	json_object_set_new(body, "domain", json_string(a->words[0]));
	if (a->nwords > at)
		json_object_set_new(body, "reason", json_string(a->words[at]));
	json_object_set_new(body, "days", json_integer((json_int_t)days));
	return body;
}

static int
suppression_add(struct args *a)
{
	json_t *body = suppression_body(a, 2);
	if (!body)
		return EXIT_FAILED;
	json_object_set_new(body, "address", json_string(a->words[1]));
	if (a->nwords > 4)
		json_object_set_new(body, "text", json_string(a->words[4]));
	return cmd_do(a, "POST", "/api/v1/suppressions", body, "%s does not write to %s any more", a->words[0],
	              a->words[1]);
}

/* Up to IMPORT_LINES addresses of standard input, one a line; what follows a comma or white space is not looked at.
 * NULL: it is no UTF-8. */
static json_t *
read_addresses(void)
{
	char line[IMPORT_LINE_BYTES];
	json_t *list = json_array();
	while (json_array_size(list) < IMPORT_LINES && fgets(line, sizeof line, stdin)) {
		line[strcspn(line, ", \t;\r\n")] = '\0';
		if (line[0] != '\0' && line[0] != '#' && json_array_append_new(list, json_string(line)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int
suppression_import(struct args *a)
{
	size_t total = 0;
	for (bool more = true; more;) {
		json_t *list = read_addresses(), *body = suppression_body(a, 1);
		size_t n = json_array_size(list);
		more = n == IMPORT_LINES;
		if (!list || !body) {
			json_decref(list);
			json_decref(body);
			return body ? cmd_fail(a, NULL, "the list is not UTF-8") : EXIT_FAILED;
		}
		json_object_set_new(body, "addresses", list);
		if (n > 0 && !cmd_ask(a, "POST", "/api/v1/suppressions/import", body, NULL))
			return EXIT_FAILED;
		if (n == 0)
			json_decref(body);
		total += n;
	}
	printf("%s does not write to %zu addresses any more\n", a->words[0], total);
	return EXIT_DONE;
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
	{ "suppression", "add", suppression_add, 2, 5, 0, "suppression add DOMAIN ADDRESS [REASON [DAYS [TEXT]]]",
	  "DOMAIN does not write to it; REASON: hard, soft, complaint, unsubscribed, administrator" },
	{ "suppression", "import", suppression_import, 1, 3, 0, "suppression import DOMAIN [REASON [DAYS]] <LIST",
	  "nor to those of a list, one address a line" },
	{ "suppression", "remove", suppression_remove, 2, 2, 0, "suppression remove DOMAIN ADDRESS", "it does again" },
};
const struct verbs sending_verbs = { rows, COUNT_OF(rows) };
