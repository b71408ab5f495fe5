/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - patterns of the tables in conf/: words that stand in a text in this order. Pure. */
#ifndef MAIL_WORDS_H
#define MAIL_WORDS_H

#include "base/slice.h"

/* Words between stars in their order, in any case of letters: "mailbox * full". An empty pattern fits anything. */
bool words_match(struct slice pattern, struct slice text);

#endif
