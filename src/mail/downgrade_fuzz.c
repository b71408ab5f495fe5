/* SPDX-License-Identifier: Apache-2.0 */
/* downgrade_fuzz.c - the surrogate of a header in UTF-8 is ASCII, ends as the header does, and is its own surrogate. */
#include "mail/downgrade.h"

#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once, twice;
	struct slice header = slice_part(slice_of(data, size), 0, header_bytes(slice_of(data, size)));
	buf_init(&once, 100 * size + 1000);
	buf_init(&twice, 100 * size + 1000);
	if (downgrade_header(&once, header)) {
		ASSERT(!slice_is_utf8(header) || slice_is_ascii(buf_slice(&once)));
		ASSERT(!downgrade_header(&twice, buf_slice(&once)));
		ASSERT(header_bytes(buf_slice(&once)) == once.len);
	} else {
		ASSERT(once.len == 0);
	}
	buf_release(&once);
	buf_release(&twice);
	return 0;
}
