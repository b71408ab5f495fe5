/* SPDX-License-Identifier: Apache-2.0 */
/* fair.h - who comes next among those that wait for one site: classes share by weight, senders of a class share
 * equally (deficit round robin, by recipients). So a letter waits for a few others at most, however long the newsletter
 * before it. Pure; items belong to the caller. */
#ifndef RELAY_FAIR_H
#define RELAY_FAIR_H

#include "base/list.h"
#include "base/map.h"

enum { FAIR_PERSONAL, FAIR_BULK, FAIR_CLASSES };
#define FAIR_QUANTUM 20u         /* recipients of one sender before the next one of the class */
#define FAIR_PERSONAL_IN_A_ROW 8 /* items; then one of bulk when any waits */

struct fair_flow;
struct fair_item {
	struct link link;
	struct fair_flow *flow; /* NULL: it does not wait */
	unsigned cost;
};

struct fair {
	struct map flows; /* hash of class and sender -> struct fair_flow */
	struct link ring[FAIR_CLASSES];
	size_t waiting[FAIR_CLASSES]; /* items */
	unsigned in_a_row;            /* of FAIR_PERSONAL */
};

void fair_init(struct fair *f);
void fair_release(struct fair *f); /* nothing may wait */
/* cost: recipients, at least 1. sender: a hash. */
void fair_put(struct fair *f, struct fair_item *item, unsigned class, uint64_t sender, unsigned cost);
/* The next one, taken out; NULL: none. Without bulk: of FAIR_PERSONAL only. */
struct fair_item *fair_take(struct fair *f, bool with_bulk);
void fair_remove(struct fair *f, struct fair_item *item);
static inline size_t
fair_waiting(const struct fair *f)
{
	return f->waiting[FAIR_PERSONAL] + f->waiting[FAIR_BULK];
}

#endif
