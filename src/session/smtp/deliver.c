/* SPDX-License-Identifier: Apache-2.0 */
/* deliver.c - a message that is here as a whole: scan makes its facts, policy judges them, one durable commit delivers
 * it to every mailbox and puts what goes elsewhere into the queue. Only then 250 (RFC 5321 6.1). Called by cmd_data.c.
 * What fails here leaves nothing behind and is answered with 4xx; the client keeps the message. */
#include "session/smtp/smtp.h"

#include "base/counter.h"
#include "base/random.h"
#include "mail/facts.h"
#include "relay/breaker_mail.h"
#include "store/rows.h"

struct arrival {
	struct facts facts;
	struct facts_numbers numbers;
};

/* ---- who gets it */

static int
by_place(const void *x, const void *y)
{
	const struct store_delivery *a = x, *b = y;
	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	return slice_compare(a->mailbox, b->mailbox);
}

static struct slice
domain_of(struct slice address)
{
	ptrdiff_t at = slice_find_last_char(address, '@');
	return slice_from(address, (size_t)(at + 1));
}

static int
by_domain(const void *x, const void *y)
{
	const struct store_recipient *a = x, *b = y;
	int order = slice_compare(domain_of(a->address), domain_of(b->address));
	return order ? order : slice_compare(a->address, b->address);
}

/* A mailbox gets one copy, however many addresses lead to it. */
static void
put_deliveries(struct store_mail *mail, struct store_delivery *all, uint32_t n)
{
	if (n > 1)
		qsort(all, n, sizeof *all, by_place);
	mail->deliveries = all;
	for (uint32_t i = 0; i < n; i++)
		if (mail->ndeliveries == 0 || by_place(&all[mail->ndeliveries - 1], &all[i]) != 0)
			all[mail->ndeliveries++] = all[i];
}

/* One queue row for each domain; one recipient once. */
static void
put_groups(struct smtp *s, struct store_mail *mail, struct store_recipient *all, uint32_t n, bool local)
{
	enum { GROUP_MAX = 1000 };
	if (n == 0)
		return;
	qsort(all, n, sizeof *all, by_domain);
	struct store_group *g = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct slice domain = domain_of(all[i].address);
		if (!g || !slice_equal(g->domain, domain) || g->nrecipients == GROUP_MAX) {
			g = &mail->groups[mail->ngroups++];
			*g = (struct store_group){ .domain = domain, .recipients = &all[i], .local = local };
			g->due = s->tx.wishes.hold_until;
			g->appointed = g->due != 0;
		}
		bool again = g->nrecipients && slice_equal(g->recipients[g->nrecipients - 1].address, all[i].address);
		if (!again)
			g->recipients[g->nrecipients++] = all[i];
	}
}

/* RFC 3461 5.2.7.3 (c): an alias for several is reported as expanded, what it leads to is asked for no success. */
static uint32_t
notify_of_target(const struct smtp *s, const struct smtp_rcpt *rcpt)
{
	uint32_t left = rcpt->notify & ~(uint32_t)NOTIFY_SUCCESS;
	if (!(rcpt->notify & NOTIFY_SUCCESS) || !is_expanded(s, rcpt))
		return rcpt->notify;
	return left ? left : NOTIFY_NEVER; /* it was success alone that they wanted to hear of */
}

/* A mailbox of ours that gets the message later: by the address that was named where that means this mailbox alone, so
 * that a sub-address keeps its folder. */
static struct store_recipient
waiting_recipient(const struct smtp *s, const struct smtp_rcpt *rcpt, const struct smtp_target *t)
{
	bool alone = rcpt->count == 1 && slice_find_char(rcpt->address, '@') >= 0;
	return (struct store_recipient){ .address = alone ? rcpt->address : t->address,
		                             .orcpt = rcpt->orcpt,
		                             .notify = notify_of_target(s, rcpt) };
}

/* It waits for nobody: relay tells the sender, as of one that was refused. */
static struct store_recipient
suppressed_recipient(struct smtp *s, const struct smtp_rcpt *rcpt, const struct smtp_target *t)
{
	return (struct store_recipient){ .address = t->address,
		                             .orcpt = rcpt->orcpt,
		                             .notify = notify_of_target(s, rcpt),
		                             .state = RECIPIENT_FAILED,
		                             .status = S("5.7.1"),
		                             .reply = suppressed_text(s->command, t->suppressed) };
}

void
split_targets(struct smtp *s, struct store_mail *mail)
{
	const struct transaction *tx = &s->tx;
	bool bulk = mail->envelope.class == CLASS_BULK;
	struct store_recipient *refused = ARENA_ARRAY(s->command, struct store_recipient, tx->ntargets + 1);
	struct store_delivery *local = ARENA_ARRAY(s->command, struct store_delivery, tx->ntargets + 1);
	struct store_recipient *remote = ARENA_ARRAY(s->command, struct store_recipient, tx->ntargets + 1);
	struct store_recipient *later = ARENA_ARRAY(s->command, struct store_recipient, tx->ntargets + 1);
	uint32_t nlocal = 0, nremote = 0, nlater = 0, nrefused = 0;
	mail->ndeliveries = mail->ngroups = 0;
	mail->groups = ARENA_ARRAY(s->command, struct store_group, 3 * tx->ntargets + 1);
	for (uint32_t r = 0; r < tx->nrcpts; r++) {
		const struct smtp_rcpt *rcpt = &tx->rcpts[r];
		bool gets = !rcpt->outcome.code && !rcpt->consumed;
		for (uint32_t i = rcpt->first; i < rcpt->first + rcpt->count && gets; i++) {
			const struct smtp_target *t = &tx->targets[i];
			if (t->account && tx->wishes.hold_until)
				later[nlater++] = waiting_recipient(s, rcpt, t);
			else if (t->account)
				local[nlocal++] = (struct store_delivery){ .account = t->account, .mailbox = t->mailbox };
			else if (t->suppressed.len && bulk)
				refused[nrefused++] = suppressed_recipient(s, rcpt, t);
			else
				remote[nremote++] = (struct store_recipient){ .address = t->address,
					                                          .orcpt = rcpt->orcpt,
					                                          .notify = notify_of_target(s, rcpt) };
		}
	}
	put_deliveries(mail, local, nlocal);
	put_groups(s, mail, remote, nremote, false);
	put_groups(s, mail, later, nlater, true);
	put_groups(s, mail, refused, nrefused, false);
}

/* ---- policy: facts in, verdict out */

static struct reply
policy(const struct smtp *s, const struct arrival *a)
{
	if (a->numbers.received > s->c->conf->v.smtp_received_max) /* RFC 5321 6.3 */
		return reply(554, "5.4.6", "too many Received fields: the message goes in a circle");
	return REPLY_NONE;
}

/* Bulk mail that nobody is to get. */
static struct reply
reply_suppressed(struct smtp *s)
{
	const struct transaction *tx = &s->tx;
	for (uint32_t i = 0; i < tx->ntargets; i++)
		if (tx->targets[i].suppressed.len == 0)
			return REPLY_NONE;
	if (tx->ntargets == 0 || sender_class(s) != CLASS_BULK)
		return REPLY_NONE;
	return reply_slice(550, "5.7.1", suppressed_text(s->command, tx->targets[0].suppressed));
}

/* ---- commit */

static void
fill_mail(struct smtp *s, struct store_mail *mail, const struct arrival *a)
{
	const struct transaction *tx = &s->tx;
	*mail = (struct store_mail){
		.body = *body_ref(&tx->in.body, s->command),
		.facts = a->facts.all,
		.received = clock_wall_sec(),
		.envelope = { .reverse_path = tx->reverse,
		              .envid = tx->envid,
		              .ret = tx->ret,
		              .flags = tx->flags,
		              .skip = tx->in.skip,
		              .account = s->account,
		              .session = tx_message_id(s),
		              .priority = tx->wishes.priority,
		              .by_time = tx->wishes.by_time,
		              .by_mode = tx->wishes.by_mode,
		              .hold_until = tx->wishes.hold_until,
		              .hold_for = tx->wishes.hold_for },
	};
	if (s->c->trusted)
		mail->envelope.flags |= ENVELOPE_TRUSTED;
	if (a->facts.flags & (FACTS_8BIT | FACTS_8BIT_HEADER)) /* whatever was declared: the next server must know */
		mail->envelope.flags |= ENVELOPE_8BIT;
	if ((tx->flags & ENVELOPE_SMTPUTF8) && (a->facts.flags & FACTS_8BIT_HEADER))
		mail->envelope.flags |= ENVELOPE_UTF8_HEADER;
	if (tx->nremote || tx->wishes.hold_until)
		mail->envelope.class = sender_class(s);
	split_targets(s, mail);
}

static enum err
await_commit_once(struct smtp *s, const struct arrival *a, struct store_commit_out *out, struct store_delivery *culprit)
{
	struct store_mail mails[2];
	void *notice = NULL;
	struct store_commit_in in = { .mails = mails, .nmails = 1 };
	fill_mail(s, &mails[0], a);
	in.returns = s->tx.returns;
	in.nreturns = s->tx.nreturns;
	if (mails[0].ndeliveries + mails[0].ngroups == 0 && in.nreturns)
		in.nmails = 0;
	if (in.nmails && success_wanted(s) && await_success_notice(s, &mails[1], &notice))
		in.nmails = 2;
	char id[16];
	random_bytes(id, sizeof id);
	in.id = slice_of(id, sizeof id);
	*out = (struct store_commit_out){ .culprit = STORE_NO_CULPRIT };
	enum err e = await_store_commit(&s->c->session->store, &in, s->command, out);
	if (notice)
		shm_free(s->c->session->shm, notice);
	if (e == OK)
		e = (enum err)out->verdict;
	*culprit = (struct store_delivery){ 0 };
	if (e != OK && out->culprit < mails[0].ndeliveries)
		*culprit = mails[0].deliveries[out->culprit];
	return e;
}

static struct reply
reply_refused(const struct smtp *s, enum err e)
{
	if (e == ERR_QUOTA && s->tx.wishes.hold_until) /* RFC 4865 6 (4), (5) */
		return reply_hold_quota();
	if (e == ERR_NOT_FOUND) /* it went between RCPT and now */
		return reply(450, "4.2.1", "a mailbox is gone, try again");
	return reply_trouble(e);
}

/* LMTP (RFC 2033 4.2): those whose mailbox was the culprit are answered apart. The number that is left. */
static uint32_t
drop_culprit(struct smtp *s, const struct store_delivery *culprit, struct reply why)
{
	uint32_t left = 0;
	for (uint32_t r = 0; r < s->tx.nrcpts; r++) {
		struct smtp_rcpt *rcpt = &s->tx.rcpts[r];
		for (uint32_t i = rcpt->first; i < rcpt->first + rcpt->count; i++) {
			const struct smtp_target *t = &s->tx.targets[i];
			if (t->account == culprit->account && slice_equal(t->mailbox, culprit->mailbox))
				rcpt->outcome = why;
		}
		left += rcpt->outcome.code == 0;
	}
	return left;
}

static struct reply
await_commit(struct smtp *s, const struct arrival *a)
{
	struct store_commit_out out;
	struct store_delivery culprit;
	enum err e = await_commit_once(s, a, &out, &culprit);
	while (e != OK && s->face == FACE_LMTP && culprit.account) {
		if (drop_culprit(s, &culprit, reply_refused(s, e)) == 0)
			return reply_refused(s, e); /* nobody is left */
		e = await_commit_once(s, a, &out, &culprit);
	}
	struct reply no = e != OK ? reply_sending(s, &out) : REPLY_NONE;
	if (e != OK)
		return no.code ? no : reply_refused(s, e);
	await_breaker_mail(s->c->conf, &s->c->session->store, s->c->session->shm, &out, s->command);
	await_tls_report(s);
	return reply_slice(250, "2.0.0", arena_join(s->command, S("accepted as "), tx_message_id(s)));
}

static struct reply
await_judge(struct smtp *s, struct arrival *a)
{
	struct slice record;
	enum err e = await_body_facts(&s->tx.in.body, s->command, &record);
	if (e != OK)
		return reply_trouble(e);
	if (!facts_open(&a->facts, record) || !facts_numbers(&a->facts, &a->numbers))
		return reply_trouble(ERR_DAMAGED);
	struct reply no = policy(s, a);
	if (!no.code)
		no = reply_suppressed(s);
	if (no.code)
		return no;
	e = await_returned(s);
	return e ? reply_trouble(e) : await_commit(s, a);
}

/* ---- the answer */

static void
log_message(struct smtp *s, const struct arrival *a, struct reply r)
{
	struct log l;
	log_begin(&l, LOG_INFO, r.code < 300 ? "mail.accepted" : r.code < 500 ? "mail.deferred" : "mail.refused");
	log_text(&l, "session", s->c->id);
	log_slice(&l, "id", tx_message_id(s));
	log_text(&l, "peer", s->c->peer);
	if (s->user)
		log_text(&l, "user", s->user);
	log_slice(&l, "from", s->tx.reverse_path);
	if (s->tx.nrcpts == 1)
		log_slice(&l, "to", s->tx.rcpts[0].path);
	log_u64(&l, "rcpts", s->tx.nrcpts);
	log_u64(&l, "bytes", s->tx.in.bytes);
	if (s->tx.wishes.priority) /* RFC 6710 4.1 (3) */
		log_i64(&l, "priority", s->tx.wishes.priority);
	if (s->tx.wishes.hold_until)
		log_i64(&l, "hold_until", s->tx.wishes.hold_until);
	if (a->facts.all.len)
		log_slice(&l, "msgid", facts_get(&a->facts, FACTS_MESSAGE_ID));
	log_u64(&l, "code", r.code);
	if (r.code >= 300)
		log_slice(&l, "text", r.text);
	log_i64(&l, "ms", clock_mono_ms() - s->tx.began_ms);
	log_end(&l);
}

static void
count_message(struct reply r)
{
	counter_add(r.code < 300 ? COUNTER_SMTP_ACCEPTED : r.code < 500 ? COUNTER_SMTP_DEFERRED : COUNTER_SMTP_REFUSED, 1);
}

struct reply
await_message_end(struct smtp *s, struct reply refusal)
{
	struct arrival a = { 0 };
	struct reply r = refusal.code ? refusal : await_judge(s, &a);
	log_message(s, &a, r);
	count_message(r);
	if (s->face == FACE_LMTP) { /* RFC 2033 4.2: one reply for each RCPT that was accepted, in their order */
		for (uint32_t i = 0; i < s->tx.nrcpts; i++)
			smtp_put_reply(s, s->tx.rcpts[i].outcome.code ? s->tx.rcpts[i].outcome : r);
		r = REPLY_NONE;
	}
	s->messages++;
	tx_reset(s);
	return r;
}
