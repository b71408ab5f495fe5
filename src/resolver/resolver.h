/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - the state of the resolver role; for its test. */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "resolver/upstream.h"
#include "role/role.h"

#define RESOLVER_QUERY_MS 30000    /* then the answer is "try again" */
#define RESOLVER_QUERIES_MAX 10000 /* under way; more are told "try again" */
#define RESOLVER_RECORDS_MAX 200   /* of one answer (resolver.msg) */

struct context;
struct resolver {
	const struct conf *conf;
	struct upstream_files files;
	struct context *context; /* the newest; older ones live until their queries are answered */
	struct arena arena;      /* texts of *why */
	struct link queries;
	size_t nqueries;
	int64_t query_ms;
	bool stopped;
};

#endif
