/* SPDX-License-Identifier: Apache-2.0 */
/* commit.c - makes updates durable, many at once. Called through store_update.
 *
 * The loop thread runs the updates that wait in one write transaction, each behind a mark of its own, and hands the
 * batch to the commit thread: bodies are written, segments synced, then the transaction is committed, in this order, so
 * that no row ever names bytes that are not on the disk. Meanwhile updates queue up for the next batch; there is no
 * timer. Answers wait for the batch even when an update failed, since what made it fail may stand in the same batch.
 *
 * Fails: a disk that is full fails the batch (or, below the reserve, single updates) and nothing else. Anything else
 * that goes wrong with writing is final: what is on the disk is not known any more, so all is answered with the error
 * and the process ends, to be started again. */
#include "store/commit.h"

#include "base/counter.h"
#include "base/log.h"
#include "store/object.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define END_AFTER_MS 200 /* so that the answers still leave */

struct commit {
	struct store *store;
	struct link waiting, batch;
	struct txn *txn; /* of the batch */
	bool busy;
	uint64_t batch_bytes;
	struct later later;
	struct timer end;

	uint64_t free_bytes;
	int64_t free_checked_ms;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool work, stop; /* behind the lock */
	enum err result; /* of the thread, read on the loop after it posted */
	bool final;      /* the result cannot be got over */
};

/* ---- the disk */

static void
check_space(struct commit *c)
{
	int64_t now = clock_mono_ms();
	if (c->free_checked_ms && now - c->free_checked_ms < SPACE_CHECK_MS)
		return;
	struct statvfs v;
	c->free_checked_ms = now;
	c->free_bytes = fstatvfs(c->store->data_dir, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

/* New mail stops first, flags and the like later, what gives space back last: the engine itself never meets a full
 * disk, unless others fill it. */
static bool
space_for(struct commit *c, const struct update *u)
{
	uint64_t reserve = c->store->conf->v.store_reserve;
	uint64_t need = u->makes_space ? reserve / 8 : u->bytes ? reserve : reserve / 2;
	check_space(c);
	if (c->free_bytes < need + u->bytes)
		return false;
	c->free_bytes -= u->bytes;
	return true;
}

bool
store_takes_mail(struct store *s)
{
	check_space(s->commit);
	return s->commit->free_bytes >= s->conf->v.store_reserve;
}

/* ---- the thread */

static void
write_batch(struct commit *c)
{
	struct store *s = c->store;
	size_t n;
	const struct record *records = objects_records(s, &n);
	enum err e = n ? segment_write_all(s->segments, records, n) : OK;
	if (!e && n)
		e = segment_sync(s->segments);
	c->final = e && e != ERR_DISK_FULL;
	if (!e) {
		e = txn_commit(c->txn);
		c->final = e != OK;
	}
	c->result = e;
}

static void batch_written(void *arg);

static void *
commit_thread(void *arg)
{
	struct commit *c = arg;
	(void)prctl(PR_SET_NAME, "commit");
	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->work && !c->stop)
			pthread_cond_wait(&c->wake, &c->lock);
		if (c->stop)
			break;
		c->work = false;
		pthread_mutex_unlock(&c->lock);
		write_batch(c);
		loop_post(batch_written, c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void
hand_over(struct commit *c)
{
	loop_hold();
	pthread_mutex_lock(&c->lock);
	c->work = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the batch */

static void
answer_all(struct commit *c, struct link *list, enum err e)
{
	struct link mine; /* done may queue new updates */
	list_init(&mine);
	struct link *l;
	while ((l = list_first(list)) != NULL) {
		list_remove(l);
		list_append(&mine, l);
	}
	while ((l = list_first(&mine)) != NULL) {
		struct update *u = CONTAINER_OF(l, struct update, link);
		list_remove(l);
		u->done(c->store, u, e ? e : u->result);
	}
}

static void
end_process(struct timer *t)
{
	_exit(EXIT_FAILURE);
}

static void
fail_stop(struct commit *c, enum err e)
{
	struct store *s = c->store;
	s->broken = e == ERR_DISK_FULL ? ERR_IO : e;
	struct log l;
	log_begin(&l, LOG_ERROR, "store.broken");
	log_err(&l, e);
	log_text(&l, "effect", s->ends_when_broken ? "the process ends and is started again" : "nothing can be changed");
	log_end(&l);
	if (s->ends_when_broken)
		timer_set(&c->end, deadline_in_ms(END_AFTER_MS));
}

static size_t
count_good(struct link *list)
{
	size_t n = 0;
	LIST_EACH (list, l)
		n += CONTAINER_OF(l, struct update, link)->result == OK;
	return n;
}

static void
batch_finish(struct commit *c, enum err e, bool written)
{
	txn_end(&c->txn);
	objects_batch_done(c->store, e == OK);
	if (!e && written) {
		counter_add(COUNTER_COMMITS, 1);
		counter_add(COUNTER_COMMIT_JOBS, (int64_t)count_good(&c->batch));
		counter_add(COUNTER_COMMIT_BYTES, (int64_t)c->batch_bytes);
	}
	c->busy = false;
	answer_all(c, &c->batch, e);
	if (!list_empty(&c->waiting))
		loop_later(&c->later);
}

static void
batch_written(void *arg)
{
	struct commit *c = arg;
	loop_unhold();
	if (c->result && c->final)
		fail_stop(c, c->result);
	batch_finish(c, c->result && c->final ? c->store->broken : c->result, true);
}

static void
run_one(struct commit *c, struct update *u)
{
	struct store *s = c->store;
	if (!space_for(c, u)) {
		u->result = ERR_DISK_FULL;
		return;
	}
	struct objects_mark mark = objects_mark(s);
	txn_mark(c->txn);
	u->result = u->run(s, c->txn, u);
	if (u->result) {
		txn_rollback(c->txn);
		objects_rollback(s, mark);
		return;
	}
	txn_keep(c->txn);
	c->batch_bytes += u->bytes;
}

static void
run_waiting(struct commit *c)
{
	size_t n = 0;
	c->batch_bytes = 0;
	struct link *l;
	while (n < BATCH_UPDATES_MAX && (l = list_first(&c->waiting)) != NULL) {
		struct update *u = CONTAINER_OF(l, struct update, link);
		if (n && (c->batch_bytes + u->bytes > BATCH_BYTES_MAX || txn_arena(c->txn)->bytes > BATCH_ROWS_MAX))
			break;
		list_remove(l);
		list_append(&c->batch, l);
		run_one(c, u);
		n++;
	}
}

static void
batch_begin(struct later *later)
{
	struct commit *c = CONTAINER_OF(later, struct commit, later);
	struct store *s = c->store;
	if (c->busy || list_empty(&c->waiting))
		return;
	if (s->broken) {
		answer_all(c, &c->waiting, s->broken);
		return;
	}
	c->busy = true;
	c->txn = txn_begin(s->engine, true);
	objects_batch_begin(s);
	run_waiting(c);
	enum err e = objects_batch_end(s, c->txn);
	if (e || txn_empty(c->txn))
		batch_finish(c, e, false);
	else
		hand_over(c);
}

void
store_update(struct store *s, struct update *u)
{
	struct commit *c = s->commit;
	u->result = OK;
	list_append(&c->waiting, &u->link);
	if (!c->busy)
		loop_later(&c->later);
}

enum err
store_view(struct store *s, enum err (*run)(struct store *s, struct txn *t, void *arg), void *arg)
{
	struct txn *t = txn_begin(s->engine, false);
	enum err e = run(s, t, arg);
	txn_end(&t);
	return e;
}

/* ---- open and close */

void
commit_open(struct store *s)
{
	struct commit *c = must_calloc(1, sizeof *c);
	c->store = s;
	c->later.fn = batch_begin;
	c->end.fire = end_process;
	list_init(&c->waiting);
	list_init(&c->batch);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	int failed = pthread_create(&c->thread, NULL, commit_thread, c);
	ASSERT(failed == 0);
	s->commit = c;
}

bool
commit_idle(const struct commit *c)
{
	return !c->busy && list_empty(&c->waiting);
}

void
commit_close(struct store *s)
{
	struct commit *c = s->commit;
	s->commit = NULL;
	if (!c)
		return;
	ASSERT(commit_idle(c));
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	later_cancel(&c->later);
	timer_cancel(&c->end);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
