/* SPDX-License-Identifier: Apache-2.0 */
/* bounce_text.h - codes and addresses in what servers write for people. Pure. */
#ifndef MAIL_BOUNCE_TEXT_H
#define MAIL_BOUNCE_TEXT_H

#include "base/arena.h"

/* The first reply code of SMTP (4xx, 5xx) and the first status of RFC 3463 in a text; empty: there is none. */
void bounce_find_codes(struct slice text, struct slice *reply, struct slice *status);
/* The address at the beginning of a text, with or without brackets; empty: there is none. */
struct slice bounce_address(struct slice text);
/* A line that begins with the address of a recipient; *rest is what follows it. */
bool bounce_line_address(struct slice line, struct slice *address, struct slice *rest);
/* What a stranger wrote, as one line of printable UTF-8 of at most max bytes. */
struct slice bounce_line(struct arena *a, struct slice text, size_t max);

#endif
