/* SPDX-License-Identifier: Apache-2.0 */
/* stuff.h - a message on its way out in lines: dots doubled (RFC 5321 4.5.2, RFC 1939 3), CRLF at each end of line, a
 * lone dot at the end. Pure and without copies: it gives out stretches of the input and of its own literals.
 *
 *     stuffer_init(&st);
 *     for each piece: while (stuffer_next(&st, &piece, &out)) put(out);
 *     put(stuffer_end(&st));
 *
 * A bare LF or CR, which BDAT can bring, becomes CRLF: neither protocol has a way to say it (RFC 5321 2.3.8). */
#ifndef MAIL_STUFF_H
#define MAIL_STUFF_H

#include "base/slice.h"

struct stuffer {
	bool line_start; /* the next byte begins a line */
	bool after_cr;   /* the last byte was a CR that was not given out yet */
};

void stuffer_init(struct stuffer *st);
/* The next stretch to send; false when the piece is used up. */
bool stuffer_next(struct stuffer *st, struct slice *piece, struct slice *out);
/* What ends the message: CRLF when its last line has none, then the dot. */
struct slice stuffer_end(struct stuffer *st);

#endif
