/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - u64 -> pointer, open addressing, grows by doubling. Keys made from what strangers send go through
 * slice_hash first (keyed), or are ids that we gave out. The values belong to the caller. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/check.h"

struct map_cell {
	uint64_t key;
	void *value; /* NULL: free cell */
};
struct map {
	struct map_cell *cells;
	size_t count, cap;
};

void map_release(struct map *m);
void map_reserve(struct map *m, size_t n);               /* so many have place without its growing */
void *map_get(const struct map *m, uint64_t key);        /* NULL: not there */
void *map_set(struct map *m, uint64_t key, void *value); /* returns the value that was there before, or NULL */
void *map_remove(struct map *m, uint64_t key);           /* returns what was removed, or NULL */
/* for (size_t i = 0; map_each(&m, &i, &key, &value);) - the map may not change meanwhile. */
bool map_each(const struct map *m, size_t *at, uint64_t *key, void **value);

#endif
