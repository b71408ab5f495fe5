/* SPDX-License-Identifier: Apache-2.0 */
/* warm_test.c - warm credentials answer only for the same user and password, and go when they must. */
#include "auth/warm.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct warm w;
static const struct warm_account alice = { 7, 3, 5, "alice@example.org" };

static int
setup(void **state)
{
	warm_init(&w);
	warm_keep(&w, S("alice@example.org"), S("secret"), &alice, 1000);
	return 0;
}

static int
teardown(void **state)
{
	warm_release(&w);
	return 0;
}

static bool
look(const char *user, const char *password, int64_t now)
{
	struct warm_account a;
	if (!warm_look(&w, slice_text(user), slice_text(password), now, &a))
		return false;
	assert_int_equal(a.account, 7);
	assert_int_equal(a.generation, 3);
	assert_int_equal(a.rights, 5);
	assert_string_equal(a.address, "alice@example.org");
	return true;
}

static void
only_the_same_ones_are_found(void **state)
{
	assert_true(look("alice@example.org", "secret", 1000));
	assert_false(look("alice@example.org", "Secret", 1000));
	assert_false(look("alice@example.org", "", 1000));
	assert_false(look("bob@example.org", "secret", 1000));
}

static void
they_end_with_their_time(void **state)
{
	assert_true(look("alice@example.org", "secret", 1000 + WARM_LIFETIME_MS - 1));
	assert_false(look("alice@example.org", "secret", 1000 + WARM_LIFETIME_MS));
	assert_int_equal(w.by_user.count, 0);
}

static void
they_end_with_a_change_of_the_account(void **state)
{
	warm_keep(&w, S("bob"), S("x"), &(struct warm_account){ 8, 1, 1, "bob" }, 1000);
	warm_keep(&w, S("ALICE@example.org"), S("secret"), &alice, 1000);
	warm_forget(&w, 7);
	assert_false(look("alice@example.org", "secret", 1000));
	assert_false(look("ALICE@example.org", "secret", 1000));
	assert_int_equal(w.by_user.count, 1);
	warm_forget(&w, 0);
	assert_int_equal(w.by_user.count, 0);
}

static void
a_later_password_replaces_the_earlier(void **state)
{
	warm_keep(&w, S("alice@example.org"), S("newer"), &alice, 1000);
	assert_false(look("alice@example.org", "secret", 1000));
	assert_true(look("alice@example.org", "newer", 1000));
}

static void
a_full_table_drops_the_least_recently_used(void **state)
{
	char user[30];
	for (int i = 0; i < WARM_ENTRIES_MAX + 10; i++) {
		snprintf(user, sizeof user, "u%d", i);
		warm_keep(&w, slice_text(user), S("x"), &alice, 1000);
		if (i % 1000 == 0)
			assert_true(look("alice@example.org", "secret", 1000));
	}
	assert_int_equal(w.by_user.count, WARM_ENTRIES_MAX);
	assert_true(look("alice@example.org", "secret", 1000));
	assert_false(look("u0", "x", 1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_same_ones_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(they_end_with_their_time, setup, teardown),
		cmocka_unit_test_setup_teardown(they_end_with_a_change_of_the_account, setup, teardown),
		cmocka_unit_test_setup_teardown(a_later_password_replaces_the_earlier, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_table_drops_the_least_recently_used, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
