/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory with one clock: everything allocated from an arena lives until it is cleared or released.
 * Protocol code has three: session, transaction, command. Nothing is freed one by one. Blocks are at least
 * ARENA_BLOCK_BYTES; clear keeps the first block. An arena that would pass its bytes_max ends the process: callers
 * check the limits of what strangers send before they store it. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

#define ARENA_BLOCK_BYTES 4096

struct arena_block;
struct arena {
	struct arena_block *blocks; /* newest first */
	size_t bytes;               /* handed out since the last clear */
	size_t bytes_max;           /* 0: 64 MiB */
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_clear(struct arena *a);
void arena_release(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned to 16 */
struct slice slice_keep(struct arena *a, struct slice s);
struct slice slice_keep_upper(struct arena *a, struct slice s);                        /* ASCII letters as capitals */
const char *slice_keep_text(struct arena *a, struct slice s);                          /* NUL-terminated copy */
struct slice arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3); /* also NUL-terminated */
struct slice arena_join(struct arena *a, struct slice x, struct slice y);
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

#endif
