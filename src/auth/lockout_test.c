/* SPDX-License-Identifier: Apache-2.0 */
/* lockout_test.c - who is slowed and locked, who is not, and that it ends; time is a number here. */
#include "auth/lockout.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct lockout table;
static const struct lockout_rules rules = { 10, 600000 };
static uint8_t here[16], there[16], six[16], six_beside[16], six_elsewhere[16];

static int
setup(void **state)
{
	memset(&table, 0, sizeof table);
	assert_true(lockout_address(S("192.0.2.1"), here));
	assert_true(lockout_address(S("192.0.2.2"), there));
	assert_true(lockout_address(S("2001:db8:1:2:3::4"), six));
	assert_true(lockout_address(S("2001:db8:1:2:ffff::5"), six_beside));
	assert_true(lockout_address(S("2001:db8:1:3::4"), six_elsewhere));
	return 0;
}

static int64_t
wrong(const uint8_t *address, const char *user, const char *password, int64_t now)
{
	return lockout_failed(&table, address, slice_text(user), slice_text(password), rules, now);
}

static void
guess(const uint8_t *address, const char *user, unsigned times, int64_t now)
{
	char password[20];
	for (unsigned i = 0; i < times; i++) {
		snprintf(password, sizeof password, "guess-%u", i);
		wrong(address, user, password, now);
	}
}

static bool
refused(const uint8_t *address, const char *user, int64_t now)
{
	return lockout_refuses(&table, address, slice_text(user), rules, now);
}

static void
a_pair_is_locked_and_nobody_else(void **state)
{
	guess(here, "alice@example.org", 9, 1000);
	assert_false(refused(here, "alice@example.org", 1000));
	guess(here, "alice@example.org", 10, 1000);
	assert_true(refused(here, "alice@example.org", 1000));
	assert_true(refused(here, "Alice@Example.org", 1000)); /* case makes no other user */
	assert_false(refused(there, "alice@example.org", 1000));
	assert_false(refused(here, "bob@example.org", 1000));
}

static void
the_lock_ends_with_the_window(void **state)
{
	guess(here, "alice@example.org", 10, 1000);
	assert_true(refused(here, "alice@example.org", 1000 + rules.window_ms - 1));
	assert_false(refused(here, "alice@example.org", 1000 + rules.window_ms));
	assert_int_equal(wrong(here, "alice@example.org", "x", 1000 + rules.window_ms), LOCKOUT_DELAY_FIRST_MS);
}

static void
delays_grow_and_stop_growing(void **state)
{
	int64_t last = 0;
	for (int i = 0; i < 30; i++) {
		char password[20];
		snprintf(password, sizeof password, "%d", i);
		int64_t d = wrong(here, "alice@example.org", password, i);
		assert_true(d >= last && d <= LOCKOUT_DELAY_MS_MAX);
		last = d;
	}
	assert_int_equal(last, LOCKOUT_DELAY_MS_MAX);
}

static void
the_same_wrong_password_is_one_guess(void **state)
{
	for (int i = 0; i < 100; i++)
		wrong(here, "alice@example.org", "the old one", i);
	assert_false(refused(here, "alice@example.org", 100));
}

static void
an_address_that_tries_many_users_is_locked(void **state)
{
	char user[40];
	for (unsigned i = 0; i < rules.failures_max * LOCKOUT_ADDRESS_FACTOR; i++) {
		snprintf(user, sizeof user, "user%u@example.org", i);
		assert_false(refused(here, "alice@example.org", 5));
		wrong(here, user, "Password1", 5);
	}
	assert_true(refused(here, "alice@example.org", 5));
	assert_false(refused(there, "alice@example.org", 5));
}

static void
success_forgets_the_pair_only(void **state)
{
	guess(here, "alice@example.org", 9, 0);
	lockout_succeeded(&table, here, S("alice@example.org"));
	guess(here, "alice@example.org", 9, 0);
	assert_false(refused(here, "alice@example.org", 0));
}

static void
an_ipv6_host_counts_by_its_64(void **state)
{
	guess(six, "alice@example.org", 10, 0);
	assert_true(refused(six_beside, "alice@example.org", 0));
	assert_false(refused(six_elsewhere, "alice@example.org", 0));
}

static void
what_is_no_address_is_told(void **state)
{
	uint8_t a[16];
	assert_false(lockout_address(S("local"), a));
	assert_false(lockout_address(S(""), a));
	assert_false(lockout_address(S("1.2.3.4.5"), a));
}

static void
a_full_table_forgets_the_oldest(void **state)
{
	char user[40];
	for (unsigned i = 0; i < 200000; i++) {
		snprintf(user, sizeof user, "u%u", i);
		wrong(here, user, "x", (int64_t)i);
	}
	guess(there, "alice@example.org", 10, 200001);
	assert_true(refused(there, "alice@example.org", 200001));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_pair_is_locked_and_nobody_else, setup),
		cmocka_unit_test_setup(the_lock_ends_with_the_window, setup),
		cmocka_unit_test_setup(delays_grow_and_stop_growing, setup),
		cmocka_unit_test_setup(the_same_wrong_password_is_one_guess, setup),
		cmocka_unit_test_setup(an_address_that_tries_many_users_is_locked, setup),
		cmocka_unit_test_setup(success_forgets_the_pair_only, setup),
		cmocka_unit_test_setup(an_ipv6_host_counts_by_its_64, setup),
		cmocka_unit_test_setup(what_is_no_address_is_told, setup),
		cmocka_unit_test_setup(a_full_table_forgets_the_oldest, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
