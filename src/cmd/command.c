/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - understands what was typed and runs the verb. What is not understood is told with the nearest thing that
 * would have been; exit code 2. */
#include "cmd/command.h"

#include "cmd/cmd.h"

static const struct verbs *const groups[] = { &init_verbs,   &domain_verbs,     &relay_domain_verbs, &account_verbs,
	                                          &alias_verbs,  &queue_verbs,      &limit_verbs,        &sending_verbs,
	                                          &search_verbs, &reputation_verbs, &tls_report_verbs,   &status_verbs,
	                                          &check_verbs };

static const struct option {
	const char *name, *value; /* value: what follows; NULL: nothing does */
	uint32_t bit;             /* 0: every verb takes it */
	size_t offset;            /* of the value in struct args */
} options[] = {
	{ "-c", "CONF", 0, offsetof(struct args, conf_path) },
	{ "--config", "CONF", 0, offsetof(struct args, conf_path) },
	{ "--json", NULL, 0, 0 },
	{ "--domain", "D", OPT_DOMAIN, offsetof(struct args, domain) },
	{ "--hostname", "H", OPT_HOSTNAME, offsetof(struct args, hostname) },
	{ "--port-base", "N", OPT_PORT_BASE, offsetof(struct args, port_base) },
	{ "--password-stdin", NULL, OPT_PASSWORD_STDIN, 0 },
	{ "--hash-stdin", NULL, OPT_HASH_STDIN, 0 },
	{ "--no-password", NULL, OPT_NO_PASSWORD, 0 },
	{ "--admin", NULL, OPT_ADMIN, 0 },
	{ "--quota", "SIZE", OPT_QUOTA, offsetof(struct args, quota) },
	{ "--pop3-delete-after", "DAYS", OPT_DELETE_AFTER, offsetof(struct args, delete_after) },
	{ "--pop3-hide-after", "DAYS", OPT_HIDE_AFTER, offsetof(struct args, hide_after) },
	{ "--language", "LANGUAGE", OPT_LANGUAGE, offsetof(struct args, language) },
	{ "--moved-to", "URL", OPT_MOVED_TO, offsetof(struct args, moved_to) },
	{ "--moved-open", NULL, OPT_MOVED_OPEN, 0 },
	{ "--messages", "N", OPT_MESSAGES, offsetof(struct args, messages) },
	{ "--mailboxes", "N", OPT_MAILBOXES, offsetof(struct args, mailboxes) },
	{ "--all", NULL, OPT_ALL, 0 },
	{ "--sender", "ADDRESS", OPT_FILTER, offsetof(struct args, sender) },
	{ "--recipient", "ADDRESS", OPT_FILTER, offsetof(struct args, recipient) },
	{ "--reason", "TEXT", OPT_FILTER, offsetof(struct args, reason) },
	{ "--older", "TIME", OPT_FILTER, offsetof(struct args, older) },
	{ "--younger", "TIME", OPT_FILTER, offsetof(struct args, younger) },
	{ "--state", "STATE", OPT_FILTER, offsetof(struct args, state) },
	{ "--yes", NULL, OPT_YES, 0 },
	{ "--to", "HOST", OPT_TO, offsetof(struct args, to) },
	{ "--at", "WHEN", OPT_AT, offsetof(struct args, at) },
	{ "--why", "TEXT", OPT_WHY, offsetof(struct args, why) },
	{ "--for", "TIME", OPT_FOR, offsetof(struct args, lasts) },
	{ "--relay-to", "HOST", OPT_RELAY, offsetof(struct args, relay_to) },
	{ "--users", "HOW", OPT_RELAY, offsetof(struct args, users) },
	{ "--store", NULL, OPT_STORE, 0 },
};

static const char *
nearest(const char *typed, const char *best, const char *candidate, size_t *least)
{
	size_t d = slice_distance(slice_text(typed), slice_text(candidate));
	if (d >= *least)
		return best;
	*least = d;
	return candidate;
}

static size_t
near_enough(const char *typed)
{
	return MAX(strlen(typed) / 3, (size_t)2) + 1;
}

static const struct option *
option_find(const char *typed, size_t len)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, typed, len) == 0)
			return &options[i];
	return NULL;
}

static bool
wrong(struct args *a, const char **why, const char *text)
{
	*why = slice_keep_text(a->arena, slice_text(text));
	return false;
}

static bool
option_unknown(struct args *a, const char *typed, const char **why)
{
	const char *best = NULL;
	size_t least = near_enough(typed);
	for (size_t i = 0; i < COUNT_OF(options); i++)
		best = nearest(typed, best, options[i].name, &least);
	return wrong(a, why,
	             best ? arena_printf(a->arena, "there is no option '%.60s'; is '%s' meant?", typed, best).at
	                  : arena_printf(a->arena, "there is no option '%.60s'", typed).at);
}

/* One option at argv[*i], its value perhaps in the next word or after '='. */
static bool
take_option(struct args *a, int argc, char **argv, int *i, const char **why)
{
	const char *typed = argv[*i], *equals = strchr(typed, '=');
	const struct option *o = option_find(typed, equals ? (size_t)(equals - typed) : strlen(typed));
	if (!o)
		return option_unknown(a, typed, why);
	if (!o->value) {
		if (equals)
			return wrong(a, why, arena_printf(a->arena, "%s takes no value", o->name).at);
		a->json = a->json || o->bit == 0;
	} else if (equals || *i + 1 < argc) {
		const char *value = equals ? equals + 1 : argv[++*i];
		memcpy((char *)a + o->offset, &value, sizeof value);
	} else
		return wrong(a, why, arena_printf(a->arena, "%s needs a value: %s %s", o->name, o->name, o->value).at);
	a->given |= o->bit;
	return true;
}

/* Options out, words left: group, verb and the words after them. */
static bool
take_words(struct args *a, int argc, char **argv, const char **why)
{
	bool only_words = false;
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			if (!take_option(a, argc, argv, &i, why))
				return false;
		} else if (a->nwords == CMD_WORDS_MAX)
			return wrong(a, why, "too many words");
		else
			a->words[a->nwords++] = argv[i];
	}
	return true;
}

static const struct verb *
verb_find(struct args *a, const char **why)
{
	const char *group = a->words[0], *verb = a->nwords > 1 ? a->words[1] : "";
	const char *best_group = NULL, *best_verb = NULL, *verbs = "";
	size_t least_group = near_enough(group), least_verb = near_enough(verb);
	best_group = nearest(group, best_group, "serve", &least_group);
	bool known = false;
	for (size_t g = 0; g < COUNT_OF(groups); g++)
		for (size_t i = 0; i < groups[g]->count; i++) {
			const struct verb *v = &groups[g]->rows[i];
			best_group = nearest(group, best_group, v->group, &least_group);
			if (strcmp(v->group, group) != 0)
				continue;
			known = true;
			if (!v->verb || strcmp(v->verb, verb) == 0)
				return v;
			best_verb = nearest(verb, best_verb, v->verb, &least_verb);
			verbs = arena_printf(a->arena, "%s%s%s", verbs, *verbs ? ", " : "", v->verb).at;
		}
	if (known)
		*why = !*verb      ? arena_printf(a->arena, "'%s' needs a verb: %s", group, verbs).at
		       : best_verb ? arena_printf(a->arena, "there is no '%s %.60s'; is '%s' meant? There are: %s", group, verb,
		                                  best_verb, verbs)
		                         .at
		                   : arena_printf(a->arena, "there is no '%s %.60s'; there are: %s", group, verb, verbs).at;
	else
		*why = best_group
		           ? arena_printf(a->arena, "there is no command '%.60s'; is '%s' meant?", group, best_group).at
		           : arena_printf(a->arena, "there is no command '%.60s'; posthouse --help lists them", group).at;
	return NULL;
}

static bool
options_fit(struct args *a, const struct verb *v, const char **why)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (options[i].bit & a->given & ~v->takes)
			return wrong(a, why,
			             arena_printf(a->arena, "'%s%s%s' has no option %s; usage: posthouse %s", v->group,
			                          v->verb ? " " : "", v->verb ? v->verb : "", options[i].name, v->usage)
			                 .at);
	return true;
}

const struct verb *
command_parse(int argc, char **argv, struct args *a, const char **why)
{
	if (!take_words(a, argc, argv, why))
		return NULL;
	if (a->nwords == 0) {
		*why = "a command is missing; posthouse --help lists them";
		return NULL;
	}
	const struct verb *v = verb_find(a, why);
	if (!v || !options_fit(a, v, why))
		return NULL;
	size_t skip = v->verb ? 2 : 1;
	memmove(a->words, a->words + skip, sizeof a->words - skip * sizeof a->words[0]);
	a->nwords -= skip;
	if (a->nwords < v->least || a->nwords > v->most) {
		*why = arena_printf(a->arena, "%s; usage: posthouse %s",
		                    a->nwords < v->least ? "something is missing" : "too many words", v->usage)
		           .at;
		return NULL;
	}
	return v;
}

static int
help(void)
{
	puts("posthouse - a mail house in one program\n\nusage: posthouse [-c CONF] [--json] COMMAND ...\n");
	printf("  %-58s %s\n", "serve -c CONF [--one-process]", "run the server in the foreground");
	for (size_t g = 0; g < COUNT_OF(groups); g++)
		for (size_t i = 0; i < groups[g]->count; i++)
			printf("  %-58s %s\n", groups[g]->rows[i].usage, groups[g]->rows[i].help);
	puts("\nWithout -c: posthouse.conf in this folder, else /etc/posthouse/posthouse.conf.\n"
	     "Exit codes: 0 done, 1 failed, 2 not understood. More: posthouse(1), posthouse.conf(5).");
	return EXIT_DONE;
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return argc > 1 && strcmp(argv[1], "help") == 0;
}

int
command_main(int argc, char **argv)
{
	if (asks_for_help(argc, argv))
		return help();
	struct arena arena;
	arena_init(&arena, (size_t)1 << 30);
	struct args *a = ARENA_NEW(&arena, struct args);
	a->arena = &arena;
	const char *why = NULL;
	const struct verb *v = command_parse(argc, argv, a, &why);
	int code = EXIT_USAGE;
	if (v)
		code = v->run(a);
	else
		fprintf(stderr, "posthouse: %s\n", why);
	conf_free(&a->conf);
	arena_release(&arena);
	if (fflush(stdout) != 0 && code == EXIT_DONE)
		code = EXIT_FAILED;
	return code;
}
