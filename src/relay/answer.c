/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - see answer.h. A reply is hostile text of at most REPLY_TEXT_BYTES; patterns are ours, and short. */
#include "relay/answer.h"

#include "base/cursor.h"
#include "mail/words.h"

static const struct {
	struct slice word;
	enum answer_action action;
} actions[] = {
	{ S_ROW("recipient"), ANSWER_RECIPIENT },
	{ S_ROW("slow"), ANSWER_SLOW },
	{ S_ROW("connections"), ANSWER_CONNECTIONS },
	{ S_ROW("suspend"), ANSWER_SUSPEND },
};

static bool
take_action(struct cursor *c, enum answer_action *action)
{
	for (size_t i = 0; i < COUNT_OF(actions); i++)
		if (take_nocase(c, actions[i].word)) {
			*action = actions[i].action;
			return true;
		}
	return false;
}

static bool
take_time(struct cursor *c, int64_t *ms)
{
	uint32_t n;
	*ms = 0;
	if (take_char(c, '-'))
		return true;
	if (!take_u32(c, &n) || n == 0 || n > 86400)
		return false;
	*ms = n * 1000LL;
	if (take_char(c, 'm'))
		*ms *= 60;
	else if (take_char(c, 'h'))
		*ms *= 3600;
	else if (!take_char(c, 's'))
		return false;
	return *ms <= 86400 * 1000LL;
}

static bool
take_code(struct cursor *c, char code[4])
{
	struct slice three;
	if (!take_bytes(c, 3, &three))
		return false;
	for (size_t i = 0; i < 3; i++) {
		code[i] = ascii_lower(three.at[i]);
		if (!ascii_digit(code[i]) && code[i] != 'x')
			return false;
	}
	code[3] = '\0';
	return code[0] == '4' || code[0] == '5';
}

bool
answer_parse(struct slice row, struct answer *a)
{
	struct cursor c = cursor_of(slice_trim(row));
	*a = (struct answer){ 0 };
	if (!take_action(&c, &a->action) || !take_spaces(&c) || !take_time(&c, &a->ms) || !take_spaces(&c) ||
	    !take_code(&c, a->code) || !take_spaces(&c))
		return false;
	a->pattern = slice_trim(cursor_rest(&c));
	return a->pattern.len > 0 && a->pattern.len <= ANSWER_PATTERN_BYTES_MAX;
}

bool
answer_matches(const struct answer *a, struct slice reply)
{
	if (reply.len < 3)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!ascii_digit(reply.at[i]) || (a->code[i] != 'x' && a->code[i] != reply.at[i]))
			return false;
	return words_match(a->pattern, slice_from(reply, 3));
}

static bool
find_in(const char *const *rows, size_t n, struct slice reply, struct answer *a)
{
	for (size_t i = 0; i < n; i++)
		if (answer_parse(slice_text(rows[i]), a) && answer_matches(a, reply))
			return true;
	return false;
}

struct answer
answer_find(const char *const *own, size_t nown, struct slice reply)
{
	struct answer a;
	if (find_in(own, nown, reply, &a) || find_in(answer_rows, answer_rows_count, reply, &a))
		return a;
	return (struct answer){ .action = reply.len && reply.at[0] == '4' ? ANSWER_RECIPIENT : ANSWER_NONE };
}
