/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - posthouse check: the configuration and what it names, looked at before a server is started or reloaded.
 * Changes nothing. Exit code 1 when something would keep the server from its work; warnings leave it 0. */
#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/random.h"
#include "task/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

struct report {
	struct args *args;
	json_t *list;
	bool failed;
};

static void tell(struct report *r, enum verdict v, const char *what, const char *format, ...) PRINTF_LIKE(4, 5);

static void
tell(struct report *r, enum verdict v, const char *what, const char *format, ...)
{
	static const char *const words[] = { "ok", "warn", "fail" };
	char text[2000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	r->failed = r->failed || v == VERDICT_FAIL;
	json_t *o = json_object();
	json_object_set_new(o, "check", json_string(what));
	json_object_set_new(o, "result", json_string(words[v]));
	json_object_set_new(o, "text", json_string(text));
	json_array_append_new(r->list, o);
	if (!r->args->json)
		printf("%-5s %-14s %s\n", words[v], what, text);
}

static bool
check_conf(struct report *r)
{
	struct args *a = r->args;
	struct conf_error errors[CMD_CONF_ERRORS_MAX];
	size_t n = 0;
	cmd_load(a, errors, &n);
	for (size_t i = 0; i < MIN(n, (size_t)CMD_CONF_ERRORS_MAX); i++)
		if (errors[i].line)
			tell(r, VERDICT_FAIL, "configuration", "%s:%u: %s", errors[i].file, errors[i].line, errors[i].text);
		else
			tell(r, VERDICT_FAIL, "configuration", "%s: %s", errors[i].file, errors[i].text);
	if (n > CMD_CONF_ERRORS_MAX)
		tell(r, VERDICT_FAIL, "configuration", "%zu more errors", n - CMD_CONF_ERRORS_MAX);
	if (a->conf)
		tell(r, VERDICT_OK, "configuration", "%s, %zu listeners", a->conf_path, a->conf->nlisteners - 1);
	return a->conf != NULL;
}

static void
check_data(struct report *r)
{
	struct stat st;
	const char *path = r->args->conf->v.data;
	if (stat(path, &st) != 0)
		tell(r, VERDICT_FAIL, "data folder", "%s: %s; make it (mode 0700) or name another in data", path,
		     strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		tell(r, VERDICT_FAIL, "data folder", "%s is not a folder", path);
	else if (st.st_mode & 077)
		tell(r, VERDICT_WARN, "data folder", "%s can be entered by others (mode %04o): chmod 0700 %s", path,
		     (unsigned)(st.st_mode & 07777), path);
	else
		tell(r, VERDICT_OK, "data folder", "%s", path);
	const char *user = r->args->conf->v.user;
	if (*user && !getpwnam(user))
		tell(r, VERDICT_FAIL, "user", "there is no account '%s' on this machine: create it, or change user", user);
}

/* The file, or an empty slice and the failure told. */
static struct slice
read_file(struct report *r, const char *what, const char *path)
{
	char *at = arena_alloc(r->args->arena, CERTIFICATE_PEM_BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, at, CERTIFICATE_PEM_BYTES_MAX + 1) : -1;
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		tell(r, why == EACCES ? VERDICT_WARN : VERDICT_FAIL, what, "%s: %s%s", path, strerror(why),
		     why == EACCES ? "; run the check as root to look at it" : "");
	return n > 0 ? slice_of(at, (size_t)n) : S("");
}

static void
check_certificate(struct report *r)
{
	const struct conf *c = r->args->conf;
	struct slice chain = read_file(r, "certificate", c->v.tls_certificate);
	struct slice key = read_file(r, "key", c->v.tls_key);
	if (!chain.len || !key.len)
		return;
	struct certificate made;
	const char *why;
	enum certificate_state state = certificate_read(&made, chain, key, clock_wall_sec(), r->args->arena, &why);
	secret_wipe((char *)key.at, key.len);
	if (state == CERTIFICATE_BAD)
		tell(r, VERDICT_FAIL, "certificate", "%s, %s: %s", c->v.tls_certificate, c->v.tls_key, why);
	else if (why)
		tell(r, state == CERTIFICATE_SOON ? VERDICT_WARN : VERDICT_FAIL, "certificate", "%s: %s", c->v.tls_certificate,
		     why);
	else
		tell(r, VERDICT_OK, "certificate", "%s, good until %.10s, for %s", c->v.tls_certificate,
		     cmd_when(r->args->arena, made.expires), made.names);
	certificate_release(&made);
	struct stat st;
	if (stat(c->v.tls_key, &st) == 0 && (st.st_mode & 077))
		tell(r, VERDICT_WARN, "key", "%s can be read by others (mode %04o): chmod 0600 %s", c->v.tls_key,
		     (unsigned)(st.st_mode & 07777), c->v.tls_key);
}

/* ---- ports */

static bool
socket_address(const char *text, struct sockaddr_storage *to, socklen_t *len)
{
	uint8_t address[16];
	uint16_t port;
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (!conf_socket_address(slice_text(text), address, &port))
		return false;
	memset(to, 0, sizeof *to);
	if (memcmp(address, mapped, sizeof mapped) == 0) {
		struct sockaddr_in *four = (struct sockaddr_in *)to;
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, address + 12, 4);
		*len = sizeof *four;
	} else {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		memcpy(&six->sin6_addr, address, 16);
		*len = sizeof *six;
	}
	return true;
}

static void
check_port(struct report *r, const struct conf_listener *l)
{
	struct sockaddr_storage to;
	socklen_t len;
	if (!socket_address(l->address, &to, &len))
		return; /* a Unix socket: made by the server */
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (to.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	int why = bind(fd, (struct sockaddr *)&to, len) == 0 ? 0 : errno;
	close(fd);
	if (why == EADDRINUSE)
		tell(r, VERDICT_FAIL, "listener", "%s %s: another program has this port; end it, or choose another port",
		     l->name, l->address);
	else if (why == EACCES)
		tell(r, VERDICT_WARN, "listener", "%s %s: only root may use ports below 1024; start the server as root",
		     l->name, l->address);
	else if (why)
		tell(r, VERDICT_FAIL, "listener", "%s %s: %s; is this an address of this machine?", l->name, l->address,
		     strerror(why));
	else
		tell(r, VERDICT_OK, "listener", "%s %s is free", l->name, l->address);
}

static void
check_server(struct report *r)
{
	const struct conf *c = r->args->conf;
	if (c->nlisteners <= 1)
		tell(r, VERDICT_WARN, "listener",
		     "there is none: nobody can reach the server; add listen = smtp 127.0.0.1:2525");
	if (cmd_server_runs(c)) {
		tell(r, VERDICT_OK, "server", "is running (%s)", c->v.admin_socket);
		return; /* it has its ports itself */
	}
	tell(r, VERDICT_OK, "server", "is not running; start it: posthouse serve -c %s", r->args->conf_path);
	for (size_t i = 0; i < c->nlisteners; i++)
		check_port(r, &c->listeners[i]);
}

static void
check_dns(struct report *r)
{
	const char *anchor = r->args->conf->v.dns_trust_anchor;
	if (access(anchor, R_OK) != 0)
		tell(r, VERDICT_WARN, "dnssec", "%s: %s; answers of the DNS are not validated (install dns-root-data)", anchor,
		     strerror(errno));
}

static void
say_store(void *arg, bool good, const char *line)
{
	tell(arg, good ? VERDICT_OK : VERDICT_FAIL, "store", "%s", line);
}

static int
check(struct args *a)
{
	struct report r = { .args = a, .list = json_array() };
	if (check_conf(&r)) {
		check_data(&r);
		check_certificate(&r);
		check_dns(&r);
		check_server(&r);
		if (a->given & OPT_STORE)
			r.failed |= !cmd_check_store(a->conf->v.data, say_store, &r);
	}
	if (a->json) {
		json_t *o = json_object();
		json_object_set_new(o, "good", json_boolean(!r.failed));
		json_object_set(o, "checks", r.list);
		cmd_print_json(o);
		json_decref(o);
	}
	json_decref(r.list);
	return r.failed ? EXIT_FAILED : EXIT_DONE;
}

static const struct verb rows[] = {
	{ "check", NULL, check, 0, 0, OPT_STORE, "check [--store]", "look at the configuration; --store: read all mail" },
};
const struct verbs check_verbs = { rows, COUNT_OF(rows) };
