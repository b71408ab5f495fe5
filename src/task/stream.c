/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - buffered bytes over a socket. Lines, counted bytes, output; plain here, the bytes under TLS come and go
 * through tls.c. The stream owns its descriptor, its buffers and its TLS state. Called in tasks; only stream_try_flush,
 * stream_release and what looks at the input may be called on the loop. Fails: whatever the socket does (sticky). */
#include "task/stream.h"

#include "base/random.h"
#include "task/stream_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES_MAX = 64 * 1024, /* of one system call, once a stream was seen to bring much */
	READ_BYTES_LEAST = 4096,
	IN_BYTES_MAX = 8 * 1024 * 1024,
	TURN_EVERY = 16,              /* reads or writes in a row without waiting, before others get their turn */
	DROPPED_BYTES_MAX = 64 * 1024 /* of a line that is too long */
};

void
stream_init(struct stream *s, int fd)
{
	*s = (struct stream){ .fd = fd, .deadline_ms = DEADLINE_NONE };
	buf_init(&s->in, IN_BYTES_MAX);
	buf_init(&s->out, STREAM_OUT_MAX);
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a Unix socket refuses: fine */
}

void
stream_release(struct stream *s)
{
	deflate_free(&s->deflate);
	if (s->tls)
		tls_release(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	stream_fail(s, ERR_CLOSED);
	buf_release(&s->in);
	buf_release(&s->out);
	s->in_at = s->out_at = 0;
}

void
stream_rest(struct stream *s)
{
	if (s->in_at == s->in.len) {
		buf_release(&s->in);
		s->in_at = 0;
	}
	if (s->out_at == s->out.len && !s->out.over) {
		buf_release(&s->out);
		s->out_at = 0;
	}
	if (s->deflate)
		deflate_rest(s->deflate);
}

enum err
stream_fail(struct stream *s, enum err e)
{
	if (s->error == OK)
		s->error = e;
	return s->error;
}

/* ---- input */

struct slice
stream_input(const struct stream *s)
{
	return slice_from(buf_slice(&s->in), s->in_at);
}

bool
stream_has_input(const struct stream *s)
{
	return s->in.len > s->in_at || (s->deflate && deflate_has_input(s->deflate)) || (s->tls && tls_has_input(s));
}

void
stream_consume(struct stream *s, size_t n)
{
	ASSERT(n <= s->in.len - s->in_at);
	s->in_at += n;
	if (s->in_at == s->in.len) {
		buf_clear(&s->in);
		s->in_at = 0;
	}
}

void
stream_drop_input(struct stream *s)
{
	stream_consume(s, s->in.len - s->in_at);
}

void
stream_wipe_consumed(struct stream *s)
{
	if (s->in_at)
		secret_wipe(s->in.at, s->in_at);
	if (s->in.cap > s->in.len)
		secret_wipe(s->in.at + s->in.len, s->in.cap - s->in.len);
}

enum err
await_stream_ready(struct stream *s, uint32_t events)
{
	s->turns = 0;
	return s->await_ready ? s->await_ready(s, events) : await_fd(s->fd, events, s->deadline_ms);
}

/* A peer that is faster than we are would never let its task wait. */
static enum err
await_fair_turn(struct stream *s)
{
	if (task_cancelled())
		return stream_fail(s, ERR_CLOSED);
	if (++s->turns >= TURN_EVERY) {
		s->turns = 0;
		await_turn();
	}
	return OK;
}

enum err
stream_recv_now(struct stream *s, void *to, size_t room, size_t *got)
{
	*got = 0;
	if (s->tls)
		return tls_read_now(s, to, room, got);
	ssize_t n;
	do
		n = recv(s->fd, to, room, 0);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return stream_fail(s, ERR_CLOSED);
	if (n < 0)
		return errno == EAGAIN ? OK : stream_fail(s, err_from_errno(errno));
	*got = (size_t)n;
	s->bytes_in += (size_t)n;
	return OK;
}

/* One read of at least one byte. */
static enum err
await_recv(struct stream *s, void *to, size_t room, size_t *got)
{
	enum err e = await_fair_turn(s);
	while (!e) {
		e = s->deflate ? deflate_read_now(s, to, room, got) : stream_recv_now(s, to, room, got);
		if (e || *got > 0)
			return e;
		e = await_stream_ready(s, s->tls ? tls_wants(s) : LOOP_READ);
	}
	return stream_fail(s, e);
}

/* Makes room for a read at the end of the input and tells how large it may be. */
static size_t
in_room(struct stream *s, size_t unread, size_t max)
{
	size_t want = s->much ? READ_BYTES_MAX : STREAM_IN_BYTES;
	if (unread == 0)
		stream_drop_input(s);
	size_t room = s->in.cap - s->in.len;
	if (room < MIN((size_t)READ_BYTES_LEAST, max - unread)) {
		buf_cut(&s->in, s->in_at);
		s->in_at = 0;
		room = s->in.cap - s->in.len;
	}
	if (room < MIN((size_t)READ_BYTES_LEAST, max - unread) || (unread == 0 && room < want)) {
		ASSERT(buf_room(&s->in, want)); /* max keeps it within its bound */
		room = s->in.cap - s->in.len;
	}
	return MIN(MIN(room, want), max - unread);
}

enum err
await_fill(struct stream *s, size_t max)
{
	if (s->error)
		return s->error;
	size_t unread = s->in.len - s->in_at, got = 0;
	max = MIN(max, (size_t)IN_BYTES_MAX / 2);
	if (unread >= max)
		return stream_fail(s, ERR_LIMIT);
	size_t room = in_room(s, unread, max);
	enum err e = await_recv(s, s->in.at + s->in.len, room, &got);
	if (e)
		return e;
	s->in.len += got;
	s->much = got == room;
	return OK;
}

bool
stream_try_fill(struct stream *s)
{
	size_t got = 0;
	if (!s->deflate || s->error || s->in.len > s->in_at)
		return true;
	size_t room = in_room(s, 0, STREAM_IN_BYTES);
	if (deflate_read_now(s, s->in.at, room, &got) == OK)
		s->in.len += got;
	return got > 0;
}

/* What is wrong with a line without its end. */
static enum err
line_fault(struct slice line, size_t max)
{
	if (line.len > max)
		return ERR_LINE_TOO_LONG;
	if (slice_find_char(line, '\r') >= 0)
		return ERR_BARE_EOL;
	if (slice_find_char(line, '\0') >= 0)
		return ERR_NUL;
	return OK;
}

/* Reads on to the end of a line that passed its limit and drops it. */
static enum err
await_line_dropped(struct stream *s)
{
	size_t dropped = 0, dropped_max = stream_input(s).len + DROPPED_BYTES_MAX;
	for (;;) {
		struct slice in = stream_input(s);
		ptrdiff_t end = slice_find_char(in, '\n');
		if (end >= 0) {
			stream_consume(s, (size_t)end + 1);
			return ERR_LINE_TOO_LONG;
		}
		dropped += in.len;
		stream_consume(s, in.len);
		if (dropped > dropped_max)
			return stream_fail(s, ERR_LINE_TOO_LONG);
		enum err e = await_fill(s, STREAM_IN_BYTES);
		if (e)
			return e;
	}
}

enum err
await_line(struct stream *s, size_t max, bool lf_ok, struct slice *line)
{
	if (s->error)
		return s->error;
	struct slice in = stream_input(s);
	ptrdiff_t end = slice_find_char(in, '\n');
	while (end < 0) {
		size_t seen = in.len;
		if (seen > max + 1) /* + 1: the CR */
			return await_line_dropped(s);
		enum err e = await_fill(s, MAX(max + 2, (size_t)STREAM_IN_BYTES));
		if (e)
			return e;
		in = stream_input(s);
		end = slice_find_char(slice_from(in, seen), '\n');
		end = end < 0 ? end : end + (ptrdiff_t)seen;
	}
	*line = slice_part(in, 0, (size_t)end);
	s->in_at += (size_t)end + 1; /* not stream_consume: the line stays where it is until the next call */
	bool crlf = end > 0 && in.at[end - 1] == '\r';
	line->len -= crlf;
	enum err fault = line_fault(*line, max);
	return fault || crlf || lf_ok ? fault : ERR_BARE_EOL;
}

enum err
await_read(struct stream *s, void *to, size_t n)
{
	char *at = to;
	while (n > 0) {
		struct slice in = stream_input(s);
		size_t got = MIN(in.len, n);
		if (s->error)
			return s->error;
		if (got > 0) {
			memcpy(at, in.at, got);
			stream_consume(s, got);
		} else {
			enum err e = n >= STREAM_IN_BYTES ? await_recv(s, at, n, &got) : await_fill(s, STREAM_IN_BYTES);
			if (e)
				return e;
		}
		at += got;
		n -= got;
	}
	return s->error;
}

/* ---- output */

void
stream_put(struct stream *s, struct slice bytes)
{
	if (s->error)
		return;
	buf_put(&s->out, bytes);
	if (s->out.over)
		stream_fail(s, ERR_LIMIT);
}

void
stream_printf(struct stream *s, const char *format, ...)
{
	va_list args, again;
	char small[512];
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	ASSERT(n >= 0);
	if ((size_t)n < sizeof small) {
		stream_put(s, slice_of(small, (size_t)n));
	} else {
		char *large = must_calloc(1, (size_t)n + 1);
		vsnprintf(large, (size_t)n + 1, format, again);
		stream_put(s, slice_of(large, (size_t)n));
		free(large);
	}
	va_end(again);
}

bool
stream_has_output(const struct stream *s)
{
	return s->out.len > s->out_at || (s->deflate && deflate_has_output(s->deflate));
}

enum err
stream_send_now(struct stream *s, struct slice bytes, bool more, size_t *sent)
{
	*sent = 0;
	if (s->tls)
		return tls_write_now(s, bytes, sent);
	ssize_t n;
	do
		n = send(s->fd, bytes.at, bytes.len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return stream_fail(s, err_from_errno(errno));
	*sent = n > 0 ? (size_t)n : 0;
	s->bytes_out += *sent;
	return OK;
}

static enum err
send_now(struct stream *s, struct slice bytes, bool more, size_t *sent)
{
	return s->deflate ? deflate_write_now(s, bytes, sent) : stream_send_now(s, bytes, more, sent);
}

static uint32_t
wants_to_send(const struct stream *s)
{
	return s->tls ? tls_wants(s) : LOOP_WRITE;
}

/* At least one byte. */
static enum err
await_send_some(struct stream *s, struct slice bytes, bool more, size_t *sent)
{
	for (;;) {
		enum err e = send_now(s, bytes, more, sent);
		if (!e && *sent == 0)
			e = await_stream_ready(s, wants_to_send(s));
		else if (!e)
			return *sent < bytes.len ? await_fair_turn(s) : OK;
		if (e)
			return stream_fail(s, e);
	}
}

static enum err
await_send_out(struct stream *s, bool more)
{
	while (!s->error && s->out_at < s->out.len) {
		size_t sent;
		if (await_send_some(s, slice_from(buf_slice(&s->out), s->out_at), more, &sent) == OK)
			s->out_at += sent;
	}
	buf_clear(&s->out);
	s->out_at = 0;
	while (!s->error && s->deflate && !more && !deflate_flush_now(s)) {
		enum err e = await_stream_ready(s, wants_to_send(s));
		if (e)
			stream_fail(s, e);
	}
	return s->error;
}

enum err
await_flush(struct stream *s)
{
	return await_send_out(s, false);
}

enum err
await_put(struct stream *s, struct slice bytes)
{
	if (bytes.len >= STREAM_OUT_BYTES / 2) { /* sent from where it is, after what waits */
		(void)await_send_out(s, true);
		for (size_t sent; !s->error && bytes.len > 0; bytes = slice_from(bytes, sent))
			if (await_send_some(s, bytes, false, &sent))
				break;
		return s->error;
	}
	stream_put(s, bytes);
	return s->out.len >= STREAM_OUT_BYTES ? await_flush(s) : s->error;
}

void
stream_try_flush(struct stream *s)
{
	size_t sent = 1;
	while (!s->error && sent > 0 && s->out_at < s->out.len) {
		if (send_now(s, slice_from(buf_slice(&s->out), s->out_at), false, &sent) == OK)
			s->out_at += sent;
	}
	buf_cut(&s->out, s->out_at);
	s->out_at = 0;
	if (s->deflate && s->out.len == 0)
		(void)deflate_flush_now(s);
}

/* ---- compression */

enum err
await_deflate(struct stream *s)
{
	ASSERT(!s->deflate);
	if (await_flush(s))
		return s->error;
	s->deflate = deflate_new(stream_input(s));
	stream_drop_input(s);
	return OK;
}

enum err
await_deflate_end(struct stream *s)
{
	if (await_flush(s))
		return s->error;
	buf_put(&s->in, deflate_unread(s->deflate));
	deflate_free(&s->deflate);
	return OK;
}
