/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - a connection out, without blocking the loop. Tests and the simulation put another function in its place.
 * Fails: ERR_TIMEOUT, ERR_CLOSED (refused), ERR_IO (unreachable), ERR_LIMIT (descriptors). */
#include "task/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static enum err
err_of_connect(int number)
{
	return number == ECONNREFUSED ? ERR_CLOSED : err_from_errno(number);
}

static enum err
await_connected(int fd, const struct sockaddr *to, unsigned to_len, int64_t deadline_ms)
{
	int failure = connect(fd, to, to_len) == 0 ? 0 : errno;
	if (failure == EINPROGRESS) {
		enum err e = await_fd(fd, LOOP_WRITE, deadline_ms);
		if (e)
			return e;
		socklen_t len = sizeof failure;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
			failure = errno;
	}
	return err_of_connect(failure);
}

static enum err
await_connect_socket(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                     int64_t deadline_ms, int *fd)
{
	*fd = -1;
	int s = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return err_from_errno(errno);
	int on = 1;
	if (to->sa_family != AF_UNIX)
		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	enum err e = OK;
	if (from && bind(s, from, from_len) != 0)
		e = err_from_errno(errno);
	if (!e)
		e = await_connected(s, to, to_len, deadline_ms);
	if (e)
		close(s);
	else
		*fd = s;
	return e;
}

enum err (*await_connect)(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                          int64_t deadline_ms, int *fd) = await_connect_socket;
