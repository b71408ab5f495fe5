/* SPDX-License-Identifier: Apache-2.0 */
/* search_words.h - words that many messages of a pack have (mail/search_pack.h), each with a bit for each message that
 * has it. A text that stands in such a word is certain to stand in those messages: nobody has to look into them. Words
 * are whatever stands between spaces and punctuation; which ones are listed decides about speed only.
 *
 * A list, little endian: u32 words, u32 bytes of them; the words, each ended by LF; for each a bit for each message. */
#ifndef MAIL_SEARCH_WORDS_H
#define MAIL_SEARCH_WORDS_H

#include "base/buf.h"

#define SEARCH_WORDS_MAX 512 /* of a list: the most frequent ones */
#define SEARCH_WORDS_HEAD_BYTES 8

struct search_words;
struct search_words *search_words_new(void);
void search_words_free(struct search_words **w);
/* message: rises. */
void search_words_add(struct search_words *w, uint32_t message, struct slice text);
/* Appends the list of those that at least a sixteenth of n messages have; empty afterwards. */
void search_words_finish(struct search_words *w, uint32_t n, struct buf *to);

#endif
