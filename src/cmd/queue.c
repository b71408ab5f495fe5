/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - posthouse queue ...: mail that waits to leave. What changes rows takes the ID of one, or filters: all that
 * match. */
#include "cmd/cmd.h"

#include "base/clock.h"
#include "mail/date.h"

#include <unistd.h>

/* 90s, 15m, 2h, 5d; a number alone is seconds. -1: it is none. */
static int64_t
span_of(const char *text)
{
	static const struct {
		char unit;
		int64_t sec;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct slice s = slice_text(text);
	int64_t factor = 1;
	uint64_t n;
	for (size_t i = 0; i < COUNT_OF(units) && s.len; i++)
		if (s.at[s.len - 1] == units[i].unit) {
			factor = units[i].sec;
			s.len--;
			break;
		}
	return slice_to_u64(s, &n) && n < 100000000 ? (int64_t)n * factor : -1;
}

static bool
add_span(struct args *a, const char **path, const char *name, const char *value)
{
	int64_t sec = value ? span_of(value) : 0;
	if (sec < 0) {
		fprintf(stderr, "posthouse: --%s %s is no time such as 15m, 2h or 5d\n", name, value);
		return false;
	}
	if (value)
		*path = arena_printf(a->arena, "%s&%s=%lld", *path, name, (long long)sec).at;
	return true;
}

/* The path with the filters that were given; NULL: one is wrong, which was told. */
static const char *
filtered(struct args *a, const char *path)
{
	const struct {
		const char *name, *value;
	} texts[] = { { "sender", a->sender },
		          { "recipient", a->recipient },
		          { "domain", a->domain },
		          { "reason", a->reason },
		          { "state", a->state } };
	path = arena_printf(a->arena, "%s?", path).at;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i].value)
			path = cmd_path(a, arena_printf(a->arena, "%s&%s=", path, texts[i].name).at, texts[i].value, "");
	return add_span(a, &path, "older", a->older) && add_span(a, &path, "younger", a->younger) ? path : NULL;
}

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
	const char *state = cmd_text(row, "state");
	bool waits = strcmp(state, "held") == 0 || strcmp(state, "paused") == 0 || strcmp(state, "active") == 0;
	int64_t due = (int64_t)cmd_number(row, "due");
	const char *next = waits ? state : due <= l->now ? "now" : cmd_span(l->arena, due - l->now);
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
	const char *path = filtered(a, "/api/v1/queue");
	if (!path)
		return EXIT_USAGE;
	int code = cmd_list(a, path, "rows", "id", list_one, &l);
	if (code != EXIT_DONE || a->json)
		return code;
	if (l.table.nrows == 1)
		puts(a->given & (OPT_FILTER | OPT_DOMAIN) ? "nothing matches" : "the queue is empty");
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

static void
print_attempts(struct args *a, const json_t *row)
{
	const json_t *list = json_object_get(row, "attempts");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *t = json_array_get(list, i);
		const char *server = cmd_text(t, "server");
		printf("tried     %s  %s%s%s\n", cmd_when(a->arena, (int64_t)cmd_number(t, "at")), server, *server ? ": " : "",
		       cmd_text(t, "said"));
	}
}

static void
print_line(const json_t *row, const char *heading, const char *member)
{
	if (*cmd_text(row, member))
		printf("%-10s%s\n", heading, cmd_text(row, member));
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
		print_line(o, "state", "state");
		print_line(o, "held", "hold_reason");
		print_line(o, "rerouted", "reroute");
		print_attempts(a, o);
	}
	json_decref(o);
	return EXIT_DONE;
}

/* Many rows at once: somebody at a terminal is asked. */
static bool
agreed(const struct args *a, const char *done)
{
	char answer[8] = "";
	if ((a->given & OPT_YES) || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "All rows that match: %s. Go on? [y/N] ", done);
	return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

/* verb: of the API; NULL: DELETE. body is taken over. */
static int
change(struct args *a, const char *verb, json_t *body, const char *done)
{
	bool many = a->given & (OPT_ALL | OPT_FILTER | OPT_DOMAIN);
	const char *tail = verb ? arena_printf(a->arena, "/%s", verb).at : "";
	if (many == (a->nwords == 1)) {
		fprintf(stderr, "posthouse: give the ID of one row, or filters, or --all; posthouse queue list shows them\n");
		json_decref(body);
		return EXIT_USAGE;
	}
	const char *path = many ? filtered(a, arena_printf(a->arena, "/api/v1/queue%s", tail).at)
	                        : cmd_path(a, "/api/v1/queue/", a->words[0], tail);
	if (!path || (many && !agreed(a, done))) {
		json_decref(body);
		return path ? EXIT_FAILED : EXIT_USAGE;
	}
	json_t *answer;
	if (!cmd_ask(a, verb ? "POST" : "DELETE", path, body, &answer))
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
	return change(a, "retry", NULL, "will be tried now");
}

static int delete (struct args *a)
{
	return change(a, NULL, NULL, "deleted, without a notice to the sender");
}

static int
hold(struct args *a)
{
	return change(a, "hold", json_pack("{s:s}", "reason", a->why ? a->why : ""), "held until released");
}

static int
release(struct args *a)
{
	return change(a, "release", NULL, "released");
}

static int
bounce(struct args *a)
{
	return change(a, "return", NULL, "returned to the sender");
}

static int
reroute(struct args *a)
{
	if (!a->to) {
		fprintf(stderr, "posthouse: --to HOST[:PORT] is missing; --to default takes the usual routes again\n");
		return EXIT_USAGE;
	}
	bool usual = strcmp(a->to, "default") == 0;
	return change(a, "reroute", json_pack("{s:s}", "to", usual ? "" : a->to),
	              usual ? "will go by the usual routes" : "will go to that host");
}

/* WHEN: in 2h, or 2026-11-22T08:00:00Z. */
static int
due(struct args *a)
{
	int64_t when = 0, span = a->at ? span_of(a->at) : -1;
	if (span >= 0)
		when = clock_wall_sec() + span;
	else if (!a->at || !date_parse_rfc3339(slice_text(a->at), &when)) {
		fprintf(stderr, "posthouse: --at says when: 2h, or 2026-11-22T08:00:00Z\n");
		return EXIT_USAGE;
	}
	return change(a, "due", json_pack("{s:I}", "due", (json_int_t)when), "will be tried then");
}

/* ---- pauses */

static int
pause_scope(struct args *a)
{
	int64_t sec = a->lasts ? span_of(a->lasts) : 0;
	if (sec < 0) {
		fprintf(stderr, "posthouse: --for %s is no time such as 15m, 2h or 5d\n", a->lasts);
		return EXIT_USAGE;
	}
	json_t *body = a->lasts ? json_pack("{s:I}", "seconds", (json_int_t)sec) : NULL;
	return cmd_do(a, "PUT", cmd_path(a, "/api/v1/pauses/", a->words[0], ""), body, "paused: %s", a->words[0]);
}

static int
resume(struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/pauses/", a->words[0], ""), NULL, "goes on: %s", a->words[0]);
}

static void
print_pause(const json_t *row, void *arg)
{
	struct args *a = arg;
	printf("%s until %s\n", cmd_text(row, "scope"), cmd_when(a->arena, (int64_t)cmd_number(row, "until")));
}

static int
pauses(struct args *a)
{
	return cmd_list(a, "/api/v1/pauses", "pauses", "scope", print_pause, a);
}

#define FILTERS (OPT_FILTER | OPT_DOMAIN)
#define MANY (OPT_ALL | FILTERS | OPT_YES)
static const struct verb rows[] = {
	{ "queue", "list", list, 0, 0, FILTERS, "queue list [FILTER]...", "mail that waits to leave" },
	{ "queue", "show", show, 1, 1, 0, "queue show ID", "one row, with its recipients and its history" },
	{ "queue", "retry", retry, 0, 1, MANY, "queue retry ID|FILTER...|--all", "try it now" },
	{ "queue", "delete", delete, 0, 1, MANY, "queue delete ID|FILTER...|--all", "without a notice to the sender" },
	{ "queue", "hold", hold, 0, 1, MANY | OPT_WHY, "queue hold ID|FILTER...|--all [--why TEXT]",
	  "do not try it until released" },
	{ "queue", "release", release, 0, 1, MANY, "queue release ID|FILTER...|--all", "ends a hold" },
	{ "queue", "bounce", bounce, 0, 1, MANY, "queue bounce ID|FILTER...|--all", "return it to its sender now" },
	{ "queue", "reroute", reroute, 0, 1, MANY | OPT_TO, "queue reroute ID|FILTER...|--all --to HOST[:PORT]|default",
	  "send it to that host" },
	{ "queue", "due", due, 0, 1, MANY | OPT_AT, "queue due ID|FILTER...|--all --at WHEN",
	  "change the time of the next try" },
	{ "queue", "pause", pause_scope, 1, 1, OPT_FOR, "queue pause all|domain/D|sender/A [--for TIME]",
	  "nothing of it is sent" },
	{ "queue", "resume", resume, 1, 1, 0, "queue resume all|domain/D|sender/A", "ends a pause" },
	{ "queue", "pauses", pauses, 0, 0, 0, "queue pauses", "what is paused" },
};
const struct verbs queue_verbs = { rows, COUNT_OF(rows) };
