/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c - makes the libunbound context: forwarders (dns.server, else those of resolv.conf, else none: from the
 * root servers down), the DNSSEC trust anchor, what libunbound takes for local names. Called by resolver.c; files are
 * read once, before the box closes. Fails: an address or an anchor that libunbound does not take. */
#include "resolver/upstream.h"

#include "base/log.h"

#include <fcntl.h>
#include <unbound.h>
#include <unistd.h>

#define FILE_BYTES_MAX (256 * 1024)
#define RESOLV_CONF_SERVERS_MAX 3 /* resolv.conf(5): MAXNS */

static struct slice
file_text(const char *path, struct arena *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return SLICE_NONE;
	char *at = arena_alloc(a, FILE_BYTES_MAX);
	size_t len = 0;
	for (ssize_t n; len < FILE_BYTES_MAX && (n = read(fd, at + len, FILE_BYTES_MAX - len)) > 0;)
		len += (size_t)n;
	close(fd);
	return slice_of(at, len);
}

void
upstream_files_read(struct upstream_files *f, const struct conf *conf)
{
	arena_init(&f->arena, 0);
	f->anchors = file_text(conf->v.dns_trust_anchor, &f->arena);
	f->resolv_conf = file_text("/etc/resolv.conf", &f->arena);
	if (f->anchors.len == 0)
		log_event(LOG_WARN, "dns.no_dnssec", "trust_anchor", conf->v.dns_trust_anchor);
}

void
upstream_files_release(struct upstream_files *f)
{
	arena_release(&f->arena);
	f->anchors = f->resolv_conf = SLICE_NONE;
}

static bool
is_loopback(const char *server)
{
	struct slice s = slice_text(server);
	return slice_starts(s, S("127.")) || slice_equal(s, S("::1")) || slice_starts(s, S("::1@"));
}

static void
option(struct ub_ctx *ub, const char *name, const char *value)
{
	ASSERT(ub_ctx_set_option(ub, name, value) == 0);
}

static bool
forward_to(struct ub_ctx *ub, const char *server)
{
	if (is_loopback(server))
		option(ub, "do-not-query-localhost:", "no");
	return ub_ctx_set_fwd(ub, server) == 0;
}

/* resolv.conf(5): "nameserver ADDRESS" at the start of a line. Returns how many were taken. */
static size_t
forward_as_resolv_conf(struct ub_ctx *ub, struct slice text, struct arena *a)
{
	size_t taken = 0;
	for (struct slice line, rest = text; rest.len > 0 && taken < RESOLV_CONF_SERVERS_MAX;) {
		(void)slice_cut(rest, '\n', &line, &rest);
		if (!slice_starts(line, S("nameserver")))
			continue;
		struct slice address = slice_trim(slice_from(line, strlen("nameserver")));
		if (slice_find_char(address, '%') < 0) /* a link-local address of one interface: not for libunbound */
			taken += forward_to(ub, slice_keep_text(a, address));
	}
	return taken;
}

/* One record a line (RFC 1035 5.1), ';' begins a comment. */
static bool
anchors_add(struct ub_ctx *ub, struct slice text, struct arena *a)
{
	for (struct slice line, rest = text, comment; rest.len > 0;) {
		(void)slice_cut(rest, '\n', &line, &rest);
		(void)slice_cut(line, ';', &line, &comment);
		line = slice_trim(line);
		if (line.len > 0 && ub_ctx_add_ta(ub, slice_keep_text(a, line)) != 0)
			return false;
	}
	return true;
}

/* A configured server is the one that knows: names that libunbound would answer itself go to it too. */
static void
forward_local_names(struct ub_ctx *ub)
{
	static const char *const zones[] = { "test.", "home.arpa." };
	for (size_t i = 0; i < COUNT_OF(zones); i++)
		(void)ub_ctx_zone_remove(ub, zones[i]);
}

static bool
servers_use(struct ub_ctx *ub, const struct conf *conf, const struct upstream_files *f, struct arena *a,
            const char **why)
{
	size_t forwarders = conf->v.ndns_server;
	for (size_t i = 0; i < conf->v.ndns_server; i++)
		if (!forward_to(ub, conf->v.dns_server[i])) {
			*why = arena_printf(a, "dns.server: \"%s\" is not ADDRESS or ADDRESS@PORT", conf->v.dns_server[i]).at;
			return false;
		}
	if (forwarders == 0)
		forwarders = forward_as_resolv_conf(ub, f->resolv_conf, a);
	if (forwarders > 0) {
		option(ub, "unblock-lan-zones:", "yes");
		option(ub, "insecure-lan-zones:", "yes");
	}
	return true;
}

static bool
prepare(struct ub_ctx *ub, const struct conf *conf, const struct upstream_files *f, struct arena *a, const char **why)
{
	ub_ctx_debugout(ub, NULL); /* it would write lines of its own form to standard error */
	ASSERT(ub_ctx_async(ub, 1) == 0);
	option(ub, "infra-keep-probing:", "yes"); /* a server that was down is found again within seconds */
	if (!servers_use(ub, conf, f, a, why))
		return false;
	/* The first call that needs the settings whole reads them, anchors included: nothing is left for later. */
	if (!anchors_add(ub, f->anchors, a) || ub_ctx_data_remove(ub, "nothing.invalid.") != 0) {
		*why = arena_printf(a, "dns.trust-anchor: \"%s\" does not hold one record a line", conf->v.dns_trust_anchor).at;
		return false;
	}
	if (conf->v.ndns_server > 0)
		forward_local_names(ub);
	return true;
}

struct ub_ctx *
upstream_make(const struct conf *conf, const struct upstream_files *f, struct arena *a, const char **why)
{
	struct ub_ctx *ub = ub_ctx_create();
	ASSERT(ub != NULL);
	if (prepare(ub, conf, f, a, why))
		return ub;
	ub_ctx_delete(ub);
	return NULL;
}
