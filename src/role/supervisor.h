/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor.h - what the files of the supervisor share: supervisor.c (start, reload, stop), process.c (one process of
 * a role: start, feed, watch, start again), listener.c (sockets), ground.c (the data folder, its lock, the user). */
#ifndef ROLE_SUPERVISOR_H
#define ROLE_SUPERVISOR_H

#include "base/log.h"
#include "role/role.h"

#include <sys/types.h>

enum { PROCESSES_MAX = 256, SCANS_MAX = 16, SESSIONS_MAX = 64 };
#define RESTART_FIRST_MS 100 /* the first restart is made at once, then this, doubling */
#define RESTART_MAX_MS 10000
#define LIFE_GOOD_MS 30000 /* who lived this long begins again without a wait */
#define WIRE_RENEW_MS 100
#define STOP_GRACE_MS 5000 /* for commands under way */
#define STOP_OTHERS_MS 3000
#define SLOW_START_MS 10000   /* then the log says whom we wait for */
#define READY_MS (15 * 60000) /* all roles must serve by then: a store may have much to look through after a crash */

enum process_state { PROCESS_DOWN, PROCESS_STARTING, PROCESS_UP, PROCESS_STOPPING };

struct supervisor;
struct process {
	struct supervisor *house;
	const struct role *role;
	uint32_t index; /* among those of its role */
	size_t number;  /* among all */
	enum process_state state;
	struct ipc_client control;
	uint64_t life; /* counts starts: a task of an earlier one sees that it is late */
	pid_t pid;     /* 0: none, or in this process */
	struct watch exit;
	int page; /* counters: one for all its lives */
	int64_t born_ms;
	unsigned failures; /* in a row */
	struct timer restart;
	bool wiring; /* a task hands over its ends of wires */
};

/* A connection between a client and a server of it. Ends wait here until they were handed over. */
struct wire {
	struct process *client, *server;
	int client_end, server_end; /* -1: handed over */
	struct timer renew;
};

struct listener {
	struct conf_listener l; /* name is a literal; address is ours */
	int fd;
};
struct listeners {
	struct listener *at;
	size_t n;
};

struct supervisor {
	const char *conf_path;
	struct conf *conf;
	bool here; /* --one-process */
	struct process processes[PROCESSES_MAX];
	size_t nprocesses;
	struct wire *wires;
	size_t nwires;
	struct listeners listeners;
	int data, lock;
	uint32_t uid, gid;   /* of the roles; BOX_STAY: not root */
	char *root;          /* an empty folder for them to be in; NULL: not root */
	int page;            /* our own counters */
	struct gate changed; /* opened whenever a process changed its state */
	bool ready, stopping, failed, reloading, reload_again;
};

/* ---- ground.c: each logs and says false when the server cannot be run */
bool ground_prepare(struct supervisor *h);
int page_new(void);
/* "READY=1" to the service manager, if there is one. */
void service_notify(const char *text);

/* ---- listener.c */
/* Opens those that are new (taking over sockets of `old` with the same address). False: logged, nothing changed. */
bool listeners_open(const struct supervisor *h, const struct conf *c, const struct listeners *old,
                    struct listeners *made);
void listeners_close(struct listeners *l); /* descriptors only */
bool listeners_have(const struct listeners *l, const struct listener *one);
/* Removes the paths of Unix sockets of `old` that are not in `now`. */
void listeners_unlink(const struct listeners *old, const struct listeners *now);

/* ---- process.c */
void process_init(struct process *p, struct supervisor *h, const struct role *role, uint32_t index);
void process_spawn(struct process *p);
/* One call on the control socket; false: it failed or the process is another one by now (logged). */
bool await_process_configure(struct process *p);
bool await_process_certificates(struct process *p);
bool await_process_listener(struct process *p, const struct listener *l, bool close);
void await_process_stop(struct process *p, int64_t grace_ms);
void process_kill(struct process *p);
void wires_make(struct supervisor *h);

int serve_main(int argc, char **argv);

#endif
