/* SPDX-License-Identifier: Apache-2.0 */
/* bounce_text.c - see bounce_text.h. Called by bounce.c and by those who keep what other servers said. */
#include "mail/bounce_text.h"

#include "base/cursor.h"
#include "mail/charset.h"

#define ADDRESS_BYTES_MAX 320
#define LINE_LOOK_BYTES 2000

static bool
is_digit_at(struct slice s, size_t i)
{
	return i < s.len && ascii_digit(s.at[i]);
}

static size_t
digits(struct slice s, size_t at, size_t max)
{
	size_t n = 0;
	while (n < max && is_digit_at(s, at + n))
		n++;
	return n;
}

/* How long the status of RFC 3463 2 is that stands there; 0: none does. */
static size_t
status_at(struct slice s, size_t at)
{
	size_t subject, detail;
	if (s.len - at < 5 || (s.at[at] != '2' && s.at[at] != '4' && s.at[at] != '5') || s.at[at + 1] != '.')
		return 0;
	subject = digits(s, at + 2, 3);
	if (subject == 0 || at + 2 + subject >= s.len || s.at[at + 2 + subject] != '.')
		return 0;
	detail = digits(s, at + 3 + subject, 3);
	size_t n = 3 + subject + detail;
	bool goes_on =
	    is_digit_at(s, at + n) || (at + n + 1 < s.len && s.at[at + n] == '.' && ascii_digit(s.at[at + n + 1]));
	return detail == 0 || goes_on ? 0 : n; /* an address of IPv4 goes on */
}

static bool
reply_at(struct slice s, size_t at)
{
	return (s.at[at] == '4' || s.at[at] == '5') && digits(s, at, 4) == 3 && s.at[at + 1] <= '5' &&
	       (at + 3 == s.len || s.at[at + 3] == ' ' || s.at[at + 3] == '-' || s.at[at + 3] == '\r' ||
	        s.at[at + 3] == '\n');
}

void
bounce_find_codes(struct slice text, struct slice *reply, struct slice *status)
{
	*reply = *status = SLICE_NONE;
	bool word = true; /* one begins here */
	for (size_t i = 0; i < text.len && !(reply->len && status->len); i++) {
		size_t n = word && status->len == 0 ? status_at(text, i) : 0;
		if (n)
			*status = slice_part(text, i, n);
		else if (word && reply->len == 0 && reply_at(text, i))
			*reply = slice_part(text, i, 3);
		word = !ascii_digit(text.at[i]) && !ascii_alpha(text.at[i]) && text.at[i] != '.' && text.at[i] != '@';
	}
}

/* ---- addresses */

static bool
is_local(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (unsigned char)c >= 0x80 ||
	       slice_find_char(S("!#$%&'*+-/=?^_`{|}~."), c) >= 0;
}

static bool
is_domain(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (unsigned char)c >= 0x80 || c == '-' || c == '.';
}

struct slice
bounce_address(struct slice text)
{
	struct cursor c = cursor_of(slice_part(text, 0, ADDRESS_BYTES_MAX));
	struct slice local, domain;
	(void)take_char(&c, '<');
	const char *from = c.at;
	if (!take_while(&c, is_local, &local) || !take_char(&c, '@') || !take_while(&c, is_domain, &domain))
		return SLICE_NONE;
	while (domain.len && (domain.at[domain.len - 1] == '.' || domain.at[domain.len - 1] == '-'))
		domain.len--;
	bool own = slice_equal_nocase(local, S("mailer-daemon")) || slice_equal_nocase(local, S("postmaster"));
	return domain.len && !own ? slice_of(from, (size_t)(domain.at + domain.len - from)) : SLICE_NONE;
}

bool
bounce_line_address(struct slice line, struct slice *address, struct slice *rest)
{
	struct cursor c = cursor_of(slice_part(line, 0, LINE_LOOK_BYTES));
	skip_spaces(&c);
	if (cursor_left(&c) > 1 && (*c.at == '"' || *c.at == '\''))
		c.at++;
	*address = bounce_address(cursor_rest(&c));
	if (address->len == 0)
		return false;
	*rest = slice_of(address->at + address->len, (size_t)(line.at + line.len - address->at - address->len));
	while (rest->len && slice_find_char(S(">:\"',; \t"), *rest->at) >= 0)
		*rest = slice_from(*rest, 1);
	return true;
}

/* ---- lines */

struct slice
bounce_line(struct arena *a, struct slice text, size_t max)
{
	text = utf8_prefix(slice_trim(text), 4 * max);
	bool utf8 = slice_is_utf8(text);
	char *to = arena_alloc(a, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		bool space = c <= ' ' || c == 0x7f;
		if (space && n > 0 && to[n - 1] == ' ')
			continue;
		to[n++] = space ? ' ' : c < 0x80 || utf8 ? (char)c : '?';
	}
	return slice_trim(utf8_prefix(slice_of(to, n), max));
}
