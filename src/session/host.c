/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - the session role: the process around the client connections. One implementation, three classes: mx
 * (port 25, LMTP), user (submission, IMAP, POP3, HTTP) and admin (the Unix socket of the command).
 *
 * Called by the supervisor's side of the process (role/). Owns the listeners; a peer that is started again is connected
 * again through host_peer. */
#include "session/inside.h"

#include "base/counter.h"
#include "role/role.h"

#include <sys/mman.h>
#include <unistd.h>

/* For messages under way. Only touched pages cost memory, and bodies that find no room go into spool files. */
#define SESSION_SHM_BYTES ((size_t)256 << 20)
#define ADMIN_SHM_BYTES ((size_t)SHM_BLOCK_BYTES_MAX)

struct host {
	struct session session;
	struct link acceptors;
	bool configured, running;
};

/* ---- the role */

static enum err
host_configure(struct host *h, const struct conf *conf, uint32_t class_bit)
{
	if (h->configured) {
		session_reload(&h->session, conf);
		return OK;
	}
	session_init(&h->session, conf, class_bit, 0, class_bit == IPC_CLASS_ADMIN ? ADMIN_SHM_BYTES : SESSION_SHM_BYTES);
	list_init(&h->acceptors);
	h->configured = true;
	return OK;
}

static enum err
configure_mx(void *self, const struct conf *conf, const char **why)
{
	return host_configure(self, conf, IPC_CLASS_MX);
}

static enum err
configure_user(void *self, const struct conf *conf, const char **why)
{
	return host_configure(self, conf, IPC_CLASS_USER);
}

static enum err
configure_admin(void *self, const struct conf *conf, const char **why)
{
	return host_configure(self, conf, IPC_CLASS_ADMIN);
}

/* "counters": the page of one process; the one of a process that was started again replaces it. */
static void
host_handle(void *self, const char *name, uint32_t index, const char *label, int fd)
{
	struct session *s = &((struct host *)self)->session;
	if (strcmp(name, "counters") == 0 && index < COUNT_OF(s->pages)) {
		struct session_page *p = &s->pages[index];
		void *at = mmap(NULL, COUNTER_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		if (p->words)
			munmap((void *)p->words, COUNTER_PAGE_BYTES);
		p->words = at == MAP_FAILED ? NULL : at;
		snprintf(p->label, sizeof p->label, "%s", label);
		s->npages = MAX(s->npages, (size_t)index + 1);
	}
	close(fd);
}

static void
host_peer(void *self, enum role_id role, uint32_t index, int fd)
{
	struct session *s = &((struct host *)self)->session;
	if (role == ROLE_STORE) {
		ipc_client_connect(&s->store, fd);
	} else if (role == ROLE_AUTH) {
		ipc_client_connect(&s->auth, fd);
	} else if (role == ROLE_RESOLVER) {
		ipc_client_connect(&s->resolver, fd);
	} else if (role == ROLE_SCAN && index < COUNT_OF(s->scan)) {
		ipc_client_connect(&s->scan[index], fd);
		s->nscan = MAX(s->nscan, (size_t)index + 1);
	} else {
		close(fd);
	}
}

static void
host_listen(void *self, const struct conf_listener *l, int fd)
{
	struct host *h = self;
	acceptor_open(&h->session, &h->acceptors, l, fd, h->running);
}

static void
host_unlisten(void *self, const struct conf_listener *l)
{
	acceptor_close(&((struct host *)self)->acceptors, l);
}

static enum err
await_host_go(void *self, const char **why)
{
	struct host *h = self;
	if (h->session.class_bit != IPC_CLASS_ADMIN)
		await_certificates(&h->session); /* without one it goes on without TLS; auth tells when that changes */
	h->running = true;
	acceptors_start(&h->acceptors);
	return OK;
}

static void
await_host_stop(void *self, int64_t grace_ms)
{
	struct host *h = self;
	acceptors_close_all(&h->acceptors);
	await_conns_end(&h->session, grace_ms);
}

#define ASKS_ALL (1u << ROLE_STORE | 1u << ROLE_AUTH | 1u << ROLE_SCAN | 1u << ROLE_RESOLVER)
#define SESSION_ROLE(role_name, role, class, asked, many, configure_it)                                                \
	{                                                                                                                  \
		.name = role_name, .id = role, .class_bit = class, .may = MAY_ACCEPT, .asks = asked, .one_per_cpu = many,      \
		.state_bytes = sizeof(struct host), .configure = configure_it, .handle = host_handle, .peer = host_peer,       \
		.listen = host_listen, .unlisten = host_unlisten, .await_go = await_host_go, .await_stop = await_host_stop,    \
	}

const struct role role_session_mx =
    SESSION_ROLE("session-mx", ROLE_SESSION_MX, IPC_CLASS_MX, ASKS_ALL, true, configure_mx);
const struct role role_session_user =
    SESSION_ROLE("session-user", ROLE_SESSION_USER, IPC_CLASS_USER, ASKS_ALL, true, configure_user);
const struct role role_session_admin = SESSION_ROLE("session-admin", ROLE_SESSION_ADMIN, IPC_CLASS_ADMIN,
                                                    1u << ROLE_STORE | 1u << ROLE_AUTH, false, configure_admin);
