/* SPDX-License-Identifier: Apache-2.0 */
/* pop3_fuzz.c - any bytes as a command line, and as a message that is stuffed and cut: what a client undoes is what
 * went in, however it came in pieces; a line of a dot alone stands at the end only. */
#include "session/pop3/lines.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
collect(void *arg, struct slice bytes)
{
	buf_put(arg, bytes);
}

/* As a client that takes LF as a line end: drops one dot at the start of each line, stops at the lone one. */
static void
undo(struct slice sent, struct buf *to)
{
	struct slice line;
	bool more = true;
	while (more) {
		more = slice_cut(sent, '\n', &line, &sent);
		ASSERT(more); /* the lone dot comes before the end */
		if (slice_equal(line, S(".\r")))
			break;
		ASSERT(!slice_equal(line, S(".")));
		buf_put(to, slice_from(line, slice_starts(line, S("."))));
		buf_put_char(to, '\n');
	}
	ASSERT(sent.len == 0);
}

static void
stuffed(struct slice message, size_t cut)
{
	struct buf sent, back;
	struct dots d;
	buf_init(&sent, 3 * message.len + 100);
	buf_init(&back, 3 * message.len + 100);
	dots_begin(&d);
	dots_piece(&d, slice_part(message, 0, cut), collect, &sent);
	dots_piece(&d, slice_from(message, cut), collect, &sent);
	dots_end(&d, collect, &sent);
	undo(buf_slice(&sent), &back);
	ASSERT(slice_starts(buf_slice(&back), message));
	ASSERT(back.len == message.len || back.len == message.len + 2);
	buf_release(&sent);
	buf_release(&back);
}

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
	stuffed(input, cut);
	struct top whole = { .lines_left = 2 }, pieces = whole;
	size_t all = top_piece(&whole, input), some = top_piece(&pieces, slice_part(input, 0, cut));
	if (some == cut)
		some += top_piece(&pieces, slice_from(input, cut));
	ASSERT(all == some && all <= size);
	return 0;
}
