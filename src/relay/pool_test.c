/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c - which pool mail goes out from, and that warm-up plans are kept to the message. */
#include "relay/pool.h"

#include "store/rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY 86400
#define BORN "2026-11-01"
#define BORN_DAY INT64_C(20758)

static struct conf *
conf_of(const char *lines)
{
	struct arena a;
	struct conf_error errors[4];
	size_t n = 0;
	arena_init(&a, 0);
	struct slice text = arena_printf(&a, "hostname = mail.example.org\n%s", lines);
	struct conf *c = conf_parse(text, "test", "/", &a, errors, COUNT_OF(errors), &n);
	if (!c)
		print_message("%s\n", n ? errors[0].text : "?"); /* shown when it is not expected */
	arena_release(&a);
	return c;
}

static void
mail_finds_its_pool(void **state)
{
	(void)state;
	struct conf *c = conf_of("source = 192.0.2.1\nsource = 192.0.2.2 pool=news\nsource = 2001:db8::2 pool=news\n"
	                         "source = 192.0.2.3 pool=shop\npool = shop example.com .example.com\npool = news bulk\n");
	static const struct {
		unsigned class;
		const char *domain, *pool;
	} rows[] = {
		{ CLASS_BULK, "example.org", "news" },           { CLASS_PERSONAL, "example.org", "default" },
		{ CLASS_BULK, "Example.com", "shop" },           { CLASS_PERSONAL, "a.example.com", "shop" },
		{ CLASS_PERSONAL, "badexample.com", "default" }, { CLASS_NOTICE, "", "default" },
	};
	assert_non_null(c);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(pool_of(c, rows[i].class, slice_text(rows[i].domain)), rows[i].pool);
	conf_free(&c);
	c = conf_of("");
	assert_null(pool_of(c, CLASS_BULK, S("example.org")));
	conf_free(&c);
}

static void
every_source_of_a_pool_has_its_share(void **state)
{
	(void)state;
	struct conf *c = conf_of("source = 192.0.2.1\nsource = 192.0.2.2 pool=news\nsource = 192.0.2.9\n"
	                         "source = 2001:db8::2 pool=news\nsource = 192.0.2.3 pool=news\n");
	struct pool_counts counts = { 0 };
	unsigned second = 0, third = 0;
	for (uint64_t pick = 0; pick < 1000; pick++) {
		struct pool_ask ask = { .pool = "news", .family = 4, .more = 1, .bulk = true, .now = DAY, .pick = pick };
		const struct conf_source *s = pool_pick(c, &counts, &ask);
		second += strcmp(s->address, "192.0.2.2") == 0;
		third += strcmp(s->address, "192.0.2.3") == 0;
		ask.family = 6;
		assert_string_equal(pool_pick(c, &counts, &ask)->address, "2001:db8::2");
		ask.pool = "none";
		assert_null(pool_pick(c, &counts, &ask));
	}
	assert_int_equal(second, 500);
	assert_int_equal(third, 500);
	pool_counts_release(&counts);
	conf_free(&c);
}

/* As many as its source may send at that time, several connections at once. */
static uint32_t
send_all(const struct conf *c, struct pool_counts *counts, int64_t now, unsigned at_once)
{
	struct pool_ask ask = { .pool = "default", .family = 4, .more = 1, .bulk = true, .now = now };
	const struct conf_source *s;
	uint32_t sent = 0, n = at_once;
	while (n == at_once) {
		for (n = 0; n < at_once && (s = pool_pick(c, counts, &ask)); n++)
			pool_begin(c, counts, s->address, 1, now);
		for (unsigned i = 0; i < n; i++)
			pool_end(counts, "192.0.2.1", 1, 1);
		sent += n;
		assert_in_range(sent, 0, 1000);
	}
	return sent;
}

static void
a_new_source_is_warmed_up(void **state)
{
	(void)state;
	struct conf *c = conf_of("source = 192.0.2.1 since=" BORN "\nrelay.warm-up = 3 10 100\n");
	struct pool_counts counts = { 0 };
	int64_t born = BORN_DAY * DAY;
	struct pool_ask ask = { .pool = "default", .more = 1, .bulk = true, .now = born - 1 };
	assert_non_null(c);
	assert_null(pool_pick(c, &counts, &ask)); /* not yet */
	assert_int_equal(send_all(c, &counts, born, 1), 3);
	assert_int_equal(send_all(c, &counts, born + DAY - 1, 1), 0);
	assert_int_equal(send_all(c, &counts, born + DAY, 7), 10);
	assert_int_equal(send_all(c, &counts, born + 2 * DAY + 5, 20), 100);
	ask.now = born + 2 * DAY + 5;
	assert_null(pool_pick(c, &counts, &ask));
	assert_false(pool_may(c, &counts, "192.0.2.1", &ask));
	ask.bulk = false; /* a letter goes */
	assert_true(pool_may(c, &counts, "192.0.2.1", &ask));
	ask.bulk = true;
	ask.now = born + 3 * DAY;
	ask.more = 100000;
	assert_non_null(pool_pick(c, &counts, &ask)); /* warm */
	pool_counts_release(&counts);
	conf_free(&c);
}

/* What was not accepted may be sent again; a message for more than a day allows goes alone; a memo carries counts over.
 */
static void
counts(void **state)
{
	(void)state;
	struct conf *c = conf_of("source = 192.0.2.1 since=" BORN "\nsource = 192.0.2.2\nrelay.warm-up = 5\n");
	struct pool_counts here = { 0 }, later = { 0 };
	struct arena a;
	struct pool_ask ask = { .pool = "default", .more = 1, .bulk = true, .now = BORN_DAY * DAY };
	arena_init(&a, 0);
	assert_int_equal(pool_memo(&a, &here).len, 0);
	pool_begin(c, &here, "192.0.2.1", 4, ask.now);
	ask.more = 2;
	assert_false(pool_may(c, &here, "192.0.2.1", &ask));
	pool_end(&here, "192.0.2.1", 4, 0);
	assert_true(pool_may(c, &here, "192.0.2.1", &ask));
	ask.more = 9;
	assert_true(pool_may(c, &here, "192.0.2.1", &ask));
	pool_begin(c, &here, "192.0.2.1", 9, ask.now);
	pool_end(&here, "192.0.2.1", 9, 4);
	assert_false(pool_may(c, &here, "192.0.2.1", &ask));
	pool_begin(c, &here, "192.0.2.2", 9, ask.now); /* warm: not counted */
	struct slice memo = pool_memo(&a, &here);
	assert_string_equal(memo.at, "day=20758 192.0.2.1=4");
	pool_from_memo(&later, memo);
	ask.more = 2;
	assert_false(pool_may(c, &later, "192.0.2.1", &ask));
	ask.more = 1;
	assert_true(pool_may(c, &later, "192.0.2.1", &ask));
	pool_from_memo(&later, S("day=x nonsense ==== 1=2"));
	pool_counts_release(&here);
	pool_counts_release(&later);
	arena_release(&a);
	conf_free(&c);
}

static void
bad_lines(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"source = mail.example.org\n",
		"source = 192.0.2.1 since=2026-13-01\n",
		"source = 192.0.2.1 pool=\n",
		"source = 192.0.2.1 since=yesterday\n",
		"source = 192.0.2.1 x=y\n",
		"pool =\n",
		"pool = a/b\n",
		"pool = a bulk ?\n",
		"relay.warm-up = 1 many\n",
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct conf *c = conf_of(rows[i]);
		if (c)
			fail_msg("taken: %s", rows[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_finds_its_pool),
		cmocka_unit_test(every_source_of_a_pool_has_its_share),
		cmocka_unit_test(a_new_source_is_warmed_up),
		cmocka_unit_test(counts),
		cmocka_unit_test(bad_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
