/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - the bytes of a message on their way from DATA or BDAT into the body, behind the trace fields. Called by
 * cmd_data.c. The first thing that goes wrong is kept as the answer; the rest of the message is then read and dropped,
 * for the client listens only at its end. */
#include "session/smtp/smtp.h"

#include "base/clock.h"

enum {
	HEAD_ROOM = 128 * 1024, /* what may come with the end of a header in one read */
	READ_BYTES_MAX = HEAD_ROOM,
	TRACE_ROOM = 256 * 1024, /* for fields of ours, besides message-bytes-max */
};

static uint64_t
bytes_max(const struct smtp *s)
{
	return s->c->conf->v.message_bytes_max;
}

static void
trouble(struct smtp *s, struct reply r)
{
	if (s->tx.in.trouble.code == 0)
		s->tx.in.trouble = r;
}

static struct reply
reply_too_large(void)
{
	return reply(552, "5.3.4", "the message is too large; EHLO tells the limit (SIZE)");
}

static void
await_begin(struct smtp *s)
{
	struct intake *in = &s->tx.in;
	in->begun = true;
	in->head_done = s->face != FACE_SUBMISSION;
	in->began_ms = clock_mono_ms();
	buf_init(&in->head, SMTP_HEAD_BYTES_MAX + HEAD_ROOM);
	body_init(&in->body, s->c->session, bytes_max(s) + TRACE_ROOM);
	await_body_put(&in->body, trace_fields(s, &in->skip));
}

enum err
await_intake_fill(struct smtp *s)
{
	struct conn *c = s->c;
	int64_t end = s->tx.in.begun ? s->tx.in.began_ms + SMTP_DATA_MS_MAX : DEADLINE_NONE;
	c->io.deadline_ms = MIN(deadline_in_ms(c->idle_ms), end);
	return stream_input(&c->io).len > 0 ? OK : await_fill(&c->io, READ_BYTES_MAX);
}

/* How much of text is header, its empty line included; 0: the end is not there yet. seen: bytes searched before. */
static size_t
head_end(struct slice text, size_t seen)
{
	if (slice_starts(text, S("\r\n")))
		return 2;
	size_t from = seen > 3 ? seen - 3 : 0;
	ptrdiff_t at = slice_find(slice_from(text, from), S("\r\n\r\n"));
	return at < 0 ? 0 : from + (size_t)at + 4;
}

static void
await_pass_head(struct smtp *s, size_t len)
{
	struct intake *in = &s->tx.in;
	struct buf added;
	buf_init(&added, 4096);
	struct reply r = await_check_head(s, slice_part(buf_slice(&in->head), 0, len), &added);
	if (r.code)
		trouble(s, r);
	await_body_put(&in->body, buf_slice(&added));
	await_body_put(&in->body, buf_slice(&in->head));
	buf_release(&added);
	buf_release(&in->head);
	in->head_done = true;
}

static void
await_put_head(struct smtp *s, struct slice bytes)
{
	struct intake *in = &s->tx.in;
	size_t seen = in->head.len;
	buf_put(&in->head, bytes);
	size_t end = head_end(buf_slice(&in->head), seen);
	if (in->head.over || end > SMTP_HEAD_BYTES_MAX || (end == 0 && in->head.len > SMTP_HEAD_BYTES_MAX))
		trouble(s, reply(552, "5.3.4", "the header of the message is too large"));
	else if (end)
		await_pass_head(s, end);
}

/* RFC 3030 2 takes bytes as they are, but only BODY=BINARYMIME says that they are no lines (3): all else is text whose
 * lines end with CRLF (RFC 5321 2.3.8), and may be sent on with DATA, where a bare LF could end the message early. */
static void
look_for_bare(struct intake *in, struct slice bytes)
{
	const char *p = bytes.at, *end = p + bytes.len;
	while (p < end && !in->bare) {
		if (in->after_cr) {
			in->bare = *p != '\n';
			in->after_cr = false;
			p++;
			continue;
		}
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
		const char *cr = memchr(p, '\r', (size_t)(stop - p));
		in->bare = cr ? cr + 1 < stop : lf != NULL;
		in->after_cr = cr && !lf;
		p = lf ? lf + 1 : end;
	}
}

void
await_intake_put(struct smtp *s, struct slice bytes)
{
	struct intake *in = &s->tx.in;
	if (!in->begun)
		await_begin(s);
	in->bytes += bytes.len;
	if (in->bytes > bytes_max(s))
		trouble(s, reply_too_large());
	if (in->trouble.code)
		return;
	if (s->tx.chunks && !s->tx.binary)
		look_for_bare(in, bytes);
	if (in->head_done)
		await_body_put(&in->body, bytes);
	else
		await_put_head(s, bytes);
}

bool
intake_hopeless(const struct smtp *s)
{
	return s->tx.in.bytes / 2 > bytes_max(s) + HEAD_ROOM;
}

static struct reply
reply_body(enum err e)
{
	return e == ERR_LIMIT ? reply_too_large() : reply_trouble(e);
}

struct reply
await_intake_end(struct smtp *s)
{
	struct intake *in = &s->tx.in;
	if (!in->begun)
		await_begin(s);
	if (!in->head_done && !in->trouble.code)
		await_pass_head(s, in->head.len);
	if (in->bare || in->after_cr) /* RFC 5321 2.3.8 */
		trouble(s, reply(550, "5.6.11", "bare CR or LF in the message: lines end with CR LF"));
	if (in->trouble.code)
		return in->trouble;
	enum err e = await_body_end(&in->body);
	return e == OK ? REPLY_NONE : reply_body(e);
}
