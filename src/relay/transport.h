/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h - what the relay keeps for its connections beside the queue: the trusted roots and the secrets of
 * routes, both read before the box closes. */
#ifndef RELAY_TRANSPORT_H
#define RELAY_TRANSPORT_H

#include "base/map.h"
#include "task/stream.h"

struct relay;

#define SECRET_BYTES_MAX 4096
#define CA_BYTES_MAX (8u << 20)

struct secret {
	const char *path; /* as in conf_route.auth */
	struct slice text;
};

struct transport {
	struct relay *relay;
	struct tls_context *trusting; /* NULL: relay.ca-file cannot be used */
	struct secret *secrets;
	size_t nsecrets;
	struct map fetches; /* hash of the domain -> struct sts_fetch of sts.c */
};

struct transport *transport_new(struct relay *r);
void transport_free(struct transport **t);
enum err transport_before_box(void *relay, const char **why); /* as in struct role */
/* The name and the password of a route's file. False: it could not be read at the start. */
bool transport_secret(const struct transport *t, const char *path, struct slice *user, struct slice *password);

#endif
