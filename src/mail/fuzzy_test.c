/* SPDX-License-Identifier: Apache-2.0 */
/* fuzzy_test.c - scores of fuzzy searches: what fits, what does not, and what fits better than what. */
#include "mail/fuzzy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mail/charset.h"

static uint8_t
score_in(enum search_where where, const char *field, const char *term, const char *message)
{
	struct buf record, needle;
	struct search_text t;
	struct fuzzy f;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	buf_init(&needle, 10000);
	search_text_make(slice_text(message), 1000000, &record);
	assert_true(search_text_open(&t, buf_slice(&record)));
	fold_put(&needle, slice_text(term));
	fuzzy_init(&f, &(struct search_key){ where, slice_text(field), buf_slice(&needle) });
	uint8_t score = fuzzy_score(&f, &t);
	buf_release(&record);
	buf_release(&needle);
	return score;
}

static uint8_t
subject(const char *term, const char *text)
{
	char message[500];
	snprintf(message, sizeof message, "Subject: %s\r\n\r\nbody\r\n", text);
	return score_in(SEARCH_IN_HEADER, "SUBJECT", term, message);
}

static void
test_likeness(void **state)
{
	static const struct {
		const char *what, *term, *text;
		unsigned low, high;
	} rows[] = {
		{ "the term itself", "report", "the report", 100, 100 },
		{ "case does not matter", "REPORT", "The Report", 100, 100 },
		{ "several words side by side", "annual report", "the annual report", 100, 100 },
		{ "several words apart", "annual report", "report, annual", 90, 99 },
		{ "RFC 6203 4: Helo, hello", "Helo", "hello", 60, 70 },
		{ "RFC 6203 4: Helo, help", "Helo", "help", 60, 70 },
		{ "RFC 6203 3: one of two words", "IMAP break", "broken IMAP", 40, 60 },
		{ "plural", "meeting", "meetings", 80, 90 },
		{ "another ending", "planned", "plan", 80, 90 },
		{ "companies, company", "companies", "company", 80, 90 },
		{ "the beginning of a word", "con", "conference", 60, 85 },
		{ "letters swapped", "recieve", "receive", 60, 70 },
		{ "two edits in a long word", "acommodation", "accommmodation", 40, 50 },
		{ "two edits in a short word", "cable", "maple", 0, 0 },
		{ "short words have no edits", "cat", "car", 0, 0 },
		{ "inside of a word", "port", "transportation", 50, 65 },
		{ "accents do not count", "cafe", "Caf\xc3\xa9", 90, 100 },
		{ "accents of the term", "Caf\xc3\xa9", "cafe", 90, 100 },
		{ "no words: exactly", "!!", "what!!", 60, 100 },
		{ "no words, and not there", "!!", "what!", 0, 0 },
		{ "less than half of the words", "one two three four five", "one apple", 0, 0 },
		{ "something else", "report", "invoice", 0, 0 },
		{ "Chinese, within a line", "\xe4\xbc\x9a\xe8\xae\xae", "\xe6\x98\x8e\xe5\xa4\xa9\xe4\xbc\x9a\xe8\xae\xae", 50,
		  70 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		unsigned score = subject(rows[i].term, rows[i].text);
		if (score < rows[i].low || score > rows[i].high)
			fail_msg("%s: %u", rows[i].what, score);
	}
}

static void
test_places(void **state)
{
	uint8_t in_subject = score_in(SEARCH_IN_TEXT, "", "report", "Subject: report\r\n\r\nx\r\n");
	uint8_t in_from = score_in(SEARCH_IN_TEXT, "", "report", "From: report@example.com\r\n\r\nx\r\n");
	uint8_t in_body = score_in(SEARCH_IN_TEXT, "", "report", "Subject: x\r\n\r\nthe report\r\n");
	uint8_t in_field = score_in(SEARCH_IN_TEXT, "", "report", "X-Kind: report\r\n\r\nx\r\n");
	uint8_t fuzzy_subject = score_in(SEARCH_IN_TEXT, "", "report", "Subject: reports\r\n\r\nx\r\n");
	assert_int_equal(in_subject, 100);
	assert_true(in_subject > in_from && in_from > in_body && in_body > in_field && in_field > 0);
	assert_true(fuzzy_subject > in_body); /* RFC 6203 4 */
	assert_int_equal(score_in(SEARCH_IN_BODY, "", "report", "Subject: report\r\n\r\nx\r\n"), 0);
	assert_int_equal(score_in(SEARCH_IN_BODY, "", "report", "Subject: x\r\n\r\nreport\r\n"), 100);
	assert_int_equal(score_in(SEARCH_IN_HEADER, "TO", "report", "Subject: report\r\n\r\nx\r\n"), 0);
	assert_int_equal(score_in(SEARCH_IN_HEADER, "TO", "", "To: a@b\r\n\r\nx\r\n"), 100);
}

/* RFC 6203 8: very long words, and endless ones of the same letters */
static void
test_hostile(void **state)
{
	static char message[2000000];
	size_t n = (size_t)snprintf(message, sizeof message, "Subject: x\r\n\r\n");
	while (n < sizeof message - 20)
		n += (size_t)snprintf(message + n, sizeof message - n, "%s", n % 7 ? "abcdefgh" : "\r\nhgfe ");
	assert_int_equal(score_in(SEARCH_IN_BODY, "", "zzzzzzzz", message), 0);
	char term[5000];
	memset(term, 'q', sizeof term - 1);
	term[sizeof term - 1] = 0;
	assert_int_equal(score_in(SEARCH_IN_TEXT, "", term, message), 0);
	for (size_t i = 1; i < sizeof term - 1; i += 2)
		term[i] = ' '; /* 2,500 words */
	assert_int_equal(score_in(SEARCH_IN_TEXT, "", term, message), 0);
}

static int
teardown(void **state)
{
	charset_release();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_likeness),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
