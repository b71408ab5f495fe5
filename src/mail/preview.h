/* SPDX-License-Identifier: Apache-2.0 */
/* preview.h - the beginning of a message's text (RFC 8970). */
#ifndef MAIL_PREVIEW_H
#define MAIL_PREVIEW_H

#include "mail/mime.h"

#define PREVIEW_CHARS_MAX 200 /* RFC 8970 3.2 */

/* Appends at most PREVIEW_CHARS_MAX characters of the first text that is no attachment: plain text, else HTML. White
 * space is one space each, quoted lines are left out. */
void preview_put(struct buf *to, const struct mime *m, struct slice message);

#endif
