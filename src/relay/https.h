/* SPDX-License-Identifier: Apache-2.0 */
/* https.h - one request to an HTTPS server, whose certificate is verified by the trusted roots (RFC 8461 3.3). */
#ifndef RELAY_HTTPS_H
#define RELAY_HTTPS_H

#include "relay/http_reply.h"

struct relay;

struct https_request {
	const char *host;
	uint16_t port;
	struct slice path; /* with the query */
	struct slice type; /* of body; empty: GET */
	struct slice body;
	size_t reply_bytes_max;
	int64_t wait_ms;
};

enum https_result {
	HTTPS_ANSWERED,
	HTTPS_UNREACHABLE,
	HTTPS_CERTIFICATE, /* not trusted */
	HTTPS_BROKEN       /* what came is not an answer, or too large, or too late */
};

enum https_result await_https(struct relay *r, const struct https_request *q, struct arena *a, struct http_reply *out);

#endif
