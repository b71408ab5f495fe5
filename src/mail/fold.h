/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h - text in the form in which search and SORT compare it, octet by octet afterwards: i;unicode-casemap (RFC
 * 5051), or another collation. A text holds a word when its folded bytes hold the folded bytes of the word. */
#ifndef MAIL_FOLD_H
#define MAIL_FOLD_H

#include "base/buf.h"

/* i;unicode-casemap. utf8: well-formed, else malformed bytes become U+FFFD. Each run of white space becomes one space.
 */
void fold_put(struct buf *to, struct slice utf8);

/* Collations that offer equality, order and substring (RFC 4790 9); what one of the others finds equal FOLD_UNICODE
 * does, too. */
enum fold_how { FOLD_UNICODE, FOLD_ASCII /* i;ascii-casemap */, FOLD_OCTET /* i;octet */ };
void fold_put_as(struct buf *to, enum fold_how how, struct slice utf8);
/* The same with white space as it is: for order (RFC 5256 3), in which "A  B" comes before "A B". */
void fold_put_ordered(struct buf *to, enum fold_how how, struct slice utf8);

#endif
