/* SPDX-License-Identifier: Apache-2.0 */
/* reputation.c - posthouse reputation: what other servers made of our mail, and how fast it goes to them now. */
#include "cmd/cmd.h"

#include "base/clock.h"

struct listing {
	struct table table;
	struct arena *arena;
	int64_t now;
};

static const char *
number(struct listing *l, const json_t *o, const char *name)
{
	return arena_printf(l->arena, "%llu", (unsigned long long)cmd_number(o, name)).at;
}

static const char *
pace_text(struct listing *l, const json_t *pace)
{
	if (!json_is_object(pace))
		return "usual";
	int64_t suspended = (int64_t)cmd_number(pace, "suspended");
	if (suspended > l->now)
		return arena_printf(l->arena, "suspended for %s", cmd_span(l->arena, suspended - l->now)).at;
	if (cmd_number(pace, "rate"))
		return arena_printf(l->arena, "%s connections, %s/m", number(l, pace, "connections"), number(l, pace, "rate"))
		    .at;
	return arena_printf(l->arena, "%s connections", number(l, pace, "connections")).at;
}

static void
list_one(const json_t *site, void *arg)
{
	struct listing *l = arg;
	const json_t *pace = json_object_get(site, "pace");
	struct slice why = slice_text(json_is_object(pace) ? cmd_text(pace, "why") : "");
	table_add(&l->table, cmd_text(site, "site"), number(l, site, "accepted"), number(l, site, "deferred"),
	          number(l, site, "refused"), number(l, site, "complained"), pace_text(l, pace),
	          slice_keep_text(l->arena, slice_part(why, 0, 60)));
}

static int
list(struct args *a)
{
	struct listing l = { .arena = a->arena, .now = clock_wall_sec() };
	table_init(&l.table, a->arena, 7, "DESTINATION", ">ACCEPTED", ">DEFERRED", ">REFUSED", ">COMPLAINED", "PACE",
	           "WHY");
	int code = cmd_list(a, "/api/v1/reputation", "sites", "site", list_one, &l);
	if (code != EXIT_DONE || a->json)
		return code;
	if (l.table.nrows == 1)
		puts("nothing was sent yet");
	else
		table_print(&l.table);
	return EXIT_DONE;
}

static void
list_source(const json_t *source, void *arg)
{
	struct listing *l = arg;
	const char *since = cmd_text(source, "since");
	table_add(&l->table, cmd_text(source, "source"), cmd_text(source, "pool"), *since ? since : "warm",
	          number(l, source, "accepted"), number(l, source, "deferred"), number(l, source, "refused"),
	          number(l, source, "complained"));
}

static int
list_sources(struct args *a)
{
	struct listing l = { .arena = a->arena };
	table_init(&l.table, a->arena, 7, "SOURCE", "POOL", "SINCE", ">ACCEPTED", ">DEFERRED", ">REFUSED", ">COMPLAINED");
	int code = cmd_list(a, "/api/v1/reputation/sources", "sources", "source", list_source, &l);
	if (code != EXIT_DONE || a->json)
		return code;
	if (l.table.nrows == 1)
		puts("nothing was sent yet");
	else
		table_print(&l.table);
	return EXIT_DONE;
}

static int
pace_reset(struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/reputation/", a->words[0], "/pace"), NULL,
	              "mail for %s goes at its usual pace again; queue retry sends what waits for it now", a->words[0]);
}

static const struct verb rows[] = {
	{ "reputation", "sources", list_sources, 0, 0, 0, "reputation sources",
	  "what other servers made of mail from each of our addresses" },
	{ "reputation", NULL, list, 0, 0, 0, "reputation", "what other servers made of our mail, how fast it goes there" },
	{ "pace", "reset", pace_reset, 1, 1, 0, "pace reset DESTINATION", "forget what its answers made of its pace" },
};
const struct verbs reputation_verbs = { rows, COUNT_OF(rows) };
