/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - see lines.h. Called by the commands of POP3 and by the fuzzer. */
#include "session/pop3/lines.h"

#include "base/cursor.h"

static bool
is_letter_or_digit(char c)
{
	return ascii_alpha(c) || ascii_digit(c); /* UTF8 is the command with a digit */
}

bool
pop3_line_parse(struct slice line, struct pop3_line *out)
{
	struct cursor c = cursor_of(line);
	*out = (struct pop3_line){ 0 };
	if (!take_while(&c, is_letter_or_digit, &out->word) || (!cursor_done(&c) && !take_char(&c, ' ')))
		return false;
	out->rest = cursor_rest(&c);
	out->has_rest = out->rest.len > 0;
	return true;
}

int
pop3_numbers(struct slice rest, uint32_t *numbers, unsigned max)
{
	struct cursor c = cursor_of(slice_trim_end(rest));
	unsigned n = 0;
	while (!cursor_done(&c)) {
		if (n == max || !take_u32(&c, &numbers[n++]) || (!cursor_done(&c) && !take_char(&c, ' ')))
			return -1;
	}
	return (int)n;
}

size_t
top_piece(struct top *t, struct slice piece)
{
	const char *at = piece.at, *end = piece.at + piece.len;
	while (at < end && !t->done) {
		if (t->in_body && t->lines_left == 0 && !t->line_begun) {
			t->done = true;
			break;
		}
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *stop = lf ? lf : end;
		bool content = t->line_begun || stop - at > 1 || (stop - at == 1 && (*at != '\r' || t->cr));
		if (!lf) {
			t->line_begun = content;
			t->cr |= stop > at;
			return piece.len;
		}
		if (t->in_body)
			t->lines_left--;
		else if (!content)
			t->in_body = true;
		t->line_begun = t->cr = false;
		at = lf + 1;
	}
	return (size_t)(at - piece.at);
}
