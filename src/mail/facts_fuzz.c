/* SPDX-License-Identifier: Apache-2.0 */
/* facts_fuzz.c - any bytes have facts: a record that opens, whose parts lie inside the message and inside each other,
 * and whose texts are UTF-8 with balanced parentheses. */
#include "base/cursor.h"
#include "mail/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parts(const struct facts *f, size_t size)
{
	size_t n = facts_parts(f);
	struct facts_part p, parent;
	ASSERT(n > 0);
	for (size_t i = 0; i < n; i++) {
		ASSERT(facts_part(f, i, &p));
		ASSERT(p.header <= p.body && p.body <= p.end && p.end <= size);
		ASSERT(facts_part(f, p.parent, &parent));
		ASSERT(i == 0 || (p.parent < i && p.header >= parent.body && p.end <= parent.end));
		ASSERT(p.decoded <= p.end - p.body);
		ASSERT(p.first == 0 || (p.first > i && p.first < n));
		ASSERT(p.next == 0 || (p.next > i && p.next < n));
	}
}

/* A quoted string or a literal; false: c stands at neither. */
static bool
take_string(struct cursor *c)
{
	struct slice ignored;
	uint32_t n;
	if (take_char(c, '{')) {
		ASSERT(take_u32(c, &n) && take_exact(c, S("}\r\n")) && take_bytes(c, n, &ignored));
		ASSERT(slice_is_utf8(ignored) && memchr(ignored.at, 0, n) == NULL);
		return true;
	}
	if (!take_char(c, '"'))
		return false;
	for (; peek(c) != '"'; c->at++) {
		ASSERT(!cursor_done(c) && (unsigned char)*c->at < 0x80 && *c->at != '\r' && *c->at != '\n' && *c->at != 0);
		if (*c->at == '\\') {
			c->at++;
			ASSERT(peek(c) == '"' || peek(c) == '\\');
		}
	}
	c->at++;
	return true;
}

static void
check_list(struct slice s)
{
	struct cursor c = cursor_of(s);
	size_t depth = 0;
	do {
		if (take_char(&c, '('))
			depth++;
		else if (take_char(&c, ')'))
			depth--;
		else if (!take_string(&c))
			ASSERT(take_char(&c, ' ') || take_exact(&c, S("NIL")) || take_u32(&c, &(uint32_t){ 0 }));
	} while (depth > 0);
	ASSERT(cursor_done(&c));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf record;
	struct facts f;
	struct facts_numbers n;
	buf_init(&record, FACTS_BYTES_MAX);
	ASSERT(facts_of_message(slice_of(data, size), &record));
	ASSERT(facts_open(&f, buf_slice(&record)) && facts_numbers(&f, &n));
	check_parts(&f, size);
	check_list(facts_get(&f, FACTS_ENVELOPE));
	check_list(facts_get(&f, FACTS_BODY));
	check_list(facts_get(&f, FACTS_BODYSTRUCTURE));
	for (int id = FACTS_SUBJECT; id <= FACTS_DISPLAY_TO; id++)
		if (id != FACTS_MESSAGE_ID && id != FACTS_REFERENCES)
			ASSERT(slice_is_utf8(facts_get(&f, (enum facts_id)id)));
	/* and the bytes as a record */
	if (facts_open(&f, slice_of(data, size)))
		for (size_t i = 0; i < MIN(facts_parts(&f), (size_t)100); i++)
			ASSERT(facts_part(&f, i, &(struct facts_part){ 0 }));
	buf_release(&record);
	return 0;
}
