/* SPDX-License-Identifier: Apache-2.0 */
/* sort_test.c - the order that sort_items makes is the one that sort_compare says; SORT and THREAD answer the same from
 * columns (keys_walk.c) as from facts, whatever of the messages is in columns; keys are cut when there are too many. */
#include "session/imap/imap_testing.h"

#include "session/imap/sort.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/random.h"

/* ---- order */

static struct slice
some_text(struct arena *a)
{
	static const char *const parts[] = { "A", "B", "\xc3\x84", "", "LONG ENOUGH", "\x01" };
	struct slice s = S("");
	for (size_t n = (size_t)(random_u64() % 4); n > 0; n--)
		s = arena_join(a, s, slice_text(parts[random_u64() % COUNT_OF(parts)]));
	return s;
}

static void
fill(struct sorting *s, struct sort_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct sort_item){ (uint32_t)i, ARENA_ARRAY(&s->arena, struct sort_key, s->nby) };
		for (size_t k = 0; k < s->nby; k++) {
			int64_t small = (int64_t)(random_u64() % 5) - 2, large = (int64_t)random_u64();
			bool text = s->by[k] && random_u64() % 2;
			items[i].keys[k].number = random_u64() % 4 ? small : large;
			items[i].keys[k].text = text ? some_text(&s->arena) : S("");
		}
	}
}

static void
test_order(void **state)
{
	static const char *const lists[] = { "(DATE)",           "(REVERSE DATE)",    "(ARRIVAL SIZE)",
		                                 "(SUBJECT)",        "(REVERSE SUBJECT)", "(SUBJECT REVERSE FROM DATE)",
		                                 "(REVERSE SIZE CC)" };
	for (size_t round = 0; round < 100 * COUNT_OF(lists); round++) {
		struct sorting s = { .nby = 0 };
		struct cursor c = cursor_of(slice_text(lists[round % COUNT_OF(lists)]));
		size_t n = round % 7 ? (size_t)(random_u64() % 40) : (size_t)(random_u64() % 3000);
		struct sort_item *items = must_calloc(n + 1, sizeof *items), *plain = must_calloc(n + 1, sizeof *plain);
		arena_init(&s.arena, 0);
		assert_true(sort_take_criteria(&c, &s));
		bool text = slice_find(slice_text(lists[round % COUNT_OF(lists)]), S("SUBJECT")) >= 0;
		fill(&s, items, n);
		for (size_t i = 0; i < n && text; i++) /* as keys are made: a text has no number, */
			items[i].keys[0].number = 0;
		for (size_t i = 0; i < n && !text; i++) /* and a number no text */
			items[i].keys[0].text = S("");
		memcpy(plain, items, n * sizeof *items);
		sort_items(&s, items, n);
		if (n)
			qsort_r(plain, n, sizeof *plain, sort_compare, &s);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(items[i].row, plain[i].row);
		free(items);
		free(plain);
		arena_release(&s.arena);
	}
}

/* ---- the same answers */

static struct fake_house house;

static void
add_some(void)
{
	static const char *const subjects[] = { "one", "Re: one", "two", "Fwd: Re: two", "", "=?utf-8?q?=C3=9F?=" };
	static const char *const people[] = { "Ann <ann@x>", "bob@x", "", "\"Q\" <q@y>" };
	fake_mail_reset(0, OK);
	while (fake_mail.n < FAKE_MESSAGES_MAX) {
		uint64_t r = random_u64();
		fake_add(arena_printf(&fake_mail.arena,
		                      "Subject: %s\r\nFrom: %s\r\nTo: %s\r\nCc: %s\r\nDate: %s%u Nov 2026 01:02:03 +0000\r\n"
		                      "Message-ID: <%u@x>\r\nReferences: <%u@x> <%u@x>\r\n\r\n%u\r\n",
		                      subjects[r % 6], people[r / 8 % 4], people[r / 32 % 4], people[r / 128 % 4],
		                      r / 512 % 5 ? "" : "bad ", (unsigned)(r / 4096 % 28 + 1), (unsigned)(r / 65536 % 50),
		                      (unsigned)(r >> 32 & 63), (unsigned)(r >> 40 & 63), (unsigned)(r >> 48)),
		         0);
	}
	for (int i = 0; i < 5; i++)
		fake_remove((size_t)(random_u64() % fake_mail.n));
}

static const char commands[] = "a LOGIN alice@example.test secret\r\n"
                               "b SELECT INBOX\r\n"
                               "c SORT (DATE) UTF-8 ALL\r\n"
                               "d SORT (REVERSE DATE SUBJECT) UTF-8 ALL\r\n"
                               "e SORT (SUBJECT REVERSE ARRIVAL) UTF-8 ALL\r\n"
                               "f SORT (REVERSE FROM TO) UTF-8 5:40\r\n"
                               "g UID SORT (CC SIZE DISPLAYTO) UTF-8 ALL\r\n"
                               "h SORT (DISPLAYFROM REVERSE SIZE) UTF-8 LARGER 200\r\n"
                               "i THREAD REFERENCES UTF-8 ALL\r\n"
                               "j THREAD REFS UTF-8 3:60\r\n"
                               "k UID THREAD ORDEREDSUBJECT UTF-8 ALL\r\n"
                               "l SORT RETURN (PARTIAL 3:9 COUNT) (SUBJECT) UTF-8 ALL\r\n"
                               "m COMPARATOR \"i;octet\"\r\n"
                               "n SORT (SUBJECT) UTF-8 ALL\r\n"
                               "o THREAD ORDEREDSUBJECT UTF-8 ALL\r\n";

static void
run(struct buf *out)
{
	buf_init(out, 1u << 20);
	fake_dialog(&house, LISTEN_IMAP, &imap_protocol, slice_text(commands), 1 << 16, out);
	buf_put_char(out, '\0');
}

/* From the first answer of a search on: what stands before has a name that is new each time. */
static const char *
answers(const struct buf *out)
{
	const char *at = strstr(out->at, "* SORT");
	assert_non_null(at);
	return at;
}

static void
test_same_answers(void **state)
{
	for (int round = 0; round < 30; round++) {
		struct buf from_facts, from_columns;
		add_some();
		keys_walk_rows_min = SIZE_MAX;
		run(&from_facts);
		assert_int_equal(fake_mail.columns_asked, 0);
		keys_walk_rows_min = 1;
		run(&from_columns);
		assert_true(fake_mail.columns_asked > 100);
		assert_non_null(strstr(from_facts.at, "o OK"));
		assert_string_equal(answers(&from_facts), answers(&from_columns));
		buf_release(&from_facts);
		buf_release(&from_columns);
	}
	keys_walk_rows_min = 256;
}

/* ---- the limit of keys */

static void
sorts_as(const char *wanted)
{
	struct buf out;
	run(&out);
	if (!strstr(out.at, wanted))
		fail_msg("not '%s' in %s", wanted, out.at);
	buf_release(&out);
}

/* What differs behind the bytes that count is the same. */
static void
test_keys_are_cut(void **state)
{
	fake_mail_reset(0, OK);
	while (fake_mail.n)
		fake_remove(0);
	for (const char *last = "ba"; *last; last++)
		fake_add(arena_printf(&fake_mail.arena, "Subject: %064d%c\r\n\r\n\r\n", 0, *last), 0);
	for (keys_walk_rows_min = 1; keys_walk_rows_min < 300; keys_walk_rows_min += 255) {
		sort_keys_bytes_max = 256 << 20;
		sorts_as("* SORT 2 1\r\nn OK");
		sort_keys_bytes_max = 100;
		sorts_as("* SORT 1 2\r\nn OK");
	}
	sort_keys_bytes_max = 256 << 20;
	keys_walk_rows_min = 256;
}

static int
open_house(void **state)
{
	log_setup("test", LOG_ERROR, false);
	loop_sim_start(1700000000);
	fake_house_open(&house, "hostname = h.test\nlogin.without-tls = yes\n");
	fake_mail_open(&house);
	return 0;
}

static int
close_house(void **state)
{
	fake_house_close(&house);
	arena_release(&fake_mail.arena);
	loop_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_same_answers),
		                                cmocka_unit_test(test_keys_are_cut) };
	return cmocka_run_group_tests(tests, open_house, close_house);
}
