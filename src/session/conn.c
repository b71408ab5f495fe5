/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - one client connection: from accept to its last log line, whatever its protocol.
 *
 * Called by accept.c (conn_start), by the protocols (conn_account, conn_wake, await_conn_starttls) and by session.c
 * (notices, the end). A connection is either parked (no task; its watch waits for input, its timer for silence) or
 * worked on by exactly one task, which alone may free it. While a task runs, the watch serves the stream's waits; input
 * that comes when nobody waits for it mutes the watch until the task parks, and is found again then because watches are
 * level-triggered. What can fail: memory for a stack (the connection is closed), everything the stream can. */
#include "session/session.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"
#include "base/slab.h"

#include <errno.h>
#include <sys/socket.h>

enum {
	HANDSHAKE_MS = 30000, /* a client that takes longer for a TLS handshake is gone */
	GOODBYE_MS = 2000,    /* for the last words to a client that is silent, slow or in the way */
	FLUSH_MS = 30000,     /* for a slow reader to take the last replies */
	LINGER_MS = 1000,     /* for the client to stop talking once we close */
	LINGER_BYTES_MAX = 1024 * 1024,
};

#define CONN_BYTES ((sizeof(struct conn) + 15) & ~(size_t)15) /* its protocol's state stands behind it */

struct peer_count {
	uint64_t key;
	size_t connections;
};

struct account_conns {
	uint64_t account;
	struct link conns, ears; /* those that are logged in, and those of others that hear of it */
};

/* ---- limits */

/* The bytes of an address that are counted: all of IPv4, the /64 of IPv6 (one customer has at least that). */
static void
peer_key(const struct conn_from *from, uint8_t key[16])
{
	static const uint8_t v4[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	memcpy(key, from->address, 16);
	if (memcmp(key, v4, sizeof v4) != 0)
		memset(key + 8, 0, 8);
}

static bool
is_trusted(const struct session *s, const struct conn_from *from)
{
	return from->local || conf_trusts(s->conf, from->address);
}

enum err
conn_admit(const struct session *s, const struct conn_from *from, const char **why)
{
	if (s->stopping) {
		*why = "stopping";
		return ERR_LIMIT;
	}
	if (s->open >= s->conf->v.connections_max) {
		*why = "connections-max";
		return ERR_LIMIT;
	}
	if (is_trusted(s, from))
		return OK;
	uint8_t key[16];
	peer_key(from, key);
	const struct peer_count *n = map_get(&s->by_peer, slice_hash(slice_of(key, sizeof key)));
	if (n && n->connections >= s->conf->v.connections_per_address) {
		*why = "connections-per-address";
		return ERR_LIMIT;
	}
	return OK;
}

static void
count_peer(struct conn *c)
{
	if (c->trusted)
		return;
	uint64_t key = slice_hash(slice_of(c->peer_key, sizeof c->peer_key));
	struct peer_count *n = map_get(&c->session->by_peer, key);
	if (!n) {
		n = slab_calloc(sizeof *n);
		n->key = key;
		map_set(&c->session->by_peer, key, n);
	}
	n->connections++;
	c->counted = n;
}

static void
uncount_peer(struct conn *c)
{
	struct peer_count *n = c->counted;
	if (!n)
		return;
	c->counted = NULL;
	ASSERT(n->connections > 0);
	if (--n->connections > 0)
		return;
	map_remove(&c->session->by_peer, n->key);
	slab_free(n, sizeof *n);
}

/* ---- waiting */

static enum err
conn_watch(struct conn *c, uint32_t events)
{
	if (!c->watch.active)
		return watch_add(&c->watch, events);
	if (c->watch.events != events)
		watch_change(&c->watch, events);
	return OK;
}

/* stream.h: how c->io waits. What was put is sent first: a client that waits for a reply sends nothing. */
static enum err
await_conn_ready(struct stream *io, uint32_t events)
{
	struct conn *c = CONTAINER_OF(io, struct conn, io);
	ASSERT(c->task == task_self());
	if ((events & LOOP_READ) && stream_has_output(io))
		stream_try_flush(io);
	enum err e = conn_watch(c, events);
	if (e != OK)
		return e;
	c->awaited = events;
	e = await_park(io->deadline_ms);
	c->awaited = 0;
	return e;
}

/* ---- the end */

static const char *
reason_of(const struct conn *c)
{
	if (c->session->stopping)
		return "stopping";
	if (c->revoked)
		return "revoked";
	if (c->reason)
		return c->reason;
	return c->io.error == ERR_CLOSED ? "client closed" : c->io.error ? err_text(c->io.error) : "done";
}

static void
log_conn(const struct conn *c, enum log_level level, const char *event, const char *reason)
{
	struct log l;
	log_begin(&l, level, event);
	log_text(&l, "session", c->id);
	log_text(&l, "peer", c->peer);
	if (c->peer_port)
		log_u64(&l, "port", c->peer_port);
	log_text(&l, "listener", c->listener->name);
	if (reason) {
		log_text(&l, "why", reason);
		log_u64(&l, "in", c->io.bytes_in);
		log_u64(&l, "out", c->io.bytes_out);
		log_i64(&l, "ms", clock_mono_ms() - c->opened_ms);
	}
	log_end(&l);
}

static void
conn_close(struct conn *c)
{
	struct session *s = c->session;
	log_conn(c, LOG_INFO, "session.close", reason_of(c));
	conn_account(c, 0);
	if (c->protocol->release)
		c->protocol->release(c);
	watch_remove(&c->watch);
	timer_cancel(&c->timer);
	later_cancel(&c->wake);
	stream_release(&c->io);
	arena_release(&c->arena);
	uncount_peer(c);
	list_remove(&c->in_session);
	listening_free(&c->listening);
	struct conf *conf = (struct conf *)c->conf;
	conf_free(&conf);
	slab_free(c, CONN_BYTES + c->protocol->state_bytes);
	s->open--;
	counter_add(COUNTER_CONNECTIONS_OPEN, -1);
	if (s->open == 0)
		gate_open(&s->emptied, OK);
}

/* Closing while bytes of the client wait unread makes the kernel send a reset, which may overtake our last words. So
 * those bytes are read first, for a while. */
static void
await_linger(struct conn *c)
{
	char drop[4096];
	size_t bytes = 0;
	if (c->io.error || recv(c->io.fd, drop, sizeof drop, MSG_DONTWAIT) <= 0)
		return;
	if (!c->io.tls)
		shutdown(c->io.fd, SHUT_WR);
	c->io.deadline_ms = deadline_in_ms(LINGER_MS);
	while (bytes < LINGER_BYTES_MAX) {
		ssize_t n = recv(c->io.fd, drop, sizeof drop, MSG_DONTWAIT);
		bytes += n > 0 ? (size_t)n : 0;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		if (n < 0 && await_conn_ready(&c->io, LOOP_READ) != OK)
			return;
	}
}

/* Everybody is told why it ends, as far as the protocol has words for it and the stream still takes them. */
static void
await_conn_end(struct conn *c, bool asked)
{
	bool told_to_end = !asked && (c->session->stopping || c->revoked);
	if (c->io.error == ERR_TIMEOUT)
		c->timed_out = true;
	if ((c->timed_out || told_to_end) && c->greeted && (c->io.error == OK || c->io.error == ERR_TIMEOUT)) {
		c->io.error = OK; /* time passed: the stream itself is whole (RFC 5321 4.5.3.2: say 421) */
		c->io.deadline_ms = deadline_in_ms(GOODBYE_MS);
		c->reason = c->timed_out ? "idle" : NULL;
		if (c->protocol->await_goodbye)
			c->protocol->await_goodbye(c, told_to_end);
		await_flush(&c->io);
	} else if (c->io.error == ERR_CLOSED && stream_has_output(&c->io)) {
		c->io.error = OK; /* it sends no more, and may still listen to what it asked for */
		stream_try_flush(&c->io);
		stream_fail(&c->io, ERR_CLOSED);
	} else if (c->io.error == OK && stream_has_output(&c->io)) {
		c->io.deadline_ms = deadline_in_ms(FLUSH_MS);
		await_flush(&c->io);
	}
	await_linger(c);
	conn_close(c);
}

/* ---- parking */

static void
conn_park(struct conn *c)
{
	stream_rest(&c->io);
	c->task = NULL;
	if (conn_watch(c, LOOP_READ) != OK) {
		c->reason = "no more descriptors can be watched";
		conn_close(c);
		return;
	}
	timer_set(&c->timer, deadline_in_ms(c->idle_ms));
	if (!c->changes)
		return;
	c->changes = false;
	if (c->protocol->changed)
		c->protocol->changed(c, c->changed_account, c->changed_mailbox, c->changed_modseq);
}

/* ---- the task */

static bool
must_end(const struct conn *c)
{
	return c->closing || c->revoked || c->timed_out || c->session->stopping || c->io.error != OK;
}

static enum next
await_greet(struct conn *c)
{
	if (c->listener->implicit_tls && await_conn_starttls(c) != OK)
		return NEXT_CLOSE;
	c->greeted = true;
	c->io.deadline_ms = deadline_in_ms(c->idle_ms);
	if (c->protocol->client_first || !c->protocol->await_start)
		return NEXT_COMMAND;
	return c->protocol->await_start(c);
}

/* Commands as long as there is something to do; replies to pipelined ones leave together. */
static enum next
await_work(struct conn *c)
{
	enum next next = c->greeted ? NEXT_COMMAND : await_greet(c);
	while (next == NEXT_COMMAND && !must_end(c)) {
		c->io.deadline_ms = deadline_in_ms(c->idle_ms);
		if (c->woken) {
			c->woken = false;
			next = c->protocol->await_woken ? c->protocol->await_woken(c) : NEXT_COMMAND;
		} else if (c->readable || stream_has_input(&c->io)) {
			c->readable = false;
			next = stream_try_fill(&c->io) ? c->protocol->await_command(c) : NEXT_COMMAND;
		} else if (stream_has_output(&c->io)) {
			await_flush(&c->io);
		} else {
			return NEXT_COMMAND;
		}
	}
	return NEXT_CLOSE;
}

static void
conn_task(void *arg)
{
	struct conn *c = arg;
	c->task = task_self();
	bool asked = true;
	enum next next = await_work(c);
	if (must_end(c))
		asked = false;
	if (next == NEXT_COMMAND && !must_end(c))
		conn_park(c);
	else
		await_conn_end(c, asked);
}

/* c may be gone afterwards. */
static void
conn_begin(struct conn *c)
{
	ASSERT(!c->task);
	if (task_start(conn_task, c))
		return;
	c->reason = "no task can be had";
	log_event(LOG_ERROR, "session.no_task", "session", c->id);
	conn_close(c);
}

static void
conn_ready(struct watch *w, uint32_t events)
{
	struct conn *c = CONTAINER_OF(w, struct conn, watch);
	if (c->awaited) {
		if (events & (c->awaited | LOOP_HANGUP)) {
			c->awaited = 0;
			task_wake(c->task, OK);
		}
	} else if (c->task) { /* nobody waits for it now: be quiet until somebody does */
		watch_change(w, 0);
	} else {
		c->readable = true;
		conn_begin(c);
	}
}

static void
conn_silent(struct timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);
	if (c->task) /* its own deadlines hold; the timer is set again when it parks */
		return;
	c->timed_out = true;
	conn_begin(c);
}

static void
conn_woken(struct later *l)
{
	struct conn *c = CONTAINER_OF(l, struct conn, wake);
	if (!c->task)
		conn_begin(c);
}

void
conn_wake(struct conn *c)
{
	c->woken = true;
	if (!c->task)
		loop_later(&c->wake);
}

/* ---- the beginning */

static bool
starts_secure(const struct conn *c, const struct conn_from *from)
{
	const char *allowed = c->conf->v.login_without_tls;
	if (slice_equal(slice_text(allowed), S("yes")))
		return true;
	return slice_equal(slice_text(allowed), S("loopback")) && (from->loopback || from->local);
}

void
conn_start(struct session *s, int fd, struct listening *l, const struct protocol *p, const struct conn_from *from)
{
	struct conn *c = slab_calloc(CONN_BYTES + p->state_bytes);
	c->session = s;
	c->conf = conf_keep((struct conf *)s->conf);
	c->protocol = p;
	c->listening = listening_keep(l);
	c->listener = &l->l;
	c->state = (char *)c + CONN_BYTES;
	arena_init(&c->arena, 0);
	stream_init(&c->io, fd);
	c->io.await_ready = await_conn_ready;
	char random[9];
	random_text(random, 8);
	snprintf(c->id, sizeof c->id, "%.10s-%s", p->name, random);
	snprintf(c->peer, sizeof c->peer, "%s", from->text);
	c->peer_port = from->port;
	c->loopback = from->loopback;
	c->trusted = is_trusted(s, from);
	c->unix_uid = from->local ? from->uid : UINT32_MAX;
	c->secure = starts_secure(c, from);
	peer_key(from, c->peer_key);
	c->idle_ms = c->conf->v.login_timeout;
	c->opened_ms = clock_mono_ms();
	c->watch.fd = fd;
	c->watch.ready = conn_ready;
	c->timer.fire = conn_silent;
	c->wake.fn = conn_woken;
	list_append(&s->conns, &c->in_session);
	count_peer(c);
	s->open++;
	counter_add(COUNTER_CONNECTIONS_ACCEPTED, 1);
	counter_add(COUNTER_CONNECTIONS_OPEN, 1);
	log_conn(c, LOG_DEBUG, "session.open", NULL);
	if (p->client_first && !l->l.implicit_tls) {
		c->greeted = true;
		conn_park(c);
	} else {
		conn_begin(c);
	}
}

/* ---- TLS */

bool
conn_can_starttls(const struct conn *c)
{
	return c->session->tls && !c->io.tls && !c->listener->implicit_tls;
}

enum err
await_conn_starttls(struct conn *c)
{
	if (!c->session->tls)
		return stream_fail(&c->io, ERR_TLS);
	struct tls_context *tls = tls_context_keep(c->session->tls);
	c->io.deadline_ms = deadline_in_ms(MIN(HANDSHAKE_MS, c->idle_ms));
	enum err e = await_flush(&c->io);
	if (e == OK) {
		stream_drop_input(&c->io); /* RFC 3207 4.2: what came in the clear is not obeyed */
		e = await_tls_accept(&c->io, tls);
	}
	tls_context_free(&tls);
	if (e == OK) {
		c->secure = true;
		return OK;
	}
	c->reason = e == ERR_CLOSED ? "client closed in the TLS handshake" : "TLS handshake failed";
	struct log l;
	log_begin(&l, LOG_INFO, "tls.failed");
	log_text(&l, "session", c->id);
	log_text(&l, "peer", c->peer);
	log_text(&l, "why", e == ERR_TLS ? tls_error(&c->io) : err_text(e));
	log_end(&l);
	return e;
}

bool
conn_line_is_endless(struct conn *c)
{
	if (c->io.error != ERR_LINE_TOO_LONG)
		return false;
	c->io.error = OK;
	c->reason = "a line without end";
	c->closing = true;
	return true;
}

/* ---- accounts and their notices */

static struct account_conns *
account_conns_of(struct session *s, uint64_t account)
{
	struct account_conns *a = map_get(&s->by_account, account);
	if (!a) {
		a = slab_calloc(sizeof *a);
		a->account = account;
		list_init(&a->conns);
		list_init(&a->ears);
		map_set(&s->by_account, account, a);
	}
	return a;
}

/* Takes a link out of a list of this account, which is forgotten with its last one. */
static void
account_leave(struct session *s, uint64_t account, struct link *l)
{
	struct account_conns *a = account ? map_get(&s->by_account, account) : NULL;
	list_remove(l);
	if (a && list_empty(&a->conns) && list_empty(&a->ears)) {
		map_remove(&s->by_account, account);
		slab_free(a, sizeof *a);
	}
}

void
conn_account(struct conn *c, uint64_t account)
{
	account_leave(c->session, c->account, &c->in_account);
	c->account = account;
	if (account)
		list_append(&account_conns_of(c->session, account)->conns, &c->in_account);
}

void
conn_hear(struct conn *c, struct conn_ear *ear, uint64_t account)
{
	if (ear->account == account)
		return;
	account_leave(c->session, ear->account, &ear->in_account);
	ear->conn = c;
	ear->account = account;
	if (account)
		list_append(&account_conns_of(c->session, account)->ears, &ear->in_account);
}

static void
conn_changed(struct conn *c, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	if (!c->task) {
		if (c->protocol->changed)
			c->protocol->changed(c, account, mailbox, modseq);
		return;
	}
	bool other_account = c->changes && c->changed_account != account;
	bool other = other_account || (c->changes && c->changed_mailbox != mailbox);
	c->changed_account = other_account ? 0 : account;
	c->changed_mailbox = other ? 0 : mailbox;
	c->changed_modseq = MAX(c->changed_modseq, modseq);
	c->changes = true;
}

void
session_changed(struct session *s, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct account_conns *a = map_get(&s->by_account, account);
	if (!a)
		return;
	LIST_EACH (&a->conns, it)
		conn_changed(CONTAINER_OF(it, struct conn, in_account), account, mailbox, modseq);
	LIST_EACH (&a->ears, it)
		conn_changed(CONTAINER_OF(it, struct conn_ear, in_account)->conn, account, mailbox, modseq);
}

void
session_changed_all(struct session *s)
{
	uint64_t account;
	void *conns;
	for (size_t i = 0; map_each(&s->by_account, &i, &account, &conns);)
		session_changed(s, account, 0, UINT64_MAX);
}

/* Ends the connections of a list that is only marked here: conn_begin may free any of them. */
static void
end_marked(struct session *s)
{
	LIST_EACH (&s->conns, it) {
		struct conn *c = CONTAINER_OF(it, struct conn, in_session);
		if (!c->task && must_end(c))
			loop_later(&c->wake);
	}
}

void
session_revoked(struct session *s, uint64_t account)
{
	struct account_conns *a = map_get(&s->by_account, account);
	if (!a)
		return;
	LIST_EACH (&a->conns, it) {
		struct conn *c = CONTAINER_OF(it, struct conn, in_account);
		c->revoked = true;
		if (!c->task)
			loop_later(&c->wake);
	}
	/* those who have a mailbox of it open find out what that means for them */
	LIST_EACH (&a->ears, it)
		conn_changed(CONTAINER_OF(it, struct conn_ear, in_account)->conn, account, 0, UINT64_MAX);
}

void
await_conns_end(struct session *s, int64_t grace_ms)
{
	s->stopping = true;
	end_marked(s);
	int64_t end = deadline_in_ms(grace_ms);
	while (s->open > 0 && await_gate(&s->emptied, end) == OK)
		;
	LIST_EACH (&s->conns, it) {
		struct conn *c = CONTAINER_OF(it, struct conn, in_session);
		c->closing = true;
		if (c->task)
			task_cancel(c->task);
	}
	end = deadline_in_ms(GOODBYE_MS);
	while (s->open > 0 && await_gate(&s->emptied, end) == OK)
		;
}
