/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - the bytes of messages, into the region of the call that asks: message_bodies (many, whole), message_body,
 * queue_body and text_body (a stretch of one). Rows are read on the loop; the bytes on the loop too when they are few,
 * else on a thread of reader.c, so that one slow disk read does not hold up the others. The connection may go away
 * meanwhile: its region stays mapped until its last call was answered. */
#include "store/rows_state.h"

#define READ_AT_ONCE_BYTES (64 * 1024)

struct reading {
	struct ipc_call *call;
	struct store *s;
	const void *in;
	void *out; /* answered when all was read */
	uint64_t account, principal;
	char *into;
	size_t into_bytes;
	struct segment_piece *pieces;
	size_t n, bytes;
	enum err e;
};

static void
read_pieces(void *arg)
{
	struct reading *r = arg;
	if (!r->e)
		r->e = segment_read_many(r->s->segments, r->pieces, r->n);
}

static void
answer(void *arg)
{
	struct reading *r = arg;
	if (r->e)
		ipc_fail(r->call, r->e);
	else
		ipc_reply(r->call, r->out);
}

static void
reading_start(struct ipc_call *call, const void *in, void *out, const struct handle *h, struct store_region into,
              enum err (*plan)(struct store *s, struct txn *t, void *arg))
{
	struct store_peer *p = call->peer->state;
	struct reading *r = ARENA_NEW(&call->arena, struct reading);
	*r = (struct reading){ .call = call, .s = p->store, .in = in, .out = out };
	r->account = h ? h->account : 0;
	r->principal = h ? h->principal : 0;
	r->into = shm_range(&call->peer->shm, into.off, into.len);
	r->into_bytes = MIN(into.len, (uint64_t)UINT32_MAX);
	r->e = r->into ? store_view(r->s, plan, r) : ERR_LIMIT;
	if (r->e || r->bytes <= READ_AT_ONCE_BYTES) {
		read_pieces(r);
		answer(r);
	} else {
		store_read_later(r->s, read_pieces, answer, r);
	}
}

/* ---- many bodies */

static void
entry(struct reading *r, struct store_message_bodies_out *out, uint32_t uid, const struct object *o)
{
	size_t padded = ((size_t)o->at.bytes + 7) & ~(size_t)7;
	char *to = r->into + out->filled;
	bytes_set_le(to, uid, 4);
	bytes_set_le(to + 4, o->at.bytes, 4);
	memset(to + 8 + o->at.bytes, 0, padded - o->at.bytes);
	r->pieces[r->n++] = (struct segment_piece){ .at = o->at, .to = to + 8, .len = o->at.bytes };
	r->bytes += o->at.bytes;
	out->filled += (uint32_t)(8 + padded);
	out->last = uid;
}

static enum err
plan_bodies(struct store *s, struct txn *t, void *arg)
{
	struct reading *r = arg;
	const struct store_message_bodies_in *in = r->in;
	struct store_message_bodies_out *out = r->out;
	struct row_mailbox mailbox;
	struct uid_row *rows;
	struct object_walk places;
	size_t n, i;
	enum err e = acl_check(t, r->account, in->mailbox, r->principal, ACL_READ);
	e = e ? e : mailbox_get(t, r->account, in->mailbox, &mailbox);
	e = e ? e : index_messages(s, t, r->account, in->mailbox, &mailbox, in->uids, &rows, &n);
	if (e)
		return e;
	object_walk_begin(&places, t, 'o', n);
	r->pieces = ARENA_ARRAY(&r->call->arena, struct segment_piece, n + 1);
	for (i = 0; i < n && !e; i++) {
		struct object o = { 0 };
		e = object_walk_place(&places, rows[i].row.object, &o);
		size_t need = 8 + (((size_t)o.at.bytes + 7) & ~(size_t)7);
		if (e || need > r->into_bytes - out->filled) {
			out->need = e || i ? 0 : need;
			break;
		}
		entry(r, out, rows[i].uid, &o);
	}
	if (!e && i == n && in->uids.len)
		out->last = (uint32_t)bytes_get_le(in->uids.at + in->uids.len - 4, 4);
	free(rows);
	enum err ended = object_walk_end(&places);
	e = e ? e : ended;
	return e == ERR_NOT_FOUND ? row_damaged("object") : e;
}

void
message_bodies_call(struct ipc_call *call, const struct store_message_bodies_in *in)
{
	struct handle *h = handle_of(call, in->handle);
	if (!h) {
		ipc_fail(call, ERR_STALE);
		return;
	}
	void *out = ARENA_NEW(&call->arena, struct store_message_bodies_out);
	reading_start(call, in, out, h, in->into, plan_bodies);
}

/* ---- a stretch of one */

static enum err
plan_stretch(struct reading *r, struct txn *t, uint64_t id, uint64_t from, uint32_t *filled, uint64_t *total)
{
	struct object o;
	enum err e = object_get(t, id, &o);
	if (e)
		return e == ERR_NOT_FOUND ? row_damaged("object") : e;
	*total = o.at.bytes;
	if (from >= o.at.bytes)
		return OK;
	r->pieces = ARENA_NEW(&r->call->arena, struct segment_piece);
	r->pieces[0] =
	    (struct segment_piece){ .at = o.at, .from = from, .to = r->into, .len = MIN(r->into_bytes, o.at.bytes - from) };
	r->n = 1;
	r->bytes = r->pieces[0].len;
	*filled = (uint32_t)r->bytes;
	return OK;
}

static enum err
plan_body(struct store *s, struct txn *t, void *arg)
{
	struct reading *r = arg;
	const struct store_message_body_in *in = r->in;
	struct store_message_body_out *out = r->out;
	struct row_message m;
	enum err e = acl_check(t, r->account, in->mailbox, r->principal, ACL_READ);
	e = e ? e : message_get(t, r->account, in->mailbox, in->uid, &m);
	return e ? e : plan_stretch(r, t, m.object, in->from, &out->filled, &out->total);
}

void
message_body_call(struct ipc_call *call, const struct store_message_body_in *in)
{
	struct handle *h = handle_of_reader(call, in->handle, in->mailbox, in->uid);
	if (!h) {
		ipc_fail(call, ERR_STALE);
		return;
	}
	void *out = ARENA_NEW(&call->arena, struct store_message_body_out);
	reading_start(call, in, out, h, in->into, plan_body);
}

static enum err
plan_queue_body(struct store *s, struct txn *t, void *arg)
{
	struct reading *r = arg;
	const struct store_queue_body_in *in = r->in;
	struct store_queue_body_out *out = r->out;
	struct row_queue row;
	enum err e = queue_row_get(t, in->id, &row);
	return e ? e : plan_stretch(r, t, row.object, in->from, &out->filled, &out->total);
}

void
queue_body_call(struct ipc_call *call, const struct store_queue_body_in *in)
{
	void *out = ARENA_NEW(&call->arena, struct store_queue_body_out);
	reading_start(call, in, out, NULL, in->into, plan_queue_body);
}

static enum err
plan_text_body(struct store *s, struct txn *t, void *arg)
{
	struct reading *r = arg;
	const struct store_text_body_in *in = r->in;
	struct store_text_body_out *out = r->out;
	struct row_message m;
	enum err e = message_get(t, in->account, in->mailbox, in->uid, &m);
	return e ? e : plan_stretch(r, t, m.object, in->from, &out->filled, &out->total);
}

void
text_body_call(struct ipc_call *call, const struct store_text_body_in *in)
{
	void *out = ARENA_NEW(&call->arena, struct store_text_body_out);
	reading_start(call, in, out, NULL, in->into, plan_text_body);
}
