/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_conn.c - moves frames over a Unix stream socket. Called by ipc_client.c and ipc_server.c. Owns the socket and the
 * descriptors under way. Fails: any error of the socket, a frame that is too long, a descriptor that is missing; each
 * breaks the connection, once.
 *
 * Descriptors: the kernel attaches those of a sendmsg to its first byte, and frames that carry one say so
 * (IPC_HAS_FD), so they are matched by order. Input is read into one buffer of the process; only the end of an
 * incomplete frame is copied to the connection. */
#include "ipc/ipc_conn.h"

#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static char read_buffer[IPC_READ_BYTES];

static void
wipe(const struct ipc_conn *c, const struct buf *b)
{
	if (c->wipes && b->cap)
		secret_wipe(b->at, b->cap);
}

static void
ipc_conn_free(struct later *l)
{
	struct ipc_conn *c = CONTAINER_OF(l, struct ipc_conn, flush);
	for (size_t i = 0; i < c->nin_fds; i++)
		close(c->in_fds[i]);
	for (size_t i = 0; i < c->nout_fds; i++)
		close(c->out_fds[i].fd);
	free(c->in_fds);
	free(c->out_fds);
	wipe(c, &c->in);
	wipe(c, &c->out);
	buf_release(&c->in);
	buf_release(&c->out);
	map_release(&c->calls);
	free(c);
}

void
ipc_conn_close(struct ipc_conn *c)
{
	ASSERT(!c->closed);
	c->closed = c->broken = true;
	watch_remove(&c->watch);
	later_cancel(&c->flush);
	close(c->fd);
	c->flush.fn = ipc_conn_free; /* not at once: a function of this file may be at work on it */
	loop_later(&c->flush);
}

void
ipc_conn_break(struct ipc_conn *c, const char *why)
{
	if (c->broken)
		return;
	c->broken = true;
	watch_remove(&c->watch);
	later_cancel(&c->flush);
	c->broke(c, why);
}

/* ---- out */

static struct msghdr
fds_attach(struct ipc_conn *c, size_t n, struct iovec *io, char *control, size_t control_size)
{
	struct msghdr m = { .msg_iov = io, .msg_iovlen = 1 };
	if (n == 0)
		return m;
	memset(control, 0, control_size);
	m.msg_control = control;
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(h) + i * sizeof(int), &c->out_fds[i].fd, sizeof(int));
	return m;
}

static void
fds_sent(struct ipc_conn *c, size_t n)
{
	if (n == 0)
		return; /* there may be no array at all */
	for (size_t i = 0; i < n; i++)
		close(c->out_fds[i].fd);
	c->nout_fds -= n;
	if (c->nout_fds > 0 && n > 0)
		memmove(c->out_fds, c->out_fds + n, c->nout_fds * sizeof *c->out_fds);
}

static void
out_sent(struct ipc_conn *c, size_t n)
{
	c->out_at += n;
	if (c->out_at < c->out.len)
		return;
	c->out_base += c->out_at;
	c->out_at = 0;
	wipe(c, &c->out);
	if (c->out.cap > 4 * IPC_READ_BYTES)
		buf_release(&c->out);
	else
		buf_clear(&c->out);
}

/* Nobody reads any more. What was said to us before may still be unread: the end is found there, after it. */
static void
out_forget(struct ipc_conn *c)
{
	fds_sent(c, c->nout_fds);
	out_sent(c, c->out.len - c->out_at);
}

/* One sendmsg; false: no more can be sent now. */
static bool
send_some(struct ipc_conn *c)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(IPC_FDS_PER_WRITE * sizeof(int))];
	size_t nfds = MIN(c->nout_fds, (size_t)IPC_FDS_PER_WRITE), end = c->out.len;
	if (c->nout_fds > nfds)
		end = (size_t)(c->out_fds[nfds].frame_at - c->out_base);
	struct iovec io = { c->out.at + c->out_at, end - c->out_at };
	struct msghdr m = fds_attach(c, nfds, &io, control, sizeof control);
	ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		fds_sent(c, nfds);
		out_sent(c, (size_t)n);
		return true;
	}
	if (errno == EPIPE || errno == ECONNRESET)
		out_forget(c);
	else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		ipc_conn_break(c, strerror(errno));
	return false;
}

void
ipc_conn_flush(struct ipc_conn *c)
{
	while (!c->broken && c->out.len > c->out_at && send_some(c))
		;
	bool waits = c->out.len > c->out_at;
	if (c->broken || waits == c->waits_to_write)
		return;
	c->waits_to_write = waits;
	watch_change(&c->watch, waits ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void
flush_later(struct later *l)
{
	ipc_conn_flush(CONTAINER_OF(l, struct ipc_conn, flush));
}

void
ipc_conn_mute(struct ipc_conn *c)
{
	later_cancel(&c->flush);
	c->out_at = 0;
	buf_clear(&c->out);
	watch_change(&c->watch, LOOP_READ);
	shutdown(c->fd, SHUT_WR);
}

static bool
keep_fd(struct ipc_conn *c, int fd, uint64_t frame_at)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || c->nout_fds == IPC_FDS_WAITING_MAX) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	if (c->nout_fds == c->out_fds_cap) {
		c->out_fds_cap = MAX(c->out_fds_cap * 2, (size_t)8);
		c->out_fds = must_realloc(c->out_fds, c->out_fds_cap * sizeof *c->out_fds);
	}
	c->out_fds[c->nout_fds++] = (struct ipc_waiting_fd){ copy, frame_at };
	return true;
}

bool
ipc_conn_put(struct ipc_conn *c, const struct ipc_frame *head, void (*put)(struct ipc_writer *, const void *),
             const void *m)
{
	if (c->broken)
		return true; /* who waits for an answer hears that it broke */
	size_t start = c->out.len;
	struct ipc_writer w = { &c->out, -1, false };
	if (!buf_room(&c->out, IPC_HEADER_BYTES))
		return false;
	c->out.len += IPC_HEADER_BYTES;
	if (put)
		put(&w, m);
	size_t bytes = c->out.len - start - IPC_HEADER_BYTES;
	if (w.bad || c->out.over || bytes > IPC_FRAME_BYTES_MAX) {
		c->out.len = start;
		c->out.over = false;
		return false;
	}
	uint8_t flags = head->flags | (w.fd >= 0 ? IPC_HAS_FD : 0);
	char *h = c->out.at + start;
	bytes_set_le(h, bytes, 4);
	bytes_set_le(h + 4, head->number, 2);
	bytes_set_le(h + 6, flags, 1);
	bytes_set_le(h + 7, head->error, 1);
	bytes_set_le(h + 8, head->id, 8);
	if (w.fd >= 0 && !keep_fd(c, w.fd, c->out_base + start))
		ipc_conn_break(c, "no descriptor left");
	else if (c->out.len - c->out_at > IPC_OUT_BYTES_MAX)
		ipc_conn_break(c, "the other side does not read");
	else
		loop_later(&c->flush);
	return true;
}

/* ---- in */

static bool
fds_take(struct ipc_conn *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (c->nin_fds + n > c->in_fds_cap) {
			c->in_fds_cap = MAX(c->in_fds_cap * 2, c->nin_fds + n);
			c->in_fds = must_realloc(c->in_fds, c->in_fds_cap * sizeof *c->in_fds);
		}
		memcpy(c->in_fds + c->nin_fds, CMSG_DATA(h), n * sizeof(int));
		c->nin_fds += n;
	}
	return c->nin_fds <= IPC_FDS_WAITING_MAX && !(m->msg_flags & MSG_CTRUNC);
}

static bool
frame_fd(struct ipc_conn *c, struct ipc_frame *f)
{
	f->fd = -1;
	if (!(f->flags & IPC_HAS_FD))
		return true;
	if (c->nin_fds == 0)
		return false;
	f->fd = c->in_fds[0];
	c->nin_fds--;
	memmove(c->in_fds, c->in_fds + 1, c->nin_fds * sizeof *c->in_fds);
	return true;
}

/* Hands on the complete frames of bytes; returns how many bytes they were. */
static size_t
frames_read(struct ipc_conn *c, struct slice bytes)
{
	size_t at = 0;
	while (!c->broken && bytes.len - at >= IPC_HEADER_BYTES) {
		const char *h = bytes.at + at;
		size_t n = bytes_get_le(h, 4);
		if (n > IPC_FRAME_BYTES_MAX) {
			ipc_conn_break(c, "a frame is too long");
			break;
		}
		if (bytes.len - at - IPC_HEADER_BYTES < n)
			break;
		struct ipc_frame f = { .number = (uint16_t)bytes_get_le(h + 4, 2),
			                   .flags = (uint8_t)h[6],
			                   .error = (uint8_t)h[7],
			                   .id = bytes_get_le(h + 8, 8),
			                   .payload = slice_of(h + IPC_HEADER_BYTES, n) };
		at += IPC_HEADER_BYTES + n;
		bool good = frame_fd(c, &f) && c->frame(c, &f);
		if (f.fd >= 0)
			close(f.fd);
		if (!good)
			ipc_conn_break(c, "a malformed message");
	}
	return at;
}

/* Bytes of the connection's own buffer that the frame which stands first in it needs. */
static size_t
in_wanted(const struct ipc_conn *c)
{
	size_t n = c->in.len < IPC_HEADER_BYTES ? 0 : bytes_get_le(c->in.at, 4);
	return MAX(MIN(n, (size_t)IPC_FRAME_BYTES_MAX) + IPC_HEADER_BYTES - c->in.len, (size_t)IPC_READ_BYTES / 2);
}

static void
in_keep(struct ipc_conn *c, struct slice rest, bool own)
{
	if (own)
		buf_cut(&c->in, c->in.len - rest.len);
	else
		buf_put(&c->in, rest);
	if (c->in.len == 0 && c->in.cap) {
		wipe(c, &c->in);
		buf_release(&c->in);
	}
}

static ssize_t
receive(struct ipc_conn *c, struct iovec io)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(IPC_FDS_PER_WRITE * sizeof(int))];
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (n <= 0)
		ipc_conn_break(c, n == 0 ? "closed by the other side" : strerror(errno));
	else if (!fds_take(c, &m))
		ipc_conn_break(c, "too many descriptors");
	return n;
}

static void
ipc_conn_read(struct ipc_conn *c)
{
	bool own = c->in.len > 0;
	struct iovec io = { read_buffer, sizeof read_buffer };
	if (own) {
		io.iov_len = in_wanted(c);
		ASSERT(buf_room(&c->in, io.iov_len));
		io.iov_base = c->in.at + c->in.len;
	}
	ssize_t n = receive(c, io);
	if (n <= 0 || c->broken)
		return;
	if (own)
		c->in.len += (size_t)n;
	struct slice got = own ? buf_slice(&c->in) : slice_of(read_buffer, (size_t)n);
	size_t used = frames_read(c, got);
	if (!c->broken)
		in_keep(c, slice_from(got, used), own);
	if (c->wipes && !own)
		secret_wipe(read_buffer, (size_t)n);
}

static void
ipc_conn_ready(struct watch *w, uint32_t events)
{
	struct ipc_conn *c = CONTAINER_OF(w, struct ipc_conn, watch);
	if (events & (LOOP_READ | LOOP_HANGUP))
		ipc_conn_read(c);
	if (!c->broken && events & LOOP_WRITE)
		ipc_conn_flush(c);
}

struct ipc_conn *
ipc_conn_open(int fd, void *owner, bool (*frame)(struct ipc_conn *, struct ipc_frame *),
              void (*broke)(struct ipc_conn *, const char *))
{
	struct ipc_conn *c = must_calloc(1, sizeof *c);
	c->fd = fd;
	c->owner = owner;
	c->frame = frame;
	c->broke = broke;
	c->next_id = 1;
	c->flush.fn = flush_later;
	buf_init(&c->in, IPC_FRAME_BYTES_MAX + IPC_HEADER_BYTES + IPC_READ_BYTES);
	buf_init(&c->out, (size_t)IPC_OUT_BYTES_MAX + 2 * (IPC_FRAME_BYTES_MAX + IPC_HEADER_BYTES));
	c->watch.fd = fd;
	c->watch.ready = ipc_conn_ready;
	ASSERT(watch_add(&c->watch, LOOP_READ) == OK);
	return c;
}
