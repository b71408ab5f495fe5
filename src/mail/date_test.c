/* SPDX-License-Identifier: Apache-2.0 */
/* date_test.c - dates, as the RFC has them and as mail has them. */
#include "mail/date.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *text;
	int64_t sec;
	int32_t zone;
} rows[] = {
	{ "RFC 5322 A.1.1", "Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360 },
	{ "no weekday, no seconds", "21 Nov 1997 09:55 -0600", 880127700, -360 },
	{ "RFC 5322 A.6.2: two-digit year, named zone", "21 Nov 97 09:55:06 GMT", 880106106, 0 },
	{ "RFC 5322 A.5: comments and folds",
	  "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n  -0330 (Newfoundland Time)", -27723480,
	  -210 },
	{ "RFC 5322 A.6.3: space and comments everywhere", "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706,
	  -360 },
	{ "American zones by name", "1 Jan 2001 00:00:00 PST", 978336000, -480 },
	{ "military letters mean nothing", "1 Jan 2001 00:00:00 A", 978307200, 0 },
	{ "no zone", "1 Jan 2001 00:00:00", 978307200, 0 },
	{ "years below 50 are of this century", "1 Jan 01 00:00:00 +0000", 978307200, 0 },
	{ "three digits count from 1900", "1 Jan 101 00:00:00 +0000", 978307200, 0 },
	{ "no comma", "Mon 1 Jan 2001 00:00:00 +0000", 978307200, 0 },
	{ "a wrong weekday does no harm", "Sun, 1 Jan 2001 00:00:00 +0000", 978307200, 0 },
	{ "a month in full", "1 January 2001 00:00:00 +0000", 978307200, 0 },
	{ "hyphens", "Mon, 01-Jan-2001 00:00:00 +0000", 978307200, 0 },
	{ "a leap second", "31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
	{ "a leap day", "29 Feb 2000 00:00:00 +0000", 951782400, 0 },
	{ "zones of half an hour", "1 Jan 2001 05:30:00 +0530", 978307200, 330 },
	{ "before 1970", "1 Jan 1969 00:00:00 +0000", -31536000, 0 },
	{ "junk after the zone", "1 Jan 2001 00:00:00 +0000 garbage", 978307200, 0 },
	{ "a zone that is too short is none", "1 Jan 2001 00:00:00 +00", 978307200, 0 },
	{ "a year before 1900", "Wed, 01 May 0102 08:40:01 +0800", DATE_NONE, 0 },
	{ "29 February of a common year", "29 Feb 1900 00:00:00 +0000", DATE_NONE, 0 },
	{ "no day 31 in April", "31 Apr 2001 00:00:00 +0000", DATE_NONE, 0 },
	{ "hour 24", "1 Jan 2001 24:00:00 +0000", DATE_NONE, 0 },
	{ "no such month", "1 Foo 2001 00:00:00 +0000", DATE_NONE, 0 },
	{ "empty", "", DATE_NONE, 0 },
	{ "only a weekday", "Mon,", DATE_NONE, 0 },
	{ "an unclosed comment", "1 Jan (2001 00:00:00", DATE_NONE, 0 },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t sec;
		int32_t zone;
		bool ok = date_parse(slice_text(rows[i].text), &sec, &zone);
		if (ok != (rows[i].sec != DATE_NONE) || sec != rows[i].sec || (ok && zone != rows[i].zone))
			fail_msg("%s: %lld %d", rows[i].says, (long long)sec, (int)zone);
	}
}

static const struct {
	int64_t sec;
	int32_t zone;
	const char *mail, *imap;
} written[] = {
	{ 880127706, -360, "Fri, 21 Nov 1997 09:55:06 -0600", "21-Nov-1997 09:55:06 -0600" },
	{ 978307200, 0, "Mon, 1 Jan 2001 00:00:00 +0000", " 1-Jan-2001 00:00:00 +0000" },
	{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000" },
	{ -1, 90, "Thu, 1 Jan 1970 01:29:59 +0130", " 1-Jan-1970 01:29:59 +0130" },
	{ -86401, 0, "Tue, 30 Dec 1969 23:59:59 +0000", "30-Dec-1969 23:59:59 +0000" },
	{ 951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000", "29-Feb-2000 00:00:00 +0000" },
};

static void
test_both_ways(void **state)
{
	struct buf b;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT_OF(written); i++) {
		int64_t sec;
		int32_t zone;
		date_put(&b, written[i].sec, written[i].zone);
		assert_true(slice_equal(buf_slice(&b), slice_text(written[i].mail)));
		assert_true(date_parse(buf_slice(&b), &sec, &zone));
		assert_true(sec == written[i].sec && zone == written[i].zone);
		buf_clear(&b);
		struct cursor c = cursor_of(slice_text(written[i].imap));
		assert_true(take_imap_date_time(&c, &sec) && cursor_done(&c) && sec == written[i].sec);
	}
	date_put(&b, INT64_MAX, 5999);
	date_put(&b, INT64_MIN, -5999);
	buf_release(&b);
}

/* Every day from 1900 on, for 470 years, is written and read again. */
static void
test_every_day(void **state)
{
	struct buf b;
	buf_init(&b, 1000);
	for (int64_t day = -25567; day < 146097; day++) {
		int64_t sec;
		int32_t zone;
		date_put(&b, day * 86400 + 43200, 0);
		assert_true(date_parse(buf_slice(&b), &sec, &zone) && sec == day * 86400 + 43200);
		assert_true(date_days(sec, 0) == day && date_days(sec, 720) == day + 1 && date_days(sec, -721) == day - 1);
		buf_clear(&b);
	}
	buf_release(&b);
}

static void
test_imap_date(void **state)
{
	int64_t days;
	struct cursor c = cursor_of(S("1-Feb-1970 X"));
	assert_true(take_imap_date(&c, &days) && days == 31 && peek(&c) == ' ');
	static const char *const bad[] = { "1-Foo-1970", "31-Feb-1970", "1-Feb-70", "1 Feb 1970", "", "1-", "-1-Feb-1970" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		c = cursor_of(slice_text(bad[i]));
		assert_false(take_imap_date(&c, &days));
	}
	int64_t sec;
	static const char *const worse[] = { "01-Feb-1970 00:00:00",       "01-Feb-1970 00:00 GMT",
		                                 "01-Feb-1970 25:00:00 +0000", "01-Feb-1970 00:00:00 0000",
		                                 "1-Feb-1970 00:00:00 +0000",  "01-February-1970 00:00:00 +0000" };
	for (size_t i = 0; i < COUNT_OF(worse); i++) {
		c = cursor_of(slice_text(worse[i]));
		assert_false(take_imap_date_time(&c, &sec));
	}
}

static const struct {
	int64_t sec;
	const char *text;
} imap_written[] = {
	{ 837596665, "17-Jul-1996 09:44:25 +0000" }, { 0, " 1-Jan-1970 00:00:00 +0000" },
	{ -1, "31-Dec-1969 23:59:59 +0000" },        { INT64_MAX, "31-Dec-9999 23:59:59 +0000" },
	{ INT64_MIN, " 1-Jan-0001 00:00:00 +0000" },
};

static void
test_imap_written(void **state)
{
	for (size_t i = 0; i < COUNT_OF(imap_written); i++) {
		char text[DATE_IMAP_BYTES];
		date_write_imap(text, imap_written[i].sec);
		assert_true(slice_equal(slice_of(text, sizeof text), slice_text(imap_written[i].text)));
	}
}

static const struct {
	const char *text;
	int64_t sec; /* DATE_NONE: none */
} rfc3339[] = {
	{ "1985-04-12T23:20:50.52Z", 482196050 },
	{ "1996-12-19T16:39:57-08:00", 851042397 },
	{ "1990-12-31T23:59:60z", 662688000 },
	{ "1937-01-01t12:00:27.87+00:20", -1041337173 },
	{ "", DATE_NONE },
	{ "1985-04-12", DATE_NONE },
	{ "1985-04-12T23:20:50", DATE_NONE },
	{ "1985-04-12T23:20:50.Z", DATE_NONE },
	{ "1985-04-12T24:20:50Z", DATE_NONE },
	{ "1985-00-12T23:20:50Z", DATE_NONE },
	{ "1985-13-12T23:20:50Z", DATE_NONE },
	{ "1985-02-29T23:20:50Z", DATE_NONE },
	{ "1985-04-12T23:20:50+1:00", DATE_NONE },
	{ "1985-04-12T23:20:50+24:00", DATE_NONE },
	{ "1985-04-12T23:20:50Zx", DATE_NONE },
	{ "1985-04-12 23:20:50Z", DATE_NONE },
};

static void
test_rfc3339(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rfc3339); i++) {
		int64_t sec = DATE_NONE;
		bool good = date_parse_rfc3339(slice_text(rfc3339[i].text), &sec);
		if (good != (rfc3339[i].sec != DATE_NONE) || (good && sec != rfc3339[i].sec))
			fail_msg("%s: %lld", rfc3339[i].text, (long long)sec);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),      cmocka_unit_test(test_both_ways),    cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_imap_date), cmocka_unit_test(test_imap_written), cmocka_unit_test(test_rfc3339),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
