/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c - see convert.h. Called by try.c in a worker's task. The message is in memory only while scan looks at it;
 * for a moment, CONVERTING_MAX of them at once. Fails: the message cannot be converted (it comes back, 5.6.3), or scan
 * or store are away (it waits). */
#include "relay/convert.h"

#include "mail/seven_bit.h"
#include "scan_msg.h"
#include "store/rows.h"

#include <sys/mman.h>
#include <unistd.h>

enum { INPUT_BYTES = 16 * 1024, SCAN_TRIES = 2 };

static enum err
await_turn_to_convert(struct relay *r, int64_t deadline_ms)
{
	enum err e = OK;
	while (e == OK && r->converting >= CONVERTING_MAX)
		e = await_gate(&r->converted, deadline_ms);
	return e;
}

/* The message without its trace, in a file without a name. */
static enum err
await_copy(struct job *j, int file)
{
	uint64_t at = j->row.envelope.skip;
	struct slice piece;
	enum err e;
	while ((e = await_job_piece(j, at, &piece)) == OK && piece.len > 0) {
		if (pwrite(file, piece.at, piece.len, (off_t)(at - j->row.envelope.skip)) != (ssize_t)piece.len)
			return ERR_AGAIN;
		at += piece.len;
	}
	return e;
}

static enum err
await_ask(struct job *j, bool eight_bit, struct scan_convert_out *out)
{
	struct relay *r = j->relay;
	struct scan_convert_in in = { .bytes = j->row.bytes - j->row.envelope.skip, .eight_bit = eight_bit };
	int file = memfd_create("posthouse-convert", MFD_CLOEXEC);
	if (file < 0)
		return ERR_AGAIN;
	enum err e = await_copy(j, file);
	bool read = e == OK;
	if (read)
		e = ERR_AGAIN;
	for (int tries = 0; read && e == ERR_AGAIN && tries < SCAN_TRIES && r->nscan > 0; tries++) {
		in.file = file;
		e = await_scan_convert(&r->scan[r->next_scan++ % r->nscan], &in, &j->arena, out);
	}
	close(file);
	return e;
}

static void
say_why(enum err e, struct remote_reply *why)
{
	if (e == ERR_UNSUPPORTED || e == ERR_LIMIT)
		reply_set(why, 554, "5.6.3",
		          "the remote server takes no 8-bit or binary mail, and the message cannot be converted (RFC 6152 3)");
	else
		reply_set(why, 451, "4.3.0", "the message could not be converted for the remote server now");
}

bool
await_conversion_begin(struct conversion *c, struct job *j, bool eight_bit, struct remote_reply *why)
{
	struct relay *r = j->relay;
	struct scan_convert_out out = { 0 };
	*c = (struct conversion){ .job = j, .row = j->row };
	enum err e = await_turn_to_convert(r, deadline_in_ms(r->conf->v.relay_timeout));
	if (e == OK) {
		r->converting++;
		e = await_ask(j, eight_bit, &out);
		r->converting--;
		gate_open_one(&r->converted, OK);
	}
	if (e) {
		say_why(e, why);
		return false;
	}
	buf_init(&c->out, 4 * INPUT_BYTES);
	c->steps = out.steps;
	c->nsteps = out.nsteps;
	c->text = out.text;
	c->row.bytes = out.bytes;
	c->row.envelope.skip = 0;
	c->row.envelope.flags &= ~(uint32_t)(ENVELOPE_BINARY | (eight_bit ? 0 : ENVELOPE_8BIT));
	return true;
}

void
conversion_end(struct conversion *c)
{
	buf_release(&c->out);
}

static void
next_step(struct conversion *c)
{
	c->step++;
	c->at = 0;
}

/* Input for a step; a step that scan did not make so is refused. */
static enum err
await_input(struct conversion *c, const struct scan_step *s, struct slice *piece)
{
	uint64_t from = (uint64_t)c->job->row.envelope.skip + s->at + c->at;
	enum err e = s->how < ENCODE_WAYS ? await_job_piece(c->job, from, piece) : ERR_SYNTAX;
	if (e == OK && piece->len == 0)
		e = ERR_DAMAGED; /* beyond the message */
	*piece = slice_part(*piece, 0, s->how == ENCODE_COPY ? s->len - c->at : MIN(s->len - c->at, (uint32_t)INPUT_BYTES));
	return e;
}

static enum err
await_step(struct conversion *c, struct slice *piece)
{
	const struct scan_step *s = &c->steps[c->step];
	if (s->how == SEVEN_BIT_TEXT) {
		*piece = slice_part(c->text, s->at, s->len);
		next_step(c);
		return OK;
	}
	if (c->at == 0)
		encoder_init(&c->encoder, (enum encode_how)MIN(s->how, (uint32_t)ENCODE_MASK));
	enum err e = await_input(c, s, piece);
	if (e)
		return e;
	struct slice input = *piece;
	c->at += (uint32_t)input.len;
	bool last = c->at == s->len;
	if (s->how != ENCODE_COPY) {
		buf_clear(&c->out);
		encoder_put(&c->encoder, input, &c->out);
		if (last)
			encoder_end(&c->encoder, &c->out);
		*piece = buf_slice(&c->out);
	}
	if (last)
		next_step(c);
	return OK;
}

enum err
await_converted_piece(void *arg, uint64_t from, struct slice *piece)
{
	struct conversion *c = arg;
	enum err e = OK;
	if (from == 0)
		c->step = c->at = 0;
	*piece = SLICE_NONE;
	while (e == OK && piece->len == 0 && c->step < c->nsteps)
		e = await_step(c, piece);
	return e;
}
