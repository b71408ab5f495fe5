/* SPDX-License-Identifier: Apache-2.0 */
/* reply_fuzz.c - lines of any bytes, as a remote server could send them. */
#include "relay/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remote_reply r;
	struct slice rest = slice_of((const char *)data, size), line;
	reply_begin(&r);
	while (rest.len > 0) {
		slice_cut(rest, '\n', &line, &rest);
		if (!reply_add(&r, line) || r.done) {
			ASSERT(strlen(r.text) == r.len && r.len <= REPLY_TEXT_BYTES && !slice_has_control(slice_text(r.text)));
			reply_begin(&r);
		}
	}
	return 0;
}
