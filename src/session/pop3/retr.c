/* SPDX-License-Identifier: Apache-2.0 */
/* retr.c - RETR and TOP: a message on its way to the client, from the window, or in pieces when it is large. Once the
 * +OK is out, trouble ends the connection: there is no other way to say that the message is cut. */
#include "session/pop3/pop3.h"

#include "mail/downgrade.h"
#include "mail/stuff.h"

/* A message that is being sent. */
struct sending {
	struct pop3 *p;
	struct pop3_message *m;
	struct top *top; /* NULL: the whole of it */
	struct stuffer stuffer;
	struct buf surrogate; /* header instead of the message's own; empty: that one goes */
};

static void
await_send(struct sending *s, struct slice piece)
{
	struct slice out;
	if (s->top)
		piece.len = top_piece(s->top, piece);
	while (stuffer_next(&s->stuffer, &piece, &out))
		await_put(&s->p->c->io, out); /* sticky: looked at after the message */
}

static void
await_send_end(struct sending *s)
{
	await_put(&s->p->c->io, stuffer_end(&s->stuffer));
}

/* RFC 6856 2.1: UTF-8 in a header is not for clients that did not say UTF8; they get the surrogate of RFC 6858. The
 * header ends within the first piece, or is too long to be made another. */
static bool
takes_surrogate(struct sending *s, struct slice *piece, bool whole)
{
	buf_init(&s->surrogate, 2 * POP3_WINDOW_BYTES);
	if (s->p->utf8 || !s->p->c->conf->v.downgrade)
		return true;
	ptrdiff_t end = slice_find(*piece, S("\r\n\r\n"));
	struct slice header = end < 0 ? *piece : slice_part(*piece, 0, (size_t)end + 4);
	if (slice_is_ascii(header))
		return true;
	if (end < 0 && !whole)
		return false;
	if (downgrade_header(&s->surrogate, header))
		*piece = slice_from(*piece, header.len);
	return !s->surrogate.over;
}

static void
await_begin(struct sending *s, size_t replaced)
{
	stuffer_init(&s->stuffer, STUFF_KEEP);
	if (s->top)
		pop3_put_ok(s->p, "the top of it follows");
	else
		pop3_put_count(s->p, s->m->bytes - replaced + s->surrogate.len, "octets");
	if (s->surrogate.len)
		await_send(s, buf_slice(&s->surrogate));
}

static enum err
await_piece(struct sending *s, uint64_t from, struct slice *piece, uint32_t *total)
{
	struct pop3_window *w = &s->p->window;
	struct store_message_body_in in = { .uid = s->m->uid, .from = from };
	struct store_message_body_out out;
	in.into = (struct store_region){ shm_offset(w->pool, w->at), POP3_PIECE_BYTES };
	enum err e = await_maildrop_piece(s->p, &in, &out);
	if (e)
		return e;
	*piece = slice_of(w->at, MIN(out.filled, POP3_PIECE_BYTES));
	*total = out.total;
	return from < out.total && piece->len == 0 ? ERR_DAMAGED : OK;
}

/* Larger than a window. The first piece comes before the +OK, so that a message that is gone can be refused. */
static enum err
await_send_pieces(struct sending *s)
{
	struct slice piece = S("");
	uint32_t total = 0;
	enum err e = pop3_window_take(s->p);
	if (e)
		return e;
	e = await_piece(s, 0, &piece, &total);
	size_t got = piece.len;
	if (!e && !takes_surrogate(s, &piece, got == total))
		e = ERR_UNSUPPORTED;
	if (e) {
		pop3_window_done(s->p);
		return e;
	}
	await_begin(s, got - piece.len);
	struct stream *io = &s->p->c->io;
	for (uint64_t at = 0; !io->error;) {
		io->deadline_ms = deadline_in_ms(s->p->c->idle_ms);
		await_send(s, piece);
		at += at ? piece.len : got;
		if (at >= total || (s->top && s->top->done))
			break;
		e = await_piece(s, at, &piece, &total);
		if (e)
			stream_fail(io, ERR_CLOSED);
		arena_clear(s->p->arena);
	}
	await_send_end(s);
	pop3_window_done(s->p);
	return OK;
}

static enum err
await_send_whole(struct sending *s, struct slice bytes)
{
	size_t len = bytes.len;
	enum err e = takes_surrogate(s, &bytes, true) ? OK : ERR_UNSUPPORTED;
	if (!e) {
		await_begin(s, len - bytes.len);
		await_send(s, bytes);
		await_send_end(s);
	}
	pop3_window_done(s->p);
	return e;
}

static struct pop3_reply
await_message(struct pop3 *p, uint32_t number, struct top *top)
{
	struct sending s = { .p = p, .m = maildrop_message(p, number), .top = top };
	struct slice bytes;
	if (!s.m)
		return pop3_err("there is no such message");
	enum err e = await_window(p, number, &bytes);
	if (e == ERR_LIMIT)
		e = await_send_pieces(&s);
	else if (!e)
		e = await_send_whole(&s, bytes);
	buf_release(&s.surrogate);
	if (!e && !top && !p->c->io.error)
		maildrop_fetched(p, s.m->uid);
	if (e == ERR_NOT_FOUND)
		return pop3_err("the message was removed meanwhile");
	if (e == ERR_UNSUPPORTED) /* RFC 6856 5 */
		return pop3_err("[UTF8] the header of this message is UTF-8: say UTF8 first");
	return e ? pop3_trouble(p, e) : pop3_sent();
}

/* RETR n - RFC 1939 5 */
static struct pop3_reply
await_retr(struct pop3 *p, const struct pop3_line *line)
{
	uint32_t number;
	if (pop3_numbers(line->rest, &number, 1) != 1)
		return pop3_err("RETR takes the number of a message");
	return await_message(p, number, NULL);
}

/* TOP n lines - RFC 1939 7 */
static struct pop3_reply
await_top(struct pop3 *p, const struct pop3_line *line)
{
	uint32_t numbers[2];
	if (pop3_numbers(line->rest, numbers, 2) != 2)
		return pop3_err("TOP takes the number of a message and a number of lines");
	struct top top = { .lines_left = numbers[1] };
	return await_message(p, numbers[0], &top);
}

static const struct pop3_command rows[] = {
	{ S_ROW("RETR"), await_retr, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("TOP"), await_top, POP3_TRANSACTION, "1939 7" },
};
const struct pop3_commands pop3_retr_commands = { rows, COUNT_OF(rows) };
