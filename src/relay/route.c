/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - see route.h. DNS answers are hostile: names are checked, counts are capped. */
#include "relay/route.h"

#include "base/random.h"
#include "resolver_msg.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { DNS_A = 1, DNS_MX = 15, DNS_AAAA = 28 };

/* A domain name from the wire (RFC 1035 3.1), uncompressed, as text without the last dot; "" is the root. */
static bool
name_from_wire(struct slice wire, char *out, size_t room)
{
	size_t at = 0, n = 0;
	while (at < wire.len && wire.at[at] != 0) {
		size_t len = (unsigned char)wire.at[at++];
		if (len > 63 || at + len > wire.len || n + len + 2 > room)
			return false;
		if (n > 0)
			out[n++] = '.';
		for (size_t i = 0; i < len; i++) {
			char c = ascii_lower(wire.at[at + i]);
			if (!ascii_alpha(c) && !ascii_digit(c) && c != '-' && c != '_')
				return false;
			out[n++] = c;
		}
		at += len;
	}
	out[n] = '\0';
	return at < wire.len;
}

static void
host_add(struct route *r, const char *name, uint16_t port, uint32_t preference)
{
	if (r->nhosts == ROUTE_HOSTS_MAX)
		return;
	struct route_host *h = &r->hosts[r->nhosts++];
	*h = (struct route_host){ .port = port, .preference = preference };
	snprintf(h->name, sizeof h->name, "%s", name);
	for (char *c = h->name; !route_host_is_path(h) && *c; c++)
		*c = ascii_lower(*c);
}

bool
route_order(struct route *r, const char *own_name, uint64_t (*random_word)(void))
{
	for (size_t i = r->nhosts; i > 1; i--) { /* RFC 5321 5.1: equal preferences in random order */
		size_t k = (size_t)(random_word() % i);
		struct route_host h = r->hosts[i - 1];
		r->hosts[i - 1] = r->hosts[k];
		r->hosts[k] = h;
	}
	for (size_t i = 1; i < r->nhosts; i++)
		for (size_t k = i; k > 0 && r->hosts[k].preference < r->hosts[k - 1].preference; k--) {
			struct route_host h = r->hosts[k];
			r->hosts[k] = r->hosts[k - 1];
			r->hosts[k - 1] = h;
		}
	for (size_t i = 0; i < r->nhosts; i++) {
		if (!slice_equal_nocase(slice_text(r->hosts[i].name), slice_text(own_name)))
			continue;
		while (i > 0 && r->hosts[i - 1].preference == r->hosts[i].preference)
			i--;
		r->nhosts = i;
		return true;
	}
	return false;
}

const struct conf_route *
route_line(const struct conf *conf, struct slice domain)
{
	const struct conf_route *best = NULL;
	size_t best_len = 0;
	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];
		struct slice name = slice_text(r->domain);
		if (slice_equal_nocase(name, domain))
			return r;
		bool above = name.len && name.at[0] == '.' && domain.len > name.len &&
		             slice_equal_nocase(slice_from(domain, domain.len - name.len), name);
		size_t len = above ? name.len : 1;
		if ((above || slice_equal(name, S("*"))) && len > best_len) {
			best = r;
			best_len = len;
		}
	}
	return best;
}

/* What MX records say. False: there are none, so the domain itself is the host (RFC 5321 5.1). */
static bool
hosts_from_mx(struct route *out, const struct resolver_lookup_out *mx, uint16_t port)
{
	bool null_mx = false, damaged = false;
	for (uint32_t i = 0; i < mx->nrecords; i++) {
		struct slice rdata = mx->records[i].bytes;
		char name[256];
		if (rdata.len < 3 || !name_from_wire(slice_from(rdata, 2), name, sizeof name))
			damaged = true;
		else if (name[0] == '\0')
			null_mx = true;
		else
			host_add(out, name, port, (uint32_t)bytes_get_be(rdata.at, 2));
	}
	if (out->nhosts == 0 && null_mx)
		reply_set(&out->reply, 556, "5.1.10", "the domain takes no mail (null MX, RFC 7505)");
	else if (out->nhosts == 0 && damaged)
		reply_set(&out->reply, 451, "4.4.3", "the MX records of the domain are damaged");
	else if (out->nhosts == 0 && mx->nrecords > 0)
		reply_set(&out->reply, 550, "5.4.4", "the MX records of the domain name no usable host");
	return mx->nrecords > 0;
}

static void
await_route_mx(struct ipc_client *resolver, const struct conf *conf, struct slice domain, uint16_t port,
               struct route *out)
{
	struct arena a;
	struct resolver_lookup_in in = { .name = domain, .type = DNS_MX };
	struct resolver_lookup_out mx;
	arena_init(&a, 0);
	enum err e = await_resolver_lookup(resolver, &in, &a, &mx);
	if (e == OK && mx.verdict == OK) {
		if (hosts_from_mx(out, &mx, port) && out->nhosts > 0 && route_order(out, conf->v.hostname, random_u64) &&
		    out->nhosts == 0)
			reply_set(&out->reply, 554, "5.4.6",
			          "mail for the domain loops back to this server (its best MX is this host)");
	} else if (e == OK && mx.verdict == ERR_NOT_FOUND && mx.nodata) {
		host_add(out, slice_keep_text(&a, domain), port, 0); /* implicit MX */
	} else if (e == OK && mx.verdict == ERR_NOT_FOUND) {
		reply_set(&out->reply, 550, "5.1.2", "the domain does not exist");
	} else if (e == OK && mx.verdict == ERR_DAMAGED) {
		reply_set(&out->reply, 451, "4.7.5", "the DNS answers for the domain are bogus (DNSSEC)");
	} else {
		reply_set(&out->reply, 451, "4.4.3", "the DNS servers of the domain do not answer");
	}
	for (size_t i = 0; i < out->nhosts; i++)
		out->hosts[i].secure = mx.secure;
	arena_release(&a);
}

static void
hop_add(struct route *out, const struct conf_route *line, const struct conf_hop *hop)
{
	uint16_t usual = line->lmtp ? 24 : 25;
	host_add(out, hop->host, hop->port ? hop->port : usual, 0);
	struct route_host *h = &out->hosts[out->nhosts - 1];
	h->fixed = h->secure = true;
	h->lmtp = line->lmtp;
}

void
await_route(struct ipc_client *resolver, const struct conf *conf, struct slice domain, struct route *out)
{
	const struct conf_route *line = route_line(conf, domain);
	uint16_t port = line && line->port ? line->port : (uint16_t)conf->v.relay_port;
	out->nhosts = 0;
	reply_begin(&out->reply);
	if (line && line->nhops) {
		for (size_t i = 0; i < line->nhops; i++) /* a chain: in this order, whatever they answer */
			hop_add(out, line, &line->hops[i]);
	} else if (domain.len > 2 && domain.at[0] == '[') { /* RFC 5321 4.1.3: an address literal */
		struct slice literal = slice_part(domain, 1, domain.len - 2);
		char name[256];
		if (slice_starts_nocase(literal, S("IPv6:")))
			literal = slice_from(literal, 5);
		snprintf(name, sizeof name, "%.*s", SLICE_ARG(literal));
		host_add(out, name, port, 0);
	} else {
		await_route_mx(resolver, conf, domain, port, out);
	}
}

void
route_by_hand(struct slice hop, struct route *out)
{
	struct slice host = hop;
	char name[256];
	uint32_t port = 25;
	ptrdiff_t colon = slice_find_last_char(hop, ':'), bracket = slice_find_last_char(hop, ']');
	out->nhosts = 0;
	reply_begin(&out->reply);
	if (colon > bracket && slice_to_u32(slice_from(hop, (size_t)colon + 1), &port))
		host = slice_part(hop, 0, (size_t)colon);
	if (host.len > 2 && *host.at == '[' && host.at[host.len - 1] == ']')
		host = slice_part(host, 1, host.len - 2);
	if (host.len == 0 || host.len >= sizeof name || port == 0 || port > 65535) {
		reply_set(&out->reply, 451, "4.3.5", "the host that this message was rerouted to is no HOST[:PORT]");
		return;
	}
	snprintf(name, sizeof name, "%.*s", SLICE_ARG(host));
	host_add(out, name, (uint16_t)port, 0);
	out->hosts[0].fixed = true;
}

/* Neither 0/8, which leads to this machine, nor multicast and reserved ones. */
static bool
is_usable_four(uint32_t four, bool loopback_allowed)
{
	return four >> 24 != 0 && four >> 28 < 14 && (loopback_allowed || four >> 24 != 127);
}

/* No mail goes to ourselves by an address that a stranger's DNS names, or to no address at all. The kernel takes an
 * address of IPv4 that is mapped into IPv6 for itself. */
static bool
is_usable(const struct sockaddr_storage *a, bool loopback_allowed)
{
	if (a->ss_family == AF_INET)
		return is_usable_four(ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr), loopback_allowed);
	const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(six))
		return is_usable_four((uint32_t)bytes_get_be(&six->s6_addr[12], 4), loopback_allowed);
	return !IN6_IS_ADDR_UNSPECIFIED(six) && !IN6_IS_ADDR_MULTICAST(six) &&
	       (loopback_allowed || !IN6_IS_ADDR_LOOPBACK(six));
}

static bool
address_set(struct route_address *out, int family, const void *bytes, uint16_t port)
{
	char ip[INET6_ADDRSTRLEN];
	memset(&out->to, 0, sizeof out->to);
	if (family == AF_INET) {
		struct sockaddr_in *four = (struct sockaddr_in *)&out->to;
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, bytes, 4);
		out->len = sizeof *four;
	} else {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->to;
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		memcpy(&six->sin6_addr, bytes, 16);
		out->len = sizeof *six;
	}
	if (!inet_ntop(family, bytes, ip, sizeof ip))
		return false;
	snprintf(out->text, sizeof out->text, family == AF_INET ? "%s:%u" : "[%s]:%u", ip, port);
	return true;
}

struct found {
	bool loopback_allowed;
	uint16_t port;
	struct route_address *out;
	size_t n, max;
	bool refused; /* an address was there, but may not be used */
	struct route_host_dns *dns;
};

static void
found_add(struct found *f, int family, const void *bytes)
{
	if (f->n == f->max || !address_set(&f->out[f->n], family, bytes, f->port))
		return;
	if (is_usable(&f->out[f->n].to, f->loopback_allowed))
		f->n++;
	else
		f->refused = true;
}

static enum err
await_lookup(struct ipc_client *resolver, struct found *f, const char *name, uint32_t type)
{
	struct arena a;
	struct resolver_lookup_in in = { .name = slice_text(name), .type = type };
	struct resolver_lookup_out got;
	arena_init(&a, 0);
	enum err e = await_resolver_lookup(resolver, &in, &a, &got);
	size_t want = type == DNS_A ? 4 : 16;
	for (uint32_t i = 0; e == OK && i < got.nrecords; i++)
		if (got.records[i].bytes.len == want)
			found_add(f, type == DNS_A ? AF_INET : AF_INET6, got.records[i].bytes.at);
	if (e == OK)
		e = (enum err)got.verdict;
	if (e == OK) {
		f->dns->secure &= got.secure;
		snprintf(f->dns->canonical, sizeof f->dns->canonical, "%.*s", SLICE_ARG(got.canonical));
	}
	arena_release(&a);
	return e;
}

size_t
await_route_addresses(struct ipc_client *resolver, const struct conf *conf, const struct route_host *host,
                      struct route_address *out, size_t max, struct route_host_dns *dns, struct remote_reply *why)
{
	struct found f = { .loopback_allowed = host->fixed || conf->v.relay_loopback,
		               .port = host->port,
		               .out = out,
		               .max = max,
		               .dns = dns };
	*dns = (struct route_host_dns){ .secure = true };
	uint8_t literal[16];
	enum err six = OK, four = OK;
	if (inet_pton(AF_INET, host->name, literal) == 1) {
		found_add(&f, AF_INET, literal);
	} else if (inet_pton(AF_INET6, host->name, literal) == 1) {
		found_add(&f, AF_INET6, literal);
	} else {
		f.max = max / 2; /* neither family crowds out the other */
		six = await_lookup(resolver, &f, host->name, DNS_AAAA);
		f.max = max;
		four = await_lookup(resolver, &f, host->name, DNS_A);
	}
	char text[400];
	dns->secure &= dns->canonical[0] != '\0'; /* a literal is not a name */
	if (f.n > 0)
		return f.n;
	if (f.refused) {
		snprintf(text, sizeof text,
		         "the addresses of %s are loopback, multicast or unspecified: mail does not go there", host->name);
		reply_set(why, 550, "5.4.4", text);
	} else if (six == ERR_NOT_FOUND && four == ERR_NOT_FOUND) {
		snprintf(text, sizeof text, "the host %s has no address", host->name);
		reply_set(why, 550, "5.4.4", text);
	} else {
		snprintf(text, sizeof text, "no DNS answer for the addresses of %s", host->name);
		reply_set(why, 451, "4.4.3", text);
	}
	return 0;
}
