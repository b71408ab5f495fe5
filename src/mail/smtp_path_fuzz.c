/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_path_fuzz.c - what is taken once is taken again after it was written out, and is the same. */
#include "mail/smtp_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	arena_init(&a, 0);
	struct slice text = slice_of(data, MIN(size, (size_t)4096));
	struct cursor c = cursor_of(text);
	struct path p, q;
	if (!take_reverse_path(&c, &a, true, &p) && !take_forward_path(&c, &a, false, &p)) {
		ASSERT(cursor_rest(&c).len == text.len);
	} else if (!p.null && !p.postmaster_only) {
		struct buf b;
		buf_init(&b, 100000);
		path_put(&b, &p);
		struct cursor again = cursor_of(buf_slice(&b));
		ASSERT(take_mailbox(&again, &a, true, &q) && cursor_done(&again));
		ASSERT(slice_equal(p.local, q.local) && slice_equal(p.domain, q.domain));
		buf_release(&b);
	}
	arena_release(&a);
	return 0;
}
