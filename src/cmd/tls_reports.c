/* SPDX-License-Identifier: Apache-2.0 */
/* tls_reports.c - posthouse tls-reports: what others reported about TLS to us (RFC 8460), what we reported to others,
 * and what will be reported next. */
#include "cmd/cmd.h"

struct listing {
	struct table table;
	struct arena *arena;
	/* received: the row under way, of one day, domain and organization */
	int64_t day;
	const char *domain, *organization, *why;
	uint64_t reports, good, bad;
};

static const char *
number(struct listing *l, uint64_t n)
{
	return arena_printf(l->arena, "%llu", (unsigned long long)n).at;
}

static const char *
day_text(struct listing *l, int64_t day)
{
	return slice_keep_text(l->arena, slice_part(slice_text(cmd_when(l->arena, day * 86400)), 0, 10));
}

/* The kind of failure that was met most. */
static const char *
worst(struct listing *l, const json_t *report)
{
	size_t i;
	const json_t *f, *most = NULL;
	json_array_foreach(json_object_get(report, "failures"), i,
	                   f) if (!most || cmd_number(f, "count") > cmd_number(most, "count")) most = f;
	if (!most)
		return "";
	return arena_printf(l->arena, "%s %s %s", cmd_text(most, "result"), cmd_text(most, "mx"), cmd_text(most, "why")).at;
}

static void
row_end(struct listing *l)
{
	if (l->reports > 0)
		table_add(&l->table, day_text(l, l->day), l->domain, l->organization, number(l, l->reports), number(l, l->good),
		          number(l, l->bad), l->why);
	l->reports = l->good = l->bad = 0;
	l->why = "";
}

/* They come in order of day, domain and organization. */
static void
received_one(const json_t *o, void *arg)
{
	struct listing *l = arg;
	int64_t day = (int64_t)cmd_number(o, "day");
	const char *domain = cmd_text(o, "domain"), *organization = cmd_text(o, "organization");
	if (l->reports == 0 || day != l->day || strcmp(domain, l->domain) != 0 ||
	    strcmp(organization, l->organization) != 0)
		row_end(l);
	l->day = day;
	l->domain = slice_keep_text(l->arena, slice_text(domain));
	l->organization = slice_keep_text(l->arena, slice_text(organization));
	l->reports++;
	l->good += cmd_number(o, "success");
	l->bad += cmd_number(o, "failure");
	if (!*l->why)
		l->why = worst(l, o);
}

static int
print(struct args *a, struct listing *l, int code, const char *none)
{
	if (code != EXIT_DONE || a->json)
		return code;
	if (l->table.nrows == 1)
		puts(none);
	else
		table_print(&l->table);
	return EXIT_DONE;
}

static int
received(struct args *a)
{
	struct listing l = { .arena = a->arena, .why = "" };
	table_init(&l.table, a->arena, 7, "DAY", "DOMAIN", "FROM", ">REPORTS", ">GOOD", ">FAILED", "MOST OFTEN");
	int code = cmd_list(a, "/api/v1/tls-reports/received", "reports", "name", received_one, &l);
	row_end(&l);
	return print(a, &l, code, "nobody reported to us (see tls-report.address)");
}

static void
sent_one(const json_t *o, void *arg)
{
	struct listing *l = arg;
	const char *to = cmd_text(o, "to");
	table_add(&l->table, day_text(l, (int64_t)cmd_number(o, "day")), cmd_text(o, "domain"),
	          number(l, cmd_number(o, "success")), number(l, cmd_number(o, "failure")),
	          cmd_when(l->arena, (int64_t)cmd_number(o, "at")),
	          *to ? slice_keep_text(l->arena, slice_text(to))
	              : arena_printf(l->arena, "given up: %s", cmd_text(o, "why")).at);
}

static int
sent(struct args *a)
{
	struct listing l = { .arena = a->arena };
	table_init(&l.table, a->arena, 6, "DAY", "DOMAIN", ">GOOD", ">FAILED", "SENT", "TO");
	return print(a, &l, cmd_list(a, "/api/v1/tls-reports/sent", "reports", "name", sent_one, &l),
	             "no report was sent yet");
}

static void
waiting_one(const json_t *o, void *arg)
{
	struct listing *l = arg;
	table_add(&l->table, day_text(l, (int64_t)cmd_number(o, "day")), cmd_text(o, "domain"),
	          number(l, cmd_number(o, "success")), number(l, cmd_number(o, "failure")),
	          cmd_when(l->arena, (int64_t)cmd_number(o, "due")), number(l, cmd_number(o, "tries")));
}

static int
waiting(struct args *a)
{
	struct listing l = { .arena = a->arena };
	table_init(&l.table, a->arena, 6, "DAY", "DOMAIN", ">GOOD", ">FAILED", "DUE", ">TRIES");
	return print(a, &l, cmd_list(a, "/api/v1/tls-reports/waiting", "reports", "name", waiting_one, &l),
	             "no report waits");
}

static int
reports(struct args *a)
{
	const char *which = a->nwords ? a->words[0] : "received";
	if (strcmp(which, "received") == 0)
		return received(a);
	if (strcmp(which, "sent") == 0)
		return sent(a);
	if (strcmp(which, "waiting") == 0)
		return waiting(a);
	return cmd_fail(a, "say received, sent or waiting", "'%.40s' is no list of reports", which);
}

static const struct verb rows[] = {
	{ "tls-reports", NULL, reports, 0, 1, 0, "tls-reports [received|sent|waiting]",
	  "reports about TLS: of others, ours, those to come" },
};
const struct verbs tls_report_verbs = { rows, COUNT_OF(rows) };
