/* SPDX-License-Identifier: Apache-2.0 */
/* sts.h - MTA-STS (RFC 8461) for a domain: its policy from the cache in the store, or fetched. */
#ifndef RELAY_STS_H
#define RELAY_STS_H

#include "base/arena.h"
#include "relay/sts_policy.h"

struct relay;

enum sts_failure { STS_FINE, STS_FETCH_ERROR, STS_INVALID, STS_WEBPKI }; /* RFC 8460 4.3.2.2 */

struct sts {
	struct sts_policy policy; /* mode STS_NONE: there is none */
	struct slice text;        /* the whole policy; in the arena */
	enum sts_failure failure; /* of a fetch that was due */
};

void await_sts(struct relay *r, struct slice domain, struct arena *a, struct sts *out);

#endif
