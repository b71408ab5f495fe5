/* SPDX-License-Identifier: Apache-2.0 */
/* lang_test.c - which language is meant, and that texts are translated. */
#include "session/lang.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *range;
	bool found;
	enum lang lang;
} ranges[] = {
	{ "de", true, LANG_DE },        { "DE-at", true, LANG_DE },          { "fr-CA-x-y", true, LANG_FR },
	{ "en-US", true, LANG_EN },     { "i-default", true, LANG_DEFAULT }, { "default", true, LANG_FR },
	{ "*", true, LANG_FR },         { "mul", false, LANG_DEFAULT },      { "", false, LANG_DEFAULT },
	{ "deu", false, LANG_DEFAULT }, { "-", false, LANG_DEFAULT },        { "d-e", false, LANG_DEFAULT },
};

static void
test_ranges(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		enum lang lang;
		if (lang_of_range(slice_text(ranges[i].range), LANG_FR, &lang) != ranges[i].found ||
		    (ranges[i].found && lang != ranges[i].lang))
			fail_msg("%s", ranges[i].range);
	}
	assert_int_equal(lang_preferred(S("de")), LANG_DE);
}

static void
test_texts(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	assert_true(slice_equal(lang_text(LANG_DE, S("copied")), S("kopiert")));
	assert_true(slice_equal(lang_text(LANG_FR, S("created")), S("créé")));
	assert_true(slice_equal(lang_text(LANG_EN, S("copied")), S("copied")));
	assert_true(slice_equal(lang_text(LANG_DE, S("no such text")), S("no such text")));
	assert_true(slice_equal(lang_response(LANG_DE, S("BYE log in again"), &a), S("BYE bitte neu anmelden")));
	assert_true(slice_equal(lang_response(LANG_DE, S("OK [CODE (a)] moved"), &a), S("OK [CODE (a)] verschoben")));
	assert_true(slice_equal(lang_response(LANG_DE, S("OK [CODE"), &a), S("OK [CODE")));
	assert_true(slice_equal(lang_response(LANG_DE, S("12 EXISTS"), &a), S("12 EXISTS")));
	for (enum lang l = LANG_DEFAULT; l < LANG_COUNT; l++)
		assert_true(lang_tag(l).len && slice_is_utf8(lang_name(l)));
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges), cmocka_unit_test(test_texts) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
