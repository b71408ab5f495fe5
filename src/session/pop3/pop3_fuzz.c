/* SPDX-License-Identifier: Apache-2.0 */
/* pop3_fuzz.c - any bytes as a command line, and as a message of which TOP takes as much whole as in pieces. */
#include "session/pop3/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct pop3_line line;
	uint32_t n[2];
	if (pop3_line_parse(input, &line)) {
		ASSERT(line.word.len > 0 && line.word.len + line.rest.len <= size);
		ASSERT(pop3_numbers(line.rest, n, 2) <= 2);
	}
	size_t cut = size ? data[0] % (size + 1) : 0;
	struct top whole = { .lines_left = 2 }, pieces = whole;
	size_t all = top_piece(&whole, input), some = top_piece(&pieces, slice_part(input, 0, cut));
	if (some == cut)
		some += top_piece(&pieces, slice_from(input, cut));
	ASSERT(all == some && all <= size);
	return 0;
}
