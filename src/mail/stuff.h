/* SPDX-License-Identifier: Apache-2.0 */
/* stuff.h - a message on its way out in lines: dots at the start of one doubled (RFC 5321 4.5.2, RFC 1939 3), a lone
 * dot at the end. Pure and without copies: it gives out stretches of the input and of its own literals.
 *
 *     stuffer_init(&st, STUFF_MEND);
 *     for each piece: while (stuffer_next(&st, &piece, &out)) put(out);
 *     put(stuffer_end(&st));
 *
 * Pieces may be cut anywhere. */
#ifndef MAIL_STUFF_H
#define MAIL_STUFF_H

#include "base/slice.h"

/* What becomes of a CR or LF alone, which BDAT and APPEND can bring. */
enum stuff_rule {
	/* SMTP has no way to say it (RFC 5321 2.3.8): it becomes CRLF. */
	STUFF_MEND,
	/* A client of POP3 was told the size: it stays. A LF alone ends a line all the same: many clients read
	 * so, and "\n.\n" would end the answer for them and let the sender of the message speak as the server. */
	STUFF_KEEP,
};

struct stuffer {
	enum stuff_rule rule;
	bool line_start; /* the next byte begins a line */
	bool after_cr;   /* the last byte was a CR; STUFF_MEND did not give it out yet */
	bool bare_lf;    /* STUFF_KEEP: the last line ended in LF alone */
};

void stuffer_init(struct stuffer *st, enum stuff_rule rule);
/* The next stretch to send; false when the piece is used up. */
bool stuffer_next(struct stuffer *st, struct slice *piece, struct slice *out);
/* What ends the message: CRLF when its last line has none, then the dot. */
struct slice stuffer_end(struct stuffer *st);

#endif
