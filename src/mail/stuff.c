/* SPDX-License-Identifier: Apache-2.0 */
/* stuff.c - see stuff.h. A stretch runs up to the next line that begins with a dot, or the next line end that is not
 * CRLF and has to become it. Called by relay and POP3. */
#include "mail/stuff.h"

void
stuffer_init(struct stuffer *st, enum stuff_rule rule)
{
	*st = (struct stuffer){ .rule = rule, .line_start = true };
}

static bool
give(struct slice *out, struct slice what)
{
	*out = what;
	return true;
}

/* How far the bytes go on without anything to change, from the start of a line or within one. */
static size_t
plain_run(struct slice s, bool line_start, bool mend)
{
	size_t i = 0;
	if (line_start && s.len > 0 && s.at[0] == '.')
		return 0;
	for (;;) {
		const char *lf = i < s.len ? memchr(s.at + i, '\n', s.len - i) : NULL;
		size_t end = lf ? (size_t)(lf - s.at) : s.len;
		const char *cr = mend && end > i ? memchr(s.at + i, '\r', end - i) : NULL;
		if (cr && (!lf || cr != lf - 1))
			return (size_t)(cr - s.at); /* a bare CR, or one at the end of the piece */
		if (!lf)
			return s.len;
		if (mend && !cr)
			return end; /* a bare LF */
		i = end + 1;
		if (i >= s.len || s.at[i] == '.')
			return i;
	}
}

bool
stuffer_next(struct stuffer *st, struct slice *piece, struct slice *out)
{
	bool mend = st->rule == STUFF_MEND;
	if (piece->len == 0)
		return false;
	if (st->after_cr && mend) { /* RFC 5321 2.3.8: CR LF together, whatever stood after the CR */
		st->after_cr = false;
		st->line_start = true;
		if (piece->at[0] == '\n')
			*piece = slice_from(*piece, 1);
		return give(out, S("\r\n"));
	}
	if (st->line_start && piece->at[0] == '.') {
		st->line_start = false;
		return give(out, S(".")); /* the dot of the piece follows with its line */
	}
	size_t n = plain_run(*piece, st->line_start, mend);
	if (n > 0) {
		struct slice run = slice_part(*piece, 0, n);
		st->line_start = run.at[n - 1] == '\n';
		st->bare_lf = st->line_start && !(n > 1 ? run.at[n - 2] == '\r' : st->after_cr);
		st->after_cr = run.at[n - 1] == '\r';
		*piece = slice_from(*piece, n);
		return give(out, run);
	}
	ASSERT(mend);
	char c = piece->at[0];
	*piece = slice_from(*piece, 1);
	if (c == '\r') {
		st->after_cr = true;
		return give(out, slice_of("", 0));
	}
	ASSERT(c == '\n');
	st->line_start = true;
	return give(out, S("\r\n"));
}

struct slice
stuffer_end(struct stuffer *st)
{
	return st->line_start && !st->after_cr && !st->bare_lf ? S(".\r\n") : S("\r\n.\r\n");
}
