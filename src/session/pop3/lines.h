/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - the pure parts of POP3: command lines, dot-stuffing, the cut of TOP. No waiting, no memory. */
#ifndef SESSION_POP3_LINES_H
#define SESSION_POP3_LINES_H

#include "base/slice.h"

#define POP3_LINE_BYTES_MAX 2048 /* RFC 2449 4 says 255; an initial response of AUTH may be longer */

struct pop3_line {
	struct slice word; /* as typed */
	struct slice rest; /* what follows the one space after it, untouched: passwords may hold spaces */
	bool has_rest;
};
bool pop3_line_parse(struct slice line, struct pop3_line *out);
/* The arguments of a command that takes numbers: "", "1", "1 2". -1: malformed, or more than max. */
int pop3_numbers(struct slice rest, uint32_t *numbers, unsigned max);

/* A message on its way out: a '.' at the start of a line is doubled (RFC 1939 3), the end is made a line end. Pieces
 * may be cut anywhere. */
struct dots {
	bool line_start, cr, whole; /* whole: what was sent ends in CRLF, or is empty */
};
typedef void dots_put_fn(void *arg, struct slice bytes);
void dots_begin(struct dots *d);
void dots_piece(struct dots *d, struct slice piece, dots_put_fn *put, void *arg);
void dots_end(struct dots *d, dots_put_fn *put, void *arg); /* with the lone dot */

/* TOP: the header, the empty line and n lines (RFC 1939 7). */
struct top {
	uint32_t lines_left;
	bool in_body, line_begun, cr, done; /* cr: of this line a lone CR was seen, no more */
};
/* How many bytes of the piece belong to it; done is set once the end was met. */
size_t top_piece(struct top *t, struct slice piece);

#endif
