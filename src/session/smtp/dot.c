/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c - see dot.h. Two memchr for each line, whatever is between. */
#include "session/smtp/dot.h"

void
dot_init(struct dot *d)
{
	*d = (struct dot){ .state = DOT_LINE_START };
}

/* From p inside a line to its end, or to end. */
static const char *
pass_line(struct dot *d, const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *stop = lf ? lf : end;
	bool after_cr = stop > p && stop[-1] == '\r';
	const char *text_end = after_cr ? stop - 1 : stop;
	if (text_end > p && memchr(p, '\r', (size_t)(text_end - p)))
		d->bare_cr = true;
	if (!lf) {
		d->state = after_cr ? DOT_CR : DOT_IN_LINE;
		return end;
	}
	if (!after_cr)
		d->bare_lf = true;
	d->state = after_cr ? DOT_LINE_START : DOT_IN_LINE;
	return lf + 1;
}

/* The byte after a CR in a line. */
static const char *
pass_cr(struct dot *d, const char *p)
{
	if (*p == '\n') {
		d->state = DOT_LINE_START;
		return p + 1;
	}
	d->bare_cr = true;
	d->state = DOT_IN_LINE;
	return p;
}

/* At the front of *in, in one of the two states after a dot that began a line. True: *piece is to be kept. */
static bool
after_dot(struct dot *d, struct slice *in, struct slice *piece)
{
	bool held = d->state == DOT_DOT_CR;
	if (held && *in->at == '\n') {
		d->done = true;
		*in = slice_from(*in, 1);
		return false;
	}
	if (held) { /* the CR that was held back was none of a line's end */
		d->bare_cr = true;
		d->state = DOT_IN_LINE;
		*piece = S("\r");
		return true;
	}
	if (*in->at == '\r') {
		d->state = DOT_DOT_CR;
		*in = slice_from(*in, 1);
	} else {
		d->state = DOT_IN_LINE;
	}
	return false;
}

bool
dot_next(struct dot *d, struct slice *in, struct slice *piece)
{
	while (in->len > 0 && !d->done && d->state >= DOT_DOT)
		if (after_dot(d, in, piece))
			return true;
	const char *start = in->at, *p = start, *end = start + in->len;
	while (p < end && !d->done) {
		if (d->state == DOT_LINE_START && *p == '.')
			break;
		p = d->state == DOT_CR ? pass_cr(d, p) : pass_line(d, p, end);
	}
	*piece = slice_of(start, (size_t)(p - start));
	*in = slice_from(*in, piece->len);
	if (piece->len > 0)
		return true;
	if (in->len == 0 || d->done)
		return false;
	d->state = DOT_DOT; /* RFC 5321 4.5.2: a leading dot loses one dot */
	*in = slice_from(*in, 1);
	return dot_next(d, in, piece);
}
