/* SPDX-License-Identifier: Apache-2.0 */
/* stuff_fuzz.c - any bytes as a message on its way out: cut in two it gives the same; what a client undoes is what went
 * in; a line of a dot alone stands at the end only, for those who take LF as a line end, too. */
#include "mail/stuff.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
stuff(enum stuff_rule rule, struct slice whole, size_t cut, struct buf *to)
{
	struct stuffer st;
	struct slice out, pieces[2] = { slice_part(whole, 0, cut), slice_from(whole, cut) };
	buf_init(to, 3 * whole.len + 100);
	stuffer_init(&st, rule);
	for (int i = 0; i < 2; i++)
		while (stuffer_next(&st, &pieces[i], &out))
			buf_put(to, out);
	buf_put(to, stuffer_end(&st));
	ASSERT(!to->over);
}

/* As a client that takes LF as a line end: drops one dot at the start of each line, stops at the lone one. */
static void
undo(struct slice sent, struct buf *to)
{
	struct slice line;
	buf_init(to, sent.len + 100);
	for (;;) {
		bool more = slice_cut(sent, '\n', &line, &sent);
		ASSERT(more); /* the lone dot comes before the end */
		if (slice_equal(line, S(".\r")))
			break;
		ASSERT(!slice_equal(line, S(".")));
		buf_put(to, slice_from(line, slice_starts(line, S("."))));
		buf_put_char(to, '\n');
	}
	ASSERT(sent.len == 0);
}

/* RFC 5321 2.3.8: CR and LF only together. */
static bool
has_bare_end(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '\r' ? i + 1 == s.len || s.at[i + 1] != '\n'
		                    : s.at[i] == '\n' && (i == 0 || s.at[i - 1] != '\r'))
			return true;
	return false;
}

static void
try_rule(enum stuff_rule rule, struct slice message, size_t cut)
{
	struct buf whole, pieces, back;
	stuff(rule, message, 0, &whole);
	stuff(rule, message, cut, &pieces);
	ASSERT(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
	undo(buf_slice(&whole), &back);
	if (rule == STUFF_MEND) {
		ASSERT(!has_bare_end(buf_slice(&whole)));
	} else {
		ASSERT(slice_starts(buf_slice(&back), message));
		ASSERT(back.len == message.len || back.len == message.len + 2);
	}
	buf_release(&whole);
	buf_release(&pieces);
	buf_release(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut = size ? data[0] % (size + 1) : 0;
	try_rule(STUFF_MEND, slice_of(data, size), cut);
	try_rule(STUFF_KEEP, slice_of(data, size), cut);
	return 0;
}
