/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - see words.h. Called for answers of remote servers (relay/answer.c) and for bounces. */
#include "mail/words.h"

/* The earliest place of each is as good as any. */
bool
words_match(struct slice pattern, struct slice text)
{
	for (bool more = true; more;) {
		struct slice word;
		more = slice_cut(pattern, '*', &word, &pattern);
		word = slice_trim(word);
		ptrdiff_t at = slice_find_nocase(text, word);
		if (at < 0)
			return false;
		text = slice_from(text, (size_t)at + word.len);
	}
	return true;
}
