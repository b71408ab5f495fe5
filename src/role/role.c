/* SPDX-License-Identifier: Apache-2.0 */
/* role.c - a role's side of the control socket: hands on what the supervisor sends to the functions of its struct role,
 * steps into the box at `go`, tells the supervisor of connections that broke. Called by main.c (a process of its own)
 * and by the supervisor (--one-process). Clients of the role are held back until it serves. Fails: what the role says;
 * the process then ends and is started again. It ends at once when the supervisor is gone. */
#include "role/running.h"

#include "base/counter.h"
#include "base/log.h"
#include "role/sandbox.h"
#include "role_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CONTROL_FD = 3, SERVERS_MAX = 256, ERRORS_SHOWN = 20 };

struct early_peer { /* came before we serve */
	struct link link;
	enum role_id role;
	uint32_t class_bit, index;
	int fd;
};
struct server { /* that we are a client of */
	enum role_id role;
	uint32_t index;
	int fd;
};
struct running {
	struct link link;
	const struct role *role;
	void *self;
	struct conf *conf;
	struct ipc_peer *control;
	bool here; /* --one-process */
	bool serving;
	int data; /* the role's folder; -1: none */
	struct link early;
	struct server servers[SERVERS_MAX];
	size_t nservers;
	struct ipc_call *going; /* the call of go or stop, while its task runs */
	struct role_go_in go;
	int64_t grace_ms;
};

static struct link all = { &all, &all };

const struct role *
role_find(struct slice name)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (roles[i] && slice_equal(name, slice_text(roles[i]->name)))
			return roles[i];
	return NULL;
}

static struct running *
of(const struct ipc_call *call)
{
	return call->peer->owner;
}

static void
complain(const struct running *r, const char *event, enum err e, const char *why)
{
	struct log l;
	log_begin(&l, LOG_ERROR, event);
	log_text(&l, "name", r->role->name);
	log_err(&l, e);
	if (why)
		log_text(&l, "why", why);
	log_end(&l);
}

/* ---- configure */

void
conf_errors_log(const struct conf_error *errors, size_t shown, size_t count)
{
	for (size_t i = 0; i < MIN(shown, count); i++) {
		struct log l;
		log_begin(&l, LOG_ERROR, "conf.wrong");
		log_text(&l, "file", errors[i].file);
		log_u64(&l, "line", errors[i].line);
		log_text(&l, "why", errors[i].text);
		log_end(&l);
	}
}

static void
log_configure(const struct running *r, const struct conf *c)
{
	static const char *const levels[] = {
		[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
	};
	enum log_level least = LOG_INFO;
	for (size_t i = 0; i < COUNT_OF(levels); i++)
		if (strcmp(levels[i], c->v.log_level) == 0)
			least = (enum log_level)i;
	log_setup(r->here ? "posthouse" : r->role->name, least, strcmp(c->v.log_format, "json") == 0);
}

static void
do_configure(struct ipc_call *call, const struct role_configure_in *in)
{
	struct running *r = of(call);
	struct conf_error errors[ERRORS_SHOWN];
	size_t n;
	const char *folder = slice_keep_text(&call->arena, in->folder);
	struct conf *c = conf_parse(in->text, "posthouse.conf", folder, &call->arena, errors, ERRORS_SHOWN, &n);
	if (!c) {
		conf_errors_log(errors, ERRORS_SHOWN, n);
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	log_configure(r, c);
	const char *why = NULL;
	enum err e = r->role->configure ? r->role->configure(r->self, c, &why) : OK;
	if (e) {
		complain(r, "role.configure", e, why);
		conf_free(&c);
		ipc_fail(call, e);
		return;
	}
	conf_free(&r->conf);
	r->conf = c;
	role_configure_reply(call, &(struct role_configure_out){ 0 });
}

/* ---- descriptors */

/* Counters go on where an earlier life of this process left them; what is a level begins at 0. */
static void
page_take_over(const uint64_t *page)
{
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		if (slice_ends(slice_text(counter_name((enum counter)i)), S("_total")))
			counters[i] += page[i];
}

static void
do_counters(struct ipc_call *call, const struct role_counters_in *in)
{
	static bool done; /* all roles of one process share a page */
	if (!done) {
		void *at = mmap(NULL, COUNTER_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, in->page, 0);
		if (at != MAP_FAILED) {
			page_take_over(at);
			counter_use_page(at);
			done = true;
		}
	}
	ipc_drop_fd(in->page);
	role_counters_reply(call, &(struct role_counters_out){ 0 });
}

static void
server_note(struct running *r, enum role_id role, uint32_t index, int fd)
{
	size_t i = 0;
	while (i < r->nservers && !(r->servers[i].role == role && r->servers[i].index == index))
		i++;
	ASSERT(i < SERVERS_MAX);
	r->servers[i] = (struct server){ role, index, fd };
	r->nservers = MAX(r->nservers, i + 1);
}

static void
serve(struct running *r, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	if (!r->serving) {
		struct early_peer *p = must_calloc(1, sizeof *p);
		*p = (struct early_peer){ .role = role, .class_bit = class_bit, .index = index, .fd = fd };
		list_append(&r->early, &p->link);
		return;
	}
	if (r->role->serve)
		r->role->serve(r->self, role, class_bit, index, fd);
	else
		close(fd);
}

static void
do_peer(struct ipc_call *call, const struct role_peer_in *in)
{
	struct running *r = of(call);
	if (in->role >= ROLE_COUNT || in->socket < 0) {
		ipc_drop_fd(in->socket);
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	if (in->serve) {
		serve(r, (enum role_id)in->role, in->class, in->index, in->socket);
	} else if (r->role->peer) {
		server_note(r, (enum role_id)in->role, in->index, in->socket);
		r->role->peer(r->self, (enum role_id)in->role, in->index, in->socket);
	} else {
		close(in->socket);
	}
	role_peer_reply(call, &(struct role_peer_out){ 0 });
}

static void
do_listener(struct ipc_call *call, const struct role_listener_in *in)
{
	struct running *r = of(call);
	struct conf_listener l;
	const char *name = slice_keep_text(&call->arena, in->name), *address = slice_keep_text(&call->arena, in->address);
	if (in->socket < 0 || !r->role->listen || !conf_listener_of(name, address, &l)) {
		ipc_drop_fd(in->socket);
		ipc_fail(call, ERR_SYNTAX);
		return;
	}
	r->role->listen(r->self, &l, in->socket);
	role_listener_reply(call, &(struct role_listener_out){ 0 });
}

static void
do_listener_close(struct ipc_call *call, const struct role_listener_close_in *in)
{
	struct running *r = of(call);
	struct conf_listener l;
	const char *name = slice_keep_text(&call->arena, in->name), *address = slice_keep_text(&call->arena, in->address);
	if (r->role->unlisten && conf_listener_of(name, address, &l))
		r->role->unlisten(r->self, &l);
	role_listener_close_reply(call, &(struct role_listener_close_out){ 0 });
}

/* "lock" is not the role's: it is held open until this process ends, so that no other server gets at the data. */
static void
do_handle(struct ipc_call *call, const struct role_handle_in *in)
{
	struct running *r = of(call);
	const char *name = slice_keep_text(&call->arena, in->name), *label = slice_keep_text(&call->arena, in->label);
	if (strcmp(name, "data") == 0)
		r->data = fcntl(in->file, F_DUPFD_CLOEXEC, 3);
	bool kept = strcmp(name, "lock") == 0, failed = in->file < 0 && strcmp(name, "socket") != 0;
	if (!kept && r->role->handle && !failed)
		r->role->handle(r->self, name, in->index, label, in->file);
	else if (!kept)
		ipc_drop_fd(in->file);
	role_handle_reply(call, &(struct role_handle_out){ 0 });
}

/* ---- go, stop */

static void
early_peers_serve(struct running *r)
{
	r->serving = true;
	LIST_EACH (&r->early, l) {
		struct early_peer *p = CONTAINER_OF(l, struct early_peer, link);
		list_remove(l);
		serve(r, p->role, p->class_bit, p->index, p->fd);
		free(p);
	}
}

static enum err
box_enter(struct running *r, const char **why)
{
	const struct role_go_in *go = &r->go;
	if (r->here) {
		if (r->role->may & MAY_FILES && r->data >= 0 && fchdir(r->data) != 0)
			return err_from_errno(errno);
		return OK;
	}
	struct box b = { .name = r->role->name,
		             .may = r->role->may,
		             .uid = go->uid,
		             .gid = go->gid,
		             .root = go->root.len ? slice_keep_text(&r->going->arena, go->root) : NULL,
		             .folder = r->data,
		             .reads = r->role->reads };
	return sandbox_enter(&b, why);
}

static void
go_task(void *arg)
{
	struct running *r = arg;
	const char *why = NULL;
	enum err e = r->role->before_box ? r->role->before_box(r->self, &why) : OK;
	if (e == OK)
		e = box_enter(r, &why);
	if (e == OK && r->role->await_go)
		e = r->role->await_go(r->self, &why);
	struct ipc_call *call = r->going;
	r->going = NULL;
	if (e) {
		complain(r, "role.start", e, why);
		ipc_fail(call, e);
		return;
	}
	early_peers_serve(r);
	role_go_reply(call, &(struct role_go_out){ 0 });
}

static void
do_go(struct ipc_call *call, const struct role_go_in *in)
{
	struct running *r = of(call);
	if (r->going || r->serving) {
		ipc_fail(call, ERR_BUSY);
		return;
	}
	r->going = call;
	r->go = *in;
	ASSERT(task_start(go_task, r));
}

static void
stop_task(void *arg)
{
	struct running *r = arg;
	if (r->role->await_stop)
		r->role->await_stop(r->self, r->grace_ms);
	struct ipc_call *call = r->going;
	r->going = NULL;
	role_stop_reply(call, &(struct role_stop_out){ 0 });
}

static void
do_stop(struct ipc_call *call, const struct role_stop_in *in)
{
	struct running *r = of(call);
	if (r->going || !r->serving) {
		ipc_fail(call, ERR_BUSY);
		return;
	}
	r->going = call;
	r->grace_ms = in->grace_ms;
	if (!task_start(stop_task, r)) {
		r->going = NULL;
		ipc_fail(call, ERR_LIMIT);
	}
}

/* ---- the control socket */

static void
control_closed(struct ipc_peer *peer)
{
	struct running *r = peer->owner;
	if (!r->here)
		_exit(0); /* stopped, or the supervisor is gone: without it nothing here can go on */
	r->control = NULL;
}

static const struct role_server handlers = {
	.configure = do_configure,
	.counters = do_counters,
	.peer = do_peer,
	.listener = do_listener,
	.listener_close = do_listener_close,
	.handle = do_handle,
	.go = do_go,
	.stop = do_stop,
	.closed = control_closed,
};

bool
role_ask_socket(enum role_id role, const char *path, uint32_t number)
{
	LIST_EACH (&all, l) {
		struct running *r = CONTAINER_OF(l, struct running, link);
		if (r->role->id != role || !r->control)
			continue;
		role_socket_notify(r->control, &(struct role_socket_in){ .path = slice_text(path), .number = number });
		return true;
	}
	return false;
}

/* A connection to a server broke: who was it? */
static void
client_lost(struct ipc_client *c, int fd)
{
	LIST_EACH (&all, l) {
		struct running *r = CONTAINER_OF(l, struct running, link);
		for (size_t i = 0; i < r->nservers; i++) {
			struct server *s = &r->servers[i];
			if (s->fd != fd)
				continue;
			s->fd = -1;
			if (r->control)
				role_lost_notify(r->control, &(struct role_lost_in){ s->role, s->index });
			return;
		}
	}
}

void
role_run_here(const struct role *role, uint32_t index, int fd)
{
	struct running *r = must_calloc(1, sizeof *r);
	r->role = role;
	r->self = must_calloc(1, role->state_bytes);
	r->here = true;
	r->data = -1;
	list_init(&r->early);
	list_append(&all, &r->link);
	ipc_client_lost = client_lost;
	r->control = ipc_peer_open(fd, &role_protocol, &handlers, r, IPC_CLASS_SUPERVISOR, index);
}

int
role_main(int argc, char **argv)
{
	const struct role *role = argc > 2 ? role_find(slice_text(argv[2])) : NULL;
	if (!role || fcntl(CONTROL_FD, F_GETFD) < 0) {
		fprintf(stderr, "posthouse role is started by posthouse serve only\n");
		return 2;
	}
	/* Ctrl-C and service managers signal all of us; the supervisor says when to stop. */
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	for (size_t i = 0; i < COUNT_OF(ignored); i++)
		signal(ignored[i], SIG_IGN);
	log_setup(role->name, LOG_INFO, false);
	(void)prctl(PR_SET_NAME, role->name); /* for ps and top: it would be "exe" */
	(void)fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	role_run_here(role, 0, CONTROL_FD);
	CONTAINER_OF(list_first(&all), struct running, link)->here = false;
	rest_watch();
	loop_run();
	return 0;
}
