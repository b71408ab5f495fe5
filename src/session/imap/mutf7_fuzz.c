/* SPDX-License-Identifier: Apache-2.0 */
/* mutf7_fuzz.c - whatever decodes is well-formed UTF-8 and encodes to the same bytes again. */
#include "session/imap/mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice wire = slice_of(data, size);
	struct buf utf8, back;
	buf_init(&utf8, 4 * size + 16);
	buf_init(&back, 8 * size + 16);
	if (mutf7_decode(wire, &utf8)) {
		ASSERT(slice_is_utf8(buf_slice(&utf8)));
		mutf7_encode(buf_slice(&utf8), &back);
		ASSERT(slice_equal(buf_slice(&back), wire));
	}
	buf_clear(&back);
	mutf7_encode(wire, &back);
	buf_release(&utf8);
	buf_release(&back);
	return 0;
}
