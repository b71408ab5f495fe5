/* SPDX-License-Identifier: Apache-2.0 */
/* match_fuzz.c - the first line is the needle, the rest the message: what body finds, text finds too. */
#include "mail/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice needle, message;
	slice_cut(slice_of(data, size), '\n', &needle, &message);
	struct match_key keys[3] = { { MATCH_IN_TEXT, S(""), needle },
		                         { MATCH_IN_BODY, S(""), needle },
		                         { MATCH_IN_HEADER, S("Subject"), needle } };
	uint64_t hits = match_message(message, keys, 3);
	ASSERT(hits < 8 && (!(hits & 2) || (hits & 1)));
	return 0;
}
