/* SPDX-License-Identifier: Apache-2.0 */
/* search_text_fuzz.c - any bytes as a message (its record must open, come back from its packed form, and find what a
 * look into the message finds), and as a packed record. */
#include "mail/search_text.h"

#include "mail/fold.h"
#include "mail/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same_as_match(struct slice message, const struct search_text *t, struct slice needle)
{
	struct buf folded;
	buf_init(&folded, 1u << 20);
	fold_put(&folded, needle);
	for (int where = SEARCH_IN_TEXT; where <= SEARCH_IN_HEADER; where++) {
		struct match_key m = { (enum match_where)where, S("Subject"), needle };
		struct search_key k = { (enum search_where)where, S("SUBJECT"), buf_slice(&folded) };
		enum search_found found = search_text_find(t, &k);
		ASSERT(found == SEARCH_NOT_KNOWN || (found == SEARCH_FOUND) == (match_message(message, &m, 1) != 0));
	}
	buf_release(&folded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf record, packed, back;
	struct search_text t;
	struct slice needle, message;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	buf_init(&packed, SEARCH_TEXT_BYTES_MAX + 100);
	buf_init(&back, SEARCH_TEXT_BYTES_MAX);
	slice_cut(slice_of(data, size), '\n', &needle, &message);
	search_text_make(message, 10000, &record);
	ASSERT(search_text_open(&t, buf_slice(&record)));
	same_as_match(message, &t, needle);
	search_text_pack(buf_slice(&record), &packed);
	ASSERT(search_text_unpack(buf_slice(&packed), &back) && slice_equal(buf_slice(&record), buf_slice(&back)));
	if (search_text_unpack(slice_of(data, size), &back))
		(void)search_text_open(&t, buf_slice(&back));
	buf_release(&record);
	buf_release(&packed);
	buf_release(&back);
	return 0;
}
