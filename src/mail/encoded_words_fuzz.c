/* SPDX-License-Identifier: Apache-2.0 */
/* encoded_words_fuzz.c - whatever is decoded is UTF-8 without control characters, and encodes to itself. */
#include "mail/encoded_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once, coded, twice;
	buf_init(&once, 1u << 24);
	buf_init(&coded, 1u << 24);
	buf_init(&twice, 1u << 24);
	encoded_words_put(&once, slice_of(data, size));
	ASSERT(once.over || (slice_is_utf8(buf_slice(&once)) && !slice_has_control(buf_slice(&once))));
	encoded_words_encode(&coded, buf_slice(&once));
	ASSERT(slice_is_ascii(buf_slice(&coded)));
	encoded_words_put(&twice, buf_slice(&coded));
	ASSERT(twice.over || slice_equal(slice_trim(buf_slice(&once)), slice_trim(buf_slice(&twice))));
	buf_release(&once);
	buf_release(&coded);
	buf_release(&twice);
	return 0;
}
