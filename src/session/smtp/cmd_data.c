/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data.c - DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030 2): the body of a message comes in. What is done with it
 * stands in deliver.c. */
#include "session/smtp/smtp.h"

/* DATA: up to the lone dot. An error is the stream's, or ERR_LIMIT: the client does not stop. */
static enum err
await_dot_body(struct smtp *s)
{
	struct dot dot;
	dot_init(&dot);
	while (!dot.done) {
		enum err e = await_intake_fill(s);
		if (e != OK)
			return e;
		if (intake_hopeless(s))
			return ERR_LIMIT;
		struct slice all = stream_input(&s->c->io), in = all, piece;
		while (dot_next(&dot, &in, &piece))
			await_intake_put(s, piece);
		stream_consume(&s->c->io, all.len - in.len);
	}
	s->tx.in.bare = dot.bare_cr || dot.bare_lf;
	return OK;
}

static struct reply
reply_cut_off(struct smtp *s)
{
	s->c->reason = "message without end";
	return reply_close(reply(552, "5.3.4", "far too large, goodbye"));
}

static struct reply
check_recipients(const struct smtp *s)
{
	if (s->tx.nrcpts > 0)
		return REPLY_NONE;
	return s->face == FACE_LMTP ? reply(503, "5.5.1", "no valid recipients") /* RFC 2033 4.2 */
	                            : reply(554, "5.5.1", "no valid recipients");
}

struct reply
await_cmd_data(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (!take_end(args))
		return reply(501, "5.5.4", "DATA takes no arguments");
	if (s->tx.chunks || s->tx.binary) /* RFC 3030 3 */
		return reply(503, "5.5.1", "this message comes with BDAT");
	struct reply r = check_recipients(s);
	if (r.code)
		return r;
	smtp_put_reply(s, reply(354, "", "go ahead, end with a lone dot"));
	enum err e = await_dot_body(s);
	if (e == ERR_LIMIT && s->c->io.error == OK)
		return reply_cut_off(s);
	if (e != OK)
		return (struct reply){ .close = true }; /* the stream failed; conn.c says why */
	r = await_intake_end(s);
	return await_message_end(s, r);
}

/* ---- BDAT */

struct chunk {
	uint64_t bytes;
	bool last;
};

static bool
take_chunk(struct cursor *c, struct chunk *chunk)
{
	skip_spaces(c);
	if (!take_u64(c, &chunk->bytes))
		return false;
	bool spaced = !cursor_done(c);
	if (spaced && !take_spaces(c))
		return false;
	chunk->last = take_nocase(c, S("LAST"));
	skip_spaces(c);
	return take_end(c);
}

/* Reads the chunk; keep: into the message. ERR_LIMIT: more than anybody would drop. */
static enum err
await_chunk(struct smtp *s, uint64_t left, bool keep)
{
	if (left / 2 > s->c->conf->v.message_bytes_max)
		return ERR_LIMIT;
	while (left > 0) {
		enum err e = await_intake_fill(s);
		if (e != OK)
			return e;
		if (intake_hopeless(s))
			return ERR_LIMIT;
		struct slice in = stream_input(&s->c->io);
		in.len = MIN(in.len, left);
		if (keep)
			await_intake_put(s, in);
		stream_consume(&s->c->io, in.len);
		left -= in.len;
	}
	return OK;
}

static struct reply
check_bdat(const struct smtp *s)
{
	if (s->face == FACE_SUBMISSION && !s->account)
		return reply(530, "5.7.0", "authentication required");
	if (!s->tx.open)
		return reply(503, "5.5.1", "say MAIL first");
	return check_recipients(s);
}

struct reply
await_cmd_bdat(struct smtp *s, struct cursor *args)
{
	struct chunk chunk;
	if (!take_chunk(args, &chunk)) /* where the chunk would end is not known: nothing after it can be a command */
		return reply_close(reply(501, "5.5.4", "say BDAT bytes [LAST]"));
	struct reply r = check_bdat(s);
	bool keep = r.code == 0;
	s->tx.chunks |= keep;
	enum err e = await_chunk(s, chunk.bytes, keep); /* RFC 3030 2: refused chunks are read, too */
	if (e == ERR_LIMIT && s->c->io.error == OK)
		return reply_cut_off(s);
	if (e != OK)
		return (struct reply){ .close = true };
	if (!keep)
		return r;
	if (chunk.last) {
		r = await_intake_end(s);
		return await_message_end(s, r);
	}
	r = s->tx.in.trouble;
	if (r.code) { /* RFC 3030 2: the transaction is over, its further chunks are out of order */
		tx_reset(s);
		return r;
	}
	return reply_slice(250, "2.0.0", arena_printf(s->command, "%llu bytes taken", (unsigned long long)chunk.bytes));
}
