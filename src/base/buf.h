/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a byte buffer that grows up to a bound. Going over the bound drops what did not fit and sets the sticky
 * `over`, which the caller looks at once at the end. Owner: whoever embeds the struct. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

struct buf {
	char *at;
	size_t len, cap, bytes_max;
	bool over;
};

void buf_init(struct buf *b, size_t bytes_max);
void buf_clear(struct buf *b);   /* empty, keeps its memory */
void buf_release(struct buf *b); /* empty, memory given back; may be used again */
struct slice buf_slice(const struct buf *b);
bool buf_room(struct buf *b, size_t n); /* makes place for n more bytes; false (and over) when past the bound */
void buf_put(struct buf *b, struct slice s);
void buf_put_char(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t v); /* decimal digits */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_cut(struct buf *b, size_t n); /* drops the first n bytes */
void buf_drop_end(struct buf *b, size_t n);
/* Binary, little endian: for records and frames. */
void buf_put_le(struct buf *b, uint64_t v, size_t bytes);
/* Binary, big endian: for keys that must sort by value. */
void buf_put_be(struct buf *b, uint64_t v, size_t bytes);

uint64_t bytes_get_le(const void *at, size_t bytes);
void bytes_set_le(void *at, uint64_t v, size_t bytes);
uint64_t bytes_get_be(const void *at, size_t bytes);
void bytes_set_be(void *at, uint64_t v, size_t bytes);

#endif
