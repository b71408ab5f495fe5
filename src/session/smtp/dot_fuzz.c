/* SPDX-License-Identifier: Apache-2.0 */
/* dot_fuzz.c - dot.c against the rule written byte by byte, over every way of cutting the input. */
#include "session/smtp/dot.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The plain rule: lines end with CRLF; a line that is "." ends all; a dot at the start of another is dropped. */
static size_t
plain(struct slice in, struct buf *out, bool *done)
{
	*done = false;
	bool start = true;
	for (size_t i = 0; i < in.len; i++) {
		if (start && in.at[i] == '.') {
			if (slice_starts(slice_from(in, i), S(".\r\n"))) {
				*done = true;
				return i + 3;
			}
			start = false;
			continue;
		}
		buf_put_char(out, in.at[i]);
		start = in.at[i] == '\n' && i > 0 && in.at[i - 1] == '\r';
	}
	return in.len;
}

static bool
has_bare(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.at[i] == '\n' && (i == 0 || s.at[i - 1] != '\r')) ||
		    (s.at[i] == '\r' && i + 1 < s.len && s.at[i + 1] != '\n'))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 100000)
		return 0;
	struct slice in = slice_of(data + 1, size - 1);
	size_t step = data[0] ? data[0] : 1000;
	struct buf want, got;
	buf_init(&want, 1 << 20);
	buf_init(&got, 1 << 20);
	bool done;
	size_t used = plain(in, &want, &done);
	bool bare = has_bare(slice_part(in, 0, used));
	struct dot d;
	dot_init(&d);
	struct slice rest = in, piece;
	while (rest.len > 0 && !d.done) {
		struct slice part = slice_part(rest, 0, step);
		size_t had = part.len;
		while (dot_next(&d, &part, &piece))
			buf_put(&got, piece);
		rest = slice_from(rest, had - part.len);
	}
	ASSERT(d.done == done);
	if (done) {
		ASSERT(in.len - rest.len == used);
		ASSERT(slice_equal(buf_slice(&want), buf_slice(&got)));
		ASSERT((d.bare_cr || d.bare_lf) == bare);
	}
	buf_release(&want);
	buf_release(&got);
	return 0;
}
