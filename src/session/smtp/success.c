/* SPDX-License-Identifier: Apache-2.0 */
/* success.c - the "delivered" notice that NOTIFY=SUCCESS asks for (RFC 3461 5.2.1) when the mailbox is here. It goes in
 * the same commit as the message: to a mailbox of ours, or into the queue. Called by deliver.c. When it cannot be made
 * the message is delivered all the same. For recipients elsewhere relay reports. */
#include "session/smtp/smtp.h"

#include "base/random.h"
#include "mail/dsn.h"
#include "mail/facts.h"
#include "mail/xtext.h"
#include "store/rows.h"

#include <unistd.h>

enum { NOTICE_BYTES_MAX = 256 * 1024, ORIGINAL_BYTES_MAX = 64 * 1024 };

/* RFC 3461 5.2.1: all that it leads to are mailboxes of ours. */
static bool
is_delivered(const struct smtp *s, const struct smtp_rcpt *r)
{
	if (!(r->notify & NOTIFY_SUCCESS) || r->outcome.code)
		return false;
	for (uint32_t i = r->first; i < r->first + r->count; i++)
		if (!s->tx.targets[i].account)
			return false;
	return true;
}

bool
success_wanted(const struct smtp *s)
{
	if (s->tx.reverse.len == 0) /* RFC 5321 6.1: never a notice about a notice */
		return false;
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		if (is_delivered(s, &s->tx.rcpts[i]))
			return true;
	return false;
}

/* The beginning of the message, without our Return-Path. */
static struct slice
original(struct smtp *s)
{
	const struct intake *in = &s->tx.in;
	if (in->body.at)
		return slice_part(slice_of(in->body.at, in->body.len), in->skip, ORIGINAL_BYTES_MAX);
	char *at = arena_alloc(s->command, ORIGINAL_BYTES_MAX);
	ssize_t n = pread(in->body.file, at, ORIGINAL_BYTES_MAX, in->skip);
	return slice_of(at, n > 0 ? (size_t)n : 0);
}

static bool
build(struct smtp *s, struct buf *out)
{
	struct dsn_recipient *list = ARENA_ARRAY(s->command, struct dsn_recipient, s->tx.nrcpts);
	struct dsn d = { .hostname = slice_text(s->c->conf->v.hostname),
		             .sender = s->tx.reverse,
		             .envelope = xtext_decode(s->tx.envid, s->command),
		             .arrived_sec = clock_wall_sec(),
		             .now_sec = clock_wall_sec(),
		             .recipients = list,
		             .message = original(s) };
	d.id = arena_printf(s->command, "%016llx.notice", (unsigned long long)random_u64());
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		if (is_delivered(s, &s->tx.rcpts[i]))
			list[d.nrecipients++] = (struct dsn_recipient){ .address = s->tx.rcpts[i].address,
				                                            .original = xtext_decode(s->tx.rcpts[i].orcpt, s->command),
				                                            .action = DSN_DELIVERED,
				                                            .status = S("2.0.0") };
	return dsn_build(&d, out);
}

/* Where the sender's own address leads. */
static enum err
await_address(struct smtp *s, struct store_mail *mail)
{
	struct store_resolve_in in = { .address = s->tx.reverse };
	struct store_resolve_out out = { 0 };
	enum err e = await_store_resolve(&s->c->session->store, &in, s->command, &out);
	if (e != OK)
		return e;
	if (!out.local) {
		out.ntargets = 1;
		out.targets = ARENA_NEW(s->command, struct store_target);
		out.targets->address = s->tx.reverse;
	}
	mail->deliveries = ARENA_ARRAY(s->command, struct store_delivery, out.ntargets + 1);
	mail->groups = ARENA_ARRAY(s->command, struct store_group, out.ntargets + 1);
	for (uint32_t i = 0; i < out.ntargets; i++) {
		const struct store_target *t = &out.targets[i];
		ptrdiff_t at = slice_find_last_char(t->address, '@');
		if (t->verdict != OK)
			continue;
		if (t->account) {
			mail->deliveries[mail->ndeliveries++] =
			    (struct store_delivery){ .account = t->account, .mailbox = t->mailbox };
		} else if (at >= 0) {
			struct store_group *g = &mail->groups[mail->ngroups++];
			g->domain = slice_from(t->address, (size_t)at + 1);
			g->recipients = ARENA_NEW(s->command, struct store_recipient);
			g->recipients->address = t->address;
			g->recipients->notify = NOTIFY_NEVER; /* RFC 3461 5.2.8 */
			g->nrecipients = 1;
		}
	}
	return mail->ndeliveries + mail->ngroups > 0 ? OK : ERR_NOT_FOUND;
}

/* scan is not needed for what we wrote ourselves. */
static enum err
put_body(struct smtp *s, struct store_mail *mail, struct slice text, void **block)
{
	struct shm_pool *shm = s->c->session->shm;
	struct buf facts;
	buf_init(&facts, FACTS_BYTES_MAX);
	bool good = facts_of_message(text, &facts);
	mail->facts = slice_keep(s->command, buf_slice(&facts));
	buf_release(&facts);
	if (!good || (*block = shm_alloc(shm, text.len)) == NULL)
		return ERR_LIMIT;
	memcpy(*block, text.at, text.len);
	mail->body.at = (struct store_region){ shm_offset(shm, *block), text.len };
	mail->envelope.flags = slice_is_ascii(text) ? 0 : ENVELOPE_8BIT;
	return OK;
}

bool
await_success_notice(struct smtp *s, struct store_mail *mail, void **block)
{
	struct buf text;
	*mail = (struct store_mail){ .received = clock_wall_sec(), .envelope.session = tx_message_id(s) };
	*block = NULL;
	buf_init(&text, NOTICE_BYTES_MAX);
	buf_put(&text, S("Return-Path: <>\r\n")); /* RFC 3464 2: the null reverse-path */
	mail->envelope.skip = (uint32_t)text.len;
	enum err e = await_address(s, mail);
	if (e == OK && !build(s, &text))
		e = ERR_LIMIT;
	if (e == OK)
		e = put_body(s, mail, buf_slice(&text), block);
	buf_release(&text);
	struct log l;
	log_begin(&l, e == OK ? LOG_DEBUG : LOG_WARN, e == OK ? "notice.made" : "notice.undeliverable");
	log_slice(&l, "id", mail->envelope.session);
	log_slice(&l, "to", s->tx.reverse);
	if (e != OK)
		log_err(&l, e);
	log_end(&l);
	return e == OK;
}
