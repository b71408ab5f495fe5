/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - makes durable what came of tries: recipients done or failed, the next due time, and the notices about
 * them, many rows in one commit. A row and its notices are one transaction: a bounce is never lost and never sent twice
 * (promise 1). */
#include "relay/relay.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/charset.h"
#include "relay/breaker_mail.h"
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
enum { NOTICES_OF_A_JOB = 3, ATTEMPT_BYTES_MAX = 500 };

/* Of its class; what the route of its domain says goes before. */
static struct schedule
schedule_of(const struct job *j)
{
	const struct conf *conf = j->relay->conf;
	const struct conf_route *line = j->row.local ? NULL : route_line(conf, j->row.domain);
	struct conf_schedule s = conf->schedules[MIN((size_t)j->row.envelope.class, COUNT_OF(conf->schedules) - 1)];
	struct conf_schedule own = line ? line->schedule : (struct conf_schedule){ 0 };
	if (own.nretry)
		s.retry_sec = own.retry_sec, s.nretry = own.nretry;
	return (struct schedule){ s.retry_sec, s.nretry,
		                      own.delayed_after_sec ? own.delayed_after_sec : s.delayed_after_sec,
		                      own.lifetime_sec ? own.lifetime_sec : s.lifetime_sec };
}

static struct deadline_asked
deadline_of(const struct job *j)
{
	return (struct deadline_asked){ j->row.envelope.by_mode, j->row.envelope.by_time,
		                            j->row.notices & QUEUE_NOTICE_LATE };
}

static void
fail_waiting(struct job *j, struct slice status, struct slice why)
{
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		struct store_recipient *to = &j->row.recipients[i];
		if (to->state != RECIPIENT_WAITING)
			continue;
		to->state = RECIPIENT_FAILED;
		to->status = status;
		to->reply = why;
		to->mta = SLICE_NONE;
	}
}

static bool
anybody_waits(const struct job *j)
{
	for (uint32_t i = 0; i < j->row.nrecipients; i++)
		if (j->row.recipients[i].state == RECIPIENT_WAITING)
			return true;
	return false;
}

/* What was sent for a later time begins to age then (RFC 4865). */
static int64_t
job_begin_sec(const struct job *j)
{
	return MAX(j->row.born, j->row.envelope.hold_until);
}

int64_t
job_end_sec(const struct job *j)
{
	return job_begin_sec(j) + schedule_of(j).lifetime_sec;
}

bool
job_decided(struct job *j)
{
	struct deadline_asked by = deadline_of(j);
	if (j->row.returned)
		fail_waiting(j, S("5.0.0"), S("the administrator of this server returned the message"));
	else if (schedule_expired(&by, clock_wall_sec())) /* RFC 2852 4.1.3 */
		fail_waiting(j, S("5.4.7"), S("it could not be delivered within the time that was asked for"));
	else
		return !anybody_waits(j); /* suppressed ones */
	return true;
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

/* Who sends bulk mail with a return path for each recipient gets counts instead of notices, as of what comes back
 * later; what was asked for (RFC 3461) is sent. */
static bool
is_counted_only(const struct job *j, const struct store_recipient *to, enum notice kind)
{
	bool trouble = kind == NOTICE_FAILED || kind == NOTICE_DELAYED || kind == NOTICE_LATE;
	return trouble && j->row.paths && !j->row.forward && to->notify == 0;
}

/* A notice about the recipients in that state which want one. */
static void
await_add_notice(struct batch *b, struct job *j, enum notice kind, uint32_t state, int64_t now)
{
	bool *about = ARENA_ARRAY(&j->arena, bool, j->row.nrecipients + 1), any = false;
	struct notice_next next = { .dsn = j->remote_dsn, .by = j->remote_by, .early = now < j->row.envelope.by_time };
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		about[i] =
		    to->state == state && !is_counted_only(j, to, kind) && notice_wanted(&j->row.envelope, to, kind, &next);
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
	in.give_up_at = job_end_sec(j);
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
		if (j->more && state == RECIPIENT_WAITING)
			continue;
		counter_add(state == RECIPIENT_DONE     ? COUNTER_RELAY_SENT
		            : state == RECIPIENT_FAILED ? COUNTER_RELAY_FAILED
		                                        : COUNTER_RELAY_DEFERRED,
		            1);
	}
}

/* For the breaker of who submitted it. That they asked for too short a time, or an administrator returned the message,
 * says nothing about them. */
static uint32_t
count_refused(const struct job *j)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < j->row.nrecipients && j->tried; i++)
		n += j->row.recipients[i].state == RECIPIENT_FAILED && slice_starts(j->row.recipients[i].reply, S("5"));
	return n;
}

/* Nobody hears of it but who reads the log. */
static void
log_withheld(const struct job *j)
{
	for (uint32_t i = 0; i < j->row.nrecipients && notice_withheld(&j->row.envelope); i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		struct log l;
		if (to->state != RECIPIENT_FAILED || (to->notify && !(to->notify & NOTIFY_FAILURE)))
			continue;
		log_begin(&l, LOG_INFO, "notice.withheld");
		log_slice(&l, "id", j->row.envelope.session);
		log_slice(&l, "from", j->row.envelope.reverse_path);
		log_slice(&l, "to", to->address);
		log_slice(&l, "reply", to->reply);
		log_text(&l, "why", "the sender did not log in and may be made up");
		log_end(&l);
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

/* What the try came to, for the history of a row that stays. */
static struct store_attempt
attempt_of(const struct job *j, int64_t now)
{
	for (uint32_t i = 0; i < j->row.nrecipients && j->tried && !j->more; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		if (to->state == RECIPIENT_WAITING)
			return (struct store_attempt){ now, to->mta, utf8_prefix(to->reply, ATTEMPT_BYTES_MAX) };
	}
	return (struct store_attempt){ 0 };
}

static struct decision
decide(const struct job *j, int64_t now)
{
	struct schedule schedule = schedule_of(j);
	struct deadline_asked by = deadline_of(j);
	bool told = j->row.notices & QUEUE_NOTICE_DELAYED;
	struct decision d = schedule_after_try(&schedule, MAX(j->row.tries, 1u), job_begin_sec(j), now, told);
	schedule_by(&d, &by, now);
	return j->more ? (struct decision){ .due = now } : d;
}

static void
await_add_notices(struct batch *b, struct job *j, const struct decision *d, int64_t now)
{
	await_add_notice(b, j, NOTICE_FAILED, RECIPIENT_FAILED, now);
	await_add_notice(b, j, j->row.local ? NOTICE_DELIVERED : NOTICE_RELAYED, RECIPIENT_DONE, now);
	if (!d->give_up && (d->tell_late || d->tell_delayed)) /* one says it all */
		await_add_notice(b, j, d->tell_late ? NOTICE_LATE : NOTICE_DELAYED, RECIPIENT_WAITING, now);
}

static void
await_add_job(struct batch *b, struct job *j)
{
	int64_t now = clock_wall_sec();
	if (j->put_back) {
		add_put_back(b, j);
		return;
	}
	struct decision d = decide(j, now);
	struct store_settle *s = &b->settles[b->njobs];
	b->first_mail[b->njobs] = b->nmails;
	b->jobs[b->njobs++] = j;
	struct store_attempt attempt = attempt_of(j, now);
	if (d.expired)
		fail_waiting(j, S("5.4.7"), S("it could not be delivered within the time that was asked for"));
	for (uint32_t i = 0; i < j->row.nrecipients && d.give_up; i++)
		if (j->row.recipients[i].state == RECIPIENT_WAITING)
			j->row.recipients[i].state = RECIPIENT_FAILED;
	count_results(j);
	await_add_notices(b, j, &d, now);
	log_withheld(j);
	*s = (struct store_settle){ .id = j->row.id,
		                        .lease = j->row.lease,
		                        .due = d.due,
		                        .tries = j->row.tries - j->more,
		                        .notices = j->row.notices,
		                        .attempt = attempt,
		                        .failed = count_refused(j),
		                        .deliveries = j->deliveries,
		                        .ndeliveries = j->ndeliveries };
	suppress_refused(j, s);
	if (d.tell_delayed || d.tell_late)
		s->notices |= QUEUE_NOTICE_DELAYED | (d.tell_late ? QUEUE_NOTICE_LATE : 0);
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
	if (e == OK)
		await_breaker_mail(b->relay->conf, &b->relay->store, b->relay->shm, &out, &b->arena);
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

/* A mailbox of ours does not take the message now: it waits on. */
static enum err
await_commit_undelivered(struct batch *b, size_t i, enum err why)
{
	struct job *j = b->jobs[i];
	struct store_settle *s = &b->settles[i];
	for (uint32_t k = 0; k < j->row.nrecipients; k++) {
		struct store_recipient *to = &j->row.recipients[k];
		if (to->state != RECIPIENT_DONE)
			continue;
		to->state = RECIPIENT_WAITING;
		to->status = why == ERR_QUOTA ? S("4.2.2") : S("4.2.1");
		to->reply = slice_text(err_text(why));
	}
	s->ndeliveries = 0;
	s->attempt = attempt_of(j, clock_wall_sec());
	s->nrecipients = keep_waiting(j, &s->recipients);
	s->gone = s->nrecipients == 0;
	return await_commit(b, i, i + 1, false);
}

/* A mailbox that takes no notice (it is full, its account is gone) must not keep the row from being settled: recipients
 * that have the message already would get it again with each try. */
static enum err
await_commit_one(struct batch *b, size_t i)
{
	enum err e = await_commit(b, i, i + 1, true);
	if (!is_about_notices(e))
		return e;
	if (b->first_mail[i + 1] == b->first_mail[i])
		return b->settles[i].ndeliveries ? await_commit_undelivered(b, i, e) : e;
	struct log l;
	log_begin(&l, LOG_WARN, "notice.lost");
	log_slice(&l, "id", b->jobs[i]->row.envelope.session);
	log_u64(&l, "row", b->jobs[i]->row.id);
	log_slice(&l, "to", b->jobs[i]->row.envelope.reverse_path);
	log_err(&l, e);
	log_end(&l);
	e = await_commit(b, i, i + 1, false);
	return is_about_notices(e) && b->settles[i].ndeliveries ? await_commit_undelivered(b, i, e) : e;
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
