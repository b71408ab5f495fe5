/* SPDX-License-Identifier: Apache-2.0 */
/* role.h - what every role is to the supervisor: a few functions. `posthouse role NAME` starts one with its control
 * socket on descriptor 3; with --one-process all of them run on one loop, each with its own control socket pair, and no
 * sandbox.
 *
 * Order at start: configure, counters, handle*, peer*, listener*, go. After go the role serves; configure, peer and
 * listener may come again. */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "base/arena.h"
#include "base/err.h"
#include "ipc/ipc.h"
#include "role/conf.h"

enum role_id {
	ROLE_SUPERVISOR,
	ROLE_STORE,
	ROLE_AUTH,
	ROLE_SCAN,
	ROLE_RESOLVER,
	ROLE_RELAY,
	ROLE_INDEXER,
	ROLE_SESSION_MX,
	ROLE_SESSION_USER,
	ROLE_SESSION_ADMIN,
	ROLE_COUNT
};

/* What the kernel lets a role do after go (role/sandbox.c). Everything else ends the process (seccomp) or fails
 * (Landlock). */
enum {
	MAY_ACCEPT = 1,  /* accept on the listeners it has */
	MAY_CONNECT = 2, /* socket, connect to the network */
	MAY_FILES = 4,   /* open, create, rename, unlink below its one folder (handle "data"), which is its working
	                  * directory: it uses openat and relative paths, since as root it is its root directory as well */
	MAY_THREADS = 8,
	MAY_READ_FILES = 16, /* open for reading below the folders named */
	MAY_SYNC = 32,
};

struct role {
	const char *name; /* "store", "session-mx" */
	enum role_id id;
	uint32_t class_bit;       /* what it is to the servers that it asks (IPC_CLASS_*) */
	uint32_t may;             /* MAY_* */
	uint32_t asks;            /* bits 1 << ROLE_*: servers that it is a client of */
	const char *const *reads; /* MAY_READ_FILES: which folders or files, ended by NULL */
	bool one_per_cpu;
	size_t state_bytes; /* zeroed, given to each function as self */
	/* All return OK or why the role cannot go on; *why (arena of the call) says it for people. NULL: not needed. */
	enum err (*configure)(void *self, const struct conf *conf, const char **why);
	void (*handle)(void *self, const char *name, uint32_t index, const char *label, int fd);
	void (*peer)(void *self, enum role_id role, uint32_t index, int fd);                      /* we are its client */
	void (*serve)(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd); /* it is our client */
	void (*listen)(void *self, const struct conf_listener *l, int fd);
	void (*unlisten)(void *self, const struct conf_listener *l);
	enum err (*before_box)(void *self,
	                       const char **why); /* the last moment with all rights: read CA files, trust anchors */
	enum err (*await_go)(void *self, const char **why); /* boxed in: begin; may ask other roles */
	void (*await_stop)(void *self, int64_t grace_ms);
};

/* Asks the supervisor for a connection to the Unix socket at that path, which the configuration must name as a route;
 * it comes as handle "socket" with that number. False: the supervisor cannot be asked. */
bool role_ask_socket(enum role_id role, const char *path, uint32_t number);

extern const struct role role_store, role_auth, role_scan, role_resolver, role_relay, role_indexer, role_session_mx,
    role_session_user, role_session_admin;
extern const struct role *const roles[ROLE_COUNT]; /* [ROLE_SUPERVISOR] is NULL */

#endif
