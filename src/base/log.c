/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - builds a line in the caller's struct and writes it in one piece. Room for the closing bytes is kept free,
 * so that a line that was cut is still well-formed. */
#include "base/log.h"

#include "base/clock.h"

#include <time.h>
#include <unistd.h>

enum {
	TAIL_BYTES = 3,   /* a quote, a brace, a newline: kept free by all but those who close */
	ESCAPE_BYTES = 6, /* \u00ff */
	NUMBER_BYTES = 24,
};

static struct {
	const char *role;
	enum log_level least;
	bool json;
} setup = { "posthouse", LOG_INFO, false };

static const char *const level_words[] = { "debug", "info", "warn", "error" };

void
log_setup(const char *role, enum log_level least, bool json)
{
	setup.role = role;
	setup.least = least;
	setup.json = json;
}

static size_t
room(const struct log *l)
{
	size_t end = sizeof l->line - TAIL_BYTES;
	return l->len < end ? end - l->len : 0;
}

/* The caller looked for room. */
static void
raw(struct log *l, struct slice s)
{
	ASSERT(s.len <= sizeof l->line - l->len);
	if (s.len)
		memcpy(l->line + l->len, s.at, s.len);
	l->len += s.len;
}

static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] <= ' ' || s.at[i] == '"' || s.at[i] == '\\' || s.at[i] == '=' ||
		    (unsigned char)s.at[i] >= 0x7f)
			return false;
	return s.len > 0;
}

static bool
goes_on(char c) /* a character of UTF-8 that began before */
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* At most LOG_VALUE_BYTES_MAX, no character halved. */
static struct slice
value_cut(struct slice s)
{
	if (s.len <= LOG_VALUE_BYTES_MAX)
		return s;
	for (s.len = LOG_VALUE_BYTES_MAX; s.len > 0 && goes_on(s.at[s.len]);)
		s.len--;
	return s;
}

static void
quoted(struct log *l, struct slice s)
{
	s = value_cut(s);
	bool utf8 = slice_is_utf8(s);
	raw(l, S("\""));
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		char escape[ESCAPE_BYTES + 1];
		if (room(l) < ESCAPE_BYTES && !(utf8 && goes_on(s.at[i])))
			break;
		if (c == '"' || c == '\\')
			raw(l, slice_of(escape, (size_t)snprintf(escape, sizeof escape, "\\%c", c)));
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			raw(l, slice_of(escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c)));
		else
			raw(l, slice_of(s.at + i, 1));
	}
	raw(l, S("\""));
}

/* False: the line is full, the field is left out. */
static bool
key_put(struct log *l, const char *key)
{
	if (room(l) < strlen(key) + 4 + NUMBER_BYTES)
		return false;
	raw(l, setup.json ? S(",\"") : S(" "));
	raw(l, slice_text(key));
	raw(l, setup.json ? S("\":") : S("="));
	return true;
}

void
log_begin(struct log *l, enum log_level level, const char *event)
{
	l->len = 0;
	l->off = level < setup.least;
	if (l->off)
		return;
	int64_t ms = clock_wall_ms();
	time_t sec = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&sec, &tm);
	char stamp[40];
	size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(stamp + n, sizeof stamp - n, ".%03dZ", (int)(ms % 1000));
	raw(l, setup.json ? S("{\"time\":\"") : S("time="));
	raw(l, slice_of(stamp, n));
	if (setup.json)
		raw(l, S("\""));
	log_text(l, "level", level_words[level]);
	log_text(l, "role", setup.role);
	log_text(l, "event", event);
}

void
log_slice(struct log *l, const char *key, struct slice value)
{
	if (l->off || !key_put(l, key))
		return;
	if (!setup.json && is_plain(value) && value.len <= MIN((size_t)LOG_VALUE_BYTES_MAX, room(l)))
		raw(l, value);
	else
		quoted(l, value);
}

void
log_text(struct log *l, const char *key, const char *value)
{
	log_slice(l, key, slice_text(value));
}

void
log_u64(struct log *l, const char *key, uint64_t value)
{
	char digits[24];
	if (l->off || !key_put(l, key))
		return;
	raw(l, slice_of(digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value)));
}

void
log_i64(struct log *l, const char *key, int64_t value)
{
	char digits[24];
	if (l->off || !key_put(l, key))
		return;
	raw(l, slice_of(digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value)));
}

void
log_err(struct log *l, enum err e)
{
	log_text(l, "error", err_text(e));
}

void
log_end(struct log *l)
{
	if (l->off)
		return;
	if (setup.json)
		l->line[l->len++] = '}';
	l->line[l->len++] = '\n';
	(void)!write(STDERR_FILENO, l->line, l->len);
}

void
log_event(enum log_level level, const char *event, const char *key, const char *value)
{
	struct log l;
	log_begin(&l, level, event);
	if (key)
		log_text(&l, key, value);
	log_end(&l);
}
