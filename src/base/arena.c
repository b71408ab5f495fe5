/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - a list of blocks; allocation moves a mark. Owner: whoever embeds the struct. */
#include "base/arena.h"

#include <stdarg.h>

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

void
arena_init(struct arena *a, size_t bytes_max)
{
	*a = (struct arena){ .bytes_max = bytes_max ? bytes_max : 64u << 20 };
}

void
arena_clear(struct arena *a)
{
	while (a->blocks && a->blocks->next) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	if (a->blocks && a->blocks->size > 4 * ARENA_BLOCK_BYTES)
		arena_release(a);
	if (a->blocks)
		a->blocks->used = 0;
	a->bytes = 0;
}

void
arena_release(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	a->bytes = 0;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	ASSERT(size <= SIZE_MAX - 64);
	size = (size + 15) & ~(size_t)15;
	struct arena_block *b = a->blocks;
	a->bytes += size;
	ASSERT(a->bytes <= (a->bytes_max ? a->bytes_max : 64u << 20));
	if (!b || b->size - b->used < size) {
		size_t room = ARENA_BLOCK_BYTES - sizeof *b;
		if (b)
			room = MIN(b->size * 2, (size_t)1 << 20);
		room = MAX(room, size);
		b = malloc(sizeof *b + room);
		ASSERT(b != NULL);
		b->next = a->blocks;
		b->used = 0;
		b->size = room;
		a->blocks = b;
	}
	void *p = b->bytes + b->used;
	b->used += size;
	memset(p, 0, size);
	return p;
}

struct slice
slice_keep_upper(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_upper(s.at[i]);
	return slice_of(to, s.len);
}

const char *
slice_keep_text(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.len + 1);
	if (s.len)
		memcpy(p, s.at, s.len);
	return p;
}

struct slice
slice_keep(struct arena *a, struct slice s)
{
	return slice_of(slice_keep_text(a, s), s.len);
}

struct slice
arena_join(struct arena *a, struct slice x, struct slice y)
{
	char *p = arena_alloc(a, x.len + y.len + 1);
	if (x.len)
		memcpy(p, x.at, x.len);
	if (y.len)
		memcpy(p + x.len, y.at, y.len);
	return slice_of(p, x.len + y.len);
}

struct slice
arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, format, again);
	va_end(again);
	return slice_of(p, (size_t)n);
}
