/* SPDX-License-Identifier: Apache-2.0 */
/* sts_policy.h - the two texts of MTA-STS (RFC 8461 3.1, 3.2): the TXT record that says that there is a policy, and the
 * policy. Pure; strangers wrote both. */
#ifndef RELAY_STS_POLICY_H
#define RELAY_STS_POLICY_H

#include "base/slice.h"
#include "relay/tls_policy.h"

#define STS_POLICY_BYTES_MAX 64000
#define STS_MX_MAX 100
#define STS_ID_BYTES_MAX 32
#define STS_MAX_AGE_MAX 31557600

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;            /* seconds */
	struct slice mx[STS_MX_MAX]; /* in the text */
	size_t nmx;
};

/* False: no policy (the caller goes on as if there was none, or with the one it knows). */
bool sts_policy_parse(struct slice text, struct sts_policy *p);
/* RFC 8461 4.1: "*." stands for one label. */
bool sts_policy_names(const struct sts_policy *p, struct slice host);
/* The id in the character strings of one TXT record, joined already; false: it is not for us, or malformed. */
bool sts_record_id(struct slice text, struct slice *id);
/* TXT rdata (RFC 1035 3.3.14), its strings joined, in to (of the rdata's length). */
struct slice txt_join(struct slice rdata, char *to);

#endif
