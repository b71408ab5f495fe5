/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_codec.c - the pieces that the generated encoders, decoders and printers are made of. A decoder trusts nothing:
 * not a length, not a count, not that text is text. What it returns is a copy in the reader's arena. */
#include "ipc/ipc_conn.h"

#include <unistd.h>

void
ipc_put_slice(struct ipc_writer *w, struct slice s, uint32_t max)
{
	if (s.len > max) {
		w->bad = true;
		return;
	}
	buf_put_le(w->to, s.len, 4);
	buf_put(w->to, s);
}

void
ipc_put_count(struct ipc_writer *w, uint32_t n, uint32_t max)
{
	if (n > max)
		w->bad = true;
	buf_put_le(w->to, n, 4);
}

void
ipc_put_fd(struct ipc_writer *w, int fd)
{
	ASSERT(w->fd < 0);
	w->fd = fd;
	buf_put_le(w->to, fd >= 0, 1);
}

bool
ipc_take_le(struct ipc_reader *r, uint64_t *v, unsigned bytes)
{
	if (cursor_left(&r->from) < bytes)
		return false;
	*v = bytes_get_le(r->from.at, bytes);
	r->from.at += bytes;
	return true;
}

bool
ipc_take_slice(struct ipc_reader *r, struct slice *s, uint32_t max, bool text)
{
	uint64_t n;
	struct slice in;
	if (!ipc_take_le(r, &n, 4) || n > max || !take_bytes(&r->from, n, &in))
		return false;
	if (text && n && memchr(in.at, 0, n))
		return false;
	*s = n ? slice_keep(r->arena, in) : S("");
	return true;
}

bool
ipc_take_count(struct ipc_reader *r, uint32_t *n, uint32_t max)
{
	uint64_t v;
	if (!ipc_take_le(r, &v, 4) || v > max || v > cursor_left(&r->from)) /* a member has at least one byte */
		return false;
	*n = (uint32_t)v;
	return true;
}

bool
ipc_take_fd(struct ipc_reader *r, int *fd)
{
	uint64_t there;
	*fd = -1;
	if (!ipc_take_le(r, &there, 1) || there > 1 || there != (r->fd >= 0))
		return false;
	*fd = r->fd;
	r->taken_fd = r->fd;
	r->fd = -1;
	return true;
}

bool
ipc_conn_decode(struct ipc_frame *f, bool (*take)(struct ipc_reader *, void *), struct arena *a, void *m)
{
	struct ipc_reader r = { cursor_of(f->payload), a, f->fd, -1 };
	f->fd = -1;
	if (take(&r, m) && cursor_done(&r.from) && r.fd < 0)
		return true;
	if (r.fd >= 0)
		close(r.fd);
	if (r.taken_fd >= 0)
		close(r.taken_fd);
	return false;
}

/* Text comes shortened and escaped; of bytes, which may be secret, only the number is told. */
void
ipc_print_slice(struct buf *to, const char *name, struct slice s, bool text)
{
	if (!text) {
		buf_printf(to, " %s=(%zu bytes)", name, s.len);
		return;
	}
	buf_printf(to, " %s=\"", name);
	for (size_t i = 0; i < MIN(s.len, (size_t)100); i++) {
		unsigned char c = (unsigned char)s.at[i];
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			buf_printf(to, "\\x%02x", c);
		else
			buf_put_char(to, (char)c);
	}
	buf_put(to, s.len > 100 ? S("...\"") : S("\""));
}

void
ipc_drop_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}
