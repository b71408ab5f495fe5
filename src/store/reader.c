/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - what would keep the loop waiting runs on threads: reads of bodies (store_read_later), and searches, which
 * take longer and have threads of their own (store_search_later), so that a body never waits for a search. Accounts
 * take turns: who searches for much waits behind his own searches, not in front of those of others. Jobs are counted in
 * the order in which they were asked for; segments that were emptied wait for the older ones before their files are
 * used again. */
#include "store/object.h"

#include "base/map.h"

#include <pthread.h>
#include <sys/prctl.h>

#define POOL_THREADS 2

struct read_job {
	struct store *store;
	void (*read)(void *arg);
	void (*done)(void *arg);
	void *arg;
	uint64_t number;
	struct link link, active;
};

/* Jobs of one account that wait. */
struct pool_queue {
	uint64_t account;
	struct link jobs;
	struct link link; /* in pool.turns */
};

struct pool {
	const char *name;
	pthread_t threads[POOL_THREADS];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct map queues; /* account + 1 -> struct pool_queue; behind the lock, like what follows */
	struct link turns; /* the first one's job is next, then it stands behind the others */
	bool stop;
};

struct readers {
	struct link active; /* loop thread: asked for and not done, oldest first */
	uint64_t last;
	struct pool bodies, searches;
};

static void
job_done(void *arg)
{
	struct read_job *j = arg;
	loop_unhold();
	list_remove(&j->active);
	j->done(j->arg);
	objects_free_emptied(j->store);
	free(j);
}

/* ---- whose turn it is; behind the lock */

static void
pool_add(struct pool *p, uint64_t account, struct read_job *j)
{
	struct pool_queue *q = map_get(&p->queues, account + 1);
	if (!q) {
		q = must_calloc(1, sizeof *q);
		q->account = account;
		list_init(&q->jobs);
		list_append(&p->turns, &q->link);
		map_set(&p->queues, account + 1, q);
	}
	list_append(&q->jobs, &j->link);
}

/* NULL: nothing waits. */
static struct read_job *
pool_take(struct pool *p)
{
	struct link *turn = list_first(&p->turns);
	if (!turn)
		return NULL;
	struct pool_queue *q = CONTAINER_OF(turn, struct pool_queue, link);
	struct link *first = list_first(&q->jobs);
	list_remove(first);
	list_remove(turn);
	if (list_empty(&q->jobs)) {
		map_remove(&p->queues, q->account + 1);
		free(q);
	} else {
		list_append(&p->turns, turn);
	}
	return CONTAINER_OF(first, struct read_job, link);
}

/* ---- the threads */

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;
	(void)prctl(PR_SET_NAME, p->name);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct read_job *j;
		while ((j = pool_take(p)) == NULL && !p->stop)
			pthread_cond_wait(&p->wake, &p->lock);
		if (!j)
			break;
		pthread_mutex_unlock(&p->lock);
		j->read(j->arg);
		loop_post(job_done, j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void
later(struct store *s, struct pool *p, uint64_t account, void (*read)(void *arg), void (*done)(void *arg), void *arg)
{
	struct readers *r = s->readers;
	struct read_job *j = must_calloc(1, sizeof *j);
	*j = (struct read_job){ .store = s, .read = read, .done = done, .arg = arg, .number = ++r->last };
	list_append(&r->active, &j->active);
	loop_hold();
	pthread_mutex_lock(&p->lock);
	pool_add(p, account, j);
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void
store_read_later(struct store *s, void (*read)(void *arg), void (*done)(void *arg), void *arg)
{
	later(s, &s->readers->bodies, 0, read, done, arg); /* short ones: each in its turn */
}

void
store_search_later(struct store *s, uint64_t account, void (*search)(void *arg), void (*done)(void *arg), void *arg)
{
	later(s, &s->readers->searches, account, search, done, arg);
}

uint64_t
readers_last(const struct store *s)
{
	return s->readers->last;
}

uint64_t
readers_oldest(const struct store *s)
{
	struct link *l = list_first(&s->readers->active);
	return l ? CONTAINER_OF(l, struct read_job, active)->number : UINT64_MAX;
}

static void
pool_open(struct pool *p, const char *name)
{
	p->name = name;
	list_init(&p->turns);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	for (size_t i = 0; i < POOL_THREADS; i++) {
		int failed = pthread_create(&p->threads[i], NULL, pool_thread, p);
		ASSERT(failed == 0);
	}
}

static void
pool_close(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < POOL_THREADS; i++)
		pthread_join(p->threads[i], NULL);
	map_release(&p->queues);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
}

void
readers_open(struct store *s)
{
	struct readers *r = must_calloc(1, sizeof *r);
	list_init(&r->active);
	pool_open(&r->bodies, "reader");
	pool_open(&r->searches, "search");
	s->readers = r;
}

void
readers_close(struct store *s)
{
	struct readers *r = s->readers;
	s->readers = NULL;
	if (!r)
		return;
	ASSERT(list_empty(&r->active));
	pool_close(&r->bodies);
	pool_close(&r->searches);
	free(r);
}
