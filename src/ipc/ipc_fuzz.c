/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_fuzz.c - any bytes as frames to a server of each protocol (all handlers missing), and as payload of each of its
 * messages: decoded, printed, encoded again, which must give the same bytes. The first byte chooses the protocol. */
#include "auth_msg.h"
#include "base/log.h"
#include "ipc/ipc_conn.h"
#include "probe_msg.h"
#include "resolver_msg.h"
#include "role_msg.h"
#include "scan_msg.h"
#include "store_msg.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const void *const no_handlers[256]; /* larger than every struct x_server */
static const struct ipc_protocol *const protocols[] = { &probe_protocol,    &store_protocol, &auth_protocol,
	                                                    &resolver_protocol, &scan_protocol,  &role_protocol };

static void
as_stream(const struct ipc_protocol *protocol, struct slice bytes)
{
	int fds[2];
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	ipc_peer_open(fds[1], protocol, no_handlers, NULL, 255, 0);
	struct buf hello;
	buf_init(&hello, 200);
	buf_put_le(&hello, 4 + 4 + strlen(protocol->name) + 1, 4);
	buf_put_le(&hello, IPC_NUMBER_HELLO, 2);
	buf_put_le(&hello, 0, 2);
	buf_put_le(&hello, 0, 8);
	buf_put_le(&hello, protocol->version, 4);
	buf_put_le(&hello, strlen(protocol->name), 4);
	buf_put(&hello, slice_text(protocol->name));
	buf_put_le(&hello, 0, 1);
	(void)!write(fds[0], hello.at, hello.len);
	buf_release(&hello);
	(void)!write(fds[0], bytes.at, bytes.len);
	for (unsigned i = 0; i < 4; i++)
		loop_turn(0);
	close(fds[0]);
	for (unsigned i = 0; i < 4; i++)
		loop_turn(0);
}

static void
as_payload(struct slice bytes, size_t room, bool (*take)(struct ipc_reader *, void *),
           void (*put)(struct ipc_writer *, const void *), void (*print)(struct buf *, const void *))
{
	struct arena a;
	arena_init(&a, 128u << 20);
	struct ipc_frame f = { .payload = bytes, .fd = -1 };
	void *m = arena_alloc(&a, room);
	if (ipc_conn_decode(&f, take, &a, m)) {
		struct buf text, again;
		buf_init(&text, 1u << 20);
		print(&text, m);
		buf_release(&text);
		buf_init(&again, 4u << 20);
		struct ipc_writer w = { &again, -1, false };
		put(&w, m);
		ASSERT(!w.bad && slice_equal(buf_slice(&again), bytes));
		buf_release(&again);
	}
	arena_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_setup("fuzz", LOG_ERROR, false);
	if (size < 2)
		return 0;
	const struct ipc_protocol *protocol = protocols[data[0] % COUNT_OF(protocols)];
	const struct ipc_message *m = &protocol->messages[data[1] % protocol->nmessages];
	struct slice bytes = slice_of(data + 2, size - 2);
	as_payload(bytes, m->in_bytes, m->take_in, m->put_in, m->print_in);
	if (m->kind == IPC_CALL)
		as_payload(bytes, m->out_bytes, m->take_out, m->put_out, m->print_out);
	as_stream(protocol, bytes);
	return 0;
}
