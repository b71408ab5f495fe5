/* SPDX-License-Identifier: Apache-2.0 */
/* fold_fuzz.c - folded text is UTF-8. */
#include "mail/fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b;
	buf_init(&b, 20 * size + 100);
	fold_put(&b, slice_of(data, size));
	ASSERT(!b.over && slice_is_utf8(buf_slice(&b)));
	for (unsigned how = FOLD_ASCII; how <= FOLD_OCTET; how++) {
		buf_clear(&b);
		fold_put_as(&b, how, slice_of(data, size));
		ASSERT(b.len == size);
	}
	buf_release(&b);
	return 0;
}
