/* SPDX-License-Identifier: Apache-2.0 */
/* dane.h - the TLSA records of a mail server (RFC 7672), for tls_policy.h and for the handshake. */
#ifndef RELAY_DANE_H
#define RELAY_DANE_H

#include "ipc/ipc.h"
#include "relay/route.h"
#include "relay/tls_policy.h"
#include "task/stream.h"

#define DANE_RECORDS_MAX 32
#define DANE_TEXT_BYTES_MAX 2000 /* records that would go over it are left out */

struct dane {
	enum dane_state state;
	char base[256];           /* the TLSA base domain: name in SNI, and in the certificate */
	struct tls_tlsa *records; /* the usable ones; in the arena */
	size_t nrecords;
	struct slice text; /* all of them as RFC 6698 2.2 writes them, one a line; for reports */
};

/* One TLSA record from the wire (RFC 6698 2.1). False: nothing that we can use (RFC 7672 2.2, 3.1.3). */
bool dane_record(struct slice rdata, struct tls_tlsa *out);
/* The host's name must be secure already. */
void await_dane(struct ipc_client *resolver, const struct route_host *host, const struct route_host_dns *dns,
                struct arena *a, struct dane *out);

#endif
