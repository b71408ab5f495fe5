/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - which hosts take the mail of a domain, in which order (RFC 5321 5.1), and their addresses. */
#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include "ipc/ipc.h"
#include "relay/reply.h"
#include "role/conf.h"

#include <sys/socket.h>

#define ROUTE_HOSTS_MAX 32
#define ROUTE_ADDRESSES_MAX 32

struct route_host {
	char name[256]; /* or an address, or with LMTP the path of a Unix socket: "/..." */
	uint16_t port;
	bool lmtp, fixed; /* fixed: named by the configuration, so loopback is allowed */
	bool secure;      /* the name is from the configuration, or DNSSEC secures the records that gave it */
	uint32_t preference;
};

struct route {
	struct route_host hosts[ROUTE_HOSTS_MAX]; /* in the order in which to try them */
	size_t nhosts;                            /* 0: reply says why */
	struct remote_reply reply;
};

struct route_address {
	struct sockaddr_storage to;
	socklen_t len;
	char text[64]; /* "192.0.2.1:25" */
};

/* What DNS said about a host beside its addresses. */
struct route_host_dns {
	bool secure;         /* all answers were secured by DNSSEC */
	char canonical[256]; /* where CNAMEs lead; the name itself when there are none */
};

static inline bool
route_host_is_path(const struct route_host *h)
{
	return h->name[0] == '/';
}

/* The line of the configuration for a domain: its own, else the nearest above it, else "*". NULL: none. */
const struct conf_route *route_line(const struct conf *conf, struct slice domain);
/* Fills *out; asks the resolver where the configuration names no fixed next hop. */
void await_route(struct ipc_client *resolver, const struct conf *conf, struct slice domain, struct route *out);
/* HOST[:PORT], as an administrator named it for a row. */
void route_by_hand(struct slice hop, struct route *out);
/* The addresses of a host, IPv6 and IPv4 in turn, at most `max`. 0: why says what is wrong (a reply as above). */
size_t await_route_addresses(struct ipc_client *resolver, const struct conf *conf, const struct route_host *host,
                             struct route_address *out, size_t max, struct route_host_dns *dns,
                             struct remote_reply *why);

/* Pure: sorts by preference, shuffles equals by the given random words, drops what stands at or after ourselves (RFC
 * 5321 5.1). True when we ourselves were among them. */
bool route_order(struct route *r, const char *own_name, uint64_t (*random_word)(void));

#endif
