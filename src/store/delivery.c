/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.c - the commit call: everything that a message causes becomes durable together, or nothing does (promise 1).
 * Mails with their deliveries and queue rows, and what relay has settled. The answer is kept for an hour under the id
 * of the request (row 't'), so that a request which is asked again after a lost connection is not done twice (promise
 * 2). */
#include "store/rows_state.h"

#include "base/clock.h"

#define HOUR_SEC 3600

static struct key
answer_key(int64_t hour, struct slice id)
{
	struct key k = key1('t', (uint64_t)hour);
	key_bytes(&k, id);
	return k;
}

/* OK: it was done before, and *out says what was answered. */
static enum err
answered_before(struct job *j, struct txn *t, struct slice id, int64_t hour, struct store_commit_out *out)
{
	struct key k = answer_key(hour, id);
	struct slice value;
	struct row_answer row;
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e;
	if (!row_answer_take(value, &j->call->arena, &row))
		return row_damaged("answer");
	*out = (struct store_commit_out){ .culprit = STORE_NO_CULPRIT, .delivered = row.delivered };
	out->ndelivered = row.ndelivered;
	out->rows = row.rows;
	return OK;
}

static void
answer_keep(struct txn *t, struct slice id, const struct store_commit_out *out)
{
	struct key k = answer_key(clock_wall_sec() / HOUR_SEC, id);
	struct row_answer row = { .delivered = out->delivered, .ndelivered = out->ndelivered, .rows = out->rows };
	txn_put(t, key_slice(&k), row_answer_put(txn_arena(t), &row));
}

/* What all deliveries of one mail have in common. */
struct mail_object {
	uint64_t object;
	uint32_t bytes;
	int64_t received;
};

static enum err
deliver(struct job *j, struct txn *t, const struct store_delivery *d, const struct mail_object *mail,
        struct store_delivered *done, uint64_t *modseq)
{
	struct row_account account;
	struct change c;
	struct box b;
	struct row_message m = { .object = mail->object, .flags = d->flags, .bytes = mail->bytes };
	m.received = mail->received;
	enum err e = account_get(t, d->account, &account);
	if (!e && account.status != ACCOUNT_ACTIVE)
		return ERR_SUSPENDED;
	e = e ? e : change_begin(&c, j->s, t, d->account);
	c.job = j;
	e = e ? e : quota_check(j->s, &account, &c.counters, mail->bytes, 1);
	e = e ? e : mailbox_by_name(&c, d->mailbox.len ? d->mailbox : S("INBOX"), true, &b);
	e = e ? e : keyword_set_of(&c, &b, d->keywords, d->nkeywords, &m.keyword_set);
	e = e ? e : box_add(&c, &b, &m, &done->uid);
	if (e)
		return e;
	box_put(&c, &b);
	change_end(&c);
	done->account = d->account;
	done->mailbox = b.id;
	done->uidvalidity = b.row.uidvalidity;
	*modseq = b.row.modseq;
	return OK;
}

static enum err
commit_mail(struct job *j, struct txn *t, uint32_t at, struct store_commit_out *out)
{
	const struct store_commit_in *in = j->in;
	const struct store_mail *mail = &in->mails[at];
	uint32_t refs = mail->ndeliveries + mail->ngroups;
	struct mail_object o = { .bytes = j->bodies[at].len, .received = mail->received };
	struct store_mail queued = *mail; /* what goes into the queue knows in which language its sender reads */
	if (refs == 0)
		return OK;
	enum err e = sending_charge(j, t, mail, out);
	if (!e && mail->ngroups && mail->envelope.language.len == 0)
		e = sending_language(t, mail->envelope.account, &queued.envelope.language);
	if (!e && mail->ngroups)
		e = queue_hold(j, t, mail, o.bytes * mail->ngroups);
	if (e)
		return e;
	e = object_new(j->s, t, &j->bodies[at], mail->facts, refs, &o.object);
	for (uint32_t i = 0; i < mail->ndeliveries && !e; i++) {
		e = deliver(j, t, &mail->deliveries[i], &o, &out->delivered[out->ndelivered], &j->modseqs[out->ndelivered]);
		if (e)
			out->culprit = out->ndelivered;
		else
			out->ndelivered++;
	}
	for (uint32_t i = 0; i < mail->ngroups && !e; i++)
		e = queue_add(j, t, &queued, &mail->groups[i], o.object, o.bytes);
	out->rows += e ? 0 : mail->ngroups;
	return e;
}

/* Mail that waited here for its time goes into mailboxes of ours. */
static enum err
deliver_row(struct job *j, struct txn *t, const struct store_settle *settle, struct store_commit_out *out)
{
	struct row_queue row;
	enum err e = settle->ndeliveries ? queue_row_get(t, settle->id, &row) : OK;
	if (e || settle->ndeliveries == 0)
		return e;
	struct mail_object o = { row.object, (uint32_t)row.bytes, clock_wall_sec() };
	e = object_refer(j->s, t, row.object, (int32_t)settle->ndeliveries);
	for (uint32_t i = 0; i < settle->ndeliveries && !e; i++) {
		e = deliver(j, t, &settle->deliveries[i], &o, &out->delivered[out->ndelivered], &j->modseqs[out->ndelivered]);
		if (e)
			out->culprit = out->ndelivered;
		else
			out->ndelivered++;
	}
	return e;
}

static uint32_t
count_deliveries(const struct store_commit_in *in)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < in->nmails; i++)
		n += in->mails[i].ndeliveries;
	for (uint32_t i = 0; i < in->nsettles; i++)
		n += in->settles[i].ndeliveries;
	return n;
}

enum err
commit_mails(struct job *j, struct txn *t)
{
	const struct store_commit_in *in = j->in;
	struct store_commit_out *out = j->out;
	int64_t hour = clock_wall_sec() / HOUR_SEC;
	uint32_t n = count_deliveries(in);
	out->culprit = STORE_NO_CULPRIT;
	enum err e = answered_before(j, t, in->id, hour, out);
	if (e == ERR_NOT_FOUND)
		e = answered_before(j, t, in->id, hour - 1, out);
	if (e != ERR_NOT_FOUND)
		return e;
	e = OK;
	j->modseqs = ARENA_ARRAY(&j->call->arena, uint64_t, n + 1);
	out->delivered = ARENA_ARRAY(&j->call->arena, struct store_delivered, n + 1);
	for (uint32_t i = 0; i < in->nmails && !e; i++)
		e = commit_mail(j, t, i, out);
	for (uint32_t i = 0; i < in->nsettles && !e; i++) {
		e = deliver_row(j, t, &in->settles[i], out);
		e = e ? e : bounced_refused(j, t, &in->settles[i], out);
		e = e ? e : queue_settle(j, t, &in->settles[i]);
	}
	for (uint32_t i = 0; i < in->nreturns && !e; i++)
		e = bounced_returned(j, t, &in->returns[i], out);
	if (!e)
		answer_keep(t, in->id, out);
	return e;
}

/* Answers are kept for as long as a request may come again. */
enum err
answers_remove(struct txn *t, size_t max, bool *more)
{
	struct key from, to = key1('t', (uint64_t)MAX(clock_wall_sec() / HOUR_SEC - 1, (int64_t)0));
	struct slice k, value, *gone = ARENA_ARRAY(txn_arena(t), struct slice, max);
	size_t n = 0;
	key_begin(&from, 't');
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n < max && range_next(r, &k, &value))
		gone[n++] = slice_keep(txn_arena(t), k);
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++)
		txn_delete(t, gone[i]);
	*more = n == max;
	return e;
}
