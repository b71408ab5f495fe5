/* SPDX-License-Identifier: Apache-2.0 */
/* radix.h - many things in the order of a number that each has. */
#ifndef BASE_RADIX_H
#define BASE_RADIX_H

#include "base/check.h"

struct radix {
	uint64_t number;
	void *item;
};
/* Stable. spare: place for n, too. */
void radix_sort(struct radix *list, struct radix *spare, size_t n);

static inline uint64_t
radix_of_signed(int64_t n)
{
	return (uint64_t)n ^ (uint64_t)1 << 63;
}

#endif
