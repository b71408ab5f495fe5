/* SPDX-License-Identifier: Apache-2.0 */
/* html_text_fuzz.c - text is at most as long as the HTML it comes from; UTF-8 stays UTF-8. */
#include "mail/html_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b;
	buf_init(&b, size);
	html_text_put(&b, slice_of(data, size));
	ASSERT(!b.over);
	ASSERT(!slice_is_utf8(slice_of(data, size)) || slice_is_utf8(buf_slice(&b)));
	buf_release(&b);
	return 0;
}
