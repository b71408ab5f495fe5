/* SPDX-License-Identifier: Apache-2.0 */
/* search_text_test.c - texts of messages for search: what a record holds, that it finds what a look into the message
 * finds, what a cut one does not know, and records that lie. */
#include "mail/search_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/random.h"
#include "mail/charset.h"
#include "mail/fold.h"
#include "mail/match.h"

static const char message[] =
    "From: =?iso-8859-1?q?J=FCrgen?= <j@example.org>\r\nSUBJECT: One\r\n two\r\nX-Empty:\r\nSubject: second\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nFirst  TEXT\r\n--b\r\n"
    "Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nattached\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nplain\r\n--b--\r\n";

static struct buf record, packed;

static int
setup(void **state)
{
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	buf_init(&packed, SEARCH_TEXT_BYTES_MAX + 100);
	return 0;
}

static int
teardown(void **state)
{
	buf_release(&record);
	buf_release(&packed);
	charset_release();
	return 0;
}

static void
test_record(void **state)
{
	struct search_text t;
	search_text_make(slice_text(message), 100000, &record);
	assert_true(search_text_open(&t, buf_slice(&record)));
	assert_int_equal(t.flags, 0);
	struct slice header = S("FROM: JU\xcc\x88RGEN <J@EXAMPLE.ORG>\nSUBJECT: ONE TWO\nX-EMPTY: \nSUBJECT: SECOND\n"
	                        "CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=B\n");
	assert_true(slice_equal(t.header, header));
	assert_true(slice_equal(t.body, S("FIRST TEXT\nATTACHED\nSUBJECT: INNER\nPLAIN \n")) ||
	            slice_equal(t.body, S("FIRST TEXT\nATTACHED\nSUBJECT: INNER\nPLAIN\n")));
	struct buf values;
	buf_init(&values, 100);
	search_text_put_values(&t, S("SUBJECT"), &values);
	assert_true(slice_equal(buf_slice(&values), S("ONE TWO\nSECOND\n")));
	buf_release(&values);
}

static enum search_found
find(struct slice of, enum search_where where, struct slice field, struct slice needle)
{
	struct search_text t;
	struct search_key k = { where, field, needle };
	assert_true(search_text_open(&t, of));
	return search_text_find(&t, &k);
}

static void
test_find(void **state)
{
	search_text_make(slice_text(message), 100000, &record);
	struct slice r = buf_slice(&record);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("SUBJECT"), S("SECOND")), SEARCH_FOUND);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("SUBJECT"), S("INNER")), SEARCH_MISSED);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("X-EMPTY"), S("")), SEARCH_FOUND);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("X-NONE"), S("")), SEARCH_MISSED);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("SUB"), S("ONE")), SEARCH_MISSED);
	assert_int_equal(find(r, SEARCH_IN_BODY, S(""), S("SUBJECT: INNER")), SEARCH_FOUND);
	assert_int_equal(find(r, SEARCH_IN_BODY, S(""), S("SECOND")), SEARCH_MISSED);
	assert_int_equal(find(r, SEARCH_IN_TEXT, S(""), S("SECOND")), SEARCH_FOUND);
	assert_int_equal(find(r, SEARCH_IN_TEXT, S(""), S("TEXT ATTACHED")), SEARCH_MISSED); /* two pieces */
}

static void
test_cut(void **state)
{
	search_text_make(slice_text(message), 80, &record);
	struct slice r = buf_slice(&record);
	assert_true(r.len <= 80);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("FROM"), S("EXAMPLE")), SEARCH_FOUND);
	assert_int_equal(find(r, SEARCH_IN_HEADER, S("SUBJECT"), S("SECOND")), SEARCH_NOT_KNOWN);
	assert_int_equal(find(r, SEARCH_IN_BODY, S(""), S("PLAIN")), SEARCH_NOT_KNOWN);
	search_text_make_unknown(&record);
	assert_int_equal(find(buf_slice(&record), SEARCH_IN_HEADER, S("X"), S("")), SEARCH_NOT_KNOWN);
	assert_int_equal(find(buf_slice(&record), SEARCH_IN_TEXT, S(""), S("x")), SEARCH_NOT_KNOWN);
}

static void
test_packed(void **state)
{
	struct buf back;
	buf_init(&back, SEARCH_TEXT_BYTES_MAX);
	search_text_make(slice_text(message), 100000, &record);
	search_text_pack(buf_slice(&record), &packed);
	assert_true(packed.len < record.len);
	assert_true(search_text_unpack(buf_slice(&packed), &back));
	assert_true(slice_equal(buf_slice(&record), buf_slice(&back)));
	for (size_t n = 0; n < packed.len; n++) /* cut short: none, or (never) the same */
		assert_false(search_text_unpack(slice_of(packed.at, n), &back) && n < SEARCH_TEXT_HEAD_BYTES);
	bytes_set_le(packed.at + 4, SEARCH_TEXT_BYTES_MAX + 1, 4);
	assert_false(search_text_unpack(buf_slice(&packed), &back));
	bytes_set_le(packed.at + 4, 10, 4);
	assert_false(search_text_unpack(buf_slice(&packed), &back));
	packed.at[0]++;
	assert_false(search_text_unpack(buf_slice(&packed), &back));
	search_text_make_unknown(&record);
	search_text_pack(buf_slice(&record), &packed);
	assert_true(search_text_unpack(buf_slice(&packed), &back) && back.len == SEARCH_TEXT_HEAD_BYTES);
	bytes_set_le(record.at + 4, 1, 4);
	struct search_text t;
	assert_false(search_text_open(&t, buf_slice(&record)));
	buf_release(&back);
}

/* ---- the record finds what a look into the message finds */

static const char *const words[] = {
	"a",         "B",        "ab",        " ",    "  ",           "stra\xc3\x9f",   "SS",
	"\xc4\xb0",  "i",        "I\xcc\x87", "x: y", "\xef\xac\x81", "=?utf-8?q?_c?=", "\xff",
	"e\xcc\x81", "\xc3\x89", ""
};

static void
put_words(struct buf *b, size_t max)
{
	for (size_t n = (size_t)(random_u64() % (max + 1)); n-- > 0;)
		buf_put(b, slice_text(words[random_u64() % COUNT_OF(words)]));
}

static void
put_message(struct buf *b)
{
	static const char *const names[] = { "Subject: ", "From:", "X: ", "SUBJECT:  ", ": ", "nonsense" };
	for (size_t n = (size_t)(random_u64() % 6); n-- > 0;) {
		buf_put(b, slice_text(names[random_u64() % COUNT_OF(names)]));
		put_words(b, 6);
		buf_put(b, random_u64() % 4 ? S("\r\n") : S("\r\n \r\n"));
	}
	bool parts = random_u64() % 2;
	buf_put(b, parts ? S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n")
	                 : S("\r\n"));
	put_words(b, 10);
	if (parts) {
		buf_put(b, S("\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: "));
		put_words(b, 6);
		buf_put(b, S("\r\n\r\n"));
		put_words(b, 6);
	}
}

static void
test_same_as_match(void **state)
{
	struct buf m, needle, folded;
	buf_init(&m, 10000);
	buf_init(&needle, 1000);
	buf_init(&folded, 10000);
	for (int i = 0; i < 3000; i++) {
		static const char *const fields[] = { "SUBJECT", "FROM", "X", "OTHER", "" };
		buf_clear(&m);
		put_message(&m);
		search_text_make(buf_slice(&m), 1 << 20, &record);
		for (int k = 0; k < 10; k++) {
			buf_clear(&needle);
			buf_clear(&folded);
			put_words(&needle, 3);
			fold_put(&folded, buf_slice(&needle));
			enum search_where where = (enum search_where)(random_u64() % 3);
			struct slice field = slice_text(fields[random_u64() % COUNT_OF(fields)]);
			struct match_key key = { (enum match_where)where, field, buf_slice(&needle) };
			bool hit = match_message(buf_slice(&m), &key, 1) != 0;
			enum search_found found = find(buf_slice(&record), where, field, buf_slice(&folded));
			if (found != (hit ? SEARCH_FOUND : SEARCH_MISSED))
				fail_msg("%.*s\nwhere %d, needle '%.*s': match says %d", SLICE_ARG(buf_slice(&m)), where,
				         SLICE_ARG(buf_slice(&needle)), hit);
		}
	}
	buf_release(&m);
	buf_release(&needle);
	buf_release(&folded);
}

/* A message of many small parts, and one of one large part, take bounded memory and time. */
static void
test_bombs(void **state)
{
	struct buf m;
	buf_init(&m, 64u << 20);
	buf_put(&m, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	for (int i = 0; i < 20000; i++)
		buf_put(&m, S("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n"));
	search_text_make(buf_slice(&m), 1 << 20, &record);
	assert_true(record.len <= 1 << 20);
	buf_clear(&m);
	buf_put(&m, S("Subject: big\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"));
	for (int i = 0; i < 1 << 20; i++) /* U+FDFA grows to 33 bytes */
		buf_put(&m, S("\xef\xb7\xba"));
	search_text_make(buf_slice(&m), 1 << 20, &record);
	struct search_text t;
	assert_true(record.len <= 1 << 20 && search_text_open(&t, buf_slice(&record)) && t.flags == SEARCH_TEXT_BODY_CUT);
	buf_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_packed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_as_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bombs, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
