/* SPDX-License-Identifier: Apache-2.0 */
/* conf_special.c - the options with a form of their own: listeners, address ranges, routes, waits, names of hosts.
 * Called by conf.c only. Each value is checked when its line is read, so that an error names the line; the arrays of
 * struct conf are made at the end from values that are known to be good. */
#include "role/conf_special.h"

#include "ipc/ipc.h"

#include <arpa/inet.h>
#include <sys/un.h>

static const struct conf_listener kinds[LISTEN_KINDS] = {
	[LISTEN_SMTP] = { LISTEN_SMTP, false, IPC_CLASS_MX, "smtp", NULL },
	[LISTEN_LMTP] = { LISTEN_LMTP, false, IPC_CLASS_MX, "lmtp", NULL },
	[LISTEN_SUBMISSION] = { LISTEN_SUBMISSION, false, IPC_CLASS_USER, "submission", NULL },
	[LISTEN_SUBMISSIONS] = { LISTEN_SUBMISSIONS, true, IPC_CLASS_USER, "submissions", NULL },
	[LISTEN_IMAP] = { LISTEN_IMAP, false, IPC_CLASS_USER, "imap", NULL },
	[LISTEN_IMAPS] = { LISTEN_IMAPS, true, IPC_CLASS_USER, "imaps", NULL },
	[LISTEN_POP3] = { LISTEN_POP3, false, IPC_CLASS_USER, "pop3", NULL },
	[LISTEN_POP3S] = { LISTEN_POP3S, true, IPC_CLASS_USER, "pop3s", NULL },
	[LISTEN_ADMIN] = { LISTEN_ADMIN, false, IPC_CLASS_ADMIN, "admin", NULL },
	[LISTEN_HTTP] = { LISTEN_HTTP, false, IPC_CLASS_MX, "http", NULL },
	[LISTEN_HTTPS] = { LISTEN_HTTPS, true, IPC_CLASS_MX, "https", NULL },
};

/* ---- addresses */

int
conf_ip_address(struct slice text, uint8_t address[16])
{
	char z[INET6_ADDRSTRLEN + 1];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (text.len == 0 || text.len >= sizeof z || memchr(text.at, 0, text.len))
		return 0;
	memcpy(z, text.at, text.len);
	z[text.len] = 0;
	if (inet_pton(AF_INET, z, address + 12) == 1) {
		memcpy(address, mapped, sizeof mapped);
		return 4;
	}
	return inet_pton(AF_INET6, z, address) == 1 ? 6 : 0;
}

static bool
port_of(struct slice text, uint16_t *port)
{
	uint32_t v;
	if (!slice_to_u32(text, &v) || v < 1 || v > 65535)
		return false;
	*port = (uint16_t)v;
	return true;
}

int
conf_socket_address(struct slice text, uint8_t address[16], uint16_t *port)
{
	ptrdiff_t colon = slice_find_last_char(text, ':');
	if (colon < 0 || !port_of(slice_from(text, (size_t)colon + 1), port))
		return 0;
	struct slice host = slice_part(text, 0, (size_t)colon);
	bool brackets = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
	int family = conf_ip_address(brackets ? slice_part(host, 1, host.len - 2) : host, address);
	return (family == 6) == brackets ? family : 0;
}

static bool
network_of(struct slice text, struct conf_network *n)
{
	struct slice host, bits;
	bool ranged = slice_cut(text, '/', &host, &bits);
	int family = conf_ip_address(host, n->address);
	uint32_t v = family == 4 ? 32 : 128;
	if (!family || (ranged && (!slice_to_u32(bits, &v) || v > (family == 4 ? 32u : 128u))))
		return false;
	n->bits = (uint8_t)(family == 4 ? v + 96 : v);
	return true;
}

/* ---- listeners */

static bool
kind_of(struct slice name, struct conf_listener *l)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++)
		if (slice_equal(name, slice_text(kinds[i].name))) {
			*l = kinds[i];
			return true;
		}
	return false;
}

bool
conf_listener_of(const char *name, const char *address, struct conf_listener *l)
{
	if (!kind_of(slice_text(name), l))
		return false;
	l->address = address;
	return true;
}

static bool
is_path(struct slice address)
{
	return slice_find_char(address, '/') >= 0 || slice_ends(address, S(".sock"));
}

static void
check_socket_path(struct conf_parser *p, const char *option, struct slice value)
{
	const char *path = conf_path(p->conf, value);
	size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
	if (value.len == 0)
		conf_complain(p, "%s names no path", option);
	else if (strlen(path) > max)
		conf_complain(p, "%s: the path '%s' of a socket is too long; allowed: %zu bytes", option, path, max);
}

static bool
listener_parse(struct slice value, struct conf_listener *l, struct slice *address)
{
	struct slice kind;
	slice_cut(value, ' ', &kind, address);
	*address = slice_trim(*address);
	return kind_of(kind, l) && l->kind != LISTEN_ADMIN;
}

static void
check_listen(struct conf_parser *p, struct slice value)
{
	struct conf_listener l;
	struct slice address;
	uint8_t ip[16];
	uint16_t port;
	if (!listener_parse(value, &l, &address)) {
		conf_complain(p,
		              "listen = '%s' does not begin with a kind; allowed: smtp, submission, submissions, imap, imaps, "
		              "pop3, pop3s, lmtp, http, https",
		              conf_show(p, value));
		return;
	}
	if (is_path(address))
		check_socket_path(p, "listen", address);
	else if (!conf_socket_address(address, ip, &port))
		conf_complain(p, "listen = '%s' names no address; allowed: 127.0.0.1:25, [::1]:25 or the path of a Unix socket",
		              conf_show(p, value));
	const char **all = p->conf->v.listen;
	for (size_t i = 0; i + 1 < p->conf->v.nlisten; i++) { /* the last one is this one */
		struct slice other;
		if (listener_parse(slice_text(all[i]), &l, &other) && slice_equal(other, address))
			conf_complain(p, "listen = '%s' uses an address for the second time", conf_show(p, value));
	}
}

static void
listeners_make(struct conf *c)
{
	c->listeners = ARENA_ARRAY(&c->arena, struct conf_listener, c->v.nlisten + 1);
	for (size_t i = 0; i < c->v.nlisten; i++) {
		struct slice address;
		ASSERT(listener_parse(slice_text(c->v.listen[i]), &c->listeners[i], &address));
		c->listeners[i].address = is_path(address) ? conf_path(c, address) : slice_keep_text(&c->arena, address);
	}
	c->nlisteners = c->v.nlisten + 1;
	c->listeners[c->v.nlisten] = kinds[LISTEN_ADMIN];
	c->listeners[c->v.nlisten].address = c->v.admin_socket;
}

/* ---- trusted */

static void
check_trusted(struct conf_parser *p, struct slice value)
{
	struct conf_network n;
	if (!network_of(value, &n))
		conf_complain(p, "trusted = '%s' is no address range; allowed: 10.0.0.1, 10.0.0.0/8, fd00::/8",
		              conf_show(p, value));
}

static void
trusted_make(struct conf *c)
{
	static const char *const loopback[] = { "127.0.0.0/8", "::1" };
	const char *const *from = c->v.ntrusted ? c->v.trusted : loopback;
	c->ntrusted = c->v.ntrusted ? c->v.ntrusted : COUNT_OF(loopback);
	c->trusted = ARENA_ARRAY(&c->arena, struct conf_network, c->ntrusted);
	for (size_t i = 0; i < c->ntrusted; i++)
		ASSERT(network_of(slice_text(from[i]), &c->trusted[i]));
}

/* ---- names of hosts, routes */

bool
conf_is_host(struct slice s)
{
	if (s.len == 0 || s.len > 255)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]) && !strchr("-._", s.at[i]) && !(s.at[i] & 0x80))
			return false;
	return s.at[0] != '.' && s.at[0] != '-';
}

static bool
route_target(struct slice text, struct slice *host, uint16_t *port)
{
	struct slice rest;
	uint8_t ip[16];
	*port = 0;
	if (text.len && text.at[0] == '[') { /* RFC 5321 4.1.3: [192.0.2.1], [IPv6:2001:db8::1]; or [2001:db8::1] */
		if (!slice_cut(slice_from(text, 1), ']', host, &rest))
			return false;
		if (slice_starts_nocase(*host, S("IPv6:")))
			*host = slice_from(*host, strlen("IPv6:"));
		return conf_ip_address(*host, ip) &&
		       (rest.len == 0 || (rest.at[0] == ':' && port_of(slice_from(rest, 1), port)));
	}
	bool with_port = slice_cut(text, ':', host, &rest);
	return conf_is_host(*host) && (!with_port || port_of(rest, port));
}

/* HOST[:PORT], or with LMTP the path of a Unix socket. */
static bool
route_hop(struct slice text, struct arena *a, struct conf_route *r)
{
	struct conf_hop *hop = &r->hops[r->nhops];
	struct slice host;
	if (r->nhops == ROUTE_HOPS_MAX)
		return false;
	if (text.len && text.at[0] == '/') {
		hop->host = slice_keep_text(a, text);
		return r->lmtp && text.len < sizeof((struct sockaddr_un *)NULL)->sun_path && ++r->nhops;
	}
	if (!route_target(text, &host, &hop->port))
		return false;
	hop->host = slice_keep_text(a, host);
	return ++r->nhops;
}

/* "mx", "mx:2525", "[lmtp:]HOP,HOP" */
static bool
route_hops(struct slice text, struct arena *a, struct conf_route *r)
{
	struct slice one, host;
	if (route_target(text, &host, &r->port) && slice_equal(host, S("mx")))
		return true;
	r->port = 0;
	if (slice_starts(text, S("lmtp:"))) {
		r->lmtp = true;
		text = slice_from(text, strlen("lmtp:"));
	}
	do {
		slice_cut(text, ',', &one, &text);
		if (!route_hop(one, a, r))
			return false;
	} while (text.len);
	return true;
}

bool
conf_next_word(struct slice *rest, struct slice *word)
{
	*rest = slice_trim(*rest);
	size_t n = 0;
	while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
		n++;
	*word = slice_part(*rest, 0, n);
	*rest = slice_from(*rest, n);
	return n > 0;
}

/* ---- waits between tries */

enum { RETRY_MAX = 100 };

/* "5m 20m 1h" into sec, which has room for RETRY_MAX; 0: it is no such row. */
static size_t
retry_parse(struct slice value, int64_t *sec)
{
	struct slice word;
	size_t n = 0;
	while (conf_next_word(&value, &word)) {
		uint64_t ms;
		if (!conf_quantity(word, CONF_TIME, &ms) || ms < 1000 || ms > UINT64_C(30) * 86400000 || n == RETRY_MAX)
			return 0;
		sec[n++] = (int64_t)(ms / 1000);
	}
	return n;
}

/* ---- words of a route */

/* "a,b,c" into to; false: too many, or one that good() does not like. */
static bool
route_list(struct slice text, struct arena *a, bool (*good)(struct slice), const char **to, size_t max, size_t *n)
{
	struct slice one;
	while (text.len) {
		slice_cut(text, ',', &one, &text);
		if (*n == max || !good(one))
			return false;
		to[(*n)++] = slice_keep_text(a, one);
	}
	return *n > 0;
}

static bool
is_ip(struct slice s)
{
	uint8_t ip[16];
	return conf_ip_address(s, ip) != 0;
}

static bool
route_tls(struct slice mode, struct arena *a, struct conf_route *r)
{
	static const char *const modes[] = {
		[ROUTE_TLS_AUTO] = "auto", [ROUTE_TLS_NONE] = "none", [ROUTE_TLS_TRY] = "try",
		[ROUTE_TLS_MUST] = "must", [ROUTE_TLS_DANE] = "dane", [ROUTE_TLS_VERIFY] = "verify",
	};
	struct slice names;
	if (slice_cut(mode, ':', &mode, &names) &&
	    (!slice_equal(mode, S("verify")) || !route_list(names, a, conf_is_host, r->names, ROUTE_NAMES_MAX, &r->nnames)))
		return false;
	for (unsigned i = 0; i < COUNT_OF(modes); i++)
		if (slice_equal(mode, slice_text(modes[i]))) {
			r->tls = (enum route_tls)i;
			return true;
		}
	return false;
}

static bool
time_sec(struct slice value, int64_t *sec)
{
	uint64_t ms = 0;
	bool good = conf_quantity(value, CONF_TIME, &ms) && ms >= 1000 && ms <= UINT64_C(30) * 86400000;
	*sec = (int64_t)(ms / 1000);
	return good;
}

static bool
route_schedule(struct slice name, struct slice value, struct arena *a, struct conf_schedule *s)
{
	if (slice_equal(name, S("lifetime")))
		return time_sec(value, &s->lifetime_sec);
	if (slice_equal(name, S("delayed-after")))
		return time_sec(value, &s->delayed_after_sec);
	if (!slice_equal(name, S("retry")))
		return false;
	char *waits = arena_alloc(a, value.len + 1);
	for (size_t i = 0; i < value.len; i++)
		waits[i] = value.at[i] == ',' ? ' ' : value.at[i];
	s->retry_sec = ARENA_ARRAY(a, int64_t, RETRY_MAX);
	return (s->nretry = retry_parse(slice_of(waits, value.len), s->retry_sec)) > 0;
}

static bool
route_flag(struct conf *c, struct slice word, struct arena *a, struct conf_route *r)
{
	struct slice name, value;
	if (slice_equal(word, S("lmtp")))
		return r->lmtp = true;
	if (slice_equal(word, S("implicit-tls")))
		return r->implicit_tls = true;
	if (!slice_cut(word, '=', &name, &value) || value.len == 0)
		return false;
	if (slice_equal(name, S("tls")))
		return route_tls(value, a, r);
	if (slice_equal(name, S("source")))
		return route_list(value, a, is_ip, r->sources, ROUTE_SOURCES_MAX, &r->nsources);
	if (slice_equal(name, S("auth")))
		return (r->auth = conf_path(c, value)) != NULL;
	if (slice_equal(name, S("ehlo")))
		return conf_is_host(value) && (r->ehlo = slice_keep_text(a, value)) != NULL;
	return route_schedule(name, value, a, &r->schedule);
}

static bool
route_parse(struct conf *c, struct slice value, struct arena *a, struct conf_route *r)
{
	struct slice domain, target, word;
	*r = (struct conf_route){ 0 };
	if (!conf_next_word(&value, &domain) || !conf_next_word(&value, &target) || !route_hops(target, a, r))
		return false;
	bool below = domain.len > 1 && domain.at[0] == '.';
	if (!conf_is_host(below ? slice_from(domain, 1) : domain) && !slice_equal(domain, S("*")))
		return false;
	while (conf_next_word(&value, &word))
		if (!route_flag(c, word, a, r))
			return false;
	if (r->implicit_tls && (r->tls == ROUTE_TLS_NONE || r->tls == ROUTE_TLS_TRY))
		return false;
	char *lower = arena_alloc(a, domain.len + 1);
	for (size_t i = 0; i < domain.len; i++)
		lower[i] = ascii_lower(domain.at[i]);
	lower[domain.len] = '\0';
	r->domain = lower;
	return r->nhops > 0 || !r->lmtp; /* MX hosts speak SMTP */
}

static void
check_route(struct conf_parser *p, struct slice value)
{
	struct conf_route r;
	if (!route_parse(p->conf, value, p->arena, &r))
		conf_complain(p,
		              "route = '%s' is not of the form DOMAIN HOST[:PORT][,...]|lmtp:/PATH [lmtp] [implicit-tls] "
		              "[tls=auto|none|try|must|dane|verify[:NAME,...]] [auth=FILE] [source=ADDRESS,...] [ehlo=NAME] "
		              "[retry=TIME,...] [lifetime=TIME] [delayed-after=TIME]",
		              conf_show(p, value));
}

static void
routes_make(struct conf *c)
{
	c->nroutes = c->v.nroute;
	c->routes = ARENA_ARRAY(&c->arena, struct conf_route, c->nroutes + 1);
	for (size_t i = 0; i < c->nroutes; i++)
		ASSERT(route_parse(c, slice_text(c->v.route[i]), &c->arena, &c->routes[i]));
}

/* ---- paces and answers */

static bool
pace_word(struct slice word, struct conf_pace *p)
{
	const struct {
		struct slice name;
		uint32_t *to, max;
	} known[] = { { S("connections="), &p->connections, 1000 },
		          { S("messages="), &p->messages, 100000 },
		          { S("rate="), &p->rate, 60000 } };
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		struct slice value = slice_from(word, known[i].name.len);
		if (!slice_starts_nocase(word, known[i].name))
			continue;
		if (i == 2 && !slice_ends_nocase(value, S("/m")))
			return false;
		value.len -= i == 2 ? 2 : 0;
		return slice_to_u32(value, known[i].to) && *known[i].to > 0 && *known[i].to <= known[i].max;
	}
	return false;
}

static bool
pace_parse(struct slice value, struct arena *a, struct conf_pace *p)
{
	struct slice site, word;
	*p = (struct conf_pace){ 0 };
	if (!conf_next_word(&value, &site) || site.len > 255 || slice_equal(site, S("*")))
		return false;
	char *lower = arena_alloc(a, site.len + 1);
	for (size_t i = 0; i < site.len; i++)
		lower[i] = ascii_lower(site.at[i]);
	p->site = lower;
	while (conf_next_word(&value, &word))
		if (!pace_word(word, p))
			return false;
	return p->connections || p->messages || p->rate;
}

static void
check_pace(struct conf_parser *p, struct slice value)
{
	struct conf_pace one;
	if (!pace_parse(value, p->arena, &one))
		conf_complain(p, "pace = '%s' is not of the form SITE [connections=N] [messages=N] [rate=N/m]",
		              conf_show(p, value));
}

static void
paces_make(struct conf *c)
{
	c->npaces = c->v.npace;
	c->paces = ARENA_ARRAY(&c->arena, struct conf_pace, c->npaces + 1);
	for (size_t i = 0; i < c->npaces; i++)
		ASSERT(pace_parse(slice_text(c->v.pace[i]), &c->arena, &c->paces[i]));
}

/* ---- waits */

static void
check_waits(struct conf_parser *p, const char *name, struct slice value)
{
	int64_t sec[RETRY_MAX];
	if (retry_parse(value, sec) == 0)
		conf_complain(p, "%s = '%s' is not a row of waits such as 5m 20m 1h; allowed: 1 to %d of 1s to 30d each", name,
		              conf_show(p, value), RETRY_MAX);
}

static void
check_retry(struct conf_parser *p, struct slice value)
{
	check_waits(p, "relay.retry", value);
}

static void
check_retry_bulk(struct conf_parser *p, struct slice value)
{
	if (value.len)
		check_waits(p, "relay.retry-bulk", value);
}

static void
check_retry_notice(struct conf_parser *p, struct slice value)
{
	if (value.len)
		check_waits(p, "relay.retry-notice", value);
}

/* What is not said for a class is as it is for all. */
static void
schedule_make(struct conf *c, struct conf_schedule *s, const char *waits, int64_t lifetime_ms)
{
	s->retry_sec = ARENA_ARRAY(&c->arena, int64_t, RETRY_MAX);
	s->nretry = retry_parse(slice_text(*waits ? waits : c->v.relay_retry), s->retry_sec);
	s->lifetime_sec = MAX((lifetime_ms ? lifetime_ms : (int64_t)c->v.relay_lifetime) / 1000, (int64_t)1);
	s->delayed_after_sec = (int64_t)c->v.relay_delayed_after / 1000;
	ASSERT(s->nretry > 0);
}

static void
retry_make(struct conf *c)
{
	const struct conf_values *v = &c->v;
	schedule_make(c, &c->schedules[0], "", 0);
	schedule_make(c, &c->schedules[1], v->relay_retry_bulk, (int64_t)v->relay_lifetime_bulk);
	schedule_make(c, &c->schedules[2], v->relay_retry_notice, (int64_t)v->relay_lifetime_notice);
	c->retry_sec = c->schedules[0].retry_sec;
	c->nretry = c->schedules[0].nretry;
}

/* ---- the rest */

static void
check_hostname(struct conf_parser *p, struct slice value)
{
	if (!conf_is_host(value))
		conf_complain(p, "hostname = '%s' is no name of a host; allowed: letters, digits, '-' and '.', at most 255",
		              conf_show(p, value));
}

static void
check_dns_server(struct conf_parser *p, struct slice value)
{
	struct slice host, port_text;
	uint8_t ip[16];
	uint16_t port;
	bool with_port = slice_cut(value, '@', &host, &port_text);
	if (!conf_ip_address(host, ip) || (with_port && !port_of(port_text, &port)))
		conf_complain(p, "dns.server = '%s' is no address; allowed: 192.0.2.1 or 192.0.2.1@5353", conf_show(p, value));
}

static void
check_subaddress(struct conf_parser *p, struct slice value)
{
	if (value.len > 1 || (value.len && (strchr("@\"\\<>", value.at[0]) || value.at[0] & 0x80)))
		conf_complain(p, "subaddress = '%s' is not one character; allowed: one such as + or -, or nothing",
		              conf_show(p, value));
}

/* It stands in header fields and in reports as it is. */
static void
check_report_address(struct conf_parser *p, const char *name, struct slice value)
{
	ptrdiff_t at = slice_find_last_char(value, '@');
	struct slice local = slice_part(value, 0, (size_t)MAX(at, (ptrdiff_t)0));
	bool plain = local.len > 0 && local.len <= 64 && slice_is_ascii(local);
	for (size_t i = 0; i < local.len; i++)
		plain = plain && local.at[i] > ' ' && !strchr("@\"(),:;<>[\\]\x7f", local.at[i]);
	if (value.len && (!plain || !conf_is_host(slice_from(value, (size_t)at + 1))))
		conf_complain(p, "%s = '%s' is no address such as tls-reports@example.org", name, conf_show(p, value));
}

static void
check_report_contact(struct conf_parser *p, struct slice value)
{
	check_report_address(p, "tls-report.contact", value);
}

static void
check_report_mailbox(struct conf_parser *p, struct slice value)
{
	check_report_address(p, "tls-report.address", value);
}

static void
check_admin_socket(struct conf_parser *p, struct slice value)
{
	check_socket_path(p, "admin-socket", value);
}

static const struct {
	const char *name;
	void (*check)(struct conf_parser *p, struct slice value);
} special[] = {
	{ "hostname", check_hostname },
	{ "listen", check_listen },
	{ "trusted", check_trusted },
	{ "route", check_route },
	{ "relay.retry-bulk", check_retry_bulk },
	{ "relay.retry-notice", check_retry_notice },
	{ "relay.retry", check_retry },
	{ "dns.server", check_dns_server },
	{ "subaddress", check_subaddress },
	{ "admin-socket", check_admin_socket },
	{ "pace", check_pace },
	{ "tls-report.contact", check_report_contact },
	{ "tls-report.address", check_report_mailbox },
	{ "source", conf_check_source },
	{ "pool", conf_check_pool },
	{ "relay.warm-up", conf_check_warm_up },
};

void
conf_special_check(struct conf_parser *p, const char *name, struct slice value)
{
	for (size_t i = 0; i < COUNT_OF(special); i++)
		if (strcmp(special[i].name, name) == 0)
			special[i].check(p, value);
}

/* A token that says neither who made it nor for whom would let in whoever has any token of the same issuer. */
static void
check_oauth(struct conf_parser *p)
{
	const struct conf_values *v = &p->conf->v;
	p->line = 0;
	if (v->oauth_keys[0] && (!v->oauth_issuer[0] || !v->oauth_audience[0] || !v->oauth_claim[0]))
		conf_complain(p, "oauth.keys is set: oauth.issuer, oauth.audience and oauth.claim are needed with it");
}

void
conf_special_finish(struct conf_parser *p)
{
	check_oauth(p);
	listeners_make(p->conf);
	trusted_make(p->conf);
	routes_make(p->conf);
	paces_make(p->conf);
	conf_pools_make(p->conf);
	retry_make(p->conf);
}
