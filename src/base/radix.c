/* SPDX-License-Identifier: Apache-2.0 */
/* radix.c - sorts by a number, a byte at a time from the lowest on. Bytes that are the same in all cost one look. */
#include "base/radix.h"

void
radix_sort(struct radix *list, struct radix *spare, size_t n)
{
	struct radix *from = list, *to = spare;
	uint64_t all = UINT64_MAX, any = 0;
	for (size_t i = 0; i < n; i++) {
		all &= list[i].number;
		any |= list[i].number;
	}
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t places[257] = { 0 };
		if (((all ^ any) >> shift & 255) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			places[(from[i].number >> shift & 255) + 1]++;
		for (size_t i = 0; i < 256; i++)
			places[i + 1] += places[i];
		for (size_t i = 0; i < n; i++)
			to[places[from[i].number >> shift & 255]++] = from[i];
		struct radix *swap = from;
		from = to;
		to = swap;
	}
	if (from != list)
		memcpy(list, from, n * sizeof *list);
}
