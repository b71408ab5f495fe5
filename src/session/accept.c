/* SPDX-License-Identifier: Apache-2.0 */
/* accept.c - takes connections from the listening sockets and gives each to its protocol.
 *
 * Called by session.c. The sockets are shared by all processes of a class; the kernel wakes one of them
 * (EPOLLEXCLUSIVE), which takes a bounded batch. A connection past a limit hears the protocol's own words for that and
 * is closed. When no descriptor is left, accepting rests for ACCEPT_REST_MS. */
#include "session/inside.h"

#include "base/counter.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 4, ACCEPT_REST_MS = 100, REFUSALS_LOGGED_MS = 1000 };

struct acceptor {
	struct session *session;
	struct watch watch;
	struct timer rest;
	struct link link;
	struct listening *listening;
	int64_t refusal_logged_ms;
	uint64_t refusals; /* since then */
};

/* What each kind of listener speaks, and what it says to a connection that is one too many. */
static const struct {
	const struct protocol *protocol;
	struct slice refusal;
} kinds[LISTEN_KINDS] = {
	[LISTEN_SMTP] = { &smtp_protocol, S_ROW("421 4.7.0 too many connections, try again later\r\n") },
	[LISTEN_LMTP] = { &lmtp_protocol, S_ROW("421 4.3.2 too many connections, try again later\r\n") },
	[LISTEN_SUBMISSION] = { &submission_protocol, S_ROW("421 4.7.0 too many connections, try again later\r\n") },
	[LISTEN_SUBMISSIONS] = { &submission_protocol, S_ROW("421 4.7.0 too many connections, try again later\r\n") },
	[LISTEN_IMAP] = { &imap_protocol, S_ROW("* BYE [UNAVAILABLE] too many connections, try again later\r\n") },
	[LISTEN_IMAPS] = { &imap_protocol, S_ROW("* BYE [UNAVAILABLE] too many connections, try again later\r\n") },
	[LISTEN_POP3] = { &pop3_protocol, S_ROW("-ERR [SYS/TEMP] too many connections, try again later\r\n") },
	[LISTEN_POP3S] = { &pop3_protocol, S_ROW("-ERR [SYS/TEMP] too many connections, try again later\r\n") },
	[LISTEN_ADMIN] = { &http_protocol, S_ROW("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") },
	[LISTEN_HTTPS] = { &http_protocol, S_ROW("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") },
	[LISTEN_HTTP] = { &http_protocol, S_ROW("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") },
};

/* ---- who is there */

static void
from_v4(const struct in_addr *a, struct conn_from *from)
{
	from->address[10] = from->address[11] = 0xff;
	memcpy(from->address + 12, a, 4);
	from->loopback = from->address[12] == 127;
	inet_ntop(AF_INET, a, from->text, sizeof from->text);
}

static void
from_v6(const struct in6_addr *a, struct conn_from *from)
{
	if (IN6_IS_ADDR_V4MAPPED(a)) {
		struct in_addr v4;
		memcpy(&v4, a->s6_addr + 12, 4);
		from_v4(&v4, from);
		return;
	}
	memcpy(from->address, a, 16);
	from->loopback = IN6_IS_ADDR_LOOPBACK(a);
	inet_ntop(AF_INET6, a, from->text, sizeof from->text);
}

static void
from_unix(int fd, struct conn_from *from)
{
	struct ucred who;
	socklen_t len = sizeof who;
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0;
	from->uid = known ? who.uid : UINT32_MAX;
	from->local = from->loopback = true;
	snprintf(from->text, sizeof from->text, "local");
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static void
from_address(int fd, const union address *a, struct conn_from *from)
{
	*from = (struct conn_from){ .uid = UINT32_MAX };
	switch (a->any.sa_family) {
	case AF_INET:
		from_v4(&a->v4.sin_addr, from);
		from->port = ntohs(a->v4.sin_port);
		break;
	case AF_INET6:
		from_v6(&a->v6.sin6_addr, from);
		from->port = ntohs(a->v6.sin6_port);
		break;
	default: from_unix(fd, from);
	}
}

/* ---- taking connections */

/* One line a second at most: a flood must not become a flood of lines. */
static void
log_refusal(struct acceptor *a, const char *peer, const char *why)
{
	a->refusals++;
	int64_t now = clock_mono_ms();
	if (a->refusal_logged_ms && now - a->refusal_logged_ms < REFUSALS_LOGGED_MS)
		return;
	a->refusal_logged_ms = now;
	struct log l;
	log_begin(&l, LOG_WARN, "session.refused");
	log_text(&l, "peer", peer);
	log_text(&l, "listener", a->listening->name);
	log_text(&l, "why", why);
	log_u64(&l, "connections", a->refusals);
	log_end(&l);
	a->refusals = 0;
}

static void
refuse(struct acceptor *a, int fd, const struct conn_from *from, const char *why, bool tell)
{
	struct slice words = kinds[a->listening->l.kind].refusal;
	if (tell && !a->listening->l.implicit_tls) {
		ssize_t n = send(fd, words.at, words.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)n; /* who cannot take a line at once goes without */
	}
	counter_add(COUNTER_CONNECTIONS_REFUSED, 1);
	log_refusal(a, from->text, why);
	close(fd);
}

static void
take_one(struct acceptor *a, int fd, const union address *address)
{
	struct conn_from from;
	from_address(fd, address, &from);
	const char *why;
	if (conn_admit(a->session, &from, &why) != OK)
		refuse(a, fd, &from, why, true);
	else if (a->listening->l.implicit_tls && !a->session->tls)
		refuse(a, fd, &from, "no certificate: see tls.certificate and tls.key, then reload", false);
	else
		conn_start(a->session, fd, a->listening, kinds[a->listening->l.kind].protocol, &from);
}

static void
rest_over(struct timer *t)
{
	struct acceptor *a = CONTAINER_OF(t, struct acceptor, rest);
	if (watch_add(&a->watch, LOOP_READ) != OK)
		timer_set(&a->rest, deadline_in_ms(ACCEPT_REST_MS));
}

static void
rest(struct acceptor *a, int error)
{
	log_event(LOG_ERROR, "session.accept_failed", "error", strerror(error));
	watch_remove(&a->watch);
	timer_set(&a->rest, deadline_in_ms(ACCEPT_REST_MS));
}

static bool
is_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void
acceptor_ready(struct watch *w, uint32_t events)
{
	struct acceptor *a = CONTAINER_OF(w, struct acceptor, watch);
	for (unsigned n = 0; n < ACCEPT_BATCH; n++) {
		union address address = { .any.sa_family = AF_UNIX };
		socklen_t len = sizeof address;
		int fd = accept4(w->fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_one(a, fd, &address);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (!is_passing(errno)) {
			rest(a, errno);
			return;
		}
	}
}

/* ---- opening and closing */

static void
acceptor_free(struct acceptor *a)
{
	watch_remove(&a->watch);
	timer_cancel(&a->rest);
	close(a->watch.fd);
	list_remove(&a->link);
	listening_free(&a->listening);
	free(a);
}

void
acceptor_close(struct link *acceptors, const struct conf_listener *l)
{
	LIST_EACH (acceptors, it) {
		struct acceptor *a = CONTAINER_OF(it, struct acceptor, link);
		if (strcmp(a->listening->name, l->name) == 0 && strcmp(a->listening->address, l->address) == 0)
			acceptor_free(a);
	}
}

void
acceptors_close_all(struct link *acceptors)
{
	LIST_EACH (acceptors, it)
		acceptor_free(CONTAINER_OF(it, struct acceptor, link));
}

static void
acceptor_start(struct acceptor *a)
{
	if (!a->watch.active && watch_add(&a->watch, LOOP_READ) != OK)
		rest(a, ENOSPC);
}

void
acceptors_start(struct link *acceptors)
{
	LIST_EACH (acceptors, it)
		acceptor_start(CONTAINER_OF(it, struct acceptor, link));
}

void
acceptor_open(struct session *s, struct link *acceptors, const struct conf_listener *l, int fd, bool start)
{
	ASSERT(l->kind < LISTEN_KINDS);
	acceptor_close(acceptors, l);
	struct acceptor *a = must_calloc(1, sizeof *a);
	a->session = s;
	a->listening = listening_new(l);
	a->watch.fd = fd;
	a->watch.ready = acceptor_ready;
	a->watch.exclusive = true;
	a->rest.fire = rest_over;
	list_append(acceptors, &a->link);
	if (start)
		acceptor_start(a);
}
