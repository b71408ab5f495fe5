/* SPDX-License-Identifier: Apache-2.0 */
/* base_subject_fuzz.c - a base subject is never longer than the subject. */
#include "mail/base_subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b;
	buf_init(&b, size);
	base_subject_put(&b, slice_of(data, size));
	ASSERT(!b.over);
	buf_release(&b);
	return 0;
}
