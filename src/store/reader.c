/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - store_read_later: reads of bodies that may block go to two threads, so that the loop does not wait for the
 * disk. Jobs are counted in the order in which they were asked for; segments that were emptied wait for the older ones
 * before their files are used again. */
#include "store/object.h"

#include <pthread.h>

#define READER_THREADS 2

struct read_job {
	struct store *store;
	void (*read)(void *arg);
	void (*done)(void *arg);
	void *arg;
	uint64_t number;
	struct link link, active;
};

struct readers {
	struct link active; /* loop thread: asked for and not done, oldest first */
	uint64_t last;
	pthread_t threads[READER_THREADS];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct link waiting; /* behind the lock, like stop */
	bool stop;
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

static void *
reader_thread(void *arg)
{
	struct readers *r = arg;
	pthread_mutex_lock(&r->lock);
	for (;;) {
		struct link *l;
		while ((l = list_first(&r->waiting)) == NULL && !r->stop)
			pthread_cond_wait(&r->wake, &r->lock);
		if (!l)
			break;
		list_remove(l);
		pthread_mutex_unlock(&r->lock);
		struct read_job *j = CONTAINER_OF(l, struct read_job, link);
		j->read(j->arg);
		loop_post(job_done, j);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

void
store_read_later(struct store *s, void (*read)(void *arg), void (*done)(void *arg), void *arg)
{
	struct readers *r = s->readers;
	struct read_job *j = must_calloc(1, sizeof *j);
	*j = (struct read_job){ .store = s, .read = read, .done = done, .arg = arg, .number = ++r->last };
	list_append(&r->active, &j->active);
	loop_hold();
	pthread_mutex_lock(&r->lock);
	list_append(&r->waiting, &j->link);
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
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

void
readers_open(struct store *s)
{
	struct readers *r = must_calloc(1, sizeof *r);
	list_init(&r->active);
	list_init(&r->waiting);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	for (size_t i = 0; i < READER_THREADS; i++) {
		int failed = pthread_create(&r->threads[i], NULL, reader_thread, r);
		ASSERT(failed == 0);
	}
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
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < READER_THREADS; i++)
		pthread_join(r->threads[i], NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
