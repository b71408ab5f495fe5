/* SPDX-License-Identifier: Apache-2.0 */
/* verp_test.c - return paths lead back to the recipient that they were made for, and to nobody else. */
#include "mail/verp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TODAY 20779

static const uint8_t master[VERP_KEY_BYTES] = { 1, 2, 3 };

static struct slice
make(struct arena *a, uint64_t account, int64_t day, const char *domain, const char *recipient, bool field)
{
	uint8_t key[VERP_KEY_BYTES];
	struct buf b;
	verp_key(master, account, day, slice_text(domain), key);
	buf_init(&b, 1000);
	bool done = (field ? verp_field_put : verp_put)(&b, key, account, day, slice_text(domain), slice_text(recipient));
	struct slice out = done ? slice_keep(a, buf_slice(&b)) : SLICE_NONE;
	buf_release(&b);
	return out;
}

static bool
check(struct arena *a, struct slice text, bool field, int64_t today, struct verp *v, int64_t *day)
{
	return (field ? verp_field_take : verp_take)(text, a, v) && verp_check(v, master, today, a, day);
}

static void
there_and_back(void **state)
{
	static const struct {
		const char *recipient;
		bool hash;
	} rows[] = { { "user@example.net", false },
		         { "User.Name+tag=x@Example.NET", false },
		         { "a-very-long-local-part-of-an-address@and-a-domain-of-example.net", true },
		         { "\xc3\xa4@example.net", true },
		         { "with space@example.net", true },
		         { "a..b@example.net", true },
		         { "user@[192.0.2.1]", true } };
	struct arena a;
	struct verp v;
	int64_t day;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice path = make(&a, 77, TODAY - 3, "news.example", rows[i].recipient, false);
		assert_true(slice_find_char(path, '@') <= 64);
		assert_true(check(&a, path, false, TODAY, &v, &day));
		assert_int_equal(day, TODAY - 3);
		assert_int_equal(v.account, 77);
		assert_true(slice_equal(v.domain, S("news.example")));
		assert_int_equal(v.recipient.len == 0, rows[i].hash);
		assert_true(verp_is_of(&v, slice_text(rows[i].recipient)));
		assert_false(verp_is_of(&v, S("other@example.net")));
		assert_true(check(&a, slice_keep_upper(&a, path), false, TODAY, &v, &day));
		struct slice field = make(&a, UINT64_MAX, TODAY, "news.example", rows[i].recipient, true);
		assert_true(slice_find_nocase(field, S("user")) < 0);
		assert_true(check(&a, slice_keep_upper(&a, field), true, TODAY, &v, &day));
		assert_true(slice_equal_nocase(v.recipient, slice_text(rows[i].recipient)));
		assert_int_equal(v.account, UINT64_MAX);
	}
	arena_release(&a);
}

static void
every_letter_counts(void **state)
{
	struct arena a;
	struct verp v;
	int64_t day;
	arena_init(&a, 0);
	for (int field = 0; field < 2; field++) {
		struct slice good = make(&a, 5, TODAY, "news.example", "user@example.net", field);
		assert_true(check(&a, good, field, TODAY, &v, &day));
		for (size_t i = 0; i < good.len; i++) {
			char *bad = (char *)slice_keep(&a, good).at;
			bad[i] = bad[i] == 'q' ? 'r' : 'q';
			bool taken = check(&a, slice_of(bad, good.len), field, TODAY, &v, &day);
			if (taken) /* the bits that are left of the last character mean nothing */
				assert_true(field && verp_is_of(&v, S("user@example.net")));
		}
		for (size_t i = 0; i < good.len; i++)
			assert_false(check(&a, slice_part(good, 0, i), field, TODAY, &v, &day));
	}
	arena_release(&a);
}

static void
they_end(void **state)
{
	struct arena a;
	struct verp v;
	int64_t day;
	arena_init(&a, 0);
	for (int64_t made = TODAY; made < TODAY + 1100; made += 37) {
		struct slice path = make(&a, 5, made, "news.example", "user@example.net", false);
		assert_true(check(&a, path, false, made, &v, &day));
		assert_true(check(&a, path, false, made - 1, &v, &day));
		assert_true(check(&a, path, false, made + VERP_DAYS, &v, &day));
		assert_int_equal(day, made);
		assert_false(check(&a, path, false, made + VERP_DAYS + 1, &v, &day));
		assert_false(check(&a, path, false, made + 1024, &v, &day));
	}
	arena_release(&a);
}

static void
what_is_none(void **state)
{
	static const char *const rows[] = { "",
		                                "bounce+",
		                                "bounce@x",
		                                "bounce+aa@x",
		                                "bounce+aabbbbbbbbbbbb=@x",
		                                "bounce+aabbbbbbbbbbbbc@x",
		                                "bounce+aabbbbbbbbbbbbc=x=y@",
		                                "user+aabbbbbbbbbbbbc=x=y@z",
		                                "bounce+aabbbbbbbbbbbbzzzzzzzzzzzzzzzz=x=y@z",
		                                "bounce+1abbbbbbbbbbbbc=x=y@z" };
	struct arena a;
	struct verp v;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_false(verp_take(slice_text(rows[i]), &a, &v));
		assert_false(verp_field_take(slice_text(rows[i]), &a, &v));
	}
	assert_int_equal(make(&a, 1, TODAY, "\xc3\xa4.example", "user@example.net", false).len, 0);
	assert_int_equal(make(&a, 1, TODAY, "", "user@example.net", false).len, 0);
	assert_int_equal(make(&a, 1, TODAY, "news.example", "", true).len, 0);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(every_letter_counts),
		cmocka_unit_test(they_end),
		cmocka_unit_test(what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
