/* SPDX-License-Identifier: Apache-2.0 */
/* fuzzy.h - how well a message fits words that may be misspelled or inflected (RFC 6203 4): a score of 1 to 100 from
 * the words of the term that occur, how alike they are, and where they stand. Works on folded texts
 * (mail/search_text.h); accents do not count. Pure. */
#ifndef MAIL_FUZZY_H
#define MAIL_FUZZY_H

#include "mail/search_text.h"

#define FUZZY_WORDS_MAX 8            /* of a term; further ones are not looked at */
#define FUZZY_LETTERS_MAX 40         /* longer words are passed over */
#define FUZZY_BYTES_MAX (256u << 10) /* of a message that are looked at word by word */
#define FUZZY_NOT_KNOWN 255          /* in tables of scores */

struct fuzzy_word {
	uint32_t letters[FUZZY_LETTERS_MAX];
	uint8_t len, stem; /* stem: letters without the ending */
	uint64_t mask;     /* which letters there are, roughly */
};
struct fuzzy {
	struct search_key key; /* what was asked for; its needle must outlive this */
	struct fuzzy_word words[FUZZY_WORDS_MAX];
	size_t n;
};
void fuzzy_init(struct fuzzy *f, const struct search_key *key);
/* 0: it does not fit. */
uint8_t fuzzy_score(const struct fuzzy *f, const struct search_text *t);

#endif
