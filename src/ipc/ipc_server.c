/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_server.c - the answering end: checks who asks, decodes, hands the call to its handler, sends the answer.
 *
 * A peer lives until its connection ended and its last call was answered; only then is its socket closed, which tells
 * the client that nothing writes into its memory any more. Calls come from a small pool, so that a call costs no
 * allocation. Fails: a malformed, unknown or too long frame, or more calls at once than IPC_CALLS_MAX, ends that
 * connection; a call of another class is refused. */
#include "base/log.h"
#include "ipc/ipc_conn.h"

#define IPC_CALLS_MAX 32768u            /* under way for one peer */
#define IPC_CALLS_POOL 128u             /* kept for the next calls */
#define IPC_CALL_BYTES_MAX (128u << 20) /* of one arena: the decoded frame and the answer's parts */

struct served {
	struct ipc_peer peer;
	struct ipc_conn *held; /* open until the last answer */
	bool greeted;
};

static struct ipc_call *pool[IPC_CALLS_POOL];
static size_t npool;

static void
log_peer(enum log_level level, const char *event, const struct ipc_peer *p, const char *key, const char *value)
{
	struct log l;
	log_begin(&l, level, event);
	log_text(&l, "protocol", p->protocol->name);
	log_u64(&l, "class", p->class_bit);
	log_u64(&l, "index", p->index);
	log_text(&l, key, value);
	log_end(&l);
}

/* ---- calls */

static struct ipc_call *
call_new(struct ipc_peer *p, const struct ipc_message *m, uint64_t id)
{
	struct ipc_call *call;
	if (npool) {
		call = pool[--npool];
	} else {
		call = must_calloc(1, sizeof *call);
		arena_init(&call->arena, IPC_CALL_BYTES_MAX);
	}
	call->peer = p;
	call->message = m;
	call->id = id;
	call->bytes = 0;
	p->calls++;
	return call;
}

static void
peer_unhold(struct served *s)
{
	if (s->peer.conn || s->peer.calls)
		return;
	shm_map_close(&s->peer.shm);
	ipc_conn_close(s->held);
	free(s);
}

static void
call_free(struct ipc_call *call)
{
	struct ipc_peer *p = call->peer;
	p->bytes -= call->bytes;
	if (npool < IPC_CALLS_POOL) {
		arena_clear(&call->arena);
		pool[npool++] = call;
	} else {
		arena_release(&call->arena);
		free(call);
	}
	p->calls--;
	peer_unhold(CONTAINER_OF(p, struct served, peer));
}

void
ipc_fail(struct ipc_call *call, enum err e)
{
	ASSERT(e != OK && call->message->kind == IPC_CALL);
	struct ipc_peer *p = call->peer;
	if (p->conn) {
		struct ipc_frame f = { .number = 0, .flags = IPC_REPLY, .error = (uint8_t)e, .id = call->id };
		(void)ipc_conn_put(p->conn, &f, NULL, NULL);
	}
	call_free(call);
}

void
ipc_reply(struct ipc_call *call, const void *out)
{
	ASSERT(call->message->kind == IPC_CALL);
	struct ipc_peer *p = call->peer;
	struct ipc_frame f = { .flags = IPC_REPLY, .id = call->id };
	if (p->conn && !ipc_conn_put(p->conn, &f, call->message->put_out, out)) {
		log_peer(LOG_ERROR, "ipc.answer_too_large", p, "call", call->message->name);
		ipc_fail(call, ERR_LIMIT);
		return;
	}
	call_free(call);
}

void
ipc_done(struct ipc_call *call)
{
	ASSERT(call->message->kind == IPC_NOTICE_TO_SERVER);
	call_free(call);
}

/* ---- what arrives */

static bool
hello(struct served *s, struct ipc_frame *f)
{
	struct ipc_peer *p = &s->peer;
	struct arena a;
	arena_init(&a, ARENA_BLOCK_BYTES);
	struct ipc_reader r = { cursor_of(f->payload), &a, f->fd, -1 };
	f->fd = -1;
	uint64_t version = 0;
	struct slice name;
	int shm = -1;
	bool good = f->number == IPC_NUMBER_HELLO && ipc_take_le(&r, &version, 4) && ipc_take_slice(&r, &name, 60, true) &&
	            ipc_take_fd(&r, &shm) && cursor_done(&r.from) && version == p->protocol->version &&
	            slice_equal(name, slice_text(p->protocol->name));
	arena_release(&a);
	s->greeted = true;
	if (good && shm >= 0)
		return shm_map_open(&p->shm, shm) == OK;
	ipc_drop_fd(shm >= 0 ? shm : r.fd);
	return good;
}

static bool
frame_arrived(struct ipc_conn *conn, struct ipc_frame *f)
{
	struct served *s = conn->owner;
	struct ipc_peer *p = &s->peer;
	if (!s->greeted)
		return hello(s, f);
	if (f->number >= p->protocol->nmessages || f->flags & IPC_REPLY || p->calls >= IPC_CALLS_MAX)
		return false;
	const struct ipc_message *m = &p->protocol->messages[f->number];
	if (m->kind == IPC_NOTICE_TO_CLIENT)
		return false;
	struct ipc_call *call = call_new(p, m, f->id);
	if (!(m->classes & p->class_bit)) {
		log_peer(LOG_WARN, "ipc.refused", p, "call", m->name);
		m->kind == IPC_CALL ? ipc_fail(call, ERR_DENIED) : ipc_done(call);
		return true;
	}
	if (m->kind == IPC_CALL && p->bytes + f->payload.len > IPC_PEER_BYTES_MAX) {
		ipc_fail(call, ERR_AGAIN);
		return true;
	}
	void *in = arena_alloc(&call->arena, m->in_bytes);
	if (!ipc_conn_decode(f, m->take_in, &call->arena, in)) {
		call_free(call);
		return false;
	}
	call->bytes = call->arena.bytes;
	p->bytes += call->bytes;
	m->dispatch(p->handlers, call, in);
	return true;
}

static void
peer_broke(struct ipc_conn *conn, const char *why)
{
	struct served *s = conn->owner;
	struct ipc_peer *p = &s->peer;
	log_peer(LOG_INFO, "ipc.peer_gone", p, "why", why);
	p->calls++; /* so that it outlives its own callback */
	p->conn = NULL;
	p->protocol->closed(p->handlers, p);
	p->calls--;
	peer_unhold(s);
}

struct ipc_peer *
ipc_peer_open(int fd, const struct ipc_protocol *protocol, const void *handlers, void *owner, uint32_t class_bit,
              uint32_t index)
{
	struct served *s = must_calloc(1, sizeof *s);
	s->peer = (struct ipc_peer){
		.protocol = protocol, .handlers = handlers, .owner = owner, .class_bit = class_bit, .index = index
	};
	s->peer.conn = s->held = ipc_conn_open(fd, s, frame_arrived, peer_broke);
	return &s->peer;
}

void
ipc_peer_wipes(struct ipc_peer *p)
{
	if (p->conn)
		p->conn->wipes = true;
}

void
ipc_peer_close(struct ipc_peer *p)
{
	struct served *s = CONTAINER_OF(p, struct served, peer);
	if (!p->conn)
		return;
	p->calls++;              /* so that it outlives what follows */
	ipc_conn_flush(p->conn); /* answers that were given in this turn */
	if (p->conn)
		ipc_conn_break(p->conn, "closed by us");
	p->calls--;
	peer_unhold(s);
}

void
ipc_notify_client(struct ipc_peer *p, uint16_t number, const void *in)
{
	const struct ipc_message *m = &p->protocol->messages[number];
	ASSERT(m->kind == IPC_NOTICE_TO_CLIENT);
	if (p->conn)
		(void)ipc_conn_put(p->conn, &(struct ipc_frame){ .number = number }, m->put_in, in);
}
