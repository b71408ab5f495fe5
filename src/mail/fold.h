/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h - text in the form in which search compares it: case folded, compatibility characters replaced, accents as
 * characters of their own (in the manner of i;unicode-casemap, RFC 5051). A text holds a word when its folded bytes
 * hold the folded bytes of the word. */
#ifndef MAIL_FOLD_H
#define MAIL_FOLD_H

#include "base/buf.h"

/* utf8: well-formed, else malformed bytes become U+FFFD. Each run of white space becomes one space. */
void fold_put(struct buf *to, struct slice utf8);

#endif
