/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - linear probing with backward-shift deletion; load at most 3/4. */
#include "base/map.h"

static size_t
slot_of(const struct map *m, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (m->cap - 1);
}

void
map_release(struct map *m)
{
	free(m->cells);
	*m = (struct map){ 0 };
}

static struct map_cell *
find(const struct map *m, uint64_t key)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = slot_of(m, key);; i = (i + 1) & (m->cap - 1)) {
		if (m->cells[i].value == NULL)
			return NULL;
		if (m->cells[i].key == key)
			return &m->cells[i];
	}
}

void *
map_get(const struct map *m, uint64_t key)
{
	struct map_cell *c = find(m, key);
	return c ? c->value : NULL;
}

static void
insert(struct map *m, uint64_t key, void *value)
{
	size_t i = slot_of(m, key);
	while (m->cells[i].value)
		i = (i + 1) & (m->cap - 1);
	m->cells[i] = (struct map_cell){ key, value };
	m->count++;
}

static void
grow(struct map *m, size_t cap)
{
	struct map old = *m;
	*m = (struct map){ .cap = cap };
	m->cells = must_calloc(m->cap, sizeof *m->cells);
	for (size_t i = 0; i < old.cap; i++)
		if (old.cells[i].value)
			insert(m, old.cells[i].key, old.cells[i].value);
	free(old.cells);
}

void
map_reserve(struct map *m, size_t n)
{
	size_t cap = m->cap ? m->cap : 16;
	while (n * 4 > cap * 3)
		cap *= 2;
	if (cap > m->cap)
		grow(m, cap);
}

void *
map_set(struct map *m, uint64_t key, void *value)
{
	ASSERT(value != NULL);
	struct map_cell *c = find(m, key);
	if (c) {
		void *old = c->value;
		c->value = value;
		return old;
	}
	if ((m->count + 1) * 4 > m->cap * 3)
		grow(m, m->cap ? m->cap * 2 : 16);
	insert(m, key, value);
	return NULL;
}

void *
map_remove(struct map *m, uint64_t key)
{
	struct map_cell *c = find(m, key);
	if (!c)
		return NULL;
	void *old = c->value;
	size_t hole = (size_t)(c - m->cells);
	for (size_t i = (hole + 1) & (m->cap - 1); m->cells[i].value; i = (i + 1) & (m->cap - 1)) {
		size_t home = slot_of(m, m->cells[i].key);
		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->cells[hole] = m->cells[i];
			hole = i;
		}
	}
	m->cells[hole] = (struct map_cell){ 0 };
	m->count--;
	return old;
}

bool
map_each(const struct map *m, size_t *at, uint64_t *key, void **value)
{
	for (; *at < m->cap; (*at)++)
		if (m->cells[*at].value) {
			*key = m->cells[*at].key;
			*value = m->cells[*at].value;
			(*at)++;
			return true;
		}
	return false;
}
