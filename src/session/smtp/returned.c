/* SPDX-License-Identifier: Apache-2.0 */
/* returned.c - mail that came to return paths of bulk mail (mail/verp.h), or to where complaints come in: scan says
 * what it is, the commit carries what the store is to count. Called by deliver.c.
 *
 * What comes to a return path is for programs: bounces, delays, answers by machine are counted and go no further,
 * unless the domain wants them forwarded to who sent the mail. What a person wrote there is delivered to the sender.
 * Complaints are delivered where they came to, as well. */
#include "session/smtp/smtp.h"

#include "base/counter.h"
#include "mail/bounce.h"
#include "store/rows.h"

static void
log_returned(struct smtp *s, const struct smtp_rcpt *rcpt, const struct scan_bounce_out *b)
{
	struct log l;
	log_begin(&l, LOG_INFO, "bounce.received");
	log_text(&l, "session", s->c->id);
	log_slice(&l, "id", tx_message_id(s));
	log_slice(&l, "to", rcpt->path);
	log_text(&l, "kind", bounce_kind_name((enum bounce_kind)b->kind));
	log_text(&l, "class", bounce_class_name((enum bounce_class)b->class));
	log_slice(&l, "status", b->status);
	log_slice(&l, "said", b->said);
	log_end(&l);
}

static struct store_returned *
add(struct smtp *s, const struct scan_bounce_out *b, uint32_t kind, struct slice path)
{
	struct transaction *tx = &s->tx;
	struct store_name *names = ARENA_ARRAY(&tx->arena, struct store_name, b->nrecipients + 1);
	ASSERT(tx->nreturns < SMTP_RETURNS_MAX);
	for (uint32_t i = 0; i < b->nrecipients; i++)
		names[i].text = slice_keep(&tx->arena, b->recipients[i].address);
	struct store_returned *r = &tx->returns[tx->nreturns++];
	*r = (struct store_returned){ .path = slice_keep(&tx->arena, path),
		                          .kind = kind,
		                          .class = MIN(b->class, (uint32_t)BOUNCE_CLASSES - 1),
		                          .said = slice_keep(&tx->arena, b->said),
		                          .names = names,
		                          .nnames = b->nrecipients };
	return r;
}

/* RFC 5321 4.5.5: what comes from the null path is a notice of a program, understood or not. */
static void
take_bounce(struct smtp *s, struct smtp_rcpt *rcpt, const struct scan_bounce_out *b)
{
	bool strange = b->kind == BOUNCE_NONE && s->tx.reverse.len == 0;
	rcpt->consumed = !rcpt->forward && b->kind != BOUNCE_COMPLAINT && (strange || b->kind != BOUNCE_NONE);
	if (strange || b->kind == BOUNCE_FAILED) {
		add(s, b, BOUNCE_FAILED, rcpt->address);
		counter_add(COUNTER_BOUNCES, 1);
	}
	if (b->kind != BOUNCE_NONE || strange)
		log_returned(s, rcpt, b);
}

/* RFC 5965 3.1; several places may name the return path, the store counts them as one. */
static void
take_complaint(struct smtp *s, const struct smtp_rcpt *rcpt, const struct scan_bounce_out *b)
{
	if (b->kind != BOUNCE_COMPLAINT)
		return;
	for (uint32_t i = 0; i < b->npaths; i++)
		add(s, b, BOUNCE_COMPLAINT, b->paths[i].text)->at = rcpt->address;
	counter_add(COUNTER_COMPLAINTS, 1);
	log_returned(s, rcpt, b);
}

bool
returned_fits(const struct smtp *s, bool feedback)
{
	size_t need = feedback ? BOUNCE_PATHS_MAX : 1, have = 0;
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		have += s->tx.rcpts[i].feedback ? BOUNCE_PATHS_MAX : s->tx.rcpts[i].verp;
	return have + need <= SMTP_RETURNS_MAX;
}

enum err
await_returned(struct smtp *s)
{
	struct scan_bounce_out b;
	bool any = false;
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		any |= s->tx.rcpts[i].verp || s->tx.rcpts[i].feedback;
	if (!any)
		return OK;
	enum err e = await_body_bounce(&s->tx.in.body, s->command, &b);
	if (e)
		return e;
	s->tx.nreturns = 0;
	s->tx.returns = ARENA_ARRAY(&s->tx.arena, struct store_returned, SMTP_RETURNS_MAX);
	for (uint32_t i = 0; i < s->tx.nrcpts; i++) {
		struct smtp_rcpt *rcpt = &s->tx.rcpts[i];
		if (rcpt->verp)
			take_bounce(s, rcpt, &b);
		else if (rcpt->feedback)
			take_complaint(s, rcpt, &b);
	}
	return OK;
}
