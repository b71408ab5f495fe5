/* SPDX-License-Identifier: Apache-2.0 */
/* password_test.c - hashes of many servers are checked; what cannot be checked is refused when it is brought. */
#include "auth/password.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *what, *password, *hash;
} rows[] = {
	{ "argon2id", "password",
	  "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc" },
	{ "argon2i", "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA" },
	{ "SHA-512 crypt", "Secret-1",
	  "$6$saltsalt$.IvaZon6y00v95Hmay7einEVFelkigBGC5i8QyHClswv//RiyLclHW9Onx7i3HVkSo8kZBnUub4DjuhjzBNQO1" },
	{ "SHA-256 crypt", "Secret-1", "$5$saltsalt$M0.P4OgsG4e7kwDw2r9mfa0JmFzTlB/ml1ZXy/hUcr." },
	{ "MD5 crypt", "Secret-1", "$1$saltsalt$8yk2Ya3KpfWOH4Sa.L8g21" },
	{ "yescrypt", "Secret-1", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$lFcKTSQFcbAeVebKRcQAeF1qrUjBwkVYw65W2TgF/29" },
	{ "bcrypt", "Secret-1", "$2b$05$abcdefghijklmnopqrstuuMXVsYZP0CjABc7bmWvnIvg1aikYsf.C" },
	{ "with a prefix", "Secret-1", "{CRYPT}$1$saltsalt$8yk2Ya3KpfWOH4Sa.L8g21" },
	{ "with a longer prefix", "Secret-1", "{sha256-crypt}$5$saltsalt$M0.P4OgsG4e7kwDw2r9mfa0JmFzTlB/ml1ZXy/hUcr." },
	{ "salted SHA-1", "Secret-1", "{SSHA}VqXjWZxhXGFGOjVVPNuzTDjGAuNzYWx0c2FsdA==" },
	{ "salted SHA-256", "Secret-1", "{SSHA256}1nEgRL0chpt3qkNEWT8T7UYKuelexG4osek0PTgrEEtzYWx0c2FsdA==" },
	{ "salted SHA-512", "Secret-1",
	  "{SSHA512}"
	  "Zlp6JrHFUa1n4dhI6cfuDRWR7PYvrPYpEPao4mUDKsBAjUOOUrYejKCy8IkzVPazgujEockvviQ3qxzP23XWRXNhbHRzYWx0" },
};

static void
known_hashes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice hash = slice_text(rows[i].hash);
		if (password_check(slice_text(rows[i].password), hash) != OK)
			fail_msg("%s: the password does not fit", rows[i].what);
		if (password_check(S("secret-1"), hash) != ERR_DENIED || password_check(S(""), hash) != ERR_DENIED)
			fail_msg("%s: another password fits", rows[i].what);
		if (password_hash_refused(hash))
			fail_msg("%s: %s", rows[i].what, password_hash_refused(hash));
	}
}

static const char *const strange[] = {
	"",
	"password",
	"{PLAIN}password",
	"{SSHA}",
	"{SSHA}!!!!",
	"{SSHA}VqXjWZxhXGFGOjVVPNuzTDjGAuM=", /* no salt */
	"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
	"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", /* 4 GiB */
	"$argon2id$v=19$m=65536,t=4000000000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=0,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$9$what$ever",
	"$1$salt salt$x",
};

static void
strange_hashes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(strange); i++) {
		if (password_check(S("password"), slice_text(strange[i])) == OK)
			fail_msg("'%s' fits", strange[i]);
		if (!password_hash_refused(slice_text(strange[i])))
			fail_msg("'%s' is taken", strange[i]);
	}
}

static void
our_own(void **state)
{
	char one[PASSWORD_HASH_BYTES_MAX], two[PASSWORD_HASH_BYTES_MAX];
	struct password_cost cost = { 64 << 10, 1 };
	struct slice password = S("p\0ss \xc3\xa4"); /* NUL is data */
	assert_int_equal(password_hash(password, cost, one), OK);
	assert_int_equal(password_hash(password, cost, two), OK);
	assert_string_not_equal(one, two);
	assert_true(slice_starts(slice_text(one), S("$argon2id$v=19$m=64,t=1,p=1$")));
	assert_int_equal(password_check(password, slice_text(one)), OK);
	assert_int_equal(password_check(S("p"), slice_text(one)), ERR_DENIED);
	assert_null(password_hash_refused(slice_text(one)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(strange_hashes),
		cmocka_unit_test(our_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
