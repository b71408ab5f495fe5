/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - one process of a role as the supervisor sees it: started, fed with all that it needs, watched, started
 * again. Called by supervisor.c. Owns the control socket, the process (a pidfd) and the page of counters.
 *
 * A process gets everything again in each life; the connections between roles ("wires") are made anew whenever one of
 * their ends began a new life or says that it lost the other. Fails: a process that ends is started again, at once the
 * first time, then after waits that double; before the house was ready, its end ends the house. */
#include "role/supervisor.h"

#include "base/counter.h"
#include "role/running.h"
#include "role_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- calls on the control socket */

/* Is it still the life that the task began with, and can it be talked to? */
static bool
alive(const struct process *p, uint64_t life)
{
	return p->life == life && p->control.conn && p->state != PROCESS_DOWN;
}

static void
log_process(enum log_level level, const char *event, const struct process *p, const char *key, const char *value)
{
	struct log l;
	log_begin(&l, level, event);
	log_text(&l, "name", p->role->name);
	log_u64(&l, "index", p->index);
	if (p->pid)
		log_u64(&l, "pid", (uint64_t)p->pid);
	log_text(&l, key, value);
	log_end(&l);
}

static bool
said_yes(struct process *p, enum err e, const char *call)
{
	if (e && !p->house->stopping)
		log_process(LOG_ERROR, "role.refused", p, call, err_text(e));
	return e == OK;
}

/* A call of role.msg by its name; none of them answers more than that it is done. */
static bool
await_tell(struct process *p, const char *call, const void *in)
{
	struct arena arena;
	char nothing[16];
	uint16_t number = 0;
	while (strcmp(role_protocol.messages[number].name, call) != 0)
		ASSERT(++number < role_protocol.nmessages);
	ASSERT(role_protocol.messages[number].out_bytes <= sizeof nothing);
	arena_init(&arena, 0);
	enum err e = await_ipc_call(&p->control, number, in, &arena, nothing);
	arena_release(&arena);
	return said_yes(p, e, call);
}

bool
await_process_configure(struct process *p)
{
	struct conf *c = conf_keep(p->house->conf);
	bool good = await_tell(p, "role.configure",
	                       &(struct role_configure_in){ .text = c->text, .folder = slice_text(c->folder) });
	conf_free(&c);
	return good;
}

bool
await_process_listener(struct process *p, const struct listener *l, bool gone)
{
	if (l->l.class_bit != p->role->class_bit || !p->role->listen)
		return true;
	struct slice name = slice_text(l->l.name), address = slice_text(l->l.address);
	if (gone)
		return await_tell(p, "role.listener_close",
		                  &(struct role_listener_close_in){ .name = name, .address = address });
	return await_tell(p, "role.listener",
	                  &(struct role_listener_in){ .name = name, .address = address, .socket = l->fd });
}

static bool
await_handle(struct process *p, const char *name, uint32_t index, const char *label, int fd)
{
	return await_tell(
	    p, "role.handle",
	    &(struct role_handle_in){ .name = slice_text(name), .index = index, .label = slice_text(label), .file = fd });
}

/* Only opened here: auth reads them. One that is not there is auth's to complain about. */
static bool
await_file(struct process *p, const char *name, const char *path)
{
	if (!path[0])
		return true;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		struct log l;
		log_begin(&l, LOG_ERROR, "tls.file");
		log_text(&l, "file", path);
		log_text(&l, "why", strerror(errno));
		log_text(
		    &l, "advice",
		    "options tls.certificate, tls.key, tls.client-ca and oauth.keys name files; without the first two there "
		    "is no TLS");
		log_end(&l);
		return true;
	}
	bool good = await_handle(p, name, 0, path + (strlen(path) > 60 ? strlen(path) - 60 : 0), fd);
	close(fd);
	return good;
}

bool
await_process_certificates(struct process *p)
{
	struct conf *c = conf_keep(p->house->conf);
	/* The certificate last: sessions are told when it was read, and then ask for all of it. */
	bool good = await_file(p, "oauth-keys", c->v.oauth_keys) && await_file(p, "client-ca", c->v.tls_client_ca) &&
	            await_file(p, "certificate", c->v.tls_certificate) && await_file(p, "key", c->v.tls_key);
	conf_free(&c);
	return good;
}

/* The pages of all processes, to be read only. */
static bool
await_pages(struct process *p)
{
	struct supervisor *h = p->house;
	for (size_t i = 0; i <= h->nprocesses; i++) {
		char path[40], label[60];
		const struct process *of = i < h->nprocesses ? &h->processes[i] : NULL;
		snprintf(path, sizeof path, "/proc/self/fd/%d", of ? of->page : h->page);
		if (of && of->role->one_per_cpu)
			snprintf(label, sizeof label, "%s/%u", of->role->name, of->index);
		else
			snprintf(label, sizeof label, "%s", of ? of->role->name : "supervisor");
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		bool good = fd < 0 || await_handle(p, "counters", (uint32_t)i, label, fd);
		ipc_drop_fd(fd);
		if (!good)
			return false;
	}
	return true;
}

static bool
await_handles(struct process *p)
{
	switch (p->role->id) {
	case ROLE_STORE:
		return await_handle(p, "data", 0, "", p->house->data) && await_handle(p, "lock", 0, "", p->house->lock);
	case ROLE_AUTH: return await_process_certificates(p);
	case ROLE_SESSION_ADMIN: return await_pages(p);
	default: return true;
	}
}

static bool
await_listeners(struct process *p, uint64_t life)
{
	for (size_t i = 0; i < p->house->listeners.n; i++)
		if (!alive(p, life) || !await_process_listener(p, &p->house->listeners.at[i], false))
			return false;
	return true;
}

/* ---- wires */

static void
end_drop(int *end)
{
	ipc_drop_fd(*end);
	*end = -1;
}

static void
wire_new(struct wire *w)
{
	int fds[2];
	end_drop(&w->client_end);
	end_drop(&w->server_end);
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	w->client_end = fds[0];
	w->server_end = fds[1];
}

static bool
await_wire_end(struct process *p, struct wire *w, bool serve)
{
	int fd = serve ? w->server_end : w->client_end;
	struct process *other = serve ? w->client : w->server;
	if (serve) /* ours no more: another pair may be made meanwhile */
		w->server_end = -1;
	else
		w->client_end = -1;
	bool good = await_tell(p, "role.peer",
	                       &(struct role_peer_in){ .role = other->role->id,
	                                               .serve = serve,
	                                               .class = other->role->class_bit,
	                                               .index = other->index,
	                                               .socket = fd });
	close(fd);
	return good;
}

/* Hands over all ends that wait for p. */
static bool
await_wires(struct process *p, uint64_t life)
{
	struct supervisor *h = p->house;
	for (size_t i = 0; i < h->nwires; i++) {
		struct wire *w = &h->wires[i];
		bool serve = w->server == p;
		if (!(serve || w->client == p) || (serve ? w->server_end : w->client_end) < 0)
			continue;
		if (!alive(p, life) || !await_wire_end(p, w, serve))
			return false;
		i = (size_t)-1; /* from the start: more may have come */
	}
	return true;
}

static void
wiring_task(void *arg)
{
	struct process *p = arg;
	(void)await_wires(p, p->life);
	p->wiring = false;
}

/* To a process that is up; one that starts looks by itself. */
static void
wires_hand(struct process *p)
{
	if (p->state != PROCESS_UP || p->wiring)
		return;
	p->wiring = true;
	ASSERT(task_start(wiring_task, p));
}

static void
wire_renew(struct timer *t)
{
	struct wire *w = CONTAINER_OF(t, struct wire, renew);
	if (w->client->state == PROCESS_DOWN || w->server->state == PROCESS_DOWN || w->client->house->stopping)
		return; /* the next life makes a new one */
	wire_new(w);
	wires_hand(w->client);
	wires_hand(w->server);
}

static void
wires_renew_of(struct process *p)
{
	struct supervisor *h = p->house;
	for (size_t i = 0; i < h->nwires; i++) {
		struct wire *w = &h->wires[i];
		if (w->client != p && w->server != p)
			continue;
		timer_cancel(&w->renew);
		wire_new(w);
		wires_hand(w->client == p ? w->server : w->client);
	}
}

void
wires_make(struct supervisor *h)
{
	h->wires = must_calloc(h->nprocesses * h->nprocesses, sizeof *h->wires);
	for (size_t c = 0; c < h->nprocesses; c++)
		for (size_t s = 0; s < h->nprocesses; s++)
			if (h->processes[c].role->asks & 1u << h->processes[s].role->id)
				h->wires[h->nwires++] = (struct wire){ .client = &h->processes[c],
					                                   .server = &h->processes[s],
					                                   .client_end = -1,
					                                   .server_end = -1,
					                                   .renew.fire = wire_renew };
}

static void
heard_lost(struct ipc_client *c, const struct role_lost_in *in)
{
	struct process *p = c->owner;
	struct supervisor *h = p->house;
	for (size_t i = 0; i < h->nwires; i++) {
		struct wire *w = &h->wires[i];
		if (w->client == p && w->server->role->id == (enum role_id)in->role && w->server->index == in->index &&
		    w->client_end < 0)
			timer_set(&w->renew, deadline_in_ms(WIRE_RENEW_MS));
	}
}

/* ---- sockets of routes */

struct wanted {
	struct process *p;
	uint64_t life;
	uint32_t number;
	char path[200];
};

static bool
is_of_route(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->nroutes; i++)
		for (size_t k = 0; k < c->routes[i].nhops; k++)
			if (path[0] == '/' && strcmp(c->routes[i].hops[k].host, path) == 0)
				return true;
	return false;
}

/* Connecting to a Unix socket never waits: without a place in its queue it fails. */
static enum err
socket_connect(const char *path, int *fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_from_errno(errno);
	if (connect(*fd, (struct sockaddr *)&to, sizeof to) == 0)
		return OK;
	enum err e = errno == ECONNREFUSED ? ERR_CLOSED : err_from_errno(errno);
	close(*fd);
	*fd = -1;
	return e;
}

static void
socket_task(void *arg)
{
	struct wanted *w = arg;
	int fd = -1;
	char label[12];
	enum err e = is_of_route(w->p->house->conf, w->path) ? socket_connect(w->path, &fd) : ERR_DENIED;
	snprintf(label, sizeof label, "%d", (int)e);
	if (alive(w->p, w->life))
		(void)await_handle(w->p, "socket", w->number, label, fd);
	ipc_drop_fd(fd);
	free(w);
}

static void
heard_socket(struct ipc_client *c, const struct role_socket_in *in)
{
	struct wanted *w = must_calloc(1, sizeof *w);
	w->p = c->owner;
	w->life = w->p->life;
	w->number = in->number;
	snprintf(w->path, sizeof w->path, "%.*s", SLICE_ARG(in->path));
	if (!task_start(socket_task, w)) /* who asked waits no longer than its connect-timeout */
		free(w);
}

static const struct role_listener listener = { .lost = heard_lost, .socket = heard_socket };

/* ---- a life */

static bool
await_fed(struct process *p, uint64_t life)
{
	struct supervisor *h = p->house;
	if (!await_process_configure(p) || !alive(p, life) ||
	    !await_tell(p, "role.counters", &(struct role_counters_in){ .page = p->page }) || !alive(p, life))
		return false;
	if (!await_handles(p) || !alive(p, life) || !await_wires(p, life) || !await_listeners(p, life) || !alive(p, life))
		return false;
	return await_tell(p, "role.go",
	                  &(struct role_go_in){ .uid = h->uid, .gid = h->gid, .root = slice_text(h->root) }) &&
	       alive(p, life);
}

static void
start_task(void *arg)
{
	struct process *p = arg;
	uint64_t life = p->life;
	if (await_fed(p, life)) {
		p->state = PROCESS_UP;
		log_process(LOG_DEBUG, "role.up", p, "state", "serves");
		wires_hand(p); /* what came while it was at `go` */
	} else if (p->life == life && p->state == PROCESS_STARTING) {
		if (!p->house->ready)
			p->house->failed = true;
		process_kill(p);
	}
	gate_open(&p->house->changed, OK);
}

void
process_kill(struct process *p)
{
	if (p->pid)
		(void)kill(p->pid, SIGKILL);
}

_Noreturn static void
become_role(const struct process *p, int control)
{
	char index[12];
	snprintf(index, sizeof index, "%u", p->index);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == 3)
		(void)fcntl(3, F_SETFD, 0);
	else if (dup2(control, 3) != 3)
		_exit(127);
	(void)close_range(4, ~0u, CLOSE_RANGE_CLOEXEC); /* what we were started with and did not open */
	execl("/proc/self/exe", "posthouse", "role", p->role->name, index, (char *)NULL);
	_exit(127);
}

static void
restart_due(struct timer *t)
{
	process_spawn(CONTAINER_OF(t, struct process, restart));
}

static void
restart_plan(struct process *p)
{
	if (clock_mono_ms() - p->born_ms >= LIFE_GOOD_MS)
		p->failures = 0;
	int64_t wait = p->failures == 0 ? 0 : (int64_t)RESTART_FIRST_MS << MIN(p->failures - 1, 10u);
	wait = MIN(wait, (int64_t)RESTART_MAX_MS);
	p->failures++;
	counter_add(COUNTER_ROLE_RESTARTS, 1);
	timer_set(&p->restart, deadline_in_ms(wait));
}

static void
ended(struct process *p, const siginfo_t *how)
{
	struct supervisor *h = p->house;
	char text[60];
	bool by_signal = how->si_code != CLD_EXITED;
	snprintf(text, sizeof text, "%s %d%s%s", by_signal ? "signal" : "status", how->si_status, by_signal ? " " : "",
	         by_signal ? sigabbrev_np(how->si_status) : "");
	bool expected = p->state == PROCESS_STOPPING || h->stopping;
	log_process(expected ? LOG_DEBUG : LOG_ERROR, "role.ended", p, "by", text);
	p->state = PROCESS_DOWN;
	p->pid = 0;
	ipc_client_release(&p->control);
	if (!expected && !h->ready)
		h->failed = true;
	else if (!expected)
		restart_plan(p);
	gate_open(&h->changed, OK);
}

static void
exit_ready(struct watch *w, uint32_t events)
{
	struct process *p = CONTAINER_OF(w, struct process, exit);
	siginfo_t how = { 0 };
	if (waitid(P_PIDFD, (id_t)w->fd, &how, WEXITED | WNOHANG) != 0 || how.si_pid == 0)
		return;
	watch_remove(w);
	close(w->fd);
	ended(p, &how);
}

static void
process_fork(struct process *p, int control)
{
	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0)
		become_role(p, control);
	ASSERT(p->pid > 0);
	p->exit.fd = pidfd_open(p->pid, 0);
	ASSERT(p->exit.fd >= 0 && watch_add(&p->exit, LOOP_READ) == OK);
	close(control);
}

void
process_spawn(struct process *p)
{
	int fds[2];
	if (p->house->stopping)
		return;
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	p->life++;
	p->state = PROCESS_STARTING;
	p->born_ms = clock_mono_ms();
	if (p->house->here)
		role_run_here(p->role, p->index, fds[1]);
	else
		process_fork(p, fds[1]);
	ipc_client_init(&p->control, &role_protocol, &listener, p);
	p->control.call_ms = READY_MS;
	ipc_client_connect(&p->control, fds[0]);
	wires_renew_of(p);
	ASSERT(task_start(start_task, p));
}

void
process_init(struct process *p, struct supervisor *h, const struct role *role, uint32_t index)
{
	*p = (struct process){ .house = h, .role = role, .index = index, .number = h->nprocesses, .page = page_new() };
	p->exit.ready = exit_ready;
	p->restart.fire = restart_due;
}

void
await_process_stop(struct process *p, int64_t grace_ms)
{
	if (p->state == PROCESS_UP && p->control.conn) {
		p->state = PROCESS_STOPPING;
		(void)await_tell(p, "role.stop", &(struct role_stop_in){ .grace_ms = (uint32_t)grace_ms });
	}
	if (p->state == PROCESS_DOWN)
		return;
	p->state = PROCESS_STOPPING;
	ipc_client_release(&p->control); /* it ends when its control socket is closed */
	if (p->house->here)
		p->state = PROCESS_DOWN;
}
