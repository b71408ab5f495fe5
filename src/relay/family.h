/* SPDX-License-Identifier: Apache-2.0 */
/* family.h - which address family to begin with at a host that has both: IPv6, unless IPv4 was what worked
 * there of late, or IPv6 does not work on this machine. Memos of the kind "host" keep it across restarts. */
#ifndef RELAY_FAMILY_H
#define RELAY_FAMILY_H

#include "base/map.h"

struct relay;

enum {
	FAMILY_HOSTS_MAX = 10000, /* that are remembered in memory */
	FAMILY_KEPT_SEC = 3600,   /* then IPv6 has another chance at a host */
	FAMILY_BROKEN_HOSTS = 4,  /* so many hosts in a row where only IPv4 worked: it is this machine */
	FAMILY_BROKEN_SEC = 600,  /* so long all hosts are asked by IPv4 first */
};

struct families {
	struct map hosts;     /* hash of the name -> 1 + wall seconds until which IPv4 comes first there */
	unsigned failed;      /* hosts in a row at which IPv6 did not work */
	int64_t broken_until; /* wall seconds; 0: it works */
	bool known;           /* what the memos say of this machine was read */
};

void families_release(struct families *f);
/* AF_INET6 or AF_INET. */
int await_family_first(struct relay *r, const char *host);
/* A host with both was reached by `won`. six_tried: IPv6 had its chance, and did not connect before. */
void await_family_note(struct relay *r, const char *host, int won, bool six_tried);

#endif
