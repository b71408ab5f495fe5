/* SPDX-License-Identifier: Apache-2.0 */
/* command_test.c - what is typed is understood, or told what is meant. */
#include "cmd/cmd.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORDS_MAX 12

/* Splits at spaces. */
static const struct verb *
parse(struct arena *a, const char *line, struct args **args, const char **why)
{
	char *argv[WORDS_MAX] = { (char *)"posthouse" };
	int argc = 1;
	struct slice rest = slice_text(line), word;
	for (bool more = true; more && argc < WORDS_MAX; argc++) {
		more = slice_cut(rest, ' ', &word, &rest);
		argv[argc] = (char *)slice_keep_text(a, word);
	}
	*args = ARENA_NEW(a, struct args);
	(*args)->arena = a;
	*why = "";
	return command_parse(argc, argv, *args, why);
}

static const struct {
	const char *line, *says;
} wrong[] = {
	{ "domian list", "is 'domain' meant?" },
	{ "domain lst", "is 'list' meant?" },
	{ "domain", "'domain' needs a verb: add, list, show, set, delete" },
	{ "domain xyzzyplugh", "there are: add, list, show, set, delete" },
	{ "xyzzyplugh", "there is no command 'xyzzyplugh'" },
	{ "sreve", "is 'serve' meant?" },
	{ "domain add", "something is missing; usage: posthouse domain add D" },
	{ "domain list a", "too many words" },
	{ "domain list --jason", "is '--json' meant?" },
	{ "domain list --admin", "'domain list' has no option --admin" },
	{ "domain list -c", "-c needs a value" },
	{ "domain list --json=yes", "--json takes no value" },
	{ "--json", "a command is missing" },
};

static void
what_is_wrong_is_told(void **state)
{
	struct arena a;
	struct args *args;
	const char *why;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_null(parse(&a, wrong[i].line, &args, &why));
		if (!strstr(why, wrong[i].says))
			fail_msg("'%s' is answered with '%s'", wrong[i].line, why);
	}
	arena_release(&a);
}

static void
what_is_right_is_understood(void **state)
{
	struct arena a;
	struct args *args;
	const char *why;
	arena_init(&a, 0);
	const struct verb *v = parse(&a, "-c x.conf account add a@b --admin --quota=2g --json", &args, &why);
	assert_non_null(v);
	assert_string_equal(v->verb, "add");
	assert_string_equal(args->conf_path, "x.conf");
	assert_string_equal(args->quota, "2g");
	assert_true(args->json && (args->given & OPT_ADMIN) && (args->given & OPT_QUOTA));
	assert_int_equal(args->nwords, 1);
	assert_string_equal(args->words[0], "a@b");
	v = parse(&a, "alias delete -- --json", &args, &why);
	assert_non_null(v);
	assert_false(args->json);
	assert_string_equal(args->words[0], "--json");
	assert_non_null(parse(&a, "init here --domain d --port-base 1000", &args, &why));
	assert_string_equal(args->port_base, "1000");
	assert_non_null(parse(&a, "queue retry --all", &args, &why));
	arena_release(&a);
}

static void
paths_are_encoded(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	struct args args = { .arena = &a };
	assert_string_equal(cmd_path(&args, "/x/", "a b/c?d@e%f", "/y"), "/x/a%20b%2Fc%3Fd@e%25f/y");
	arena_release(&a);
}

static void
figures_for_people(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	assert_string_equal(cmd_size(&a, 0), "0 B");
	assert_string_equal(cmd_size(&a, 1536), "1.5 KiB");
	assert_string_equal(cmd_size(&a, (uint64_t)3 << 40), "3.0 TiB");
	assert_string_equal(cmd_span(&a, -5), "0s");
	assert_string_equal(cmd_span(&a, 59), "59s");
	assert_string_equal(cmd_span(&a, 3 * 3600 + 20 * 60), "3h 20m");
	assert_string_equal(cmd_span(&a, 90000), "1d 1h");
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(what_is_right_is_understood),
		cmocka_unit_test(paths_are_encoded),
		cmocka_unit_test(figures_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
