/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - a skip list in an arena, and a list of what to put back on a rollback. Called by the engine on one
 * thread at a time. Nothing fails: the batch's size is capped by commit.c. */
#include "store/overlay.h"

struct overlay_undo {
	struct overlay_undo *older;
	struct overlay_cell *cell; /* NULL: a mark */
	struct slice value;
	enum overlay_kind kind;
};

static struct overlay_cell *
cell_new(struct arena *a, unsigned levels)
{
	struct overlay_cell *c = arena_alloc(a, sizeof *c + levels * sizeof c->next[0]);
	c->levels = levels;
	return c;
}

void
overlay_init(struct overlay *o, struct arena *a)
{
	*o = (struct overlay){ .arena = a, .head = cell_new(a, OVERLAY_LEVELS), .dice = 0x9e3779b9u };
	for (unsigned level = 0; level < OVERLAY_LEVELS; level++)
		o->path[level] = o->head;
}

static unsigned
throw_levels(struct overlay *o)
{
	unsigned levels = 1;
	o->dice ^= o->dice << 13;
	o->dice ^= o->dice >> 17;
	o->dice ^= o->dice << 5;
	for (uint32_t bits = o->dice; levels < OVERLAY_LEVELS && (bits & 3) == 0; bits >>= 2)
		levels++;
	return levels;
}

/* The last cell with a key < key (or the head); path, when given, gets the last such one of each level. */
static struct overlay_cell *
seek(const struct overlay *o, struct slice key, struct overlay_cell *path[OVERLAY_LEVELS])
{
	struct overlay_cell *c = o->head;
	for (unsigned level = OVERLAY_LEVELS; level-- > 0;) {
		while (c->next[level] && slice_compare(c->next[level]->key, key) < 0)
			c = c->next[level];
		if (path)
			path[level] = c;
	}
	return c;
}

static struct overlay_cell *
skip_absent(struct overlay_cell *c)
{
	while (c && c->kind == OVERLAY_ABSENT)
		c = c->next[0];
	return c;
}

/* Does the key stand right behind path[0]? Then path[level] is the last one before it on every level. */
static bool
is_next(const struct overlay *o, struct slice key)
{
	const struct overlay_cell *last = o->path[0], *next = last->next[0];
	return last != o->head && slice_compare(last->key, key) < 0 && (!next || slice_compare(next->key, key) >= 0);
}

static struct overlay_cell *
cell_for(struct overlay *o, struct slice key)
{
	if (!is_next(o, key))
		seek(o, key, o->path);
	struct overlay_cell *c = o->path[0]->next[0];
	if (c && slice_equal(c->key, key))
		return c;
	c = cell_new(o->arena, throw_levels(o));
	c->key = slice_keep(o->arena, key);
	for (unsigned level = 0; level < c->levels; level++) {
		c->next[level] = o->path[level]->next[level];
		o->path[level]->next[level] = c;
		o->path[level] = c;
	}
	return c;
}

static void
write_cell(struct overlay *o, struct slice key, struct slice value, enum overlay_kind kind)
{
	struct overlay_cell *c = cell_for(o, key);
	if (o->marks) {
		struct overlay_undo *u = ARENA_NEW(o->arena, struct overlay_undo);
		*u = (struct overlay_undo){ o->undo, c, c->value, c->kind };
		o->undo = u;
	}
	c->value = value;
	c->kind = kind;
	o->writes++;
}

void
overlay_put(struct overlay *o, struct slice key, struct slice value)
{
	write_cell(o, key, slice_keep(o->arena, value), OVERLAY_PUT);
}

void
overlay_delete(struct overlay *o, struct slice key)
{
	write_cell(o, key, SLICE_NONE, OVERLAY_DELETE);
}

void
overlay_mark(struct overlay *o)
{
	struct overlay_undo *u = ARENA_NEW(o->arena, struct overlay_undo);
	u->older = o->undo;
	o->undo = u;
	o->marks++;
}

void
overlay_rollback(struct overlay *o)
{
	ASSERT(o->marks > 0);
	struct overlay_undo *u = o->undo;
	for (; u->cell; u = u->older) {
		u->cell->value = u->value;
		u->cell->kind = u->kind;
	}
	o->undo = u->older;
	o->marks--;
}

void
overlay_keep(struct overlay *o)
{
	ASSERT(o->marks > 0);
	if (--o->marks == 0) { /* nothing can be rolled back any more */
		o->undo = NULL;
		return;
	}
	struct overlay_undo **at = &o->undo;
	while ((*at)->cell)
		at = &(*at)->older;
	*at = (*at)->older;
}

struct overlay_cell *
overlay_find(const struct overlay *o, struct slice key)
{
	struct overlay_cell *c = seek(o, key, NULL)->next[0];
	return c && c->kind != OVERLAY_ABSENT && slice_equal(c->key, key) ? c : NULL;
}

struct overlay_cell *
overlay_from(const struct overlay *o, struct slice key)
{
	return skip_absent(seek(o, key, NULL)->next[0]);
}

struct overlay_cell *
overlay_seek(const struct overlay *o, struct slice key)
{
	return seek(o, key, NULL);
}

struct overlay_cell *
overlay_walk(const struct overlay *o, struct overlay_cell **at, struct slice key)
{
	struct overlay_cell *c = *at;
	while (c->next[0] && slice_compare(c->next[0]->key, key) <= 0)
		c = c->next[0];
	*at = c;
	return skip_absent(c->next[0]);
}

struct overlay_cell *
overlay_before(const struct overlay *o, struct slice key)
{
	struct overlay_cell *c = seek(o, key, NULL);
	while (c != o->head && c->kind == OVERLAY_ABSENT)
		c = seek(o, c->key, NULL);
	return c == o->head ? NULL : c;
}

struct overlay_cell *
overlay_next(struct overlay_cell *c)
{
	return skip_absent(c->next[0]);
}

struct overlay_cell *
overlay_first(const struct overlay *o)
{
	return skip_absent(o->head->next[0]);
}
