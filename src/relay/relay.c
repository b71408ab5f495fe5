/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - the relay role: takes due rows of the queue, hands them to remote servers, settles them.
 *
 * The pump claims rows under a lease and site.c sorts them by site. A site has workers, as many as its pace allows; a
 * worker is a task with one connection, which sends row after row and ends when its site has none left. What came of a
 * row goes to the settler, which makes many of them durable in one commit, together with the notices that
 * they cause. When this process dies, the store ends its leases and the rows are due again: only a message whose
 * acceptance was not yet settled can go out twice. */
#include "relay/site.h"

#include "relay/tls_report.h"
#include "relay/transport.h"
#include "relay/verify.h"
#include "resolver_msg.h"
#include "role/role.h"
#include "scan_msg.h"

#include <unistd.h>

void
job_free(struct job *j)
{
	if (j->block)
		shm_free(j->relay->shm, j->block);
	for (size_t i = 0; i < j->nnotices; i++)
		shm_free(j->relay->shm, j->notice_blocks[i]);
	arena_release(&j->arena);
	j->domain->njobs--;
	map_remove(&j->relay->held, j->row.id);
	j->relay->jobs--;
	free(j);
}

/* ---- the pump */

/* The row outlives the answer that brought it: everything is copied into the job's arena. */
static struct job *
job_new(struct relay *r, const struct store_queue_row *row)
{
	ASSERT(r->jobs < JOBS_MAX); /* what lease.c has room for */
	struct job *j = must_calloc(1, sizeof *j);
	j->relay = r;
	arena_init(&j->arena, 0);
	j->row = *row;
	j->row.domain = slice_keep(&j->arena, row->domain);
	j->row.envelope.reverse_path = slice_keep(&j->arena, row->envelope.reverse_path);
	j->row.envelope.envid = slice_keep(&j->arena, row->envelope.envid);
	j->row.envelope.session = slice_keep(&j->arena, row->envelope.session);
	j->row.envelope.language = slice_keep(&j->arena, row->envelope.language);
	j->row.reroute = slice_keep(&j->arena, row->reroute);
	j->row.verp = slice_keep(&j->arena, row->verp);
	j->row.unsubscribe = slice_keep(&j->arena, row->unsubscribe);
	j->row.hold_reason = SLICE_NONE;
	j->row.attempts = NULL;
	j->row.nattempts = 0;
	j->row.recipients = ARENA_ARRAY(&j->arena, struct store_recipient, row->nrecipients + 1);
	for (uint32_t i = 0; i < row->nrecipients; i++) {
		struct store_recipient *to = &j->row.recipients[i];
		*to = row->recipients[i];
		to->address = slice_keep(&j->arena, to->address);
		to->orcpt = slice_keep(&j->arena, to->orcpt);
		to->reply = slice_keep(&j->arena, to->reply);
		to->status = slice_keep(&j->arena, to->status);
		to->mta = slice_keep(&j->arena, to->mta);
	}
	r->jobs++;
	map_set(&r->held, row->id, j);
	return j;
}

static void
wake_at(struct relay *r, int64_t wall_sec)
{
	int64_t wait = wall_sec ? MAX((wall_sec - clock_wall_sec()) * 1000, (int64_t)0) : 60000;
	timer_set(&r->wake,
	          deadline_in_ms(MIN(wait, (int64_t)60000))); /* the wall clock may be moved: look once a minute */
}

/* Claims once; false: there is nothing more to claim now. */
static bool
await_claim(struct relay *r)
{
	struct arena a;
	struct store_queue_claim_in in = {
		.now = relay_now(r), .max = CLAIM_ROWS, .lease_sec = LEASE_SEC, .horizon = relay_horizon(r)
	};
	struct store_queue_claim_out out;
	arena_init(&a, 0);
	enum err e = await_store_queue_claim(&r->store, &in, &a, &out);
	for (uint32_t i = 0; e == OK && i < out.nrows; i++) {
		if (lease_taken_over(r, &out.rows[i]))
			continue;
		site_take(r, job_new(r, &out.rows[i]));
	}
	bool more = e == OK && out.nrows == CLAIM_ROWS;
	if (!more && !r->stopping)
		wake_at(r, e == OK ? out.next : clock_wall_sec() + 1);
	arena_release(&a);
	return more;
}

static void
pump_task(void *arg)
{
	struct relay *r = arg;
	do {
		r->pump_again = false;
		while (!r->stopping && r->jobs + CLAIM_ROWS <= JOBS_MAX && await_claim(r))
			;
	} while (r->pump_again && !r->stopping && r->jobs + CLAIM_ROWS <= JOBS_MAX);
	if (r->stopping)
		await_give_back_all(r);
	r->pumping = false;
	gate_open(&r->idle, OK);
}

void
pump(struct relay *r)
{
	r->pump_again = true;
	if (r->pumping || r->stopping)
		return;
	r->pumping = true;
	if (!task_start(pump_task, r)) {
		r->pumping = false;
		timer_set(&r->wake, deadline_in_ms(1000));
	}
}

static void
wake_fired(struct timer *t)
{
	pump(CONTAINER_OF(t, struct relay, wake));
}

/* ---- the role */

static void
on_queue_ready(struct ipc_client *c, const struct store_queue_ready_in *in)
{
	struct relay *r = c->owner;
	if (r->stopping)
		return;
	if (in->due <= clock_wall_sec())
		pump(r);
	else if (!r->wake.slot || r->wake.due_ms > deadline_in_ms((in->due - clock_wall_sec()) * 1000))
		wake_at(r, in->due);
}

static void
on_connected(struct ipc_client *c)
{
	struct relay *r = c->owner;
	if (!r->tls || r->stopping) /* before go there is nothing to do */
		return;
	renew_soon(r); /* a store that was started again does not know who holds what */
	pump(r);
}

static void
give_back_task(void *arg)
{
	struct relay *r = arg;
	await_give_back_all(r);
	if (!r->stopping)
		pump(r);
}

static void
backups_task(void *arg)
{
	await_backups(arg);
}

static void
pace_reset_task(void *arg)
{
	await_pace_resets(arg);
}

/* Something was paused, or goes on: what did not begin is claimed anew, and the store gives what may go. */
static void
on_memo_changed(struct ipc_client *c, const struct store_memo_changed_in *in)
{
	struct relay *r = c->owner;
	if (slice_equal(in->kind, S("pause")) && r->tls && !r->stopping && !task_start(give_back_task, r))
		pump(r); /* no stack: what is under way goes on, what follows obeys */
	if (slice_equal(in->kind, S("pace-reset")) && r->tls && !r->stopping && !task_start(pace_reset_task, r))
		go_on(r); /* with the next one, or at the next start */
	if (slice_equal(in->kind, S("relay-domain")) && r->tls && !r->stopping && !task_start(backups_task, r))
		r->backups = true; /* whoever asks finds out */
	if (slice_equal(in->kind, S("verify")) && r->tls)
		verify_soon(r);
}

static const struct store_listener store_heard = { .queue_ready = on_queue_ready,
	                                               .memo_changed = on_memo_changed,
	                                               .connected = on_connected };

static void
relay_prepare(struct relay *r)
{
	if (r->shm)
		return;
	r->shm = shm_pool_new(SHM_BYTES);
	r->transport = transport_new(r);
	r->reports = tls_reports_new(r);
	ASSERT(r->shm != NULL);
	ipc_client_init(&r->store, &store_protocol, &store_heard, r);
	ipc_client_init(&r->resolver, &resolver_protocol, NULL, r);
	for (size_t i = 0; i < COUNT_OF(r->scan); i++)
		ipc_client_init(&r->scan[i], &scan_protocol, NULL, r);
	gate_init(&r->converted);
	r->store.shm = r->shm;
	sites_init(r);
	list_init(&r->finished);
	list_init(&r->asked_sockets);
	gate_init(&r->idle);
	r->wake.fire = wake_fired;
}

static enum err
relay_configure(void *self, const struct conf *conf, const char **why)
{
	struct relay *r = self;
	(void)why;
	relay_prepare(r);
	struct conf *old = r->conf;
	r->configured++;
	r->conf = conf_keep((struct conf *)conf); /* counted, else unchanged */
	if (old)
		conf_free(&old);
	return OK;
}

static void
relay_peer(void *self, enum role_id role, uint32_t index, int fd)
{
	struct relay *r = self;
	if (role == ROLE_SCAN && index >= COUNT_OF(r->scan)) {
		close(fd);
	} else if (role == ROLE_SCAN) {
		r->nscan = MAX(r->nscan, (size_t)index + 1);
		ipc_client_connect(&r->scan[index], fd);
	} else {
		ipc_client_connect(role == ROLE_STORE ? &r->store : &r->resolver, fd);
	}
}

static enum err
relay_await_go(void *self, const char **why)
{
	struct relay *r = self;
	r->tls = tls_client_context(NULL);
	if (!r->tls) {
		*why = "OpenSSL cannot make a client context";
		return ERR_TLS;
	}
	renew_soon(r);
	pump(r);
	tls_reports_go(r->reports);
	await_pace_resets(r);
	await_backups(r);
	return OK;
}

/* What did not begin is given back; what is under way may end by itself for a moment, then the store ends its leases
 * with our connection. */
static void
relay_await_stop(void *self, int64_t grace_ms)
{
	struct relay *r = self;
	r->stopping = true;
	timer_cancel(&r->wake);
	timer_cancel(&r->renew);
	timer_cancel(&r->sweep);
	memo_fired(&r->memo_timer);
	tls_reports_stop(r->reports);
	int64_t deadline = deadline_in_ms(grace_ms);
	await_give_back_all(r);
	while ((r->connections > 0 || r->learners > 0 || r->settling || r->pumping || r->renewing || r->putting_down ||
	        r->verifying || tls_reports_busy(r->reports)) &&
	       await_gate(&r->idle, deadline) == OK)
		;
}

void
relay_release(struct relay *r)
{
	struct link *l;
	while ((l = list_first(&r->finished))) {
		list_remove(l);
		job_free(CONTAINER_OF(l, struct job, link));
	}
	ASSERT(r->connections == 0 && r->jobs == 0);
	timer_cancel(&r->wake);
	timer_cancel(&r->renew);
	ipc_client_release(&r->store);
	ipc_client_release(&r->resolver);
	for (size_t i = 0; i < COUNT_OF(r->scan); i++)
		ipc_client_release(&r->scan[i]);
	sites_release(r);
	map_release(&r->held);
	families_release(&r->families);
	shm_pool_free(&r->shm);
	tls_context_free(&r->tls);
	tls_reports_free(&r->reports);
	transport_free(&r->transport);
	if (r->conf)
		conf_free(&r->conf);
}

const struct role role_relay = {
	.name = "relay",
	.id = ROLE_RELAY,
	.class_bit = IPC_CLASS_RELAY,
	.may = MAY_CONNECT,
	.asks = 1u << ROLE_STORE | 1u << ROLE_RESOLVER | 1u << ROLE_SCAN,
	.state_bytes = sizeof(struct relay),
	.configure = relay_configure,
	.handle = relay_handle,
	.peer = relay_peer,
	.before_box = transport_before_box,
	.await_go = relay_await_go,
	.await_stop = relay_await_stop,
};
