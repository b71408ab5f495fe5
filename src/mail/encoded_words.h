/* SPDX-License-Identifier: Apache-2.0 */
/* encoded_words.h - header values as people read them, in UTF-8: RFC 2047 words, raw 8-bit text, folds. */
#ifndef MAIL_ENCODED_WORDS_H
#define MAIL_ENCODED_WORDS_H

#include "base/buf.h"

/* Appends value unfolded and decoded, without white space at both ends; control characters become spaces. */
void encoded_words_put(struct buf *to, struct slice value);
/* text as encoded words where it is not ASCII (B, UTF-8, at most 75 characters each, folded), else as it is. */
void encoded_words_encode(struct buf *to, struct slice text);

#endif
