/* SPDX-License-Identifier: Apache-2.0 */
/* fuzzy_fuzz.c - fuzzer: a term (up to the first NUL) against a message as SEARCH would have it, and against bytes that
 * are no text at all. */
#include "mail/fuzzy.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), term, text;
	struct buf needle, record;
	struct search_text t;
	struct fuzzy f;
	(void)slice_cut(input, '\0', &term, &text);
	buf_init(&needle, 1 << 20);
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	fold_put(&needle, term);
	search_text_make(text, 100000, &record);
	ASSERT(search_text_open(&t, buf_slice(&record)));
	for (enum search_where where = SEARCH_IN_TEXT; where <= SEARCH_IN_HEADER; where++) {
		struct search_key key = { where, S("SUBJECT"), buf_slice(&needle) };
		fuzzy_init(&f, &key);
		ASSERT(fuzzy_score(&f, &t) <= 100);
		if (search_text_find(&t, &key) == SEARCH_FOUND)
			ASSERT(fuzzy_score(&f, &t) > 0);
		(void)fuzzy_score(&f, &(struct search_text){ .header = text, .body = text });
	}
	buf_release(&needle);
	buf_release(&record);
	return 0;
}
