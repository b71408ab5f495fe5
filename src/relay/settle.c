/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - makes durable what came of tries: recipients done or failed, the next due time, and the notices about
 * them, many rows in one commit. A row and its notices are one transaction: a bounce is never lost and never sent twice
 * (promise 1). */
#include "relay/relay.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"
#include "relay/notice.h"
#include "relay/schedule.h"
#include "store/rows.h"

struct batch {
	struct relay *relay;
	struct job *jobs[SETTLE_JOBS];
	size_t njobs;
	struct arena arena;
	struct store_mail mails[64];
	struct store_settle settles[SETTLE_JOBS];     /* one for each job */
	uint32_t first_mail[SETTLE_JOBS + 1], nmails; /* the mails of job i are first_mail[i] up to first_mail[i + 1] */
};
enum { NOTICES_OF_A_JOB = 3 };

static struct schedule
schedule_of(const struct conf *conf)
{
	return (struct schedule){ conf->retry_sec, conf->nretry, conf->v.relay_delayed_after / 1000,
		                      conf->v.relay_lifetime / 1000 };
}

/* The beginning of the message as it was sent, for the notice. */
static struct slice
await_original(struct job *j, bool *whole)
{
	struct slice piece;
	*whole = false;
	if (await_job_piece(j, j->row.envelope.skip, &piece) != OK)
		return SLICE_NONE;
	*whole = j->row.envelope.skip + piece.len == j->row.bytes && piece.len <= ORIGINAL_BYTES_MAX;
	return slice_keep(&j->arena, slice_part(piece, 0, ORIGINAL_BYTES_MAX));
}

/* A notice about the recipients in that state which want one. */
static void
await_add_notice(struct batch *b, struct job *j, enum notice kind, uint32_t state, int64_t now)
{
	bool *about = ARENA_ARRAY(&j->arena, bool, j->row.nrecipients + 1), any = false;
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		about[i] = to->state == state && notice_wanted(&j->row.envelope, to, kind, j->remote_dsn);
		any |= about[i];
	}
	if (!any)
		return;
	ASSERT(b->nmails < COUNT_OF(b->mails) && j->nnotices < COUNT_OF(j->notice_blocks));
	const struct conf *conf = j->relay->conf;
	struct notice_input in = {
		.conf = conf, .store = &j->relay->store, .shm = j->relay->shm, .row = &j->row, .kind = kind, .about = about
	};
	in.original = await_original(j, &in.original_whole);
	in.now = now;
	in.give_up_at = j->row.born + conf->v.relay_lifetime / 1000;
	void *block = NULL;
	if (await_notice(&in, &j->arena, &b->mails[b->nmails], &block)) {
		b->nmails++;
		j->notice_blocks[j->nnotices++] = block;
	}
}

static void
count_results(const struct job *j)
{
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		uint32_t state = j->row.recipients[i].state;
		counter_add(state == RECIPIENT_DONE     ? COUNTER_RELAY_SENT
		            : state == RECIPIENT_FAILED ? COUNTER_RELAY_FAILED
		                                        : COUNTER_RELAY_DEFERRED,
		            1);
	}
}

/* The recipients that wait on, in the same order. */
static uint32_t
keep_waiting(struct job *j, struct store_recipient **kept)
{
	uint32_t n = 0;
	*kept = ARENA_ARRAY(&j->arena, struct store_recipient, j->row.nrecipients + 1);
	for (uint32_t i = 0; i < j->row.nrecipients; i++)
		if (j->row.recipients[i].state == RECIPIENT_WAITING)
			(*kept)[n++] = j->row.recipients[i];
	return n;
}

/* It was not tried: everything stays but the time. */
static void
add_put_back(struct batch *b, struct job *j)
{
	struct store_settle *s = &b->settles[b->njobs];
	b->first_mail[b->njobs] = b->nmails;
	b->jobs[b->njobs++] = j;
	*s = (struct store_settle){
		.id = j->row.id, .lease = j->row.lease, .due = j->put_back, .tries = j->row.tries, .notices = j->row.notices
	};
	s->recipients = j->row.recipients;
	s->nrecipients = j->row.nrecipients;
	b->first_mail[b->njobs] = b->nmails;
}

static void
await_add_job(struct batch *b, struct job *j)
{
	int64_t now = clock_wall_sec();
	struct schedule schedule = schedule_of(j->relay->conf);
	bool told = j->row.notices & QUEUE_NOTICE_DELAYED;
	if (j->put_back) {
		add_put_back(b, j);
		return;
	}
	struct decision d = schedule_after_try(&schedule, j->row.tries, j->row.born, now, told);
	struct store_settle *s = &b->settles[b->njobs];
	b->first_mail[b->njobs] = b->nmails;
	b->jobs[b->njobs++] = j;
	if (d.give_up)
		for (uint32_t i = 0; i < j->row.nrecipients; i++)
			if (j->row.recipients[i].state == RECIPIENT_WAITING)
				j->row.recipients[i].state = RECIPIENT_FAILED;
	count_results(j);
	await_add_notice(b, j, NOTICE_FAILED, RECIPIENT_FAILED, now);
	await_add_notice(b, j, NOTICE_RELAYED, RECIPIENT_DONE, now);
	if (!d.give_up && d.tell_delayed)
		await_add_notice(b, j, NOTICE_DELAYED, RECIPIENT_WAITING, now);
	*s = (struct store_settle){
		.id = j->row.id, .lease = j->row.lease, .due = d.due, .tries = j->row.tries, .notices = j->row.notices
	};
	if (d.tell_delayed)
		s->notices |= QUEUE_NOTICE_DELAYED;
	s->nrecipients = keep_waiting(j, &s->recipients);
	s->gone = s->nrecipients == 0;
	b->first_mail[b->njobs] = b->nmails;
}

/* Commits jobs from..to of the batch in one transaction; waits for a store that is being started again. */
static enum err
await_commit(struct batch *b, size_t from, size_t to, bool with_notices)
{
	struct store_commit_out out;
	struct store_commit_in in = { .settles = b->settles + from, .nsettles = (uint32_t)(to - from) };
	in.mails = b->mails + b->first_mail[from];
	in.nmails = with_notices ? b->first_mail[to] - b->first_mail[from] : 0;
	uint8_t id[16]; /* the same in each round: what was done already is not done again */
	random_bytes(id, sizeof id);
	in.id = slice_of((const char *)id, sizeof id);
	enum err e = OK;
	for (int round = 0; round < 5; round++) {
		e = await_store_commit(&b->relay->store, &in, &b->arena, &out);
		if (e == OK)
			e = (enum err)out.verdict;
		if (e != ERR_AGAIN && e != ERR_TIMEOUT && e != ERR_DISK_FULL)
			break;
		if (await_sleep(1000) == ERR_CLOSED)
			break;
	}
	return e;
}

static void
log_lost(const struct job *j, enum err e)
{
	struct log l;
	log_begin(&l, LOG_ERROR, "relay.settle_failed");
	log_slice(&l, "id", j->row.envelope.session);
	log_u64(&l, "row", j->row.id);
	log_err(&l, e);
	log_text(&l, "next", "the row is tried again when its lease ends");
	log_end(&l);
}

/* What the store will say again, however often it is asked. */
static bool
is_about_notices(enum err e)
{
	return e == ERR_QUOTA || e == ERR_SUSPENDED || e == ERR_NOT_FOUND || e == ERR_LIMIT;
}

/* A mailbox that takes no notice (it is full, its account is gone) must not keep the row from being settled: recipients
 * that have the message already would get it again with each try. */
static enum err
await_commit_one(struct batch *b, size_t i)
{
	enum err e = await_commit(b, i, i + 1, true);
	if (!is_about_notices(e) || b->first_mail[i + 1] == b->first_mail[i])
		return e;
	struct log l;
	log_begin(&l, LOG_WARN, "notice.lost");
	log_slice(&l, "id", b->jobs[i]->row.envelope.session);
	log_u64(&l, "row", b->jobs[i]->row.id);
	log_slice(&l, "to", b->jobs[i]->row.envelope.reverse_path);
	log_err(&l, e);
	log_end(&l);
	return await_commit(b, i, i + 1, false);
}

/* The row may have been claimed again under the job, which has the newer lease then: a settle that was refused under
 * the older one is made under the newer; after one that was made, the row is given back. */
static enum err
await_settle_claimed_again(struct batch *b, size_t i, enum err e)
{
	struct job *j = b->jobs[i];
	struct store_settle *s = &b->settles[i];
	for (int round = 0; round < 3 && e == ERR_CONFLICT && s->lease != j->row.lease; round++) {
		s->lease = j->row.lease;
		e = await_commit_one(b, i);
	}
	if (e == OK && s->lease != j->row.lease)
		await_give_back(b->relay, j);
	return e;
}

/* Takes finished jobs and settles them in one commit; when that fails, each alone, so that one that somebody else took
 * over (ERR_CONFLICT), or whose notice nobody takes, does not hold up the others. */
static void
await_settle_some(struct relay *r)
{
	struct batch *b = must_calloc(1, sizeof *b);
	b->relay = r;
	arena_init(&b->arena, 0);
	for (struct link *l; b->njobs < SETTLE_JOBS && b->nmails + NOTICES_OF_A_JOB <= COUNT_OF(b->mails) &&
	                     (l = list_first(&r->finished));) {
		list_remove(l);
		await_add_job(b, CONTAINER_OF(l, struct job, link));
	}
	enum err e = await_commit(b, 0, b->njobs, true);
	for (size_t i = 0; i < b->njobs; i++) {
		enum err one = e && (b->njobs > 1 || is_about_notices(e)) ? await_commit_one(b, i) : e;
		one = await_settle_claimed_again(b, i, one);
		if (one)
			log_lost(b->jobs[i], one);
		job_free(b->jobs[i]);
	}
	arena_release(&b->arena);
	free(b);
}

static void
settler(void *arg)
{
	struct relay *r = arg;
	await_turn(); /* what finishes in this turn of the loop goes together */
	while (!list_empty(&r->finished)) {
		await_settle_some(r);
		if (!r->stopping)
			pump(r);
	}
	r->settling = false;
	gate_open(&r->idle, OK);
}

void
settle_finished(struct relay *r)
{
	if (r->settling || list_empty(&r->finished))
		return;
	r->settling = true;
	if (!task_start(settler, r))
		r->settling = false;
}

void
settle_job(struct job *j)
{
	list_append(&j->relay->finished, &j->link);
	settle_finished(j->relay);
}
