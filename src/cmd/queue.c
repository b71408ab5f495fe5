/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - posthouse queue list|show|retry|delete|hold|release: mail that waits to leave. */
#include "cmd/cmd.h"

#include "base/clock.h"

struct listing {
	struct table table;
	struct arena *arena;
	int64_t now;
};

static const char *
last_reply(const json_t *row)
{
	const json_t *recipients = json_object_get(row, "recipients");
	for (size_t i = 0; i < json_array_size(recipients); i++)
		if (*cmd_text(json_array_get(recipients, i), "reply"))
			return cmd_text(json_array_get(recipients, i), "reply");
	return "";
}

static void
list_one(const json_t *row, void *arg)
{
	struct listing *l = arg;
	bool held = json_is_true(json_object_get(row, "held"));
	int64_t due = (int64_t)cmd_number(row, "due");
	const char *next = held ? "held" : due <= l->now ? "now" : cmd_span(l->arena, due - l->now);
	const char *from = cmd_text(row, "from");
	table_add(&l->table, arena_printf(l->arena, "%llu", (unsigned long long)cmd_number(row, "id")).at,
	          cmd_text(row, "domain"), *from ? from : "<>",
	          arena_printf(l->arena, "%zu", json_array_size(json_object_get(row, "recipients"))).at,
	          cmd_size(l->arena, cmd_number(row, "bytes")),
	          cmd_span(l->arena, l->now - (int64_t)cmd_number(row, "born")),
	          arena_printf(l->arena, "%llu", (unsigned long long)cmd_number(row, "tries")).at, next,
	          slice_keep_text(l->arena, slice_part(slice_text(last_reply(row)), 0, 60)));
}

static int
list(struct args *a)
{
	struct listing l = { .arena = a->arena, .now = clock_wall_sec() };
	table_init(&l.table, a->arena, 9, ">ID", "DOMAIN", "FROM", ">TO", ">SIZE", ">AGE", ">TRIES", ">NEXT", "LAST REPLY");
	int code = cmd_list(a, "/api/v1/queue", "rows", "id", list_one, &l);
	if (code != EXIT_DONE || a->json)
		return code;
	if (l.table.nrows == 1)
		puts("the queue is empty");
	else
		table_print(&l.table);
	return EXIT_DONE;
}

static void
print_recipients(const json_t *row)
{
	const json_t *recipients = json_object_get(row, "recipients");
	for (size_t i = 0; i < json_array_size(recipients); i++) {
		const json_t *r = json_array_get(recipients, i);
		printf("to        %s: %s\n", cmd_text(r, "address"), cmd_text(r, "state"));
		if (*cmd_text(r, "reply"))
			printf("          %s: %s\n", cmd_text(r, "server"), cmd_text(r, "reply"));
	}
}

static int
show(struct args *a)
{
	json_t *o;
	if (!cmd_ask(a, "GET", cmd_path(a, "/api/v1/queue/", a->words[0], ""), NULL, &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else {
		printf("id        %llu\nsession   %s\nfrom      <%s>\ndomain    %s\n", (unsigned long long)cmd_number(o, "id"),
		       cmd_text(o, "session"), cmd_text(o, "from"), cmd_text(o, "domain"));
		print_recipients(o);
		printf("size      %s\nborn      %s\nnext try  %s%s\ntries     %llu\n",
		       cmd_size(a->arena, cmd_number(o, "bytes")), cmd_when(a->arena, (int64_t)cmd_number(o, "born")),
		       cmd_when(a->arena, (int64_t)cmd_number(o, "due")),
		       json_is_true(json_object_get(o, "held")) ? " (held: not until it is released)" : "",
		       (unsigned long long)cmd_number(o, "tries"));
	}
	json_decref(o);
	return EXIT_DONE;
}

/* verb: of the API; NULL: DELETE. */
static int
change(struct args *a, const char *verb, const char *done)
{
	bool all = a->given & OPT_ALL;
	if (all == (a->nwords == 1)) {
		fprintf(stderr, "posthouse: give the ID of one row, or --all; posthouse queue list shows them\n");
		return EXIT_USAGE;
	}
	const char *tail = verb ? arena_printf(a->arena, "/%s", verb).at : "";
	const char *path =
	    all ? arena_printf(a->arena, "/api/v1/queue%s", tail).at : cmd_path(a, "/api/v1/queue/", a->words[0], tail);
	json_t *answer;
	if (!cmd_ask(a, verb ? "POST" : "DELETE", path, NULL, &answer))
		return EXIT_FAILED;
	unsigned long long n = cmd_number(answer, "changed");
	if (a->json)
		cmd_print_json(answer);
	else
		printf("%llu queue row%s %s\n", n, n == 1 ? "" : "s", done);
	json_decref(answer);
	return EXIT_DONE;
}

static int
retry(struct args *a)
{
	return change(a, "retry", "will be tried now");
}

static int delete (struct args *a)
{
	return change(a, NULL, "deleted, without a notice to the sender");
}

static int
hold(struct args *a)
{
	return change(a, "hold", "held until released");
}

static int
release(struct args *a)
{
	return change(a, "release", "released");
}

static const struct verb rows[] = {
	{ "queue", "list", list, 0, 0, 0, "queue list", "mail that waits to leave" },
	{ "queue", "show", show, 1, 1, 0, "queue show ID", "one row, with its recipients" },
	{ "queue", "retry", retry, 0, 1, OPT_ALL, "queue retry ID|--all", "try it now" },
	{ "queue", "delete", delete, 0, 1, OPT_ALL, "queue delete ID|--all", "without a notice to the sender" },
	{ "queue", "hold", hold, 0, 1, OPT_ALL, "queue hold ID|--all", "do not try it until released" },
	{ "queue", "release", release, 0, 1, OPT_ALL, "queue release ID|--all", "ends a hold" },
};
const struct verbs queue_verbs = { rows, COUNT_OF(rows) };
