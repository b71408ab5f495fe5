/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - the pure parts of POP3: command lines and the cut of TOP. No waiting, no memory. */
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

/* TOP: the header, the empty line and n lines (RFC 1939 7). */
struct top {
	uint32_t lines_left;
	bool in_body, line_begun, cr, done; /* cr: of this line a lone CR was seen, no more */
};
/* How many bytes of the piece belong to it; done is set once the end was met. */
size_t top_piece(struct top *t, struct slice piece);

#endif
