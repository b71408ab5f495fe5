/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - from a route to a connection: for each host its addresses, what DNSSEC and policies say about its TLS, and
 * then the first address that can be reached (race.c). Called by try.c, in a worker's task. A host whose policy cannot
 * be kept is left out; when that was the last one, mail waits (or, when the message itself demands it, comes back). */
#include "base/random.h"
#include "relay/dane.h"
#include "relay/race.h"
#include "relay/relay.h"
#include "relay/source.h"
#include "relay/sts.h"
#include "relay/tls_report.h"
#include "relay/transport.h"
#include "relay/verify.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct opening {
	struct relay *relay;
	struct job *job;
	struct conf *conf; /* held: it may be replaced meanwhile */
	const struct conf_route *line;
	struct slice domain;
	enum tls_demand demand;
	struct remote *remote;
	struct remote_reply *why;
	struct remote_reply later; /* what the last host said that may do later; code 0: none */
	struct sts sts;
	struct arena arena;
	const struct route_host *host; /* under way */
	struct own {
		struct sockaddr_storage from; /* AF_UNSPEC: as the kernel likes */
		const struct conf_source *picked;
		bool asked, there;
	} own[2];                   /* for IPv4, IPv6 */
	struct race_entry *entries; /* its addresses */
	size_t nentries, reached;   /* entries[reached] is the one in use */
	int socket;                 /* connected to it, and not used yet; -1: none */
};

enum tls_demand
job_demand(const struct job *j)
{
	uint32_t flags = j->row.envelope.flags;
	if (flags & ENVELOPE_REQUIRETLS) /* RFC 8689 5: a notice that cannot be protected goes all the same */
		return j->row.envelope.reverse_path.len ? DEMAND_TLS : DEMAND_USUAL;
	return flags & ENVELOPE_TLS_OPTIONAL ? DEMAND_DELIVERY : DEMAND_USUAL;
}

/* What is checked of the certificate: RFC 7672 3.2.2 (the base domain and the next-hop domain), RFC 8461 4.2 (the name
 * of the MX host). */
static void
set_checks(struct opening *o, const struct route_host *host, const struct dane *dane, struct send_settings *s)
{
	const struct conf_route *line = o->line;
	if (s->policy.level == TLS_LEVEL_DANE) {
		s->server_name = arena_printf(&o->arena, "%s", dane->base).at;
		s->check.tlsa = dane->records;
		s->check.ntlsa = dane->nrecords;
		s->check.names[s->check.nnames++] = host->name;
		if (o->domain.len && o->domain.at[0] != '[')
			s->check.names[s->check.nnames++] = slice_keep_text(&o->arena, o->domain);
	} else if (s->policy.level == TLS_LEVEL_VERIFY || s->policy.soft) {
		bool named = line && line->tls == ROUTE_TLS_VERIFY && line->nnames > 0;
		for (size_t i = 0; named && i < line->nnames; i++)
			s->check.names[s->check.nnames++] = line->names[i];
		if (!named)
			s->check.names[s->check.nnames++] = host->name;
		s->check.soft = s->policy.soft;
	}
}

/* RFC 8460: about the policies of domains, which hold for their own MX hosts. What goes in spite of TLS, as reports do,
 * is not counted (3). */
static bool
wants_report(const struct opening *o, const struct route_host *host)
{
	enum route_tls configured = o->line ? o->line->tls : ROUTE_TLS_AUTO;
	return !host->fixed && !host->lmtp && o->demand != DEMAND_DELIVERY &&
	       (configured == ROUTE_TLS_AUTO || configured == ROUTE_TLS_DANE);
}

/* The policy for one host. False: it must not be used now, o->why says why. */
static bool
await_policy(struct opening *o, const struct route_host *host, const struct route_host_dns *dns, struct dane *dane,
             struct send_settings *s)
{
	struct tls_facts f = { .configured = o->line ? o->line->tls : ROUTE_TLS_AUTO,
		                   .demand = o->demand,
		                   .host_secure = host->secure };
	bool needs_dane = f.demand == DEMAND_TLS || f.configured == ROUTE_TLS_DANE ||
	                  (f.configured == ROUTE_TLS_AUTO && f.demand == DEMAND_USUAL);
	*dane = (struct dane){ .state = DANE_INSECURE };
	if (needs_dane && !host->lmtp)
		await_dane(&o->relay->resolver, host, dns, &o->arena, dane);
	f.dane = dane->state;
	f.sts = o->sts.policy.mode;
	f.sts_names_host = sts_policy_names(&o->sts.policy, slice_text(host->name));
	s->policy = tls_policy_choose(&f);
	struct tls_trial *trial =
	    wants_report(o, host) ? tls_trial_new(&o->arena, o->relay->reports, o->domain, host, dane, &o->sts, &f) : NULL;
	s->report = trial ? tls_trial_ended : NULL;
	s->report_arg = trial;
	if (s->policy.refuse) {
		char text[300];
		snprintf(text, sizeof text, "%s: %s (policy: %s)", host->name, s->policy.refuse, s->policy.words);
		reply_set(o->why, s->policy.final ? 550 : 451, s->policy.final ? "5.7.10" : "4.7.5", text);
		return false;
	}
	s->server_name = host->name;
	set_checks(o, host, dane, s);
	return true;
}

/* RFC 8689 4.2.1: step 5, and what a failure before it becomes: there is no later. */
static bool
await_fits_demand(struct opening *o)
{
	struct remote *r = o->remote;
	if (o->demand != DEMAND_TLS || r->requiretls || route_host_is_path(o->host)) /* a socket leaves no machine */
		return true;
	await_remote_quit(r);
	reply_set(&r->reply, 550, "5.7.30", "the message demands REQUIRETLS, which the remote server does not offer");
	return false;
}

static void
harden(struct opening *o)
{
	struct remote_reply *reply = &o->remote->reply;
	bool tls = strcmp(reply->status, "4.7.4") == 0 || strcmp(reply->status, "4.7.5") == 0;
	if (o->demand == DEMAND_TLS && tls) {
		char text[REPLY_TEXT_BYTES + 1];
		snprintf(text, sizeof text, "%s", reply->text);
		reply_set(reply, 550, "5.7.10", text);
	}
}

/* ---- where connections come from */

static bool
own_is(const char *text, int family, struct own *own)
{
	bool good = family == AF_INET ? inet_pton(AF_INET, text, &((struct sockaddr_in *)&own->from)->sin_addr) == 1
	                              : inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&own->from)->sin6_addr) == 1;
	own->from.ss_family = good ? (sa_family_t)family : (sa_family_t)AF_UNSPEC;
	return good;
}

/* One of the route's own addresses, else one of the pool. False: none of these is of that family, or may be used now.
 */
static bool
own_pick(struct opening *o, int family, struct own *own)
{
	const struct conf_route *line = o->line;
	size_t n = line ? line->nsources : 0, start = n ? (size_t)(random_u64() % n) : 0;
	*own = (struct own){ 0 };
	for (size_t i = 0; i < n; i++)
		if (own_is(line->sources[(start + i) % n], family, own))
			return true;
	if (n > 0 || !source_pick(o->remote, o->job, o->conf, family, &own->picked))
		return false;
	return !own->picked || own_is(own->picked->address, family, own);
}

static struct own *
own_of(struct opening *o, int family)
{
	return &o->own[family == AF_INET6];
}

static void
note_later(struct opening *o)
{
	if (!reply_permanent(o->why))
		o->later = *o->why;
}

/* ---- addresses */

/* await_socket of struct send_settings: the winner of the race, or the same address once more. */
static enum err
await_socket(void *arg, int *fd)
{
	struct opening *o = arg;
	const struct race_entry *e = &o->entries[o->reached];
	*fd = o->socket;
	o->socket = -1;
	if (*fd >= 0)
		return OK;
	int64_t ms = o->conf->v.relay_connect_timeout;
	if (route_host_is_path(o->host))
		return await_unix_socket(o->relay, o->host->name, deadline_in_ms(ms), fd);
	struct race_entry again = *e;
	again.out = false;
	(void)await_race(&again, 1, ms, fd);
	return again.failed;
}

static void
entries_make(struct opening *o, const struct route_address *addresses, size_t n)
{
	o->entries = ARENA_ARRAY(&o->arena, struct race_entry, n);
	o->nentries = n;
	memset(o->own, 0, sizeof o->own);
	for (size_t i = 0; i < n; i++) {
		struct race_entry *e = &o->entries[i];
		struct own *own = own_of(o, addresses[i].to.ss_family);
		if (!own->asked)
			own->there = own_pick(o, addresses[i].to.ss_family, own);
		own->asked = true;
		*e = (struct race_entry){ .address = addresses[i], .from = own->from, .out = !own->there };
		e->failed = e->out ? ERR_UNSUPPORTED : OK;
	}
}

/* The family that is likely to work comes first; both of them is what can be learnt from. */
static bool
await_entries_order(struct opening *o)
{
	bool six = false, four = false;
	for (size_t i = 0; i < o->nentries; i++)
		*(o->entries[i].address.to.ss_family == AF_INET6 ? &six : &four) |= !o->entries[i].out;
	if (six && four)
		race_order(o->entries, o->nentries, await_family_first(o->relay, o->host->name));
	return six && four;
}

static bool
await_reach(struct opening *o, bool both)
{
	struct remote *r = o->remote;
	bool six_tried = o->entries[0].address.to.ss_family == AF_INET6 && !o->entries[0].out;
	o->reached = await_race(o->entries, o->nentries, o->conf->v.relay_connect_timeout, &o->socket);
	if (o->reached < o->nentries) {
		const struct route_address *a = &o->entries[o->reached].address;
		snprintf(r->address, sizeof r->address, "%s", a->text);
		if (both)
			await_family_note(o->relay, o->host->name, a->to.ss_family, six_tried);
		return true;
	}
	for (size_t i = 0; i < o->nentries; i++) {
		const struct race_entry *e = &o->entries[i];
		char text[200];
		if (e->failed == OK)
			continue;
		snprintf(r->address, sizeof r->address, "%s", e->address.text);
		snprintf(text, sizeof text, "cannot connect to %s: %s", e->address.text,
		         e->failed == ERR_UNSUPPORTED ? "there is no source address of that family that may be used now"
		                                      : err_text(e->failed));
		reply_set(o->why, 451, "4.4.1", text);
	}
	return false;
}

static bool
await_greet(struct opening *o, const struct send_settings *s)
{
	struct remote *r = o->remote;
	struct send_settings used = *s;
	const struct conf_source *picked = own_of(o, o->entries[o->reached].address.to.ss_family)->picked;
	if (picked && picked->ehlo && !(o->line && o->line->ehlo))
		used.ehlo = picked->ehlo;
	if (await_remote_open(r, &used)) {
		source_opened(r, picked);
		if (await_fits_demand(o))
			return true;
	}
	harden(o);
	*o->why = r->reply;
	note_later(o);
	return false;
}

/* RFC 5321 5.1: each address until one takes mail. One that was connected to and put off is behind us; a 5xx is the
 * host's word for all of them. */
static bool
await_addresses(struct opening *o, const struct send_settings *s)
{
	bool both = await_entries_order(o);
	while (clock_mono_ms() < o->remote->end_ms) {
		if (!await_reach(o, both)) {
			note_later(o);
			return false;
		}
		if (await_greet(o, s))
			return true;
		size_t left = 0;
		for (size_t i = 0; i < o->nentries; i++)
			left += !o->entries[i].out;
		if (left == 0 || reply_permanent(o->why))
			return false;
	}
	return false;
}

static bool
await_path(struct opening *o, struct send_settings *s)
{
	o->nentries = 1;
	o->reached = 0;
	o->entries = ARENA_NEW(&o->arena, struct race_entry);
	memset(o->own, 0, sizeof o->own);
	snprintf(o->remote->address, sizeof o->remote->address, "unix");
	s->policy = (struct tls_policy){ TLS_LEVEL_NONE, TLS_BY_CONFIGURATION, .words = "a Unix socket of this machine" };
	return await_greet(o, s);
}

static bool
secret_find(struct opening *o, struct send_settings *s)
{
	if (!o->line || !o->line->auth || transport_secret(o->relay->transport, o->line->auth, &s->user, &s->password))
		return true;
	reply_set(o->why, 451, "4.7.0", "the file with the name and password of the route could not be read at the start");
	note_later(o);
	return false;
}

static bool
await_host(struct opening *o, const struct route_host *host)
{
	struct route_address addresses[ROUTE_ADDRESSES_MAX];
	struct route_host_dns dns;
	struct dane dane;
	const struct conf *conf = o->conf;
	struct send_settings s = { .ehlo = o->line && o->line->ehlo ? o->line->ehlo : conf->v.hostname,
		                       .await_socket = await_socket,
		                       .socket_arg = o,
		                       .timeout_ms = conf->v.relay_timeout,
		                       .tls = o->relay->tls,
		                       .trusting = o->relay->transport->trusting,
		                       .implicit_tls = o->line && o->line->implicit_tls,
		                       .lmtp = host->lmtp };
	o->host = host;
	snprintf(o->remote->reached, sizeof o->remote->reached, "%s", host->name);
	snprintf(o->remote->host, sizeof o->remote->host, "%s", route_host_is_path(host) ? conf->v.hostname : host->name);
	if (!secret_find(o, &s))
		return false;
	if (route_host_is_path(host))
		return await_path(o, &s);
	size_t n = await_route_addresses(&o->relay->resolver, conf, host, addresses, COUNT_OF(addresses), &dns, o->why);
	if (n == 0 || !await_policy(o, host, &dns, &dane, &s)) {
		if (s.report)
			tls_trial_refused(s.report_arg);
		note_later(o);
		return false;
	}
	entries_make(o, addresses, n);
	return await_addresses(o, &s);
}

/* RFC 8461 8: policies are about the MX hosts of the recipient's domain; where the configuration decides, nobody asks.
 */
static bool
wants_sts(const struct opening *o)
{
	bool fixed = o->line && (o->line->nhops || o->line->tls != ROUTE_TLS_AUTO);
	return !fixed && o->demand != DEMAND_DELIVERY;
}

static void
opening_begin(struct opening *o, struct relay *r, struct job *j, struct remote *remote, struct remote_reply *why)
{
	*o = (struct opening){ .relay = r,
		                   .job = j,
		                   .conf = conf_keep(r->conf),
		                   .domain = j->row.domain,
		                   .demand = job_demand(j),
		                   .remote = remote,
		                   .why = why,
		                   .socket = -1 };
	o->line = route_line(o->conf, o->domain);
	arena_init(&o->arena, 0);
}

static void
opening_end(struct opening *o)
{
	arena_release(&o->arena);
	conf_free(&o->conf);
}

bool
await_open(struct relay *r, struct job *j, const struct route *route, struct remote *remote, struct remote_reply *why)
{
	struct opening o;
	bool open = false;
	opening_begin(&o, r, j, remote, why);
	remote->demand = o.demand;
	remote->line = o.line;
	remote->configured = r->configured;
	snprintf(remote->domain, sizeof remote->domain, "%.*s", SLICE_ARG(o.domain));
	if (wants_sts(&o))
		await_sts(r, o.domain, &o.arena, &o.sts);
	if (o.sts.failure)
		tls_report_sts(r->reports, o.domain, &o.sts);
	for (size_t h = 0; !open && h < route->nhosts && clock_mono_ms() < remote->end_ms; h++) {
		open = await_host(&o, &route->hosts[h]);
		remote->port = route->hosts[h].port;
	}
	if (!open && o.later.code && reply_permanent(why)) /* one host may come back: then it is not final */
		*why = o.later;
	opening_end(&o);
	return open;
}

/* ---- the same connection for another domain */

/* Among the best hosts of the domain is the one that we are connected to. NULL: it is not. */
static const struct route_host *
host_in_use(const struct route *route, const struct remote *remote)
{
	for (size_t i = 0; i < route->nhosts && route->hosts[i].preference == route->hosts[0].preference; i++)
		if (slice_equal_nocase(slice_text(route->hosts[i].name), slice_text(remote->reached)) &&
		    route->hosts[i].port == remote->port)
			return &route->hosts[i];
	return NULL;
}

/* With DANE-TA the certificate may have had the other domain's name (RFC 7672 3.2.2): then nothing is known. */
static bool
names_count(const struct dane *dane)
{
	for (size_t i = 0; i < dane->nrecords; i++)
		if (dane->records[i].usage == 2)
			return true;
	return false;
}

static bool
await_same_policy(struct opening *o, const struct route_host *host)
{
	struct route_address addresses[ROUTE_ADDRESSES_MAX];
	struct route_host_dns dns;
	struct dane dane;
	struct send_settings s = { 0 };
	const struct tls_policy *used = &o->remote->policy;
	if (route_host_is_path(host))
		return true;
	if (wants_sts(o))
		await_sts(o->relay, o->domain, &o->arena, &o->sts);
	return await_route_addresses(&o->relay->resolver, o->conf, host, addresses, COUNT_OF(addresses), &dns, o->why) &&
	       await_policy(o, host, &dns, &dane, &s) && s.policy.level == used->level && s.policy.source == used->source &&
	       s.policy.soft == used->soft && !(s.policy.level == TLS_LEVEL_DANE && names_count(&dane));
}

bool
await_remote_serves(struct relay *r, struct remote *remote, struct job *j)
{
	struct opening o;
	struct route route;
	struct remote_reply why;
	bool serves = false;
	if (remote->demand != job_demand(j))
		return false;
	if (slice_equal_nocase(slice_text(remote->domain), j->row.domain))
		return true;
	opening_begin(&o, r, j, remote, &why);
	if (o.line == remote->line && r->configured == remote->configured) {
		await_route_of(r, o.domain, &route);
		const struct route_host *host = host_in_use(&route, remote);
		serves = host && await_same_policy(&o, host);
	}
	if (serves)
		snprintf(remote->domain, sizeof remote->domain, "%.*s", SLICE_ARG(o.domain));
	opening_end(&o);
	return serves;
}
