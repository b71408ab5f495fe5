/* SPDX-License-Identifier: Apache-2.0 */
/* sent.c - see sent.h. Called by sending.c, which keeps the counts, and by those who show or set limits. An hour is one
 * of the clock; a day is this hour and the 23 before it. */
#include "store/sent.h"

#define HOUR_SEC 3600
#define DAY_SEC 86400

const struct send_limit_row send_limit_rows[SEND_LIMITS] = {
	[LIMIT_MESSAGES_HOUR] = { S_ROW("messages-per-hour"), SENT_MESSAGES, 1, "messages in an hour" },
	[LIMIT_MESSAGES_DAY] = { S_ROW("messages-per-day"), SENT_MESSAGES, SENT_HOURS, "messages in a day" },
	[LIMIT_RECIPIENTS_HOUR] = { S_ROW("recipients-per-hour"), SENT_RECIPIENTS, 1, "recipients in an hour" },
	[LIMIT_RECIPIENTS_DAY] = { S_ROW("recipients-per-day"), SENT_RECIPIENTS, SENT_HOURS, "recipients in a day" },
	[LIMIT_DISTINCT_DAY] = { S_ROW("distinct-per-day"), SENT_DISTINCT, SENT_HOURS, "different recipients in a day" },
	[LIMIT_FIRST_DAY] = { S_ROW("first-time-per-day"), SENT_FIRST, SENT_HOURS, "new recipients in a day" },
	[BREAKER_FIRST_HOUR] = { S_ROW("breaker-first-time"), SENT_FIRST, 1, "unusually many new recipients" },
	[BREAKER_FAILED_PERCENT] = { S_ROW("breaker-bounces"), SENT_FAILED, SENT_HOURS, "too many bounces" },
	[BREAKER_COMPLAINTS] = { S_ROW("breaker-complaints"), SENT_COMPLAINTS, SENT_HOURS, "too many complaints" },
};

/* ---- counts */

void
sent_take(struct slice value, struct sent *s)
{
	*s = (struct sent){ 0 };
	if (value.len != SENT_BYTES)
		return;
	s->hour = (int64_t)bytes_get_le(value.at, 8);
	for (size_t i = 0; i < SENT_HOURS * SENT_COUNTS; i++)
		s->of[i / SENT_COUNTS][i % SENT_COUNTS] = (uint32_t)bytes_get_le(value.at + 8 + 4 * i, 4);
	const char *days = value.at + 8 + SENT_HOURS * SENT_COUNTS * 4;
	s->day = (int64_t)bytes_get_le(days, 8);
	for (size_t i = 0; i < SENT_DAYS; i++) {
		s->recipients[i] = (uint32_t)bytes_get_le(days + 8 + 8 * i, 4);
		s->complaints[i] = (uint32_t)bytes_get_le(days + 12 + 8 * i, 4);
	}
}

struct slice
sent_put(const struct sent *s, struct arena *a)
{
	char *to = arena_alloc(a, SENT_BYTES);
	bytes_set_le(to, (uint64_t)s->hour, 8);
	for (size_t i = 0; i < SENT_HOURS * SENT_COUNTS; i++)
		bytes_set_le(to + 8 + 4 * i, s->of[i / SENT_COUNTS][i % SENT_COUNTS], 4);
	char *days = to + 8 + SENT_HOURS * SENT_COUNTS * 4;
	bytes_set_le(days, (uint64_t)s->day, 8);
	for (size_t i = 0; i < SENT_DAYS; i++) {
		bytes_set_le(days + 8 + 8 * i, s->recipients[i], 4);
		bytes_set_le(days + 12 + 8 * i, s->complaints[i], 4);
	}
	return slice_of(to, SENT_BYTES);
}

static size_t
place_of(int64_t hour)
{
	return (size_t)((uint64_t)hour % SENT_HOURS);
}

static void
advance_days(struct sent *s, int64_t day)
{
	if (day >= s->day + SENT_DAYS || day <= s->day - SENT_DAYS) {
		s->day = day;
		memset(s->recipients, 0, sizeof s->recipients);
		memset(s->complaints, 0, sizeof s->complaints);
	}
	while (s->day < day) {
		s->day++;
		s->recipients[(uint64_t)s->day % SENT_DAYS] = s->complaints[(uint64_t)s->day % SENT_DAYS] = 0;
	}
}

/* A clock that went back adds to the newest hour that there is; one that was a day ahead begins again. */
void
sent_advance(struct sent *s, int64_t now)
{
	int64_t hour = now / HOUR_SEC;
	advance_days(s, now / DAY_SEC);
	if (hour >= s->hour + SENT_HOURS || hour <= s->hour - SENT_HOURS) {
		s->hour = hour;
		memset(s->of, 0, sizeof s->of);
	}
	while (s->hour < hour) {
		s->hour++;
		memset(s->of[place_of(s->hour)], 0, sizeof s->of[0]);
	}
}

uint32_t
sent_sum(const struct sent *s, enum sent_count of, int hours)
{
	uint64_t sum = 0;
	for (int i = 0; i < hours; i++)
		sum += s->of[place_of(s->hour + SENT_HOURS - i)][of];
	return (uint32_t)MIN(sum, (uint64_t)UINT32_MAX);
}

static void
add_up(uint32_t *count, uint32_t more)
{
	*count += MIN(more, UINT32_MAX - *count);
}

void
sent_add(struct sent *s, const uint32_t more[SENT_COUNTS])
{
	uint32_t *at = s->of[place_of(s->hour)];
	for (size_t i = 0; i < SENT_COUNTS; i++)
		add_up(&at[i], more[i]);
	add_up(&s->recipients[(uint64_t)s->day % SENT_DAYS], more[SENT_RECIPIENTS]);
	add_up(&s->complaints[(uint64_t)s->day % SENT_DAYS], more[SENT_COMPLAINTS]);
}

/* ---- limits */

static bool
limit_of(struct slice name, size_t *i)
{
	for (*i = 0; *i < SEND_LIMITS; ++*i)
		if (slice_equal(name, send_limit_rows[*i].name))
			return true;
	return false;
}

bool
send_limits_take(struct slice value, struct send_limits *l)
{
	struct slice rest = value, word, name, number;
	size_t i;
	l->plan = SLICE_NONE;
	for (i = 0; i < SEND_LIMITS; i++)
		l->max[i] = SEND_LIMIT_DEFAULT;
	if (slice_starts(rest, S("plan="))) {
		(void)slice_cut(slice_from(rest, 5), ' ', &l->plan, &rest);
		if (!plan_name_good(l->plan))
			return false;
	}
	while (rest.len) {
		(void)slice_cut(rest, ' ', &word, &rest);
		if (!slice_cut(word, '=', &name, &number) || !limit_of(name, &i) || !slice_to_u32(number, &l->max[i]))
			return false;
	}
	return true;
}

struct slice
send_limits_put(const struct send_limits *l, struct arena *a)
{
	struct slice out = l->plan.len ? arena_join(a, S("plan="), l->plan) : S("");
	for (size_t i = 0; i < SEND_LIMITS; i++)
		if (l->max[i] != SEND_LIMIT_DEFAULT)
			out = arena_printf(a, "%.*s%s%.*s=%u", SLICE_ARG(out), out.len ? " " : "",
			                   SLICE_ARG(send_limit_rows[i].name), l->max[i]);
	return out;
}

bool
plan_name_good(struct slice name)
{
	if (name.len == 0 || name.len > PLAN_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!(name.at[i] >= 'a' && name.at[i] <= 'z') && !ascii_digit(name.at[i]) && !strchr("-.", name.at[i]))
			return false;
	return true;
}

void
send_limits_under(struct send_limits *l, const struct send_limits *under)
{
	for (size_t i = 0; i < SEND_LIMITS; i++)
		if (l->max[i] == SEND_LIMIT_DEFAULT)
			l->max[i] = under->max[i];
}

/* ---- decisions */

/* When the oldest hours are over that must be, so that no more than `left` stays in the window. */
static int64_t
until_of(const struct sent *s, const struct send_limit_row *row, uint32_t left)
{
	int64_t first = s->hour - row->hours + 1;
	for (int gone = 1; gone < row->hours; gone++)
		if (sent_sum(s, row->of, row->hours - gone) <= left)
			return (first + gone - 1 + row->hours) * HOUR_SEC;
	return (s->hour + row->hours) * HOUR_SEC;
}

enum send_limit
sent_check(const struct sent *s, const struct send_limits *l, const uint32_t more[SENT_COUNTS], int64_t *until)
{
	enum send_limit worst = SEND_LIMITS;
	*until = 0;
	for (enum send_limit i = LIMIT_MESSAGES_HOUR; i <= LIMIT_FIRST_DAY; i++) {
		const struct send_limit_row *row = &send_limit_rows[i];
		uint32_t add = more[row->of], max = l->max[i];
		if (max == 0 || add == 0)
			continue;
		if (add > max) {
			*until = 0;
			return i;
		}
		if (sent_sum(s, row->of, row->hours) <= max - add)
			continue;
		int64_t when = until_of(s, row, max - add);
		if (when > *until) {
			*until = when;
			worst = i;
		}
	}
	return worst;
}

static bool
too_many_complaints(const struct sent *s, uint32_t per_thousand)
{
	uint64_t complaints = 0, all = 0;
	for (size_t i = 0; i < SENT_DAYS; i++) {
		complaints += s->complaints[i];
		all += s->recipients[i];
	}
	return per_thousand && complaints >= SENT_COMPLAINTS_MIN && complaints * 1000 > all * per_thousand;
}

enum send_limit
sent_breaker(const struct sent *s, const struct send_limits *l)
{
	uint32_t first = l->max[BREAKER_FIRST_HOUR], percent = l->max[BREAKER_FAILED_PERCENT];
	if (first && sent_sum(s, SENT_FIRST, 1) > first)
		return BREAKER_FIRST_HOUR;
	uint64_t failed = sent_sum(s, SENT_FAILED, SENT_HOURS), all = sent_sum(s, SENT_RECIPIENTS, SENT_HOURS);
	if (percent && failed >= SENT_FAILED_MIN && failed * 100 > all * percent)
		return BREAKER_FAILED_PERCENT;
	return too_many_complaints(s, l->max[BREAKER_COMPLAINTS]) ? BREAKER_COMPLAINTS : SEND_LIMITS;
}
