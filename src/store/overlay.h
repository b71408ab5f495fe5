/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h - what a transaction wrote and has not committed: a sorted table in an arena, with marks to go back to.
 *
 * Each key stands in it once, with its newest value; so a row that many updates of one batch change is written to the
 * log once. An engine looks here before it looks at what is durable, and merges ranges with it. Cells are never
 * removed (a rollback makes them "absent"), so a cell stays good while others are written. Owner: the engine's txn. */
#ifndef STORE_OVERLAY_H
#define STORE_OVERLAY_H

#include "base/arena.h"

#define OVERLAY_LEVELS 14 /* of the skip list: a quarter of the cells of one level is in the next */

enum overlay_kind { OVERLAY_ABSENT, OVERLAY_PUT, OVERLAY_DELETE };

struct overlay_cell {
	struct slice key, value;
	enum overlay_kind kind;
	unsigned levels;
	struct overlay_cell *next[];
};

struct overlay_undo;
struct overlay {
	struct arena *arena;
	struct overlay_cell *head; /* no key: before all */
	/* Of each level the last cell up to path[0], which was written last: keys that rise need no search. */
	struct overlay_cell *path[OVERLAY_LEVELS];
	struct overlay_undo *undo; /* newest first; NULL at the bottom */
	size_t marks;
	size_t writes; /* changes so far, for "was anything written" */
	uint32_t dice;
};

void overlay_init(struct overlay *o, struct arena *a);
void overlay_put(struct overlay *o, struct slice key, struct slice value);
void overlay_delete(struct overlay *o, struct slice key);
void overlay_mark(struct overlay *o);
void overlay_rollback(struct overlay *o); /* undoes what was written after the newest mark and drops it */
void overlay_keep(struct overlay *o);     /* drops the newest mark only */
/* NULL or a cell that is not absent. */
struct overlay_cell *overlay_find(const struct overlay *o, struct slice key);
struct overlay_cell *overlay_from(const struct overlay *o, struct slice key);   /* the first with a key >= key */
struct overlay_cell *overlay_before(const struct overlay *o, struct slice key); /* the last with a key < key */
struct overlay_cell *overlay_next(struct overlay_cell *c);
/* The last cell with a key < key, absent or not, or the head. */
struct overlay_cell *overlay_seek(const struct overlay *o, struct slice key);
/* The first with a key > key; *at: a cell with a key <= key (or the head), which moves along. */
struct overlay_cell *overlay_walk(const struct overlay *o, struct overlay_cell **at, struct slice key);
struct overlay_cell *overlay_first(const struct overlay *o);

#endif
