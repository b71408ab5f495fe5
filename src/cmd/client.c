/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - asks the running server over its admin socket: HTTP/1.1, one request, one answer, close. Whatever fails is
 * told on stderr here, with what to do. */
#include "cmd/cmd.h"

#include "base/cursor.h"
#include "base/random.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define ANSWER_SEC 120
#define SYSTEM_CONF "/etc/posthouse/posthouse.conf"

struct conf *
cmd_load(struct args *a, struct conf_error errors[CMD_CONF_ERRORS_MAX], size_t *n)
{
	if (!a->conf_path)
		a->conf_path = access("posthouse.conf", F_OK) == 0 ? "posthouse.conf" : SYSTEM_CONF;
	a->conf = conf_load(a->conf_path, a->arena, errors, CMD_CONF_ERRORS_MAX, n);
	return a->conf;
}

struct conf *
cmd_conf(struct args *a)
{
	if (a->conf)
		return a->conf;
	struct conf_error errors[CMD_CONF_ERRORS_MAX];
	size_t n = 0;
	cmd_load(a, errors, &n);
	for (size_t i = 0; i < MIN(n, (size_t)CMD_CONF_ERRORS_MAX); i++) {
		if (errors[i].line)
			fprintf(stderr, "%s:%u: %s\n", errors[i].file, errors[i].line, errors[i].text);
		else
			fprintf(stderr, "%s: %s\n", errors[i].file, errors[i].text);
	}
	if (!a->conf && a->json) {
		json_t *o = json_object();
		json_object_set_new(o, "error", json_string(n ? errors[0].text : "the configuration cannot be used"));
		cmd_print_json(o);
		json_decref(o);
	}
	return a->conf;
}

/* The socket, or -1 with errno. */
static int
open_socket(const struct conf *c)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(c->v.admin_socket);
	if (len >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, c->v.admin_socket, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	struct timeval limit = { .tv_sec = ANSWER_SEC };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

bool
cmd_server_runs(const struct conf *c)
{
	int fd = open_socket(c);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int
no_server(const struct args *a)
{
	const char *socket_path = a->conf->v.admin_socket;
	if (errno == EACCES)
		return cmd_fail(a, "run the command as root or as the user that the server runs as, for instance with sudo",
		                "the admin socket %s may not be opened", socket_path);
	if (errno == ENOENT || errno == ECONNREFUSED)
		return cmd_fail(a, arena_printf(a->arena, "start it: posthouse serve -c %s", a->conf_path).at,
		                "no server is running for %s (nobody answers at %s)", a->conf_path, socket_path);
	return cmd_fail(a, NULL, "the admin socket %s cannot be reached: %s", socket_path, strerror(errno));
}

static bool
send_all(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = send(fd, s.at, s.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

static bool
receive_all(int fd, struct buf *to)
{
	for (;;) {
		if (!buf_room(to, 65536))
			return false;
		ssize_t n = recv(fd, to->at + to->len, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		to->len += (size_t)n;
	}
}

static bool
exchange(int fd, const char *method, const char *path, json_t *body, struct buf *answer)
{
	struct buf out;
	buf_init(&out, ANSWER_BYTES_MAX);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: posthouse\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method,
	           path, len);
	buf_put(&out, slice_of(text, len));
	bool ok = !out.over && send_all(fd, buf_slice(&out));
	if (text)
		secret_wipe(text, len); /* a password may be in it */
	secret_wipe(out.at, out.len);
	free(text);
	buf_release(&out);
	return receive_all(fd, answer) && ok;
}

/* The status and the body of an answer; 0: it is no HTTP. */
static unsigned
read_answer(struct slice answer, json_t **json)
{
	struct cursor c = cursor_of(answer);
	uint32_t status;
	*json = NULL;
	ptrdiff_t head = slice_find(answer, S("\r\n\r\n"));
	if (head < 0 || !take_exact(&c, S("HTTP/1.1 ")) || !take_u32(&c, &status))
		return 0;
	struct slice body = slice_from(answer, (size_t)head + 4);
	if (body.len)
		*json = json_loadb(body.at, body.len, JSON_DISABLE_EOF_CHECK, NULL);
	return body.len && !*json ? 0 : status;
}

static bool
judge(struct args *a, unsigned status, json_t *answer)
{
	if (status >= 200 && status < 300)
		return true;
	if (status == 0)
		cmd_fail(a, "the server's log may say why", "the server gave no answer that makes sense");
	else {
		const char *hint = cmd_text(answer, "hint");
		cmd_fail(a, *hint ? hint : NULL, "%s", *cmd_text(answer, "error") ? cmd_text(answer, "error") : "refused");
	}
	return false;
}

bool
cmd_ask(struct args *a, const char *method, const char *path, json_t *body, json_t **out)
{
	if (out)
		*out = NULL;
	int fd = cmd_conf(a) ? open_socket(a->conf) : -1;
	if (!a->conf || fd < 0) {
		json_decref(body);
		if (a->conf)
			no_server(a);
		return false;
	}
	struct buf answer;
	buf_init(&answer, ANSWER_BYTES_MAX);
	json_t *json = NULL;
	exchange(fd, method, path, body, &answer); /* an early refusal is read all the same */
	unsigned status = read_answer(buf_slice(&answer), &json);
	buf_release(&answer);
	json_decref(body);
	close(fd);
	bool ok = judge(a, status, json);
	if (ok && out)
		*out = json;
	else
		json_decref(json);
	return ok;
}

int
cmd_do(struct args *a, const char *method, const char *path, json_t *body, const char *done, ...)
{
	json_t *answer;
	if (!cmd_ask(a, method, path, body, &answer))
		return EXIT_FAILED;
	if (a->json) {
		json_t *empty = json_object();
		cmd_print_json(answer ? answer : empty);
		json_decref(empty);
	} else {
		va_list args;
		va_start(args, done);
		vprintf(done, args);
		va_end(args);
		putchar('\n');
	}
	json_decref(answer);
	return EXIT_DONE;
}

const char *
cmd_path(struct args *a, const char *before, const char *word, const char *tail)
{
	struct buf b;
	buf_init(&b, 8192);
	buf_put(&b, slice_text(before));
	for (const char *c = word; *c; c++)
		if (ascii_alpha(*c) || ascii_digit(*c) || strchr("-._~@", *c))
			buf_put_char(&b, *c);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*c);
	buf_put(&b, slice_text(tail));
	const char *path = slice_keep_text(a->arena, buf_slice(&b));
	buf_release(&b);
	return path;
}

static const char *
page_path(struct args *a, const char *path, const char *after)
{
	const char *question = strchr(path, '?') ? "&after=" : "?after=";
	return *after ? cmd_path(a, arena_printf(a->arena, "%s%s", path, question).at, after, "") : path;
}

static const char *
last_of(struct args *a, const json_t *row, const char *member)
{
	const json_t *j = member ? json_object_get(row, member) : row;
	if (json_is_integer(j))
		return arena_printf(a->arena, "%lld", (long long)json_integer_value(j)).at;
	return json_is_string(j) ? slice_keep_text(a->arena, slice_text(json_string_value(j))) : "";
}

int
cmd_list(struct args *a, const char *path, const char *list, const char *after,
         void (*each)(const json_t *row, void *arg), void *arg)
{
	json_t *all = json_array();
	const char *last = "";
	bool more = true, ok = true;
	while (ok && more) {
		json_t *page;
		ok = cmd_ask(a, "GET", page_path(a, path, last), NULL, &page);
		const json_t *rows = ok ? json_object_get(page, list) : NULL;
		size_t n = json_array_size(rows);
		for (size_t i = 0; i < n; i++)
			json_array_append(all, json_array_get(rows, i));
		const json_t *end = json_object_get(page, "last"); /* a page of matches may be empty, and others follow */
		more = ok && (n > 0 || end) && json_is_true(json_object_get(page, "more"));
		if (more)
			last = last_of(a, end ? end : json_array_get(rows, n - 1), end ? NULL : after);
		json_decref(page);
	}
	if (ok && a->json)
		cmd_print_json(all);
	for (size_t i = 0; ok && !a->json && i < json_array_size(all); i++)
		each(json_array_get(all, i), arg);
	json_decref(all);
	return ok ? EXIT_DONE : EXIT_FAILED;
}
