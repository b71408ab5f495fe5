/* SPDX-License-Identifier: Apache-2.0 */
/* dot.h - the bytes between DATA and the lone dot: finds the end, undoes dot-stuffing, notices lines that end in
 * anything but CRLF. Pure and without copies: it gives out stretches of what was read.
 *
 *     dot_init(&d);
 *     while (!d.done) { read in; while (dot_next(&d, &in, &piece)) keep(piece); }
 *
 * Only CRLF "." CRLF ends a message (RFC 5321 4.1.1.4, 2.3.8): a server that takes less for the end can be made to see
 * a second message inside the first ("smuggling"). So bare CR and LF never begin a line here; they are noted, and who
 * asked refuses the message when it is over. */
#ifndef SESSION_SMTP_DOT_H
#define SESSION_SMTP_DOT_H

#include "base/slice.h"

enum dot_state {
	DOT_LINE_START, /* after CRLF, and at first */
	DOT_IN_LINE,
	DOT_CR,     /* after a CR inside a line */
	DOT_DOT,    /* after the dot at the start of a line, which is dropped */
	DOT_DOT_CR, /* after that and a CR, which is held back */
};

struct dot {
	enum dot_state state;
	bool done;
	bool bare_cr, bare_lf; /* seen */
};

void dot_init(struct dot *d);
/* Takes from the front of *in. True: *piece (of *in, or a literal) belongs to the message, call again. False: *in is
 * used up, or the message is over (done; what is left in *in follows it). */
bool dot_next(struct dot *d, struct slice *in, struct slice *piece);

#endif
