/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys_test.c - columns of sort keys say what facts say, or that a message is not known; one that passes a bound
 * is not; extracts have the columns that were asked for; columns that lie are harmless, and seen by their sums. */
#include "mail/sort_keys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/random.h"
#include "mail/base_subject.h"
#include "mail/charset.h"
#include "mail/fold.h"
#include "mail/search_pack.h"

enum { MESSAGES = 200 };

static const char *const subjects[] = { "",         "Re: one",  "one",        "=?utf-8?q?Stra=C3=9Fe?=",
	                                    "Fwd: two", "\xff\xfe", "[list] Re:", "TWO " };
static const char *const people[] = { "",           "Ann <ann@example.test>", "=?utf-8?q?=C3=84?= <x@y>",
	                                  "g: a@b, c;", "\"Q\" <q@example.test>", "no address at all" };
static const char *const ids[] = { "<a@x>", "<b@x>", "<c@x>", "<A@x>", "none", "<>", "<\"q q\"@x>" };
static const char *const dates[] = { "Sun, 22 Nov 2026 01:02:03 +0100", "Mon, 1 Jan 1990 00:00:00 GMT", "yesterday",
	                                 "" };

#define SOME(list) (list)[random_u64() % COUNT_OF(list)]

struct made {
	struct arena arena;
	struct slice facts[MESSAGES];
	struct buf columns;
};

static struct slice
some_facts(struct arena *a)
{
	struct buf b;
	struct slice message = arena_printf(
	    a, "Subject: %s\r\nFrom: %s\r\nTo: %s\r\nCc: %s\r\nDate: %s\r\nMessage-ID: %s\r\n%s: %s %s %s\r\n\r\nx\r\n",
	    SOME(subjects), SOME(people), SOME(people), SOME(people), SOME(dates), SOME(ids),
	    random_u64() % 2 ? "References" : "In-Reply-To", SOME(ids), SOME(ids), SOME(ids));
	buf_init(&b, FACTS_BYTES_MAX);
	assert_true(facts_of_message(message, &b));
	struct slice kept = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

/* Every ninth record does not read. */
static void
make(struct made *m)
{
	struct sort_keys_maker *maker = sort_keys_maker_new();
	arena_init(&m->arena, 0);
	buf_init(&m->columns, SEARCH_PACK_BYTES_MAX);
	for (int round = 0; round < 2; round++) { /* the maker is empty afterwards */
		buf_clear(&m->columns);
		for (uint32_t i = 0; i < MESSAGES; i++) {
			m->facts[i] = i % 9 == 8 ? S("nonsense") : some_facts(&m->arena);
			sort_keys_add(maker, 5 + 3 * i, m->facts[i]);
		}
		sort_keys_finish(maker, &m->columns);
	}
	sort_keys_maker_free(&maker);
}

static void
made_release(struct made *m)
{
	buf_release(&m->columns);
	arena_release(&m->arena);
	charset_release();
}

static void
check_texts(const struct sort_keys *k, uint32_t i, const struct facts *f)
{
	static const enum facts_id of[] = { FACTS_BASE_SUBJECT, FACTS_SORT_FROM,    FACTS_SORT_TO,
		                                FACTS_SORT_CC,      FACTS_DISPLAY_FROM, FACTS_DISPLAY_TO };
	for (size_t c = 0; c < COUNT_OF(of); c++) {
		struct buf folded;
		buf_init(&folded, 10000);
		fold_put(&folded, facts_get(f, of[c]));
		struct slice text = sort_keys_text(k, (enum sort_keys_column)(SORT_KEYS_SUBJECT + c), i);
		if (!slice_equal(text, buf_slice(&folded)))
			fail_msg("message %u, text %zu: '%.*s'", i, c, SLICE_ARG(text));
		buf_release(&folded);
	}
}

static void
check_ids(const struct sort_keys *k, uint32_t i, const struct facts *f)
{
	struct slice own = facts_get(f, FACTS_MESSAGE_ID), rest = facts_get(f, FACTS_REFERENCES), id;
	uint16_t list[SORT_KEYS_REFERENCES_MAX], number = sort_keys_own_id(k, i);
	uint32_t n = sort_keys_references(k, i, list, SORT_KEYS_REFERENCES_MAX), at = 0;
	assert_true(own.len ? slice_equal(own, sort_keys_id(k, number)) : number == SORT_KEYS_NO_ID);
	for (bool more = rest.len > 0; more; at++) {
		more = slice_cut(rest, '\0', &id, &rest);
		assert_true(at < n && slice_equal(id, sort_keys_id(k, list[at])));
	}
	assert_int_equal(at, n);
}

static void
test_agrees(void **state)
{
	struct made m;
	struct sort_keys k;
	size_t known = 0, replies = 0;
	make(&m);
	assert_true(sort_keys_open(&k, buf_slice(&m.columns)) && sort_keys_is_sound(&k) && k.n == MESSAGES);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct facts f;
		struct facts_numbers numbers;
		assert_int_equal(sort_keys_uid(&k, i), 5 + 3 * i);
		assert_true((sort_keys_flags(&k, i) & SORT_KEYS_KNOWN) != 0 || i % 9 == 8);
		if (!facts_open(&f, m.facts[i]))
			continue;
		struct buf base;
		buf_init(&base, 10000);
		bool reply = base_subject_put(&base, facts_get(&f, FACTS_SUBJECT));
		buf_release(&base);
		assert_int_equal((sort_keys_flags(&k, i) & SORT_KEYS_REPLY) != 0, reply);
		assert_true(facts_numbers(&f, &numbers) && sort_keys_date(&k, i) == numbers.date);
		check_texts(&k, i, &f);
		check_ids(&k, i, &f);
		known++;
		replies += reply;
	}
	assert_true(known > MESSAGES / 2 && replies > 0);
	made_release(&m);
}

static struct slice
facts_with(struct arena *a, enum facts_id id, struct slice value)
{
	struct facts_writer w;
	struct buf b;
	buf_init(&b, FACTS_BYTES_MAX);
	facts_writer_init(&w);
	facts_add(&w, id, value);
	assert_true(facts_finish(&w, &b));
	facts_writer_release(&w);
	struct slice kept = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

/* What passes a bound is not known, and the messages around it are. */
static void
test_bounds(void **state)
{
	struct sort_keys_maker *m = sort_keys_maker_new();
	struct arena a;
	struct buf long_text, many, large, columns;
	struct sort_keys k;
	arena_init(&a, 256u << 20);
	buf_init(&long_text, 10000);
	buf_init(&many, 100000);
	buf_init(&large, 100000);
	buf_init(&columns, SEARCH_PACK_BYTES_MAX);
	for (size_t i = 0; i < SORT_KEYS_TEXT_BYTES_MAX + 1; i++)
		buf_put_char(&long_text, 'x');
	for (size_t i = 0; i < SORT_KEYS_REFERENCES_MAX; i++)
		buf_put(&many, slice_of("a\0", 2)); /* and an empty one behind the last NUL */
	for (size_t i = 0; i <= SORT_KEYS_IDS_BYTES_MAX; i++)
		buf_put_char(&large, 'y');
	const struct slice rows[] = {
		facts_with(&a, FACTS_SORT_FROM, S("ann")),
		facts_with(&a, FACTS_DISPLAY_TO, buf_slice(&long_text)),
		facts_with(&a, FACTS_BASE_SUBJECT, slice_part(buf_slice(&long_text), 1, SORT_KEYS_TEXT_BYTES_MAX)),
		facts_with(&a, FACTS_REFERENCES, buf_slice(&many)),
		facts_with(&a, FACTS_REFERENCES, slice_part(buf_slice(&many), 0, 2 * SORT_KEYS_REFERENCES_MAX - 1)),
		facts_with(&a, FACTS_MESSAGE_ID, buf_slice(&large)),
		S(""),
	};
	static const bool known[] = { true, false, true, false, true, false, false };
	uint16_t list[SORT_KEYS_REFERENCES_MAX];
	for (uint32_t i = 0; i < COUNT_OF(rows); i++)
		sort_keys_add(m, i + 1, rows[i]);
	sort_keys_finish(m, &columns);
	assert_true(sort_keys_open(&k, buf_slice(&columns)));
	for (uint32_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal((sort_keys_flags(&k, i) & SORT_KEYS_KNOWN) != 0, known[i]);
	assert_int_equal(sort_keys_text(&k, SORT_KEYS_SUBJECT, 2).len, SORT_KEYS_TEXT_BYTES_MAX);
	assert_int_equal(sort_keys_references(&k, 4, list, SORT_KEYS_REFERENCES_MAX), SORT_KEYS_REFERENCES_MAX);
	assert_int_equal(sort_keys_references(&k, 3, list, SORT_KEYS_REFERENCES_MAX), 0);
	/* it is full long before a pack is */
	uint32_t n = 0;
	for (; !sort_keys_is_full(m); n++) {
		struct slice id = arena_printf(&a, "%u%.*s", n, 900, long_text.at);
		sort_keys_add(m, n + 1, facts_with(&a, FACTS_MESSAGE_ID, id));
	}
	buf_clear(&columns);
	sort_keys_finish(m, &columns);
	assert_true(n > 500 && n < 1500 && columns.len < 2 * SORT_KEYS_BYTES_MAX);
	sort_keys_maker_free(&m);
	buf_release(&long_text);
	buf_release(&many);
	buf_release(&large);
	buf_release(&columns);
	arena_release(&a);
	charset_release();
}

static size_t
read_all(const struct sort_keys *k)
{
	size_t sum = 0;
	for (uint32_t i = 0; i < k->n; i++) {
		uint16_t list[SORT_KEYS_REFERENCES_MAX];
		if (k->columns[SORT_KEYS_UIDS].len)
			sum += sort_keys_uid(k, i) + sort_keys_flags(k, i);
		if (k->columns[SORT_KEYS_DATE].len)
			sum += (size_t)sort_keys_date(k, i);
		for (size_t c = SORT_KEYS_SUBJECT; c <= SORT_KEYS_DISPLAY_TO; c++)
			if (k->columns[c].len)
				sum += slice_hash(sort_keys_text(k, (enum sort_keys_column)c, i));
		if (!k->columns[SORT_KEYS_IDS].len)
			continue;
		uint32_t n = sort_keys_references(k, i, list, SORT_KEYS_REFERENCES_MAX);
		for (uint32_t r = 0; r < n; r++)
			sum += slice_hash(sort_keys_id(k, list[r]));
		uint16_t own = sort_keys_own_id(k, i);
		sum += own == SORT_KEYS_NO_ID ? 0 : slice_hash(sort_keys_id(k, own));
	}
	return sum;
}

/* Bytes changed, cut anywhere: nothing outside is read (the sanitizer says so), and sums see it. */
static void
test_lies(void **state)
{
	struct made m;
	struct sort_keys k;
	size_t seen = 0, opened = 0;
	make(&m);
	for (int round = 0; round < 4000; round++) {
		size_t at = (size_t)(random_u64() % (round % 2 ? m.columns.len : 2000));
		size_t len = round % 3 ? m.columns.len : (size_t)(random_u64() % m.columns.len);
		char *copy = must_calloc(1, len + 1);
		memcpy(copy, m.columns.at, len);
		if (at < len)
			copy[at] = (char)(copy[at] ^ (1 + random_u64() % 255));
		if (sort_keys_open(&k, slice_of(copy, len))) {
			opened++;
			seen += !sort_keys_is_sound(&k);
			(void)read_all(&k);
		}
		free(copy);
	}
	assert_true(opened > 1000 && seen > opened / 2);
	made_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agrees), cmocka_unit_test(test_bounds),
		                                cmocka_unit_test(test_lies) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
