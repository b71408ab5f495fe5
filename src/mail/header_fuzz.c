/* SPDX-License-Identifier: Apache-2.0 */
/* header_fuzz.c - the fields are the header, byte for byte, and never reach past it. */
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct arena a;
	arena_init(&a, 0);
	struct header_reader h;
	struct header_field f;
	const char *at = text.at, *end = text.at + header_bytes(text);
	for (header_begin(&h, text); header_next(&h, &f); at += f.whole.len) {
		ASSERT(f.whole.at == at && f.whole.len <= (size_t)(end - at));
		ASSERT(f.name.len + f.value.len <= f.whole.len);
		ASSERT(slice_find_char(header_unfold(&a, f.value), '\n') < 0);
	}
	ASSERT(h.fields == HEADER_FIELDS_MAX || end - at <= 2);
	arena_release(&a);
	return 0;
}
