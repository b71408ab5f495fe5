/* SPDX-License-Identifier: Apache-2.0 */
/* slab.c - pieces of equal size in blocks that begin at multiples of their length, so that a piece leads to its block.
 * Called by the session roles for connections and what they keep between commands. Fails never: memory that cannot be
 * had ends the process. */
#include "base/slab.h"

#include "base/list.h"

#define STEP 64 /* sizes are rounded up to multiples of this */
#define CLASSES (SLAB_BYTES_MAX / STEP)
#define BLOCK_BYTES 32768
#define HEAD_BYTES 64

struct block {
	struct link link; /* in the list of its class, as long as it has room */
	void *freed;      /* pieces that were used before: each begins with the next */
	uint32_t size, used, touched, room;
};
_Static_assert(sizeof(struct block) <= HEAD_BYTES, "the head of a block fits before its first piece");

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
bool slab_plain = true;
#else
bool slab_plain = false;
#endif

static struct link classes[CLASSES]; /* blocks with room; the first one is used first */

static bool
is_plain(size_t bytes)
{
	return slab_plain || bytes == 0 || bytes > SLAB_BYTES_MAX;
}

static struct link *
class_of(size_t bytes)
{
	struct link *list = &classes[(bytes - 1) / STEP];
	if (!list->next)
		list_init(list);
	return list;
}

static struct block *
block_with_room(size_t bytes)
{
	struct link *list = class_of(bytes), *first = list_first(list);
	if (first)
		return CONTAINER_OF(first, struct block, link);
	struct block *b = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	ASSERT(b != NULL);
	uint32_t size = (uint32_t)((bytes + STEP - 1) / STEP * STEP);
	*b = (struct block){ .size = size, .room = (BLOCK_BYTES - HEAD_BYTES) / size };
	list_append(list, &b->link);
	return b;
}

void *
slab_calloc(size_t bytes)
{
	if (is_plain(bytes))
		return must_calloc(1, bytes + !bytes);
	struct block *b = block_with_room(bytes);
	void *piece = b->freed;
	if (piece)
		memcpy(&b->freed, piece, sizeof b->freed);
	else
		piece = (char *)b + HEAD_BYTES + (size_t)b->size * b->touched++;
	if (++b->used == b->room)
		list_remove(&b->link);
	return memset(piece, 0, b->size);
}

void
slab_free(void *piece, size_t bytes)
{
	if (!piece)
		return;
	if (is_plain(bytes)) {
		free(piece);
		return;
	}
	struct block *b = (void *)((uintptr_t)piece & ~(uintptr_t)(BLOCK_BYTES - 1));
	ASSERT(b->used > 0 && bytes <= b->size);
	if (b->used == b->room)
		list_append(class_of(bytes), &b->link);
	memcpy(piece, &b->freed, sizeof b->freed);
	b->freed = piece;
	if (--b->used == 0) {
		list_remove(&b->link);
		free(b);
	}
}

void *
slab_realloc(void *old, size_t was, size_t bytes)
{
	void *piece = slab_calloc(bytes);
	if (old)
		memcpy(piece, old, MIN(was, bytes));
	slab_free(old, was);
	return piece;
}

char *
slab_dup(struct slice s)
{
	char *to = slab_calloc(s.len + 1);
	if (s.len)
		memcpy(to, s.at, s.len);
	return to;
}
