/* SPDX-License-Identifier: Apache-2.0 */
/* object.h - what commit.c, sweep.c and store.c ask of object.c. What the row logic asks stands in store.h. */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include "store/store.h"

enum segment_state { SEGMENT_OPEN = 1, SEGMENT_FULL = 2 };

/* A row 's', as it is durable. */
struct segment_row {
	uint32_t number;
	uint8_t state;
	bool left;      /* in memory only: a sweep could not empty it */
	bool unsure;    /* in memory only: alive is wrong, what is in it is not known */
	uint64_t end;   /* of the last committed record */
	uint64_t alive; /* bytes of records that objects name */
};

/* Reads the rows 's' and resumes the open segment. */
enum err objects_open(struct store *s, const char **why);
void objects_close(struct store *s);

/* One batch at a time. mark and rollback: around each update. end writes what the batch changed into rows 's' and the
 * head; done: it is durable, or it never was. */
struct objects_mark {
	size_t records, deltas;
	struct segment_end end;
};
void objects_batch_begin(struct store *s);
struct objects_mark objects_mark(struct store *s);
void objects_rollback(struct store *s, struct objects_mark m);
enum err objects_batch_end(struct store *s, struct txn *t);
const struct record *objects_records(struct store *s, size_t *n);
void objects_batch_done(struct store *s, bool durable);

/* Inside run: the body of an object is written again, elsewhere. ERR_STALE: it does not stand at from (any more). */
enum err object_move(struct store *s, struct txn *t, uint64_t object, const struct place *from,
                     const struct body_source *body);
/* A full segment of which less than half is alive, the emptiest first; NULL: none. */
struct segment_row *objects_sparse(struct store *s);
struct segment_row *objects_segment(struct store *s, uint32_t number);
/* Files of segments that were emptied durably are freed here, once no read that might look into them is under way. */
void objects_free_emptied(struct store *s);

bool object_row_take(struct slice value, struct object *o);
bool segment_row_take(struct slice key, struct slice value, struct segment_row *row);

/* ---- reader.c */
void readers_open(struct store *s);
void readers_close(struct store *s);
/* Reads are numbered as they are asked for: the last number, and the oldest one under way (UINT64_MAX: none). */
uint64_t readers_last(const struct store *s);
uint64_t readers_oldest(const struct store *s);

/* ---- sweep.c */
void sweep_open(struct store *s);
void sweep_close(struct store *s);
bool sweep_idle(const struct store *s);
void sweep_soon(struct store *s); /* a segment may have become sparse */

#endif
