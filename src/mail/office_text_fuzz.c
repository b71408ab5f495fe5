/* SPDX-License-Identifier: Apache-2.0 */
/* office_text_fuzz.c - whatever the file, its text is bounded. */
#include "mail/office_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b;
	buf_init(&b, 4u * OFFICE_XML_BYTES_MAX);
	size_t work = OFFICE_WORK_BYTES_MAX;
	office_text_put(&b, slice_of(data, size), &work);
	ASSERT(!b.over && b.len <= OFFICE_XML_BYTES_MAX + OFFICE_TEXTS_MAX);
	buf_release(&b);
	return 0;
}
