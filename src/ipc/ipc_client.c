/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_client.c - the asking end: calls under way by id, waiting for a connection, asking again after one broke.
 *
 * A call that was given up (its task cancelled) may still be answered into shared memory: its id stays known, and the
 * blocks freed from then on are held back until the answer came (shm_hold). A connection that we give up is drained the
 * same way: we stop sending and wait for the server to close, which it does after its last answer. */
#include "base/counter.h"
#include "base/log.h"
#include "ipc/ipc_conn.h"

struct pending {       /* on the stack of the task that waits; on the heap once given up */
	struct task *task; /* NULL: given up */
	const struct ipc_message *message;
	struct arena *arena;
	void *out;
	bool done, lost;
	enum err result;
	uint64_t hold;
};

void (*ipc_client_lost)(struct ipc_client *c, int fd);

void
ipc_client_init(struct ipc_client *c, const struct ipc_protocol *protocol, const void *listener, void *owner)
{
	*c = (struct ipc_client){ .protocol = protocol, .listener = listener, .owner = owner, .call_ms = IPC_CALL_MS };
	gate_init(&c->connected);
}

/* ---- what arrives */

static bool
notice_arrived(struct ipc_client *c, struct ipc_frame *f)
{
	if (f->number >= c->protocol->nmessages || c->protocol->messages[f->number].kind != IPC_NOTICE_TO_CLIENT)
		return false;
	if (!c->listener)
		return true;
	const struct ipc_message *m = &c->protocol->messages[f->number];
	struct arena a;
	arena_init(&a, 2 * IPC_FRAME_BYTES_MAX);
	void *in = arena_alloc(&a, m->in_bytes);
	bool good = ipc_conn_decode(f, m->take_in, &a, in);
	if (good)
		m->dispatch(c->listener, c, in);
	arena_release(&a);
	return good;
}

static void
pending_forget(struct ipc_conn *conn, struct pending *p)
{
	if (conn->shm)
		shm_unhold(conn->shm, p->hold);
	free(p);
}

static bool
frame_arrived(struct ipc_conn *conn, struct ipc_frame *f)
{
	if (!(f->flags & IPC_REPLY))
		return notice_arrived(conn->owner, f);
	struct pending *p = map_remove(&conn->calls, f->id);
	if (!p || f->error >= ERR_COUNT)
		return false;
	if (!p->task) {
		pending_forget(conn, p);
		return true;
	}
	bool good = f->error || ipc_conn_decode(f, p->message->take_out, p->arena, p->out);
	p->result = good ? (enum err)f->error : ERR_AGAIN;
	p->done = true;
	task_wake(p->task, OK);
	return good;
}

/* ---- the end of a connection */

static void
calls_lose(struct ipc_conn *conn)
{
	size_t at = 0;
	uint64_t id;
	void *value;
	while (map_each(&conn->calls, &at, &id, &value)) {
		struct pending *p = value;
		if (!p->task) {
			pending_forget(conn, p);
			continue;
		}
		p->done = p->lost = true;
		p->result = ERR_AGAIN;
		if (p->task != task_self()) /* it may be the one that found the connection broken */
			task_wake(p->task, OK);
	}
	map_release(&conn->calls);
}

static bool
drain_frame(struct ipc_conn *conn, struct ipc_frame *f)
{
	return true;
}

static void
drain_end(struct ipc_conn *conn, const char *why)
{
	shm_unhold(conn->shm, conn->hold);
	ipc_conn_close(conn);
}

/* The server may be alive and at work on our calls: our memory is not used for other things until it closed too. */
static void
connection_drain(struct ipc_conn *conn)
{
	conn->hold = shm_hold(conn->shm);
	calls_lose(conn);
	conn->frame = drain_frame;
	conn->broke = drain_end;
	ipc_conn_mute(conn);
}

static void
connection_drop(struct ipc_client *c)
{
	struct ipc_conn *conn = c->conn;
	c->conn = NULL;
	if (conn->shm && !conn->broken) {
		connection_drain(conn);
		return;
	}
	calls_lose(conn);
	ipc_conn_close(conn);
}

static void
connection_broke(struct ipc_conn *conn, const char *why)
{
	struct ipc_client *c = conn->owner;
	struct log l;
	log_begin(&l, LOG_INFO, "ipc.lost");
	log_text(&l, "server", c->protocol->name);
	log_text(&l, "why", why);
	log_end(&l);
	if (ipc_client_lost)
		ipc_client_lost(c, conn->fd);
	connection_drop(c);
}

static void
put_hello(struct ipc_writer *w, const void *m)
{
	const struct ipc_client *c = m;
	buf_put_le(w->to, c->protocol->version, 4);
	ipc_put_slice(w, slice_text(c->protocol->name), 60);
	ipc_put_fd(w, c->shm ? shm_pool_fd(c->shm) : -1);
}

void
ipc_client_connect(struct ipc_client *c, int fd)
{
	if (c->conn)
		connection_drop(c);
	c->conn = ipc_conn_open(fd, c, frame_arrived, connection_broke);
	c->conn->shm = c->shm;
	c->conn->wipes = c->wipes;
	c->generation++;
	ASSERT(ipc_conn_put(c->conn, &(struct ipc_frame){ .number = IPC_NUMBER_HELLO }, put_hello, c));
	gate_open(&c->connected, OK);
	c->protocol->connected(c->listener, c);
}

void
ipc_client_release(struct ipc_client *c)
{
	gate_open(&c->connected, ERR_CLOSED);
	if (!c->conn)
		return;
	struct ipc_conn *conn = c->conn;
	c->conn = NULL;
	calls_lose(conn);
	ipc_conn_close(conn);
}

/* ---- asking */

static void
pending_give_up(struct ipc_conn *conn, uint64_t id, const struct pending *p)
{
	struct pending *left = must_calloc(1, sizeof *left);
	left->message = p->message;
	left->hold = conn->shm ? shm_hold(conn->shm) : 0;
	map_set(&conn->calls, id, left);
}

static void
server_hangs(struct ipc_client *c, uint64_t id, const struct pending *p)
{
	map_remove(&c->conn->calls, id); /* not lost with the connection: it is not asked again */
	struct log l;
	log_begin(&l, LOG_ERROR, "ipc.timeout");
	log_text(&l, "call", p->message->name);
	log_end(&l);
	if (ipc_client_lost)
		ipc_client_lost(c, c->conn->fd);
	connection_drop(c);
}

static enum err
await_answer(struct ipc_client *c, uint64_t id, struct pending *p)
{
	struct ipc_conn *conn = c->conn;
	int64_t deadline = deadline_in_ms(c->call_ms);
	while (!p->done) {
		enum err e = await_park(deadline);
		if (p->done)
			break;
		if (e == ERR_CLOSED) { /* cancelled */
			pending_give_up(conn, id, p);
			return ERR_CLOSED;
		}
		if (e == ERR_TIMEOUT && clock_mono_ms() >= deadline) {
			server_hangs(c, id, p);
			return ERR_TIMEOUT;
		}
	}
	return p->result;
}

static enum err
await_connected(struct ipc_client *c)
{
	int64_t deadline = deadline_in_ms(IPC_RECONNECT_MS);
	while (!c->conn) {
		enum err e = await_gate(&c->connected, deadline);
		if (e)
			return e == ERR_TIMEOUT ? ERR_AGAIN : e;
	}
	return OK;
}

static enum err
await_asked(struct ipc_client *c, uint16_t number, const void *in, struct pending *p)
{
	enum err e = await_connected(c);
	if (e)
		return e;
	struct ipc_conn *conn = c->conn;
	uint64_t id = conn->next_id++;
	map_set(&conn->calls, id, p);
	if (!ipc_conn_put(conn, &(struct ipc_frame){ .number = number, .id = id }, p->message->put_in, in)) {
		map_remove(&conn->calls, id);
		return ERR_LIMIT;
	}
	return await_answer(c, id, p);
}

enum err
await_ipc_call(struct ipc_client *c, uint16_t number, const void *in, struct arena *a, void *out)
{
	const struct ipc_message *m = &c->protocol->messages[number];
	ASSERT(task_self() && m->kind == IPC_CALL);
	enum err e = ERR_AGAIN;
	for (unsigned tries = 0; tries < (m->retry ? 2 : 1); tries++) {
		struct pending p = { .task = task_self(), .message = m, .arena = a, .out = out };
		memset(out, 0, m->out_bytes);
		e = await_asked(c, number, in, &p);
		if (!p.lost)
			break;
	}
	if (e == ERR_AGAIN || e == ERR_TIMEOUT)
		counter_add(COUNTER_CALLS_FAILED, 1);
	return e;
}

void
ipc_notify_server(struct ipc_client *c, uint16_t number, const void *in)
{
	const struct ipc_message *m = &c->protocol->messages[number];
	ASSERT(m->kind == IPC_NOTICE_TO_SERVER);
	if (c->conn)
		(void)ipc_conn_put(c->conn, &(struct ipc_frame){ .number = number }, m->put_in, in);
}
