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

void
dots_begin(struct dots *d)
{
	*d = (struct dots){ .line_start = true, .whole = true };
}

/* A line ends at LF here, with or without CR before it: many clients read so, and a bare "\n.\n" from a binary message
 * would end the answer for them and let its sender speak as the server. */
void
dots_piece(struct dots *d, struct slice piece, dots_put_fn *put, void *arg)
{
	if (piece.len == 0)
		return;
	const char *from = piece.at, *end = piece.at + piece.len;
	if (d->line_start && *from == '.')
		put(arg, S("."));
	for (const char *at = from; (at = memchr(at, '\n', (size_t)(end - at)));) {
		at++;
		if (at < end && *at == '.') {
			put(arg, slice_of(from, (size_t)(at - from)));
			put(arg, S("."));
			from = at;
		}
	}
	put(arg, slice_of(from, (size_t)(end - from)));
	d->line_start = end[-1] == '\n';
	d->whole = d->line_start && (piece.len > 1 ? end[-2] == '\r' : d->cr);
	d->cr = end[-1] == '\r';
}

void
dots_end(struct dots *d, dots_put_fn *put, void *arg)
{
	put(arg, d->whole ? S(".\r\n") : S("\r\n.\r\n"));
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
