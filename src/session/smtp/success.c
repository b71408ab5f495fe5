/* SPDX-License-Identifier: Apache-2.0 */
/* success.c - the "delivered" notice that NOTIFY=SUCCESS asks for (RFC 3461 5.2.1) when the mailbox is here. It goes in
 * the same commit as the message: to a mailbox of ours, or into the queue. Called by deliver.c. When it cannot be made
 * the message is delivered all the same. For recipients elsewhere relay reports. */
#include "session/smtp/smtp.h"

#include "mail/xtext.h"
#include "relay/notice_mail.h"
#include "store/rows.h"

#include <unistd.h>

enum { ORIGINAL_BYTES_MAX = 64 * 1024 };

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
sender_known(const struct smtp *s)
{
	return s->account || s->c->trusted;
}

bool
success_wanted(const struct smtp *s)
{
	if (s->tx.wishes.hold_until || !sender_known(s)) /* relay tells, when it is delivered; or nobody is told */
		return false;
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

bool
await_success_notice(struct smtp *s, struct store_mail *mail, void **block)
{
	struct dsn_recipient *list = ARENA_ARRAY(s->command, struct dsn_recipient, s->tx.nrcpts);
	struct dsn d = { .hostname = slice_text(s->c->conf->v.hostname),
		             .sender = s->tx.reverse,
		             .envelope = xtext_decode(s->tx.envid, s->command),
		             .arrived_sec = clock_wall_sec(),
		             .by_sec = s->tx.wishes.by_mode ? s->tx.wishes.by_time : 0,
		             .now_sec = clock_wall_sec(),
		             .language = slice_text(s->c->conf->v.language),
		             .recipients = list,
		             .message = original(s),
		             .utf8 = s->tx.flags & ENVELOPE_SMTPUTF8 };
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		if (is_delivered(s, &s->tx.rcpts[i]))
			list[d.nrecipients++] = (struct dsn_recipient){ .address = s->tx.rcpts[i].address,
				                                            .original = xtext_decode(s->tx.rcpts[i].orcpt, s->command),
				                                            .action = DSN_DELIVERED,
				                                            .status = S("2.0.0") };
	return await_notice_mail(&s->c->session->store, s->c->session->shm, &d, tx_message_id(s), s->command, mail, block);
}
