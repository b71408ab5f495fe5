/* SPDX-License-Identifier: Apache-2.0 */
/* try.c - one try of one row: find the host, have a connection, send, note what each recipient was answered. Runs in a
 * worker's task. */
#include "base/log.h"
#include "relay/convert.h"
#include "relay/relay.h"
#include "relay/verify.h"
#include "store/rows.h"

/* A piece of the body, through shared memory; small messages are fetched once. */
enum err
await_job_piece(void *arg, uint64_t from, struct slice *piece)
{
	struct job *j = arg;
	*piece = SLICE_NONE;
	if (from >= j->row.bytes)
		return OK;
	if (!j->block && !(j->block = shm_alloc(j->relay->shm, MIN(j->row.bytes, (uint64_t)PIECE_BYTES))))
		return ERR_AGAIN;
	if (from < j->block_from || from >= j->block_from + j->block_len) {
		struct arena a;
		struct store_queue_body_in in = { .id = j->row.id, .from = from };
		struct store_queue_body_out out;
		in.into.off = shm_offset(j->relay->shm, j->block);
		in.into.len = MIN(j->row.bytes - from, (uint64_t)PIECE_BYTES);
		arena_init(&a, 0);
		enum err e = await_store_queue_body(&j->relay->store, &in, &a, &out);
		arena_release(&a);
		if (e)
			return e;
		if (out.filled == 0 || out.filled > in.into.len)
			return ERR_DAMAGED;
		j->block_from = from;
		j->block_len = out.filled;
	}
	*piece = slice_of(j->block + (from - j->block_from), j->block_len - (size_t)(from - j->block_from));
	return OK;
}

static void
all_waiting(struct job *j, const struct remote_reply *why, const char *mta)
{
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		struct store_recipient *to = &j->row.recipients[i];
		if (to->state != RECIPIENT_WAITING)
			continue;
		to->state = reply_permanent(why) ? RECIPIENT_FAILED : RECIPIENT_WAITING;
		to->reply = arena_printf(&j->arena, "%u %s %s", why->code, why->status, why->text);
		to->status = slice_keep(&j->arena, slice_text(why->status[0]         ? why->status
		                                              : reply_permanent(why) ? "5.0.0"
		                                                                     : "4.0.0"));
		to->mta = slice_keep(&j->arena, slice_text(mta));
	}
}

static uint32_t
count_state(const struct job *j, uint32_t state)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < j->row.nrecipients; i++)
		n += j->row.recipients[i].state == state;
	return n;
}

static void
log_try(const struct job *j, const struct remote *remote, int64_t began_ms)
{
	struct log l;
	log_begin(&l, LOG_INFO, "relay.try");
	log_slice(&l, "id", j->row.envelope.session);
	log_u64(&l, "row", j->row.id);
	log_slice(&l, "domain", j->row.domain);
	log_slice(&l, "from", j->row.envelope.reverse_path);
	log_u64(&l, "try", j->row.tries);
	log_text(&l, "to", remote->host[0] ? remote->address : "none");
	log_text(&l, "tls", remote->secure ? "yes" : "no");
	log_text(&l, "policy", remote->policy.words ? remote->policy.words : "none");
	log_u64(&l, "delivered", count_state(j, RECIPIENT_DONE));
	log_u64(&l, "failed", count_state(j, RECIPIENT_FAILED));
	log_u64(&l, "waiting", count_state(j, RECIPIENT_WAITING));
	if (j->row.nrecipients > 0)
		log_slice(&l, "reply", j->row.recipients[0].reply);
	log_i64(&l, "ms", clock_mono_ms() - began_ms);
	log_end(&l);
}

/* As it is, or as the server can take it (RFC 6152 3, RFC 3030 3). */
static void
await_send(struct job *j, struct remote *remote)
{
	struct conversion c;
	struct remote_reply why;
	enum remote_takes takes = remote_takes(remote, &j->row);
	if (takes == REMOTE_TAKES_IT || !j->relay->conf->v.relay_convert) {
		await_remote_send(remote, &j->row, &j->arena, await_job_piece, j);
	} else if (await_conversion_begin(&c, j, takes == REMOTE_TAKES_8BIT, &why)) {
		await_remote_send(remote, &c.row, &j->arena, await_converted_piece, &c);
		conversion_end(&c);
	} else {
		all_waiting(j, &why, remote->host);
	}
}

/* Sends one job over the worker's connection, a new one when there is none or the old one turns out to be closed. */
void
await_try(struct relay *r, struct job *j, struct route *route, struct remote *remote)
{
	int64_t began = clock_mono_ms();
	struct remote_reply why;
	j->row.tries++;
	j->tried = true;
	remote->end_ms = deadline_in_ms(TRY_MS_MAX);
	if (remote->usable && !await_remote_serves(r, remote, j))
		await_remote_quit(remote);
	for (int round = 0; round < 2; round++) {
		bool used_before = remote->usable && remote->messages > 0;
		if (!remote->usable) {
			if (j->row.reroute.len)
				route_by_hand(j->row.reroute, route);
			else if (round == 0 || route->nhosts == 0)
				await_route_of(r, j->row.domain, route);
			why = route->reply;
			if (route->nhosts == 0 || !await_open(r, j, route, remote, &why)) {
				all_waiting(j, &why, remote->host);
				break;
			}
		}
		remote->more = false;
		await_send(j, remote);
		j->more = remote->more;
		j->remote_dsn = remote->dsn;
		j->remote_by = remote->deliverby;
		if (remote->usable)
			break;
		stream_release(&remote->io);
		/* A kept connection may have been closed while it was idle: that says nothing about this message. A lost one
		 * after the message went out could mean that it was accepted: then it is not tried again at once. */
		if (!(used_before && !remote->data_sent) && !(remote->chunk_refused && round == 0))
			break;
		if (count_state(j, RECIPIENT_WAITING) == 0)
			break;
	}
	log_try(j, remote, began);
}
