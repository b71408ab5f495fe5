/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - from a route to a connection: for each host its addresses, what DNSSEC and policies say about its TLS, and
 * then one address after the other. Called by try.c, in a worker's task. A host whose policy cannot be kept is left
 * out; when that was the last one, mail waits (or, when the message itself demands it, comes back). */
#include "base/random.h"
#include "relay/dane.h"
#include "relay/relay.h"
#include "relay/source.h"
#include "relay/sts.h"
#include "relay/transport.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct opening {
	struct relay *relay;
	struct conf *conf; /* held: it may be replaced meanwhile */
	const struct conf_route *line;
	struct job *job;
	struct slice domain;
	enum tls_demand demand;
	struct remote *remote;
	struct remote_reply *why;
	struct remote_reply later; /* what the last host said that may do later; code 0: none */
	struct sts sts;
	struct arena arena;
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
	if (o->demand != DEMAND_TLS || r->requiretls)
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

static bool
from_address(const char *text, int family, struct sockaddr_storage *from, struct send_settings *s)
{
	struct sockaddr_in *four = (struct sockaddr_in *)from;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)from;
	memset(from, 0, sizeof *from);
	bool good = family == AF_INET ? inet_pton(AF_INET, text, &four->sin_addr) == 1
	                              : inet_pton(AF_INET6, text, &six->sin6_addr) == 1;
	if (!good)
		return false;
	from->ss_family = (sa_family_t)family;
	s->from = (struct sockaddr *)from;
	s->from_len = family == AF_INET ? sizeof *four : sizeof *six;
	return true;
}

/* Where the connection comes from: one of the route's own addresses, else one of the pool. False: none of these is of
 * that family, or may be used now. */
static bool
set_source(struct opening *o, int family, struct sockaddr_storage *from, struct send_settings *s,
           const struct conf_source **picked)
{
	const struct conf_route *line = o->line;
	size_t n = line ? line->nsources : 0, start = n ? (size_t)(random_u64() % n) : 0;
	*picked = NULL;
	for (size_t i = 0; i < n; i++)
		if (from_address(line->sources[(start + i) % n], family, from, s))
			return true;
	if (n > 0 || !source_pick(o->remote, o->job, o->conf, family, picked))
		return false;
	if (*picked && (*picked)->ehlo && !(line && line->ehlo))
		s->ehlo = (*picked)->ehlo;
	return !*picked || from_address((*picked)->address, family, from, s);
}

static void
note_later(struct opening *o)
{
	if (!reply_permanent(o->why))
		o->later = *o->why;
}

static bool
await_address(struct opening *o, const struct route_host *host, const struct route_address *address,
              const struct send_settings *s)
{
	struct remote *r = o->remote;
	struct sockaddr_storage from;
	const struct conf_source *picked;
	struct send_settings own = *s;
	snprintf(r->host, sizeof r->host, "%s", host->name);
	snprintf(r->address, sizeof r->address, "%s", address->text);
	if (!set_source(o, address->to.ss_family, &from, &own, &picked)) {
		reply_set(&r->reply, 451, "4.4.1", "there is no source address of that family that may be used now");
	} else if (await_remote_open(r, (const struct sockaddr *)&address->to, address->len, &own)) {
		source_opened(r, picked);
		if (await_fits_demand(o))
			return true;
	}
	harden(o);
	*o->why = r->reply;
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
		                       .connect_ms = conf->v.relay_connect_timeout,
		                       .timeout_ms = conf->v.relay_timeout,
		                       .tls = o->relay->tls,
		                       .trusting = o->relay->transport->trusting,
		                       .implicit_tls = o->line && o->line->implicit_tls,
		                       .lmtp = host->lmtp };
	if (o->line && o->line->auth && !transport_secret(o->relay->transport, o->line->auth, &s.user, &s.password)) {
		reply_set(o->why, 451, "4.7.0",
		          "the file with the name and password of the route could not be read at the start");
		note_later(o);
		return false;
	}
	size_t n = await_route_addresses(&o->relay->resolver, conf, host, addresses, COUNT_OF(addresses), &dns, o->why);
	if (n == 0 || !await_policy(o, host, &dns, &dane, &s)) {
		note_later(o);
		return false;
	}
	for (size_t i = 0; i < n && clock_mono_ms() < o->remote->end_ms; i++)
		if (await_address(o, host, &addresses[i], &s))
			return true;
	return false;
}

/* Hosts may be shared between domains, and each domain has a policy of its own: what was opened under the one says
 * nothing about the other. */
bool
remote_serves(const struct remote *remote, const struct job *j)
{
	return remote->demand == job_demand(j) && slice_equal_nocase(slice_text(remote->domain), j->row.domain);
}

/* RFC 8461 8: policies are about the MX hosts of the recipient's domain; where the configuration decides, nobody asks.
 */
static bool
wants_sts(const struct opening *o)
{
	bool fixed = o->line && (o->line->host[0] || o->line->tls != ROUTE_TLS_AUTO);
	return !fixed && o->demand != DEMAND_DELIVERY;
}

bool
await_open(struct relay *r, struct job *j, const struct route *route, struct remote *remote, struct remote_reply *why)
{
	struct opening o = { .relay = r,
		                 .job = j,
		                 .conf = conf_keep(r->conf),
		                 .domain = j->row.domain,
		                 .demand = job_demand(j),
		                 .remote = remote,
		                 .why = why };
	bool open = false;
	o.line = route_line(o.conf, o.domain);
	arena_init(&o.arena, 0);
	remote->demand = o.demand;
	snprintf(remote->domain, sizeof remote->domain, "%.*s", SLICE_ARG(o.domain));
	if (wants_sts(&o))
		await_sts(r, o.domain, &o.arena, &o.sts);
	for (size_t h = 0; !open && h < route->nhosts && clock_mono_ms() < remote->end_ms; h++)
		open = await_host(&o, &route->hosts[h]);
	if (!open && o.later.code && reply_permanent(why)) /* one host may come back: then it is not final */
		*why = o.later;
	arena_release(&o.arena);
	conf_free(&o.conf);
	return open;
}
