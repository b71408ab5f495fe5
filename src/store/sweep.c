/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.c - gives space back: the living records of segments that are mostly dead are copied to the open segment, in
 * ordinary updates of bounded size; when none is left, object.c frees the file.
 *
 * One segment at a time, one step after the other: a reader thread walks some headers, the loop looks which of them
 * are alive, a reader thread verifies those, an update moves them. So a crash at any point leaves each object at one
 * whole record, and a record that is damaged is never given a new checksum: it stays, and so does its segment (until
 * the next start). Called by object.c when a segment becomes sparse. */
#include "base/log.h"
#include "store/object.h"

#define STEP_RECORDS 256
#define STEP_BYTES (1u << 20)
#define PAUSE_MS 20 /* between steps: others come first */
#define SOON_MS 1000

struct moved {
	uint64_t object;
	struct place at;
	bool alive;
};

struct sweep {
	struct store *store;
	struct timer timer;
	bool busy;        /* a step is under way */
	uint32_t segment; /* 0: none */
	uint64_t offset, end;
	struct moved found[STEP_RECORDS];
	size_t nfound, nalive;
	uint64_t step_end; /* where the next step begins */
	enum err result;   /* of the thread */
	int file;
	struct update update;
};

static void walk_read(void *arg);
static void walk_done(void *arg);

static void
step_again(struct sweep *w)
{
	w->busy = false;
	timer_set(&w->timer, deadline_in_ms(PAUSE_MS));
}

/* Nothing more can be done with this segment. */
static void
leave_segment(struct sweep *w, enum err e)
{
	struct segment_row *r = objects_segment(w->store, w->segment);
	if (r) { /* emptied ones have no row any more */
		r->left = true;
		struct log l;
		log_begin(&l, LOG_WARN, "store.sweep_left");
		log_u64(&l, "segment", w->segment);
		log_u64(&l, "bytes_alive", r->alive);
		log_err(&l, e);
		log_end(&l);
	}
	w->segment = 0;
	step_again(w);
}

static void
step_begin(struct timer *t)
{
	struct sweep *w = CONTAINER_OF(t, struct sweep, timer);
	if (w->busy || w->store->broken)
		return;
	if (!w->segment) {
		const struct segment_row *r = objects_sparse(w->store);
		if (!r)
			return;
		w->segment = r->number;
		w->offset = 0;
		w->end = r->end;
	}
	w->busy = true;
	store_read_later(w->store, walk_read, walk_done, w);
}

/* ---- which records stand next */

static void
walk_read(void *arg)
{
	struct sweep *w = arg;
	w->nfound = 0;
	w->step_end = w->offset;
	w->result = OK;
	while (w->nfound < STEP_RECORDS && w->step_end < w->end) {
		struct moved *m = &w->found[w->nfound];
		w->result = segment_record_at(w->store->segments, w->segment, w->step_end, &m->at, &m->object);
		if (w->result)
			return;
		w->step_end += segment_record_bytes(m->at.bytes);
		w->nfound++;
	}
}

static bool
same_place(const struct place *a, const struct place *b)
{
	return a->segment == b->segment && a->offset == b->offset && a->bytes == b->bytes;
}

static enum err
look_alive(struct store *s, struct txn *t, void *arg)
{
	struct sweep *w = arg;
	uint64_t bytes = 0;
	w->nalive = 0;
	for (size_t i = 0; i < w->nfound; i++) {
		struct moved *m = &w->found[i];
		struct object o;
		enum err e = object_get(t, m->object, &o);
		if (e && e != ERR_NOT_FOUND)
			return e;
		m->alive = !e && same_place(&o.at, &m->at);
		if (!m->alive)
			continue;
		if (w->nalive && bytes + m->at.bytes > STEP_BYTES) { /* the rest is for the next step */
			w->nfound = i;
			w->step_end = m->at.offset;
			break;
		}
		bytes += m->at.bytes;
		w->nalive++;
	}
	w->update.bytes = bytes;
	return OK;
}

static void verify_read(void *arg);
static void verify_done(void *arg);

static void
walk_done(void *arg)
{
	struct sweep *w = arg;
	if (w->result) {
		leave_segment(w, w->result);
		return;
	}
	enum err e = store_view(w->store, look_alive, w);
	if (e) {
		leave_segment(w, e);
		return;
	}
	if (w->nalive == 0) {
		w->offset = w->step_end;
		if (w->offset >= w->end)
			leave_segment(w, OK);
		else
			step_again(w);
		return;
	}
	store_read_later(w->store, verify_read, verify_done, w);
}

/* ---- are they whole */

static void
verify_read(void *arg)
{
	struct sweep *w = arg;
	w->result = OK;
	for (size_t i = 0; i < w->nfound && !w->result; i++)
		if (w->found[i].alive)
			w->result = segment_verify(w->store->segments, &w->found[i].at, w->found[i].object);
}

static void
verify_done(void *arg)
{
	struct sweep *w = arg;
	if (!w->result)
		w->result = segment_file(w->store->segments, w->segment, &w->file);
	if (w->result)
		leave_segment(w, w->result);
	else
		store_update(w->store, &w->update);
}

/* ---- move them */

static enum err
move_run(struct store *s, struct txn *t, struct update *u)
{
	struct sweep *w = CONTAINER_OF(u, struct sweep, update);
	for (size_t i = 0; i < w->nfound; i++) {
		const struct moved *m = &w->found[i];
		if (!m->alive)
			continue;
		struct body_source from = { .file = w->file, .len = m->at.bytes, .from = m->at.offset + SEGMENT_HEADER_BYTES };
		enum err e = object_move(s, t, m->object, &m->at, &from);
		if (e && e != ERR_STALE) /* stale: it went meanwhile */
			return e;
	}
	return OK;
}

static void
move_done(struct store *s, struct update *u, enum err e)
{
	struct sweep *w = CONTAINER_OF(u, struct sweep, update);
	if (e == ERR_DISK_FULL) { /* later */
		w->busy = false;
		timer_set(&w->timer, deadline_in_ms(60 * 1000));
		return;
	}
	if (e) {
		leave_segment(w, e);
		return;
	}
	w->offset = w->step_end;
	if (w->offset >= w->end)
		leave_segment(w, OK);
	else
		step_again(w);
}

void
sweep_soon(struct store *s)
{
	struct sweep *w = s->sweep;
	if (w && !w->busy && !w->timer.slot)
		timer_set(&w->timer, deadline_in_ms(SOON_MS));
}

/* ---- open and close */

void
sweep_open(struct store *s)
{
	struct sweep *w = must_calloc(1, sizeof *w);
	w->store = s;
	w->timer.fire = step_begin;
	w->update = (struct update){ .run = move_run, .done = move_done, .makes_space = true };
	s->sweep = w;
	sweep_soon(s);
}

bool
sweep_idle(const struct store *s)
{
	return !s->sweep->busy;
}

void
sweep_close(struct store *s)
{
	struct sweep *w = s->sweep;
	s->sweep = NULL;
	if (!w)
		return;
	ASSERT(!w->busy);
	timer_cancel(&w->timer);
	free(w);
}
