/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - connections to the Unix sockets of LMTP routes. Relay sees no file system: it tells the supervisor which
 * path of the configuration it wants, which connects and hands the descriptor over (handle "socket"). Called by open.c
 * in a worker's task; as many ask at once as there are workers. Fails: what connect() said, ERR_TIMEOUT. */
#include "relay/relay.h"

#include "role/role.h"

#include <unistd.h>

struct asked {
	struct link link;
	uint32_t number;
	struct gate came;
	bool answered;
	int fd; /* -1: there is none */
	enum err failed;
};

static enum err
err_of_label(const char *label)
{
	uint32_t e;
	return slice_to_u32(slice_text(label), &e) && e > OK && e < ERR_COUNT ? (enum err)e : ERR_IO;
}

void
relay_handle(void *relay, const char *name, uint32_t index, const char *label, int fd)
{
	struct relay *r = relay;
	LIST_EACH (&r->asked_sockets, l) {
		struct asked *a = CONTAINER_OF(l, struct asked, link);
		if (a->number != index || a->answered || strcmp(name, "socket") != 0)
			continue;
		a->answered = true;
		a->fd = fd;
		a->failed = fd < 0 ? err_of_label(label) : OK;
		gate_open(&a->came, OK);
		return;
	}
	ipc_drop_fd(fd); /* nobody waits for it any more */
}

enum err
await_unix_socket(struct relay *r, const char *path, int64_t deadline_ms, int *fd)
{
	struct asked a = { .number = ++r->asks, .fd = -1, .failed = ERR_TIMEOUT };
	*fd = -1;
	gate_init(&a.came);
	list_append(&r->asked_sockets, &a.link);
	if (!role_ask_socket(ROLE_RELAY, path, a.number))
		a.failed = ERR_AGAIN;
	else if (!a.answered)
		(void)await_gate(&a.came, deadline_ms);
	list_remove(&a.link);
	*fd = a.fd;
	return a.fd >= 0 ? OK : a.failed;
}
