/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the fields that this server writes at the top of each message: Return-Path and Received (RFC 5321 4.4).
 * Called by intake.c when a message begins. Nothing here fails: all that goes in was checked when it came. */
#include "session/smtp/smtp.h"

#include "mail/date.h"
#include "store/rows.h"

/* RFC 3848 and RFC 6531 4.3: (UTF8)SMTP or ESMTP, S under TLS, A after AUTH. */
static void
put_with(struct buf *to, const struct smtp *s)
{
	bool utf8 = s->tx.flags & ENVELOPE_SMTPUTF8;
	if (utf8)
		buf_put(to, s->face == FACE_LMTP ? S("UTF8LMTP") : S("UTF8SMTP"));
	else if (s->face == FACE_LMTP)
		buf_put(to, S("LMTP"));
	else
		buf_put(to, s->esmtp ? S("ESMTP") : S("SMTP"));
	if (s->c->io.tls && s->esmtp)
		buf_put_char(to, 'S');
	if (s->account)
		buf_put_char(to, 'A');
	if (!s->c->io.tls)
		return;
	struct tls_info tls = tls_info(&s->c->io);
	buf_printf(to, " (%s %s)", tls.version, tls.cipher);
}

/* TCP-info of RFC 5321 4.4; a Unix socket has none. */
static void
put_from(struct buf *to, const struct smtp *s)
{
	buf_put(to, S("Received: from "));
	buf_put(to, slice_text(s->helo));
	if (s->c->unix_uid != UINT32_MAX)
		buf_put(to, S(" (local socket)"));
	else
		buf_printf(to, " ([%s%s])", strchr(s->c->peer, ':') ? "IPv6:" : "", s->c->peer);
}

static void
put_received(struct buf *to, struct smtp *s)
{
	put_from(to, s);
	buf_printf(to, "\r\n\tby %s with ", s->c->conf->v.hostname);
	put_with(to, s);
	buf_put(to, S("\r\n\tid "));
	buf_put(to, tx_message_id(s));
	if (s->tx.wishes.priority) /* RFC 6710 7 */
		buf_printf(to, "\r\n\tPRIORITY %lld", (long long)s->tx.wishes.priority);
	if (s->tx.nrcpts == 1) { /* of several the field must not tell each who the others are (RFC 5321 7.2) */
		buf_put(to, S("\r\n\tfor <"));
		buf_put(to, s->tx.rcpts[0].path);
		buf_put_char(to, '>');
	}
	buf_put(to, S("; "));
	date_put(to, clock_wall_sec(), 0);
	buf_put(to, S("\r\n"));
}

struct slice
trace_fields(struct smtp *s, uint32_t *skip)
{
	struct buf to;
	buf_init(&to, 16 * 1024);
	buf_put(&to, S("Return-Path: <"));
	buf_put(&to, s->tx.reverse_path);
	buf_put(&to, S(">\r\n"));
	*skip = (uint32_t)to.len;
	put_received(&to, s);
	ASSERT(!to.over);
	struct slice kept = slice_keep(s->command, buf_slice(&to));
	buf_release(&to);
	return kept;
}
