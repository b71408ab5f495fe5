/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - posthouse init DIR: a folder from which a server can be started: posthouse.conf with every option and its
 * documentation, a self-signed certificate, an empty data folder. Never touches what is there already. Works without a
 * server. Fails: what the file system says; then what was made stays, to be looked at. */
#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_BASE_STANDARD 2000
#define LINE_COLUMNS 100
#define SERVICE_ACCOUNT "posthouse"

static const struct {
	const char *kind;
	unsigned offset, usual;
} listeners[] = {
	{ "smtp", 25, 25 },   { "submission", 87, 587 }, { "submissions", 65, 465 }, { "imap", 43, 143 },
	{ "imaps", 93, 993 }, { "pop3", 10, 110 },       { "pop3s", 95, 995 },       { "lmtp", 24, 24 },
};

struct plan {
	const char *folder, *hostname;
	unsigned base;
};

static bool
is_host_name(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > 253 || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!ascii_alpha(name[i]) && !ascii_digit(name[i]) && name[i] != '.' && name[i] != '-')
			return false;
	return true;
}

static const char *
hostname_for(struct args *a)
{
	char name[256] = "";
	if (a->hostname)
		return a->hostname;
	if (a->domain)
		return arena_printf(a->arena, "mail.%s", a->domain).at;
	if (gethostname(name, sizeof name - 1) == 0 && is_host_name(name))
		return slice_keep_text(a->arena, slice_text(name));
	return "localhost";
}

static bool
plan_make(struct args *a, struct plan *p)
{
	uint32_t base = PORT_BASE_STANDARD;
	p->folder = a->words[0];
	if (a->port_base && (!slice_to_u32(slice_text(a->port_base), &base) || base > 65535 - 95)) {
		cmd_fail(a, "ports are N+25 for SMTP up to N+95 for POP3S", "--port-base '%.20s' is not a number from 0 to %u",
		         a->port_base, 65535 - 95);
		return false;
	}
	p->base = base;
	p->hostname = hostname_for(a);
	if ((!a->domain || is_host_name(a->domain)) && is_host_name(p->hostname))
		return true;
	cmd_fail(a, "letters, digits, '-' and '.' are allowed; an international name in its xn-- form",
	         "'%.80s' is not a host name", a->domain && !is_host_name(a->domain) ? a->domain : p->hostname);
	return false;
}

/* ---- posthouse.conf */

/* Text in comment lines of at most LINE_COLUMNS. */
static void
put_comment(struct buf *b, const char *text)
{
	struct slice rest = slice_text(text);
	while (rest.len) {
		size_t n = MIN(rest.len, (size_t)LINE_COLUMNS);
		if (n < rest.len) {
			ptrdiff_t space = slice_find_last_char(slice_part(rest, 0, n + 1), ' ');
			n = space > 0 ? (size_t)space : n;
		}
		buf_put(b, S("# "));
		buf_put(b, slice_part(rest, 0, n));
		buf_put_char(b, '\n');
		rest = slice_trim(slice_from(rest, n));
	}
}

static void
put_listeners(struct buf *b, const struct plan *p)
{
	for (size_t i = 0; i < COUNT_OF(listeners); i++)
		buf_printf(b, "listen = %s 127.0.0.1:%u\n", listeners[i].kind, p->base + listeners[i].offset);
	put_comment(b, "For all the world to reach it (LMTP stays inside):");
	for (size_t i = 0; i + 1 < COUNT_OF(listeners); i++)
		buf_printf(b, "#listen = %s 0.0.0.0:%u\n#listen = %s [::]:%u\n", listeners[i].kind, listeners[i].usual,
		           listeners[i].kind, listeners[i].usual);
}

static void
put_option(struct buf *b, const struct conf_option *o, const struct plan *p)
{
	buf_put_char(b, '\n');
	put_comment(b, o->doc);
	if (o->min_text)
		buf_printf(b, "# Allowed: %s to %s.\n", o->min_text, o->max_text);
	for (const char *const *w = o->words; w && *w; w++)
		buf_printf(b, "%s%s%s", w == o->words ? "# Allowed: " : ", ", *w, w[1] ? "" : ".\n");
	if (strcmp(o->name, "hostname") == 0)
		buf_printf(b, "hostname = %s\n", p->hostname);
	else if (strcmp(o->name, "listen") == 0)
		put_listeners(b, p);
	else
		buf_printf(b, "#%s =%s%s\n", o->name, *o->standard ? " " : "", o->standard);
}

static void
put_conf(struct buf *b, const struct plan *p)
{
	put_comment(
	    b, "posthouse.conf - the configuration of the Posthouse mail server. Relative paths begin in this folder. A "
	       "line that begins with # shows the default; posthouse.conf(5) says more. After a change: posthouse -c "
	       "THIS check, then send SIGHUP to the server.");
	for (size_t i = 0; i < conf_options_count; i++)
		put_option(b, &conf_options[i], p);
}

/* ---- files */

static bool
failed(struct args *a, const char *what, const char *path)
{
	cmd_fail(a, NULL, "%s %s: %s", what, path, strerror(errno));
	return false;
}

static bool
make_folder(struct args *a, const char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0 && chmod(path, mode) == 0)
		return true;
	return failed(a, "the folder cannot be made:", path);
}

static bool
write_file(struct args *a, const char *path, mode_t mode, struct slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return failed(a, "the file cannot be made:", path);
	ssize_t n = write(fd, text.at, text.len);
	bool ok = n == (ssize_t)text.len && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	if (!ok)
		failed(a, "the file cannot be written:", path);
	close(fd);
	return ok;
}

static bool
write_certificate(struct args *a, const struct plan *p, const char *folder)
{
	struct buf certificate, key;
	buf_init(&certificate, 65536);
	buf_init(&key, 65536);
	const char *names[2] = { p->hostname, a->domain };
	bool twice = a->domain && strcmp(a->domain, p->hostname) == 0;
	bool ok = selfsigned_make(names, a->domain && !twice ? 2 : 1, clock_wall_sec(), &certificate, &key);
	if (!ok)
		cmd_fail(a, NULL, "no certificate can be made: OpenSSL failed");
	ok = ok && write_file(a, arena_printf(a->arena, "%s/key.pem", folder).at, 0600, buf_slice(&key)) &&
	     write_file(a, arena_printf(a->arena, "%s/certificate.pem", folder).at, 0644, buf_slice(&certificate));
	if (key.at)
		secret_wipe(key.at, key.len);
	buf_release(&certificate);
	buf_release(&key);
	return ok;
}

static bool
write_conf(struct args *a, const struct plan *p, const char *path)
{
	struct buf b;
	buf_init(&b, 1u << 20);
	put_conf(&b, p);
	bool ok = write_file(a, path, 0644, buf_slice(&b));
	buf_release(&b);
	return ok;
}

/* Started as root, the server runs as the owner of the data folder. */
static bool
give_away(struct args *a, const char *data)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(SERVICE_ACCOUNT) : NULL;
	if (!pw || chown(data, pw->pw_uid, pw->pw_gid) == 0)
		return true;
	return failed(a, "the folder cannot be given to " SERVICE_ACCOUNT ":", data);
}

static bool
is_free(struct args *a, const char *conf_path, const char *data)
{
	if (access(conf_path, F_OK) == 0)
		cmd_fail(a, "choose another folder, or edit what is there", "%s exists already", conf_path);
	else if (access(data, F_OK) == 0)
		cmd_fail(a, "choose another folder: mail may be in this one", "%s exists already", data);
	else
		return true;
	return false;
}

static void
tell(struct args *a, const struct plan *p, const char *conf_path)
{
	if (a->json) {
		json_t *o = json_object();
		json_object_set_new(o, "configuration", json_string(conf_path));
		json_object_set_new(o, "hostname", json_string(p->hostname));
		for (size_t i = 0; i < COUNT_OF(listeners); i++)
			json_object_set_new(o, listeners[i].kind, json_integer(p->base + listeners[i].offset));
		cmd_print_json(o);
		json_decref(o);
		return;
	}
	const char *domain = a->domain ? a->domain : "example.org";
	printf("made %s: configuration, a self-signed certificate for %s, an empty data folder\n\n", p->folder,
	       p->hostname);
	printf("next:  posthouse serve -c %s\n", conf_path);
	printf("then:  posthouse -c %s domain add %s\n", conf_path, domain);
	printf("       posthouse -c %s account add you@%s\n", conf_path, domain);
}

static int
init(struct args *a)
{
	struct plan p;
	if (!plan_make(a, &p))
		return EXIT_FAILED;
	const char *conf_path = arena_printf(a->arena, "%s/posthouse.conf", p.folder).at;
	const char *data = arena_printf(a->arena, "%s/data", p.folder).at;
	const char *tls = arena_printf(a->arena, "%s/tls", p.folder).at;
	const char *run = arena_printf(a->arena, "%s/run", p.folder).at;
	struct stat st;
	if (stat(p.folder, &st) != 0 && !make_folder(a, p.folder, 0755))
		return EXIT_FAILED;
	if (!is_free(a, conf_path, data) || !make_folder(a, data, 0700) || !give_away(a, data) ||
	    !make_folder(a, tls, 0700) || !make_folder(a, run, 0755) || !write_certificate(a, &p, tls) ||
	    !write_conf(a, &p, conf_path))
		return EXIT_FAILED;
	tell(a, &p, conf_path);
	return EXIT_DONE;
}

static const struct verb rows[] = {
	{ "init", NULL, init, 1, 1, OPT_DOMAIN | OPT_PORT_BASE | OPT_HOSTNAME,
	  "init DIR [--domain D] [--hostname H] [--port-base N]", "make a folder to serve from" },
};
const struct verbs init_verbs = { rows, COUNT_OF(rows) };
