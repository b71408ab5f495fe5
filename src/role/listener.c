/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - the listening sockets of the configuration, TCP and Unix. Called by supervisor.c at start and at reload.
 * Fails: an address that cannot be had, with what to do about it. */
#include "role/supervisor.h"

#include "role/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool
refuse(const struct conf_listener *l, const char *what)
{
	int e = errno;
	static const struct {
		int error;
		const char *advice;
	} advices[] = {
		{ EADDRINUSE, "another program listens there (ss -ltnp tells which): stop it, or choose another port" },
		{ EACCES, "ports below 1024 and folders of others need root or CAP_NET_BIND_SERVICE" },
		{ EPERM, "ports below 1024 and folders of others need root or CAP_NET_BIND_SERVICE" },
		{ EADDRNOTAVAIL, "no interface of this machine has this address (ip address lists them)" },
		{ ENOENT, "the folder of the socket is not there" },
		{ EAFNOSUPPORT, "this machine has no IPv6" },
	};
	const char *advice = "see option listen in posthouse.conf(5)";
	for (size_t i = 0; i < COUNT_OF(advices); i++)
		if (advices[i].error == e)
			advice = advices[i].advice;
	struct log line;
	log_begin(&line, LOG_ERROR, "listener.failed");
	log_text(&line, "kind", l->name);
	log_text(&line, "address", l->address);
	log_text(&line, "step", what);
	log_text(&line, "why", strerror(e));
	log_text(&line, "advice", advice);
	log_end(&line);
	return false;
}

static bool
bind_and_listen(const struct conf_listener *l, int fd, const struct sockaddr *to, socklen_t len)
{
	if (bind(fd, to, len) != 0)
		return refuse(l, "bind");
	if (listen(fd, BACKLOG) != 0)
		return refuse(l, "listen");
	return true;
}

static int
socket_new(const struct conf_listener *l, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	if (fd < 0) {
		refuse(l, "socket");
		return -1;
	}
	if (family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	return fd;
}

static int
open_tcp(const struct conf_listener *l, int family, const uint8_t address[16], uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	memset(&to, 0, sizeof to);
	socklen_t len;
	if (family == 4) {
		to.v4.sin_family = AF_INET;
		to.v4.sin_port = htons(port);
		memcpy(&to.v4.sin_addr, address + 12, 4);
		len = sizeof to.v4;
	} else {
		to.v6.sin6_family = AF_INET6;
		to.v6.sin6_port = htons(port);
		memcpy(&to.v6.sin6_addr, address, 16);
		len = sizeof to.v6;
	}
	int fd = socket_new(l, to.any.sa_family);
	if (fd >= 0 && !bind_and_listen(l, fd, &to.any, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A socket file that an earlier server left behind goes; one that somebody listens on stays. */
static void
stale_remove(const struct sockaddr_un *to)
{
	struct stat st;
	if (lstat(to->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0 && errno == ECONNREFUSED)
		(void)unlink(to->sun_path);
	close(fd);
}

static void
folder_make(const struct supervisor *h, const char *socket)
{
	char path[PATH_MAX];
	const char *slash = strrchr(socket, '/');
	if (!slash || slash == socket)
		return;
	snprintf(path, sizeof path, "%.*s", (int)(slash - socket), socket);
	(void)mkdir(path, 0755); /* when it cannot be made, bind says so */
}

static int
open_unix(const struct supervisor *h, const struct conf_listener *l)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(l->address);
	ASSERT(n < sizeof to.sun_path);
	memcpy(to.sun_path, l->address, n);
	folder_make(h, l->address);
	stale_remove(&to);
	int fd = socket_new(l, AF_UNIX);
	if (fd < 0)
		return -1;
	/* The command's socket is for root and our own user; LMTP is as open as a port on loopback. */
	bool private = l->kind == LISTEN_ADMIN;
	mode_t before = umask(private ? 0177 : 0111);
	bool good = bind_and_listen(l, fd, (struct sockaddr *)&to, sizeof to);
	umask(before);
	if (good && private && h->uid != BOX_STAY && chown(l->address, h->uid, h->gid) != 0)
		good = refuse(l, "chown");
	if (good)
		return fd;
	close(fd);
	return -1;
}

static int
listener_open(const struct supervisor *h, const struct conf_listener *l)
{
	uint8_t address[16];
	uint16_t port;
	int family = conf_socket_address(slice_text(l->address), address, &port);
	return family ? open_tcp(l, family, address, port) : open_unix(h, l);
}

static int
taken_over(const struct listeners *old, const char *address)
{
	for (size_t i = 0; i < old->n; i++)
		if (strcmp(old->at[i].l.address, address) == 0)
			return fcntl(old->at[i].fd, F_DUPFD_CLOEXEC, 3);
	return -1;
}

bool
listeners_open(const struct supervisor *h, const struct conf *c, const struct listeners *old, struct listeners *made)
{
	*made = (struct listeners){ must_calloc(c->nlisteners, sizeof *made->at), 0 };
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct listener *l = &made->at[made->n];
		l->l = c->listeners[i];
		l->fd = taken_over(old, l->l.address);
		if (l->fd < 0)
			l->fd = listener_open(h, &l->l);
		if (l->fd < 0) {
			listeners_unlink(made, old);
			listeners_close(made);
			return false;
		}
		l->l.address = slice_dup(slice_text(l->l.address));
		made->n++;
	}
	return true;
}

bool
listeners_have(const struct listeners *l, const struct listener *one)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].l.kind == one->l.kind && strcmp(l->at[i].l.address, one->l.address) == 0)
			return true;
	return false;
}

void
listeners_unlink(const struct listeners *old, const struct listeners *now)
{
	for (size_t i = 0; i < old->n; i++) {
		const char *address = old->at[i].l.address;
		bool stays = false;
		for (size_t k = 0; k < now->n; k++)
			stays = stays || strcmp(now->at[k].l.address, address) == 0;
		if (!stays && address[0] == '/')
			(void)unlink(address);
	}
}

void
listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		close(l->at[i].fd);
		free((char *)(uintptr_t)l->at[i].l.address);
	}
	free(l->at);
	*l = (struct listeners){ NULL, 0 };
}
