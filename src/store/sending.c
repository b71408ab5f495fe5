/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - what an account may send: limits and breakers. The counts change in the transaction that accepts the
 * mail, or hears what came of it, so that neither a crash nor many sessions at once lose any. Called by delivery.c and
 * bounced.c.
 *
 * Memos (memo.h): "limits" and "sent" by account, "plan" by its name (sent.h); "known" ACCOUNT/ADDRESS, the day it was
 * last written to; "breaker" by account: its address, a line feed, and why; while it is there the scope "account/ID" of
 * the queue is paused, too. "language" by account: in which it reads notices. A server without limits and breakers
 * keeps no counts. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "store/memo.h"
#include "store/sent.h"

#define DAY_SEC 86400

struct sending {
	struct txn *t;
	uint64_t account;
	struct slice name; /* of its memos */
	int64_t now;
	struct send_limits limits;
	struct sent sent;
	uint32_t more[SENT_COUNTS];
};

static void
server_limits(const struct conf_values *v, struct send_limits *l)
{
	*l = (struct send_limits){ .max = {
		                           [LIMIT_MESSAGES_HOUR] = (uint32_t)v->limits_messages_per_hour,
		                           [LIMIT_MESSAGES_DAY] = (uint32_t)v->limits_messages_per_day,
		                           [LIMIT_RECIPIENTS_HOUR] = (uint32_t)v->limits_recipients_per_hour,
		                           [LIMIT_RECIPIENTS_DAY] = (uint32_t)v->limits_recipients_per_day,
		                           [LIMIT_DISTINCT_DAY] = (uint32_t)v->limits_distinct_per_day,
		                           [LIMIT_FIRST_DAY] = (uint32_t)v->limits_first_time_per_day,
		                           [BREAKER_FIRST_HOUR] = (uint32_t)v->breaker_first_time,
		                           [BREAKER_FAILED_PERCENT] = (uint32_t)v->breaker_bounces,
		                           [BREAKER_COMPLAINTS] = (uint32_t)v->breaker_complaints,
		                       } };
}

/* None of that kind and name: nothing is said. */
static enum err
read_memo(struct txn *t, struct slice kind, struct slice name, struct send_limits *l)
{
	struct slice value;
	enum err e = memo_read(t, kind, name, &value);
	if (e && e != ERR_NOT_FOUND)
		return e;
	return send_limits_take(e ? SLICE_NONE : value, l) ? OK : row_damaged("limits");
}

/* Its own, then those of its plan, then the server's. *any: there are some. */
static enum err
read_limits(struct job *j, struct sending *s, bool *any)
{
	struct send_limits *l = &s->limits, under;
	(void)send_limits_take(SLICE_NONE, l);
	enum err e = memo_any(s->t, S("limits"), any);
	if (!e && *any)
		e = read_memo(s->t, S("limits"), s->name, l);
	if (!e && l->plan.len) {
		e = read_memo(s->t, S("plan"), l->plan, &under);
		if (!e)
			send_limits_under(l, &under);
	}
	server_limits(&j->s->conf->v, &under);
	send_limits_under(l, &under);
	*any = false;
	for (size_t i = 0; i < SEND_LIMITS; i++)
		*any |= l->max[i] != 0;
	return e;
}

static enum err
sending_begin(struct job *j, struct txn *t, uint64_t account, struct sending *s, bool *any)
{
	struct slice value = SLICE_NONE;
	*s = (struct sending){ .t = t, .account = account, .now = clock_wall_sec() };
	s->name = arena_printf(txn_arena(t), "%llu", (unsigned long long)account);
	enum err e = read_limits(j, s, any);
	if (e || !*any)
		return e;
	e = memo_read(t, S("sent"), s->name, &value);
	sent_take(e ? SLICE_NONE : value, &s->sent);
	sent_advance(&s->sent, s->now);
	return e == ERR_NOT_FOUND ? OK : e;
}

static enum err
sending_keep(struct sending *s)
{
	struct store_memo m = { S("sent"), s->name, sent_put(&s->sent, txn_arena(s->t)),
		                    s->now + (SENT_DAYS + 1) * DAY_SEC };
	return memo_write(s->t, &m);
}

static struct slice
lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

/* ---- whom it wrote to before */

/* A list that is full forgets nobody and learns nobody: who is not in it counts as new. */
static enum err
count_recipient(struct sending *s, struct slice address)
{
	struct arena *a = txn_arena(s->t);
	struct store_memo m = { S("known"), arena_join(a, s->name, S("/")), SLICE_NONE, 0 };
	struct slice seen = SLICE_NONE;
	m.name = slice_part(arena_join(a, m.name, lower(a, address)), 0, MEMO_NAME_BYTES_MAX);
	m.value = arena_printf(a, "%lld", (long long)(s->now / DAY_SEC));
	m.until = s->now + (int64_t)SENT_KNOWN_DAYS * DAY_SEC;
	enum err e = memo_read(s->t, m.kind, m.name, &seen);
	if (e && e != ERR_NOT_FOUND)
		return e;
	s->more[SENT_FIRST] += e == ERR_NOT_FOUND;
	if (!e && slice_equal(seen, m.value))
		return OK;
	s->more[SENT_DISTINCT]++;
	e = memo_write(s->t, &m);
	return e == ERR_LIMIT ? OK : e;
}

static enum err
count_mail(struct sending *s, const struct store_mail *mail)
{
	const uint32_t *max = s->limits.max;
	bool looks = max[LIMIT_DISTINCT_DAY] || max[LIMIT_FIRST_DAY] || max[BREAKER_FIRST_HOUR];
	enum err e = OK;
	s->more[SENT_MESSAGES] = 1;
	s->more[SENT_RECIPIENTS] = mail->ndeliveries;
	for (uint32_t g = 0; g < mail->ngroups; g++) {
		s->more[SENT_RECIPIENTS] += mail->groups[g].nrecipients;
		for (uint32_t i = 0; i < mail->groups[g].nrecipients && looks && !e; i++)
			e = count_recipient(s, mail->groups[g].recipients[i].address);
	}
	return e;
}

/* ---- breakers */

static enum err
breaker_stands(struct sending *s, bool *stands)
{
	int64_t until = 0;
	enum err e = memo_any(s->t, S("breaker"), stands);
	if (e || !*stands)
		return e;
	e = memo_until(s->t, S("breaker"), s->name, &until);
	*stands = until > 0;
	return e;
}

/* From here on what the account sent, and what waits of it, stays where it is. */
static enum err
trip(struct job *j, struct sending *s, enum send_limit why, struct store_commit_out *out)
{
	struct arena *a = txn_arena(s->t);
	struct row_account row;
	enum err e = account_get(s->t, s->account, &row);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	struct slice words = slice_text(send_limit_rows[why].words);
	struct slice value = arena_printf(a, "%.*s\n%.*s", SLICE_ARG(row.address), SLICE_ARG(words));
	struct store_memo breaker = { S("breaker"), s->name, value, MEMO_FOREVER };
	struct store_memo pause = { S("pause"), arena_join(a, S("account/"), s->name), words, MEMO_FOREVER };
	e = memo_write(s->t, &breaker);
	e = e ? e : memo_write(s->t, &pause);
	out->tripped = words;
	out->tripped_account = job_keep(j, row.address);
	out->tripped_id = s->account;
	return e;
}

static enum err
trip_if_due(struct job *j, struct sending *s, struct store_commit_out *out)
{
	bool stands;
	enum send_limit why = sent_breaker(&s->sent, &s->limits);
	enum err e = why == SEND_LIMITS ? OK : breaker_stands(s, &stands);
	if (out->tripped.len) /* one at a time is told; the next refusal trips this one */
		return e;
	return e || why == SEND_LIMITS || stands ? e : trip(j, s, why, out);
}

enum err
sending_charge(struct job *j, struct txn *t, const struct store_mail *mail, struct store_commit_out *out)
{
	struct sending s;
	bool any;
	if (mail->envelope.account == 0 || j->call->peer->class_bit != IPC_CLASS_USER)
		return OK;
	enum err e = sending_begin(j, t, mail->envelope.account, &s, &any);
	e = e ? e : breaker_stands(&s, &out->held);
	if (e || out->held)
		return e ? e : ERR_SUSPENDED;
	e = any ? count_mail(&s, mail) : OK;
	if (e || !any)
		return e;
	enum send_limit passed = sent_check(&s.sent, &s.limits, s.more, &out->until);
	if (passed != SEND_LIMITS) {
		out->limit = 1 + (uint32_t)passed;
		return ERR_LIMIT;
	}
	sent_add(&s.sent, s.more);
	e = sending_keep(&s);
	return e ? e : trip_if_due(j, &s, out);
}

enum err
sending_count(struct job *j, struct txn *t, uint64_t account, enum sent_count what, uint32_t more,
              struct store_commit_out *out)
{
	struct sending s;
	bool any;
	enum err e = sending_begin(j, t, account, &s, &any);
	if (e || !any)
		return e;
	s.more[what] = more;
	sent_add(&s.sent, s.more);
	e = sending_keep(&s);
	return e ? e : trip_if_due(j, &s, out);
}

/* ---- language */

enum err
sending_language(struct txn *t, uint64_t account, struct slice *language)
{
	bool any;
	*language = SLICE_NONE;
	enum err e = memo_any(t, S("language"), &any);
	if (e || !any || account == 0)
		return e;
	struct slice name = arena_printf(txn_arena(t), "%llu", (unsigned long long)account);
	e = memo_read(t, S("language"), name, language);
	return e == ERR_NOT_FOUND ? OK : e;
}
