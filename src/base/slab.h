/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h - small memory that lasts as long as a connection, apart from what commands need for a moment.
 *
 * A heap in which both lie side by side cannot be given back after a burst: on each page something small is still in
 * use. Here pieces of one size share blocks, which hold nothing else. Whoever frees a piece knows its size. On one
 * thread of a process only (the loop's). */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/slice.h"

#define SLAB_BYTES_MAX 4096 /* larger pieces come from the heap: they have pages to themselves */

extern bool slab_plain; /* each piece from the heap: so the address sanitizer sees where it ends */

void *slab_calloc(size_t bytes);
/* was: the size so far; old NULL: none. What is new is zero. */
void *slab_realloc(void *old, size_t was, size_t bytes);
void slab_free(void *piece, size_t bytes); /* NULL: nothing */
char *slab_dup(struct slice s);            /* with a NUL behind it: s.len + 1 bytes */

#endif
