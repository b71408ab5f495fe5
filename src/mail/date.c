/* SPDX-License-Identifier: Apache-2.0 */
/* date.c - days, months and zones as mail writes them. Called by facts, IMAP, the trace fields and DSNs. Pure. The
 * calendar is the proleptic Gregorian one; years reach from 1 to 9999. */
#include "mail/date.h"

#include "mail/header.h"

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};
static const char weekdays[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" }; /* day 0 was a Thursday */

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
};

/* Years are counted from March, so that the leap day is the last of a year; 400 years have 146,097 days. */
static int64_t
days_of(struct civil d)
{
	int64_t year = d.month <= 2 ? d.year - 1 : d.year;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil
civil_of(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	struct civil d = { .year = year + era * 400, .day = (unsigned)(of_year - (153 * month + 2) / 5 + 1) };
	d.month = (unsigned)(month < 10 ? month + 3 : month - 9);
	d.year += d.month <= 2;
	return d;
}

static bool
day_exists(struct civil d)
{
	static const unsigned char lengths[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (d.year < 1 || d.year > 9999 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > lengths[d.month - 1])
		return false;
	bool leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
	return d.month != 2 || d.day < 29 || leap;
}

static bool
is_letter(char c)
{
	return ascii_alpha(c);
}

static bool
take_number(struct cursor *c, size_t digits_max, unsigned *value, size_t *digits)
{
	unsigned v = 0;
	size_t n = 0;
	for (; n < digits_max && n < cursor_left(c) && ascii_digit(c->at[n]); n++)
		v = v * 10 + (unsigned)(c->at[n] - '0');
	if (n == 0)
		return false;
	c->at += n;
	*value = v;
	*digits = n;
	return true;
}

static bool
take_month(struct cursor *c, unsigned *month)
{
	struct slice word;
	if (!take_while(c, is_letter, &word))
		return false;
	for (unsigned m = 0; m < 12; m++)
		if (slice_starts_nocase(word, slice_of(months[m], 3))) {
			*month = m + 1;
			return true;
		}
	return false;
}

/* RFC 5322 4.3: two digits below 50 are 20xx, other two and three digits count from 1900. RFC 5322 3.3: no year is
 * before that ("0102" was written by programs that counted from 1900 themselves). */
static bool
take_year(struct cursor *c, int64_t *year)
{
	unsigned value;
	size_t digits;
	if (!take_number(c, 4, &value, &digits) || digits < 2)
		return false;
	*year = digits == 2 && value < 50 ? 2000 + value : digits < 4 ? 1900 + value : value;
	return *year >= 1900;
}

/* hh:mm[:ss]; a leap second becomes the next one. */
static bool
take_time(struct cursor *c, int64_t *sec)
{
	unsigned h, m, s = 0;
	size_t n;
	if (!take_number(c, 2, &h, &n))
		return false;
	header_skip_cfws(c);
	if (!take_char(c, ':'))
		return false;
	header_skip_cfws(c);
	if (!take_number(c, 2, &m, &n))
		return false;
	header_skip_cfws(c);
	if (take_char(c, ':')) {
		header_skip_cfws(c);
		if (!take_number(c, 2, &s, &n))
			return false;
	}
	*sec = (int64_t)h * 3600 + m * 60 + s;
	return h < 24 && m < 60 && s <= 60;
}

/* +hhmm. RFC 5322 3.3: minutes up to 59. */
static bool
take_offset(struct cursor *c, int32_t *zone)
{
	struct cursor in = *c;
	unsigned value;
	size_t n;
	bool minus = peek(&in) == '-';
	if (!take_char(&in, minus ? '-' : '+') || !take_number(&in, 4, &value, &n) || n != 4 || value % 100 > 59)
		return false;
	int32_t minutes = (int32_t)(value / 100 * 60 + value % 100);
	*zone = minus ? -minutes : minutes;
	*c = in;
	return true;
}

/* RFC 5322 4.3: the names that are not listed, military letters among them, mean nothing that could be trusted: 0. */
static int32_t
named_zone(struct slice word)
{
	static const struct {
		char name[4];
		int16_t hours;
	} zones[] = { { "EDT", -4 }, { "EST", -5 }, { "CDT", -5 }, { "CST", -6 },
		          { "MDT", -6 }, { "MST", -7 }, { "PDT", -7 }, { "PST", -8 } };
	for (size_t i = 0; i < COUNT_OF(zones); i++)
		if (slice_equal_nocase(word, slice_of(zones[i].name, 3)))
			return zones[i].hours * 60;
	return 0;
}

static void
take_zone(struct cursor *c, int32_t *zone)
{
	struct slice word;
	*zone = 0;
	header_skip_cfws(c);
	if (!take_offset(c, zone) && take_while(c, is_letter, &word))
		*zone = named_zone(word);
}

static int64_t
seconds_of(struct civil d, int64_t time, int32_t zone)
{
	return days_of(d) * 86400 + time - (int64_t)zone * 60;
}

/* date-time = [ day-of-week "," ] day month year time zone */
bool
date_parse(struct slice value, int64_t *sec, int32_t *zone)
{
	struct cursor c = cursor_of(value);
	struct slice weekday;
	struct civil d = { 0 };
	int64_t time;
	size_t n;
	*sec = DATE_NONE;
	*zone = 0;
	header_skip_cfws(&c);
	if (take_while(&c, is_letter, &weekday)) {
		header_skip_cfws(&c);
		take_char(&c, ',');
		header_skip_cfws(&c);
	}
	if (!take_number(&c, 2, &d.day, &n))
		return false;
	header_skip_cfws(&c);
	take_char(&c, '-'); /* 21-Nov-2024, as some old programs write */
	if (!take_month(&c, &d.month))
		return false;
	header_skip_cfws(&c);
	take_char(&c, '-');
	if (!take_year(&c, &d.year) || !day_exists(d))
		return false;
	header_skip_cfws(&c);
	if (!take_time(&c, &time))
		return false;
	take_zone(&c, zone);
	*sec = seconds_of(d, time, *zone);
	return true;
}

int64_t
date_days(int64_t sec, int32_t zone)
{
	sec += (int64_t)zone * 60;
	return sec >= 0 ? sec / 86400 : -((-sec + 86399) / 86400);
}

struct moment {
	struct civil d;
	const char *weekday;
	unsigned h, m, s, zone; /* zone: hhmm without its sign */
	char sign;
};

static struct moment
moment_of(int64_t sec, int32_t zone)
{
	/* what cannot be written in four digits is written as the nearest that can */
	sec = MIN(MAX(sec, (int64_t)-62134000000), (int64_t)253401000000);
	int64_t days = date_days(sec, zone);
	unsigned time = (unsigned)(sec + (int64_t)zone * 60 - days * 86400);
	unsigned minutes = (unsigned)(zone < 0 ? -zone : zone);
	struct moment t = { .d = civil_of(days), .h = time / 3600, .m = time / 60 % 60, .s = time % 60 };
	t.weekday = weekdays[((days % 7) + 7) % 7];
	t.zone = minutes / 60 * 100 + minutes % 60;
	t.sign = zone < 0 ? '-' : '+';
	return t;
}

void
date_put(struct buf *to, int64_t sec, int32_t zone)
{
	struct moment t = moment_of(sec, zone);
	buf_printf(to, "%s, %u %s %04d %02u:%02u:%02u %c%04u", t.weekday, t.d.day, months[t.d.month - 1], (int)t.d.year,
	           t.h, t.m, t.s, t.sign, t.zone);
}

/* ---- IMAP's forms, which are of fixed width */

static bool
take_digits(struct cursor *c, size_t digits, unsigned *value)
{
	struct cursor in = *c;
	size_t n;
	if (!take_number(&in, digits, value, &n) || n != digits)
		return false;
	*c = in;
	return true;
}

static bool
take_month_year(struct cursor *c, struct civil *d)
{
	unsigned year;
	if (!take_char(c, '-'))
		return false;
	const char *month = c->at;
	if (!take_month(c, &d->month) || c->at != month + 3 || !take_char(c, '-') || !take_digits(c, 4, &year))
		return false;
	d->year = year;
	return day_exists(*d);
}

bool
take_imap_date(struct cursor *c, int64_t *days)
{
	struct cursor in = *c;
	struct civil d;
	if (!(take_digits(&in, 2, &d.day) || take_digits(&in, 1, &d.day)) || !take_month_year(&in, &d))
		return false;
	*days = days_of(d);
	*c = in;
	return true;
}

static bool
take_fixed_time(struct cursor *c, int64_t *sec)
{
	unsigned h, m, s;
	if (!take_digits(c, 2, &h) || !take_char(c, ':') || !take_digits(c, 2, &m) || !take_char(c, ':') ||
	    !take_digits(c, 2, &s))
		return false;
	*sec = (int64_t)h * 3600 + m * 60 + s;
	return h < 24 && m < 60 && s <= 60;
}

bool
take_imap_date_time(struct cursor *c, int64_t *sec)
{
	struct cursor in = *c;
	struct civil d;
	int64_t time;
	int32_t zone;
	/* date-day-fixed = (SP DIGIT) / 2DIGIT */
	if (!((take_char(&in, ' ') && take_digits(&in, 1, &d.day)) || take_digits(&in, 2, &d.day)) ||
	    !take_month_year(&in, &d) || !take_char(&in, ' ') || !take_fixed_time(&in, &time) || !take_char(&in, ' ') ||
	    !take_offset(&in, &zone))
		return false;
	*sec = seconds_of(d, time, zone);
	*c = in;
	return true;
}

/* ---- RFC 3339 */

/* "Z" / ("+" / "-") time-hour ":" time-minute */
static bool
take_colon_offset(struct cursor *c, int32_t *zone)
{
	unsigned h, m;
	*zone = 0;
	if (take_nocase(c, S("Z")))
		return true;
	bool west = take_char(c, '-');
	if ((!west && !take_char(c, '+')) || !take_digits(c, 2, &h) || !take_char(c, ':') || !take_digits(c, 2, &m))
		return false;
	*zone = (int32_t)(h * 60 + m) * (west ? -1 : 1);
	return h < 24 && m < 60;
}

bool
date_parse_rfc3339(struct slice text, int64_t *sec)
{
	struct cursor c = cursor_of(text);
	struct civil d;
	struct slice fraction;
	unsigned year;
	int64_t time;
	int32_t zone;
	if (!take_digits(&c, 4, &year) || !take_char(&c, '-') || !take_digits(&c, 2, &d.month) || !take_char(&c, '-') ||
	    !take_digits(&c, 2, &d.day) || d.month < 1 || d.month > 12)
		return false;
	d.year = year;
	if (!day_exists(d) || !take_nocase(&c, S("T")) || !take_fixed_time(&c, &time) ||
	    (take_char(&c, '.') && !take_while(&c, ascii_digit, &fraction)) || !take_colon_offset(&c, &zone) ||
	    !take_end(&c))
		return false;
	*sec = seconds_of(d, time, zone);
	return true;
}

static void
put_digits(char *to, size_t digits, int64_t value)
{
	while (digits--) {
		to[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* Without printf: FETCH writes one for each message. */
void
date_write_imap(char to[DATE_IMAP_BYTES], int64_t sec)
{
	sec = MIN(MAX(sec, INT64_C(-62135596800)), INT64_C(253402300799)); /* years of four digits: 0001 to 9999 */
	int64_t days = date_days(sec, 0), time = sec - days * 86400;
	struct civil d = civil_of(days);
	memcpy(to, "dd-mmm-yyyy hh:mm:ss +0000", DATE_IMAP_BYTES);
	put_digits(to, 2, d.day);
	if (to[0] == '0')
		to[0] = ' ';
	memcpy(to + 3, months[d.month - 1], 3);
	put_digits(to + 7, 4, d.year);
	put_digits(to + 12, 2, time / 3600);
	put_digits(to + 15, 2, time / 60 % 60);
	put_digits(to + 18, 2, time % 60);
}
