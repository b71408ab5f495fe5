/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.h - whom the resolver asks: a libunbound context made from the configuration. */
#ifndef RESOLVER_UPSTREAM_H
#define RESOLVER_UPSTREAM_H

#include "role/conf.h"

struct ub_ctx;

/* What is read before the box closes and used whenever the configuration changes. */
struct upstream_files {
	struct arena arena;
	struct slice anchors;     /* text of dns.trust-anchor; empty: no DNSSEC */
	struct slice resolv_conf; /* text of /etc/resolv.conf */
};
void upstream_files_read(struct upstream_files *f, const struct conf *conf);
void upstream_files_release(struct upstream_files *f);

/* NULL and *why (in a) when the configuration cannot be used. The caller deletes it (ub_ctx_delete). */
struct ub_ctx *upstream_make(const struct conf *conf, const struct upstream_files *f, struct arena *a,
                             const char **why);

#endif
