/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - bodies: where each stands, how many messages and queue rows name it, and how much of each segment is
 * alive. Row logic calls object_new and the like inside its transaction; commit.c wraps a batch around many of them.
 *
 * What a batch does to segments is gathered in memory and written once, at its end, as rows 's' ('end' of the last
 * committed record, bytes alive). A full segment in which nothing is alive loses its row in the same transaction; its
 * file is free when that is durable and no older read is under way. Ids come from a range whose end is durable in the
 * head row: after a crash the rest of the range is skipped, never given again.
 *
 * Rows, little endian. 'o': u8 version, u32 segment, u32 bytes, u64 offset, u32 references. 's': u8 version, u8 state,
 * u64 end, u64 alive. 'h': u8 version, u64 end of the range of ids. */
#include "store/object.h"

#include "base/log.h"

#define ROW_VERSION 1
#define OBJECT_ROW_BYTES 21
#define SEGMENT_ROW_BYTES 18
#define HEAD_ROW_BYTES 9
#define ID_RANGE 4096

/* What one call of object_new or object_refer does to a segment. */
struct delta {
	uint32_t segment;
	int64_t alive;
	uint64_t end;
};

struct emptied {
	uint32_t segment;
	uint64_t reader; /* reads up to this number may look into it */
};

struct objects {
	uint64_t next, range_end; /* ids; range_end is durable */
	struct map segments;      /* number -> struct segment_row, as it is durable */
	uint32_t open;            /* the durable row with SEGMENT_OPEN; 0: none */

	/* the batch under way */
	struct segment_end begin;
	struct record *records;
	size_t nrecords, records_cap;
	struct delta *deltas;
	size_t ndeltas, deltas_cap;
	struct map changed; /* number -> struct segment_row, as it will be */
	uint64_t new_range_end;

	struct emptied *emptied;
	size_t nemptied, emptied_cap;
};

/* ---- rows */

static struct slice
object_row_put(const struct object *o, char to[OBJECT_ROW_BYTES])
{
	to[0] = ROW_VERSION;
	bytes_set_le(to + 1, o->at.segment, 4);
	bytes_set_le(to + 5, o->at.bytes, 4);
	bytes_set_le(to + 9, o->at.offset, 8);
	bytes_set_le(to + 17, o->refs, 4);
	return slice_of(to, OBJECT_ROW_BYTES);
}

bool
object_row_take(struct slice value, struct object *o)
{
	if (value.len != OBJECT_ROW_BYTES || value.at[0] != ROW_VERSION)
		return false;
	o->at.segment = (uint32_t)bytes_get_le(value.at + 1, 4);
	o->at.bytes = (uint32_t)bytes_get_le(value.at + 5, 4);
	o->at.offset = bytes_get_le(value.at + 9, 8);
	o->refs = (uint32_t)bytes_get_le(value.at + 17, 4);
	return o->refs > 0;
}

static struct slice
segment_row_put(const struct segment_row *r, char to[SEGMENT_ROW_BYTES])
{
	to[0] = ROW_VERSION;
	to[1] = (char)r->state;
	bytes_set_le(to + 2, r->end, 8);
	bytes_set_le(to + 10, r->alive, 8);
	return slice_of(to, SEGMENT_ROW_BYTES);
}

bool
segment_row_take(struct slice key, struct slice value, struct segment_row *r)
{
	if (key.len != 5 || value.len != SEGMENT_ROW_BYTES || value.at[0] != ROW_VERSION)
		return false;
	*r = (struct segment_row){
		.number = (uint32_t)bytes_get_be(key.at + 1, 4),
		.state = (uint8_t)value.at[1],
		.end = bytes_get_le(value.at + 2, 8),
		.alive = bytes_get_le(value.at + 10, 8),
	};
	return r->number && (r->state == SEGMENT_OPEN || r->state == SEGMENT_FULL) && r->alive <= r->end;
}

static struct key
segment_key(uint32_t number)
{
	struct key k;
	key_begin(&k, 's');
	key_u32(&k, number);
	return k;
}

static enum err
damaged(const char *what, uint64_t number)
{
	struct log l;
	log_begin(&l, LOG_ERROR, "store.damaged");
	log_text(&l, "what", what);
	log_u64(&l, "number", number);
	log_end(&l);
	return ERR_DAMAGED;
}

/* ---- what the row logic asks */

static void
delta_add(struct objects *o, uint32_t segment, int64_t alive, uint64_t end)
{
	if (o->ndeltas == o->deltas_cap) {
		o->deltas_cap = o->deltas_cap ? o->deltas_cap * 2 : 64;
		o->deltas = must_realloc(o->deltas, o->deltas_cap * sizeof *o->deltas);
	}
	o->deltas[o->ndeltas++] = (struct delta){ segment, alive, end };
}

static enum err
record_add(struct store *s, uint64_t object, const struct body_source *body, struct place *at)
{
	struct objects *o = s->objects;
	enum err e = segment_reserve(s->segments, body->len, at);
	if (e)
		return e;
	if (o->nrecords == o->records_cap) {
		o->records_cap = o->records_cap ? o->records_cap * 2 : 64;
		o->records = must_realloc(o->records, o->records_cap * sizeof *o->records);
	}
	o->records[o->nrecords++] = (struct record){ object, *body, *at };
	uint64_t bytes = segment_record_bytes(at->bytes);
	delta_add(o, at->segment, (int64_t)bytes, at->offset + bytes);
	return OK;
}

static void
object_put(struct txn *t, uint64_t object, const struct object *o)
{
	char row[OBJECT_ROW_BYTES];
	struct key k = key1('o', object);
	txn_put(t, key_slice(&k), object_row_put(o, row));
}

enum err
object_new(struct store *s, struct txn *t, const struct body_source *body, struct slice facts, uint32_t refs,
           uint64_t *object)
{
	ASSERT(refs > 0);
	struct object o = { .refs = refs };
	*object = s->objects->next;
	enum err e = record_add(s, *object, body, &o.at);
	if (e)
		return e;
	s->objects->next++;
	object_put(t, *object, &o);
	if (facts.len) {
		struct key k = key1('f', *object);
		txn_put(t, key_slice(&k), facts);
	}
	return OK;
}

enum err
object_get(struct txn *t, uint64_t object, struct object *o)
{
	struct slice value;
	struct key k = key1('o', object);
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e;
	return object_row_take(value, o) ? OK : damaged("row of an object", object);
}

enum err
object_facts(struct txn *t, uint64_t object, struct slice *facts)
{
	struct key k = key1('f', object);
	return txn_get(t, key_slice(&k), facts);
}

enum err
object_refer(struct store *s, struct txn *t, uint64_t object, int32_t change)
{
	struct object o;
	enum err e = object_get(t, object, &o);
	if (e)
		return e == ERR_NOT_FOUND ? damaged("an object that is named is not there", object) : e;
	int64_t refs = (int64_t)o.refs + change;
	if (refs < 0 || refs > UINT32_MAX)
		return damaged("references of an object", object);
	if (refs > 0) {
		o.refs = (uint32_t)refs;
		object_put(t, object, &o);
		return OK;
	}
	struct key k = key1('o', object);
	txn_delete(t, key_slice(&k));
	k = key1('f', object);
	txn_delete(t, key_slice(&k));
	k = key1('T', object);
	txn_delete(t, key_slice(&k));
	delta_add(s->objects, o.at.segment, -(int64_t)segment_record_bytes(o.at.bytes), 0);
	return OK;
}

/* ---- many rows at once */

#define WALK_CACHED_MAX 200 /* facts of more than that are not kept in the cache: others would have to go */
#define WALK_NEAR 16        /* objects that are so close are reached by steps, not by a search */

void
object_walk_begin(struct object_walk *w, struct txn *t, char kind, size_t objects)
{
	*w = (struct object_walk){ .t = t, .kind = kind, .much = kind == 'f' && objects > WALK_CACHED_MAX };
}

static void
walk_close(struct object_walk *w)
{
	enum err e = w->range ? range_end(&w->range) : OK;
	w->e = w->e ? w->e : e;
	w->here = false;
}

static void
walk_step(struct object_walk *w)
{
	struct slice key;
	w->here = range_next(w->range, &key, &w->value) && key.len == 9;
	if (w->here)
		w->at = bytes_get_be(key.at + 1, 8);
	else
		walk_close(w);
}

enum err
object_walk_get(struct object_walk *w, uint64_t object, struct slice *value)
{
	bool near = w->last && object > w->last && object - w->last <= WALK_NEAR;
	struct key k = key1(w->kind, object);
	w->last = object;
	if (!near)
		walk_close(w);
	if (w->e)
		return w->e;
	if (!near)
		return txn_get(w->t, key_slice(&k), value);
	if (!w->range) {
		struct key end;
		key_begin(&end, (char)(w->kind + 1));
		w->range = w->much ? range_begin_scan(w->t, key_slice(&k), key_slice(&end))
		                   : range_begin(w->t, key_slice(&k), key_slice(&end), false);
		walk_step(w);
	}
	while (w->here && w->at < object)
		walk_step(w);
	*value = w->here && w->at == object ? w->value : SLICE_NONE;
	return w->e ? w->e : value->at ? OK : ERR_NOT_FOUND;
}

enum err
object_walk_end(struct object_walk *w)
{
	walk_close(w);
	return w->e;
}

enum err
object_walk_place(struct object_walk *w, uint64_t object, struct object *o)
{
	struct slice value;
	enum err e = object_walk_get(w, object, &value);
	return e ? e : object_row_take(value, o) ? OK : damaged("row of an object", object);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

struct referred {
	uint64_t object;
	struct object o;
	int64_t refs; /* afterwards */
};

/* Each object once, with its row; all are read before one is written, so that what was written hides nothing. */
static enum err
read_referred(struct txn *t, const uint64_t *objects, size_t n, int32_t change, struct referred *to, size_t *count)
{
	struct object_walk w;
	enum err e = OK;
	*count = 0;
	object_walk_begin(&w, t, 'o', n);
	for (size_t i = 0; i < n && !e; i++) {
		if (*count && to[*count - 1].object == objects[i]) {
			to[*count - 1].refs += change;
			continue;
		}
		struct referred *r = &to[*count];
		r->object = objects[i];
		e = object_walk_place(&w, objects[i], &r->o);
		r->refs = (int64_t)r->o.refs + change;
		*count += !e;
	}
	enum err ended = object_walk_end(&w);
	return e ? e : ended;
}

enum err
objects_refer(struct store *s, struct txn *t, uint64_t *objects, size_t n, int32_t change)
{
	struct referred *rows = must_calloc(n + 1, sizeof *rows);
	size_t count;
	if (n)
		qsort(objects, n, sizeof *objects, by_number);
	enum err e = read_referred(t, objects, n, change, rows, &count);
	if (e == ERR_NOT_FOUND)
		e = damaged("an object that is named is not there", count < n ? objects[count] : 0);
	for (size_t i = 0; i < count && !e; i++) {
		struct referred *r = &rows[i];
		struct key k = key1('o', r->object);
		if (r->refs < 0 || r->refs > UINT32_MAX) {
			e = damaged("references of an object", r->object);
		} else if (r->refs > 0) {
			r->o.refs = (uint32_t)r->refs;
			object_put(t, r->object, &r->o);
		} else {
			txn_delete(t, key_slice(&k));
			delta_add(s->objects, r->o.at.segment, -(int64_t)segment_record_bytes(r->o.at.bytes), 0);
		}
	}
	static const char with_it[] = { 'T', 'f' }; /* keys in order: each kind by itself */
	for (size_t kind = 0; kind < COUNT_OF(with_it) && !e; kind++)
		for (size_t i = 0; i < count; i++) {
			struct key k = key1(with_it[kind], rows[i].object);
			if (rows[i].refs == 0)
				txn_delete(t, key_slice(&k));
		}
	free(rows);
	return e;
}

enum err
object_move(struct store *s, struct txn *t, uint64_t object, const struct place *from, const struct body_source *body)
{
	struct object o;
	enum err e = object_get(t, object, &o);
	if (e == ERR_NOT_FOUND || (!e && (o.at.segment != from->segment || o.at.offset != from->offset)))
		return ERR_STALE;
	if (e)
		return e;
	ASSERT(body->len == o.at.bytes);
	e = record_add(s, object, body, &o.at);
	if (e)
		return e;
	object_put(t, object, &o);
	delta_add(s->objects, from->segment, -(int64_t)segment_record_bytes(from->bytes), 0);
	return OK;
}

enum err
object_read(struct store *s, const struct object *o, uint64_t from, void *to, size_t len)
{
	return segment_read(s->segments, &o->at, from, to, len);
}

enum err
object_usage(struct store *s, struct txn *t, uint64_t *alive, uint64_t *on_disk)
{
	uint64_t key;
	void *value;
	*alive = 0;
	for (size_t i = 0; map_each(&s->objects->segments, &i, &key, &value);)
		*alive += ((struct segment_row *)value)->alive;
	*on_disk = segments_disk_bytes(s->segments);
	return OK;
}

/* ---- the batch */

static void
map_clear_rows(struct map *m)
{
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(m, &i, &key, &value);)
		free(value);
	map_release(m);
}

void
objects_batch_begin(struct store *s)
{
	struct objects *o = s->objects;
	o->begin = segment_mark(s->segments);
	o->nrecords = o->ndeltas = 0;
	o->new_range_end = o->range_end;
}

struct objects_mark
objects_mark(struct store *s)
{
	return (struct objects_mark){ s->objects->nrecords, s->objects->ndeltas, segment_mark(s->segments) };
}

void
objects_rollback(struct store *s, struct objects_mark m)
{
	s->objects->nrecords = m.records;
	s->objects->ndeltas = m.deltas;
	segment_give_back(s->segments, m.end);
}

const struct record *
objects_records(struct store *s, size_t *n)
{
	*n = s->objects->nrecords;
	return s->objects->records;
}

static struct segment_row *
changed_row(struct objects *o, uint32_t number)
{
	struct segment_row *r = map_get(&o->changed, number);
	if (r)
		return r;
	const struct segment_row *was = map_get(&o->segments, number);
	r = must_calloc(1, sizeof *r);
	*r = was ? *was : (struct segment_row){ .number = number, .state = SEGMENT_OPEN };
	map_set(&o->changed, number, r);
	return r;
}

static void
apply_delta(struct objects *o, const struct delta *d)
{
	struct segment_row *r = changed_row(o, d->segment);
	r->end = MAX(r->end, d->end);
	if (d->alive < 0 && (uint64_t)-d->alive > r->alive) {
		damaged("bytes alive of a segment", d->segment);
		r->alive = 0;
		r->unsure = true; /* what else is in it is not known: it is never given back */
		return;
	}
	r->alive += (uint64_t)d->alive;
}

static bool
is_empty(const struct segment_row *r)
{
	return r->state == SEGMENT_FULL && r->alive == 0 && !r->unsure;
}

static void
put_changed(struct objects *o, struct txn *t, uint32_t open)
{
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&o->changed, &i, &key, &value);) {
		struct segment_row *r = value;
		char row[SEGMENT_ROW_BYTES];
		struct key k = segment_key(r->number);
		r->state = r->number == open ? SEGMENT_OPEN : SEGMENT_FULL;
		if (is_empty(r))
			txn_delete(t, key_slice(&k));
		else
			txn_put(t, key_slice(&k), segment_row_put(r, row));
	}
}

enum err
objects_batch_end(struct store *s, struct txn *t)
{
	struct objects *o = s->objects;
	uint32_t open = segment_mark(s->segments).segment;
	for (size_t i = 0; i < o->ndeltas; i++)
		apply_delta(o, &o->deltas[i]);
	if (o->open && o->open != open)
		changed_row(o, o->open);
	put_changed(o, t, open);
	if (o->next > o->range_end) {
		char row[HEAD_ROW_BYTES] = { ROW_VERSION };
		o->new_range_end = o->next + ID_RANGE;
		bytes_set_le(row + 1, o->new_range_end, 8);
		txn_put(t, S("h"), slice_of(row, sizeof row));
	}
	return OK;
}

static void
note_emptied(struct store *s, uint32_t number)
{
	struct objects *o = s->objects;
	if (o->nemptied == o->emptied_cap) {
		o->emptied_cap = o->emptied_cap ? o->emptied_cap * 2 : 16;
		o->emptied = must_realloc(o->emptied, o->emptied_cap * sizeof *o->emptied);
	}
	o->emptied[o->nemptied++] = (struct emptied){ number, readers_last(s) };
}

static bool
take_over_changed(struct store *s)
{
	struct objects *o = s->objects;
	bool sparse = false;
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&o->changed, &i, &key, &value);) {
		struct segment_row *r = value;
		struct segment_row *old;
		if (r->state == SEGMENT_OPEN)
			o->open = r->number;
		if (is_empty(r)) {
			old = map_remove(&o->segments, r->number);
			note_emptied(s, r->number);
			free(r);
		} else {
			sparse = sparse || (r->state == SEGMENT_FULL && r->alive < r->end / 2);
			old = map_set(&o->segments, r->number, r);
		}
		free(old);
	}
	map_release(&o->changed);
	return sparse;
}

void
objects_batch_done(struct store *s, bool durable)
{
	struct objects *o = s->objects;
	o->nrecords = o->ndeltas = 0;
	if (!durable) {
		segment_give_back(s->segments, o->begin);
		map_clear_rows(&o->changed);
		return;
	}
	o->range_end = o->new_range_end;
	bool sparse = take_over_changed(s);
	objects_free_emptied(s);
	if (sparse)
		sweep_soon(s);
}

void
objects_free_emptied(struct store *s)
{
	struct objects *o = s->objects;
	uint64_t oldest = readers_oldest(s);
	size_t left = 0;
	for (size_t i = 0; i < o->nemptied; i++)
		if (o->emptied[i].reader < oldest)
			segment_free(s->segments, o->emptied[i].segment);
		else
			o->emptied[left++] = o->emptied[i];
	o->nemptied = left;
}

/* ---- for the sweep */

struct segment_row *
objects_segment(struct store *s, uint32_t number)
{
	return map_get(&s->objects->segments, number);
}

struct segment_row *
objects_sparse(struct store *s)
{
	struct segment_row *best = NULL;
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&s->objects->segments, &i, &key, &value);) {
		struct segment_row *r = value;
		if (r->state != SEGMENT_FULL || r->left || r->alive >= r->end / 2)
			continue;
		if (!best || r->alive < best->alive)
			best = r;
	}
	return best;
}

/* ---- open and close */

static enum err
load_head(struct objects *o, struct txn *t)
{
	struct slice value;
	enum err e = txn_get(t, S("h"), &value);
	o->next = o->range_end = 1;
	if (e == ERR_NOT_FOUND)
		return OK;
	if (e)
		return e;
	if (value.len != HEAD_ROW_BYTES || value.at[0] != ROW_VERSION)
		return damaged("head row", 0);
	o->next = o->range_end = bytes_get_le(value.at + 1, 8);
	return OK;
}

static enum err
load_segments(struct store *s, struct txn *t)
{
	struct objects *o = s->objects;
	enum err e = OK;
	struct slice key, value;
	struct range *r = range_begin(t, S("s"), S("t"), false);
	while (!e && range_next(r, &key, &value)) {
		struct segment_row *row = must_calloc(1, sizeof *row);
		if (!segment_row_take(key, value, row)) {
			free(row);
			e = damaged("row of a segment", 0);
			break;
		}
		map_set(&o->segments, row->number, row);
		segment_used(s->segments, row->number);
		if (row->state == SEGMENT_OPEN)
			o->open = row->number;
	}
	enum err read = range_end(&r);
	return e ? e : read;
}

enum err
objects_open(struct store *s, const char **why)
{
	struct objects *o = must_calloc(1, sizeof *o);
	s->objects = o;
	struct txn *t = txn_begin(s->engine, false);
	enum err e = load_head(o, t);
	if (!e)
		e = load_segments(s, t);
	txn_end(&t);
	if (e) {
		*why = "rows of the store cannot be read; 'posthouse check --store' tells more";
		return e;
	}
	const struct segment_row *open = o->open ? objects_segment(s, o->open) : NULL;
	segments_resume(s->segments, o->open, open ? open->end : 0);
	return OK;
}

void
objects_close(struct store *s)
{
	struct objects *o = s->objects;
	s->objects = NULL;
	if (!o)
		return;
	map_clear_rows(&o->segments);
	map_clear_rows(&o->changed);
	free(o->records);
	free(o->deltas);
	free(o->emptied);
	free(o);
}
