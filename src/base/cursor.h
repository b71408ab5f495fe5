/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.h - a place in a slice that moves forward: what parsers are made of.
 * A take_ function either succeeds and moves past what it took, or returns false and leaves the cursor where it was.
 * So a grammar reads as a chain: return take_nocase(c, S("TO:")) && take_path(c, &path) && take_end(c); */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/slice.h"

struct cursor {
	const char *at, *end;
};

struct cursor cursor_of(struct slice s);
struct slice cursor_rest(const struct cursor *c);
static inline bool
cursor_done(const struct cursor *c)
{
	return c->at >= c->end;
}
static inline size_t
cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}
/* The next byte, or -1 at the end. */
static inline int
peek(const struct cursor *c)
{
	return c->at < c->end ? (unsigned char)*c->at : -1;
}
bool take_end(struct cursor *c);
bool take_char(struct cursor *c, char ch);
bool take_any(struct cursor *c, char *ch); /* any one byte */
bool take_exact(struct cursor *c, struct slice text);
bool take_nocase(struct cursor *c, struct slice text);
bool take_while(struct cursor *c, bool (*accept)(char), struct slice *out); /* at least one byte */
bool take_until_char(struct cursor *c, char stop, struct slice *out); /* stop must be there; it is left in place */
bool take_bytes(struct cursor *c, size_t n, struct slice *out);
bool take_u64(struct cursor *c, uint64_t *value); /* digits; false on overflow */
bool take_u32(struct cursor *c, uint32_t *value);
bool take_spaces(struct cursor *c); /* one or more SP or HTAB */
void skip_spaces(struct cursor *c); /* none or more */

#endif
