/* SPDX-License-Identifier: Apache-2.0 */
/* fair.c - see fair.h. A flow is what one sender has waiting in one class; it exists as long as something waits. */
#include "relay/fair.h"

struct fair_flow {
	struct link in_ring, items;
	uint64_t key;
	unsigned class;
	int64_t deficit; /* recipients that it may have before the next one's turn */
};

void
fair_init(struct fair *f)
{
	*f = (struct fair){ 0 };
	for (size_t i = 0; i < FAIR_CLASSES; i++)
		list_init(&f->ring[i]);
}

void
fair_release(struct fair *f)
{
	ASSERT(f->flows.count == 0);
	map_release(&f->flows);
}

static struct fair_flow *
flow_of(struct fair *f, unsigned class, uint64_t sender)
{
	uint64_t key = sender * FAIR_CLASSES + class; /* a collision shares one turn */
	struct fair_flow *flow = map_get(&f->flows, key);
	if (flow)
		return flow;
	flow = must_calloc(1, sizeof *flow);
	flow->key = key;
	flow->class = class;
	flow->deficit = FAIR_QUANTUM;
	list_init(&flow->items);
	list_append(&f->ring[class], &flow->in_ring);
	map_set(&f->flows, key, flow);
	return flow;
}

void
fair_put(struct fair *f, struct fair_item *item, unsigned class, uint64_t sender, unsigned cost)
{
	ASSERT(class < FAIR_CLASSES && !item->flow && cost > 0);
	item->flow = flow_of(f, class, sender);
	item->cost = cost;
	f->waiting[item->flow->class]++;
	list_append(&item->flow->items, &item->link);
}

void
fair_remove(struct fair *f, struct fair_item *item)
{
	struct fair_flow *flow = item->flow;
	list_remove(&item->link);
	item->flow = NULL;
	f->waiting[flow->class]--;
	if (!list_empty(&flow->items))
		return;
	list_remove(&flow->in_ring);
	map_remove(&f->flows, flow->key);
	free(flow);
}

/* Each turn gives a quantum, so that the loop ends: no item costs more than some fifty of them. */
static struct fair_item *
class_take(struct fair *f, unsigned class)
{
	for (;;) {
		struct fair_flow *flow = CONTAINER_OF(list_first(&f->ring[class]), struct fair_flow, in_ring);
		struct fair_item *item = CONTAINER_OF(list_first(&flow->items), struct fair_item, link);
		if (flow->deficit > 0) {
			flow->deficit -= item->cost;
			fair_remove(f, item);
			return item;
		}
		flow->deficit += FAIR_QUANTUM;
		list_remove(&flow->in_ring);
		list_append(&f->ring[class], &flow->in_ring);
	}
}

struct fair_item *
fair_take(struct fair *f, bool with_bulk)
{
	bool personal = f->waiting[FAIR_PERSONAL] > 0, bulk = with_bulk && f->waiting[FAIR_BULK] > 0;
	if (!personal && !bulk)
		return NULL;
	if (personal && bulk && f->in_a_row >= FAIR_PERSONAL_IN_A_ROW)
		personal = false;
	f->in_a_row = personal ? f->in_a_row + 1 : 0;
	return class_take(f, personal ? FAIR_PERSONAL : FAIR_BULK);
}
