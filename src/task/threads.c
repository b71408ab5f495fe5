/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - await_thread: a small pool of threads for what blocks. A job lives on the stack of the task that waits
 * for it; threads are made when a job comes and none is idle, and stay. They know nothing of tasks: the end of a job
 * reaches the loop by loop_post. While a job is under way a simulated clock stands still (loop_hold). Fails: no thread
 * can be had (then the job runs on the loop's own thread, late but right). */
#include "task/task_inside.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

struct job {
	void (*fn)(void *arg);
	void *arg;
	struct task *task;
	struct job *next;
};

size_t task_threads_max;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, **last;
	pthread_t threads[THREADS_MAX];
	size_t n, idle, waiting;
	bool stop;
	pid_t owner; /* a child after fork has none of the threads */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .last = &pool.first };

static void
job_done(void *arg)
{
	struct job *job = arg;
	loop_unhold();
	task_ready(job->task, OK);
}

/* The next job; NULL: stop. */
static struct job *
job_take(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.idle++;
	while (!pool.first && !pool.stop)
		pthread_cond_wait(&pool.more, &pool.lock);
	pool.idle--;
	struct job *job = pool.first;
	if (job) {
		pool.first = job->next;
		pool.waiting--;
		if (!pool.first)
			pool.last = &pool.first;
	}
	pthread_mutex_unlock(&pool.lock);
	return job;
}

static void *
thread_main(void *unused)
{
	for (struct job *job; (job = job_take());) {
		job->fn(job->arg);
		loop_post(job_done, job);
	}
	return NULL;
}

/* Called with the lock held. Signals are for the first thread. */
static void
thread_add(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&pool.threads[pool.n], NULL, thread_main, NULL) == 0)
		pool.n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static size_t
threads_max(void)
{
	if (task_threads_max == 0)
		task_threads_max = (size_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	return MIN(task_threads_max, (size_t)THREADS_MAX);
}

/* False: there is no thread that would take it. */
static bool
job_put(struct job *job)
{
	pthread_mutex_lock(&pool.lock);
	pool.owner = getpid();
	if (pool.idle <= pool.waiting && pool.n < threads_max())
		thread_add();
	bool taken = pool.n > 0;
	if (taken) {
		*pool.last = job;
		pool.last = &job->next;
		pool.waiting++;
		pthread_cond_signal(&pool.more);
	}
	pthread_mutex_unlock(&pool.lock);
	return taken;
}

enum err
await_thread(void (*fn)(void *arg), void *arg)
{
	struct job job = { .fn = fn, .arg = arg, .task = task_self() };
	ASSERT(job.task);
	if (task_cancelled())
		return ERR_CLOSED;
	if (!job_put(&job)) {
		fn(arg);
		return OK;
	}
	loop_hold();
	return await_ready_or_deadline(DEADLINE_NONE, false);
}

void
threads_reset(void)
{
	if (pool.n == 0)
		return;
	if (pool.owner == getpid()) {
		pthread_mutex_lock(&pool.lock);
		pool.stop = true;
		pthread_cond_broadcast(&pool.more);
		pthread_mutex_unlock(&pool.lock);
		for (size_t i = 0; i < pool.n; i++)
			pthread_join(pool.threads[i], NULL);
	}
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.more, NULL);
	pool.first = NULL;
	pool.last = &pool.first;
	pool.n = pool.idle = pool.waiting = 0;
	pool.stop = false;
}
