/* SPDX-License-Identifier: Apache-2.0 */
/* success.c - the notice that NOTIFY=SUCCESS asks for (RFC 3461 5.2.1): "delivered" when the mailbox is here,
 * "expanded" for an alias that leads elsewhere and to several. It goes in the same commit as the message: to a mailbox
 * of ours, or into the queue. Called by deliver.c. When it cannot be made the message is delivered all the same. For
 * recipients elsewhere relay reports. */
#include "session/smtp/smtp.h"

#include "mail/xtext.h"
#include "relay/notice_mail.h"
#include "store/rows.h"

#include <unistd.h>

enum { ORIGINAL_BYTES_MAX = 64 * 1024 };

static bool
all_here(const struct smtp *s, const struct smtp_rcpt *r)
{
	for (uint32_t i = r->first; i < r->first + r->count; i++)
		if (!s->tx.targets[i].account)
			return false;
	return !s->tx.wishes.hold_until;
}

bool
is_expanded(const struct smtp *s, const struct smtp_rcpt *r)
{
	return r->count > 1 && !all_here(s, r);
}

/* Whether it is reported on now: it is delivered, as all that it leads to are mailboxes of ours (RFC 3461 5.2.1), or it
 * is an alias for several and expanded (5.2.7.3). */
static bool
is_reported(const struct smtp *s, const struct smtp_rcpt *r)
{
	return (r->notify & NOTIFY_SUCCESS) && !r->outcome.code && (r->count > 1 || all_here(s, r));
}

bool
sender_known(const struct smtp *s)
{
	return s->account || s->c->trusted;
}

bool
success_wanted(const struct smtp *s)
{
	if (!sender_known(s))
		return false;
	if (s->tx.reverse.len == 0) /* RFC 5321 6.1: never a notice about a notice */
		return false;
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		if (is_reported(s, &s->tx.rcpts[i]))
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

/* In which the sender reads notices: his own, else the house's. */
static struct slice
await_language(struct smtp *s)
{
	struct store_memo_get_in in = { S("language"), arena_printf(s->command, "%llu", (unsigned long long)s->account) };
	struct store_memo_get_out out = { 0 };
	if (s->account && await_store_memo_get(&s->c->session->store, &in, s->command, &out) == OK && out.found)
		return out.memo.value;
	return slice_text(s->c->conf->v.language);
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
		             .hold_until = s->tx.wishes.hold_until,
		             .hold_for = s->tx.wishes.hold_for,
		             .now_sec = clock_wall_sec(),
		             .language = await_language(s),
		             .recipients = list,
		             .message = original(s),
		             .utf8 = s->tx.flags & ENVELOPE_SMTPUTF8 };
	for (uint32_t i = 0; i < s->tx.nrcpts; i++)
		if (is_reported(s, &s->tx.rcpts[i]))
			list[d.nrecipients++] =
			    (struct dsn_recipient){ .address = s->tx.rcpts[i].address,
				                        .original = xtext_decode(s->tx.rcpts[i].orcpt, s->command),
				                        .action = is_expanded(s, &s->tx.rcpts[i]) ? DSN_EXPANDED : DSN_DELIVERED,
				                        .status = S("2.0.0") };
	return await_notice_mail(&s->c->session->store, s->c->session->shm, &d, tx_message_id(s), s->command, mail, block);
}
