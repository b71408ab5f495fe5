/* SPDX-License-Identifier: Apache-2.0 */
/* address_fuzz.c - any bytes are a list that ends; what is given out is never more than was there. */
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	arena_init(&arena, 0);
	struct address_reader r;
	struct address a;
	size_t bytes = 0;
	address_begin(&r, &arena, slice_of(data, size));
	for (size_t n = 0; address_next(&r, &a); n++) {
		ASSERT(n <= size + 1);
		bytes += a.route.len + a.local.len + a.domain.len;
	}
	ASSERT(bytes <= 2 * size);
	ASSERT(cursor_done(&r.at) && !r.in_group);
	arena_release(&arena);
	return 0;
}
