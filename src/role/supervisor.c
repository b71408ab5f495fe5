/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor.c - `posthouse serve`: the one process that may bind ports and start others, and that never reads a byte
 * from the network. It starts all roles at once, says `ready` when every one serves, reloads on SIGHUP, stops in order
 * on SIGTERM and SIGINT (a second one: at once). Fails: what is wrong at the start ends it with a line that says what
 * to do; later, a wrong configuration leaves the old one in force. */
#include "role/supervisor.h"

#include "base/counter.h"
#include "ipc/ipc.h"
#include "role/running.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { ERRORS_SHOWN = 20 };

static struct supervisor house;

static void
log_configure(const struct conf *c)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	enum log_level least = LOG_INFO;
	for (size_t i = 0; i < COUNT_OF(levels); i++)
		if (strcmp(levels[i], c->v.log_level) == 0)
			least = (enum log_level)i;
	log_setup(house.here ? "posthouse" : "supervisor", least, strcmp(c->v.log_format, "json") == 0);
}

static struct conf *
conf_read(const char *path)
{
	struct arena a;
	struct conf_error errors[ERRORS_SHOWN];
	size_t n;
	arena_init(&a, 0);
	struct conf *c = conf_load(path, &a, errors, ERRORS_SHOWN, &n);
	if (!c)
		conf_errors_log(errors, ERRORS_SHOWN, n);
	arena_release(&a);
	return c;
}

/* ---- start */

static size_t
instances(const struct role *role, const struct conf *c)
{
	if (!role->one_per_cpu || house.here)
		return 1;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = (size_t)MAX(processors, 1L);
	if (role->id == ROLE_SCAN)
		return MIN(n, (size_t)SCANS_MAX);
	return MIN(c->v.sessions ? (size_t)c->v.sessions : n, (size_t)SESSIONS_MAX);
}

static void
processes_plan(struct supervisor *h)
{
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		size_t n = roles[r] ? instances(roles[r], h->conf) : 0;
		for (uint32_t i = 0; i < n; i++) {
			ASSERT(h->nprocesses < PROCESSES_MAX);
			process_init(&h->processes[h->nprocesses], h, roles[r], i);
			h->nprocesses++;
		}
	}
	wires_make(h);
}

static bool
all_in(const struct supervisor *h, enum process_state state)
{
	for (size_t i = 0; i < h->nprocesses; i++)
		if (h->processes[i].state != state)
			return false;
	return true;
}

/* ---- stop */

static const uint32_t stop_order[] = {
	1u << ROLE_SESSION_MX | 1u << ROLE_SESSION_USER | 1u << ROLE_SESSION_ADMIN,
	1u << ROLE_RELAY | 1u << ROLE_INDEXER,
	1u << ROLE_SCAN | 1u << ROLE_RESOLVER,
	1u << ROLE_AUTH,
	1u << ROLE_STORE,
};

struct stopping {
	struct process *p;
	int64_t grace_ms;
};

static void
stop_one_task(void *arg)
{
	struct stopping s = *(struct stopping *)arg;
	free(arg);
	await_process_stop(s.p, s.grace_ms);
	gate_open(&house.changed, OK);
}

static bool
group_down(const struct supervisor *h, uint32_t group)
{
	for (size_t i = 0; i < h->nprocesses; i++)
		if (group & 1u << h->processes[i].role->id && h->processes[i].state != PROCESS_DOWN)
			return false;
	return true;
}

static void
group_kill(struct supervisor *h, uint32_t group)
{
	for (size_t i = 0; i < h->nprocesses; i++)
		if (group & 1u << h->processes[i].role->id)
			process_kill(&h->processes[i]);
}

static void
await_group_down(struct supervisor *h, uint32_t group, int64_t deadline)
{
	while (!group_down(h, group) && await_gate(&h->changed, deadline) != ERR_TIMEOUT)
		;
}

static void
await_group_stop(struct supervisor *h, uint32_t group, int64_t grace_ms)
{
	for (size_t i = 0; i < h->nprocesses; i++) {
		struct process *p = &h->processes[i];
		if (!(group & 1u << p->role->id) || p->state == PROCESS_DOWN)
			continue;
		struct stopping *s = must_calloc(1, sizeof *s);
		*s = (struct stopping){ p, grace_ms };
		if (!task_start(stop_one_task, s))
			free(s);
	}
	await_group_down(h, group, deadline_in_ms(grace_ms + 1000));
	if (group_down(h, group))
		return;
	log_event(LOG_WARN, "stop.late", "effect", "roles that did not end in time are killed");
	group_kill(h, group);
	await_group_down(h, group, deadline_in_ms(1000));
}

static void
stop_task(void *arg)
{
	struct supervisor *h = arg;
	struct listeners none = { NULL, 0 };
	service_notify("STOPPING=1");
	log_event(LOG_INFO, "server.stopping", "why", h->failed ? "a role could not start" : "asked to");
	listeners_unlink(&h->listeners, &none);
	listeners_close(&h->listeners);
	for (size_t i = 0; i < COUNT_OF(stop_order); i++)
		await_group_stop(h, stop_order[i], i == 0 ? STOP_GRACE_MS : STOP_OTHERS_MS);
	loop_stop();
}

static void
stop(struct supervisor *h)
{
	if (h->stopping) { /* asked twice */
		group_kill(h, UINT32_MAX);
		loop_stop();
		return;
	}
	h->stopping = true;
	ASSERT(task_start(stop_task, h));
}

/* ---- ready */

static void
log_waiting(const struct supervisor *h)
{
	for (size_t i = 0; i < h->nprocesses; i++)
		if (h->processes[i].state != PROCESS_UP)
			log_event(LOG_WARN, "server.waiting", "for", h->processes[i].role->name);
}

/* False: given up. */
static bool
await_all_up(struct supervisor *h, int64_t ms)
{
	int64_t deadline = deadline_in_ms(ms);
	while (!all_in(h, PROCESS_UP) && !h->failed && !h->stopping)
		if (await_gate(&h->changed, deadline) == ERR_TIMEOUT)
			return false;
	return true;
}

static void
ready_task(void *arg)
{
	struct supervisor *h = arg;
	int64_t begun = clock_mono_ms();
	if (!await_all_up(h, SLOW_START_MS)) {
		log_waiting(h);
		h->failed = !await_all_up(h, READY_MS) || h->failed;
	}
	if (h->stopping)
		return;
	if (h->failed) {
		stop(h);
		return;
	}
	h->ready = true;
	struct log l;
	log_begin(&l, LOG_INFO, "server.ready");
	log_u64(&l, "processes", h->nprocesses);
	log_u64(&l, "listeners", h->listeners.n);
	log_i64(&l, "ms", clock_mono_ms() - begun);
	log_end(&l);
	service_notify("READY=1");
	puts("ready");
	fflush(stdout);
}

/* ---- reload */

static void
await_process_reload(struct process *p, const struct listeners *old)
{
	struct supervisor *h = p->house;
	if (p->state != PROCESS_UP || !await_process_configure(p))
		return; /* one that starts gets all of it then */
	if (p->role->id == ROLE_AUTH)
		(void)await_process_certificates(p);
	for (size_t i = 0; i < h->listeners.n && p->state == PROCESS_UP; i++)
		if (!listeners_have(old, &h->listeners.at[i]))
			(void)await_process_listener(p, &h->listeners.at[i], false);
	for (size_t i = 0; i < old->n && p->state == PROCESS_UP; i++)
		if (!listeners_have(&h->listeners, &old->at[i]))
			(void)await_process_listener(p, &old->at[i], true);
}

/* What only a restart changes. */
static void
warn_of_fixed(const struct conf *old, const struct conf *now)
{
	if (strcmp(old->v.data, now->v.data) != 0 || strcmp(old->v.user, now->v.user) != 0 ||
	    old->v.sessions != now->v.sessions)
		log_event(LOG_WARN, "conf.restart_needed", "options", "data, user and sessions change at the next start only");
}

static void
await_reload(struct supervisor *h)
{
	struct conf *now = conf_read(h->conf_path);
	struct listeners made, old = h->listeners;
	if (!now || !listeners_open(h, now, &old, &made)) {
		conf_free(&now);
		log_event(LOG_ERROR, "conf.kept", "effect", "the configuration before it stays in force");
		return;
	}
	warn_of_fixed(h->conf, now);
	conf_free(&h->conf);
	h->conf = now;
	h->listeners = made;
	log_configure(now);
	for (size_t i = 0; i < h->nprocesses && !h->stopping; i++)
		await_process_reload(&h->processes[i], &old);
	if (!h->stopping)
		listeners_unlink(&old, &h->listeners);
	listeners_close(&old);
	log_event(LOG_INFO, "conf.reloaded", "file", h->conf_path);
}

static void
reload_task(void *arg)
{
	struct supervisor *h = arg;
	do {
		h->reload_again = false;
		service_notify("RELOADING=1");
		await_reload(h);
		service_notify("READY=1");
	} while (h->reload_again && !h->stopping);
	h->reloading = false;
}

static void
reload(struct supervisor *h)
{
	h->reload_again = true;
	if (h->reloading || h->stopping || !h->ready)
		return;
	h->reloading = true;
	ASSERT(task_start(reload_task, h));
}

/* ---- signals */

static void
signal_ready(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo s;
	while (read(w->fd, &s, sizeof s) == (ssize_t)sizeof s) {
		if (s.ssi_signo == SIGHUP)
			reload(&house);
		else
			stop(&house);
	}
}

static void
signals_watch(void)
{
	static struct watch w = { .ready = signal_ready };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	ASSERT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	signal(SIGPIPE, SIG_IGN);
	w.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ASSERT(w.fd >= 0 && watch_add(&w, LOOP_READ) == OK);
}

/* ---- the command */

static bool
arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "serve") == 0)
			continue;
		if (strcmp(argv[i], "--one-process") == 0)
			house.here = true;
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			house.conf_path = argv[++i];
		else
			return false;
	}
	return house.conf_path != NULL;
}

static int
begin(struct supervisor *h)
{
	struct listeners none = { NULL, 0 };
	h->conf = conf_read(h->conf_path);
	if (!h->conf)
		return 1;
	log_configure(h->conf);
	signals_watch();
	gate_init(&h->changed);
	if (!ground_prepare(h) || !listeners_open(h, h->conf, &none, &h->listeners))
		return 1;
	processes_plan(h);
	for (size_t i = 0; i < h->nprocesses; i++)
		process_spawn(&h->processes[i]);
	ASSERT(task_start(ready_task, h));
	loop_run();
	log_event(LOG_INFO, "server.stopped", "why", h->failed ? "a role could not start" : "asked to");
	return h->failed ? 1 : 0;
}

int
serve_main(int argc, char **argv)
{
	log_setup("supervisor", LOG_INFO, false);
	if (!arguments(argc, argv)) {
		fprintf(stderr, "usage: posthouse serve -c CONF [--one-process]\n");
		return 2;
	}
	int status = begin(&house);
	fflush(NULL);
	_exit(status); /* with --one-process the roles are in the middle of things */
}
