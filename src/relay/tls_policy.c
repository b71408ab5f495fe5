/* SPDX-License-Identifier: Apache-2.0 */
/* tls_policy.c - see tls_policy.h. The message goes before the configuration, that before DANE, that before MTA-STS. */
#include "relay/tls_policy.h"

/* RFC 8689 4.2.1: a server whose name is known for sure, and whose certificate is verified. */
static struct tls_policy
by_requiretls(const struct tls_facts *f)
{
	struct tls_policy p = { TLS_LEVEL_VERIFY, TLS_BY_MESSAGE, .words = "REQUIRETLS: a verified certificate" };
	if (f->dane == DANE_USABLE && f->configured != ROUTE_TLS_VERIFY)
		p = (struct tls_policy){ TLS_LEVEL_DANE, TLS_BY_MESSAGE, .words = "REQUIRETLS: a certificate named by DANE" };
	p.final = true;
	if (f->configured == ROUTE_TLS_NONE || f->configured == ROUTE_TLS_TRY)
		p.refuse = "the message demands TLS (REQUIRETLS), which the route does not";
	else if (f->dane == DANE_UNANSWERED)
		p.refuse = "the TLSA records of the host cannot be had (RFC 7672 2.1.2)", p.final = false;
	else if (!f->host_secure && !(f->sts != STS_NONE && f->sts_names_host))
		p.refuse = "the message demands TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS vouches for the host's name";
	return p;
}

static struct tls_policy
by_configuration(const struct tls_facts *f)
{
	static const struct tls_policy rows[] = {
		[ROUTE_TLS_NONE] = { TLS_LEVEL_NONE, TLS_BY_CONFIGURATION, .words = "configured: no TLS" },
		[ROUTE_TLS_TRY] = { TLS_LEVEL_TRY, TLS_BY_CONFIGURATION, .words = "configured: TLS where it works" },
		[ROUTE_TLS_MUST] = { TLS_LEVEL_MUST, TLS_BY_CONFIGURATION, .words = "configured: TLS, not verified" },
		[ROUTE_TLS_DANE] = { TLS_LEVEL_DANE, TLS_BY_CONFIGURATION, .words = "configured: DANE" },
		[ROUTE_TLS_VERIFY] = { TLS_LEVEL_VERIFY, TLS_BY_CONFIGURATION, .words = "configured: a verified certificate" },
	};
	struct tls_policy p = rows[f->configured];
	if (f->configured == ROUTE_TLS_DANE && f->dane != DANE_USABLE)
		p.refuse = "the configuration demands DANE, and the host has no usable TLSA records that DNSSEC secures";
	return p;
}

/* RFC 7672 2.2: records that cannot be used still say that there must be TLS. MTA-STS must not make that less (RFC 8461
 * 2), but may ask for more. */
static struct tls_policy
by_domain(const struct tls_facts *f)
{
	if (f->dane == DANE_UNANSWERED)
		return (struct tls_policy){
			TLS_LEVEL_DANE, TLS_BY_DANE, false, "DANE", "the TLSA records of the host cannot be had (RFC 7672 2.1.2)",
			false
		};
	if (f->dane == DANE_USABLE)
		return (struct tls_policy){ TLS_LEVEL_DANE, TLS_BY_DANE, .words = "DANE" };
	if (f->sts == STS_ENFORCE)
		return (struct tls_policy){ TLS_LEVEL_VERIFY,
			                        TLS_BY_STS,
			                        false,
			                        "MTA-STS enforce",
			                        f->sts_names_host
			                            ? NULL
			                            : "the MTA-STS policy of the domain does not name the host (RFC 8461 4.1)",
			                        false };
	if (f->dane == DANE_UNUSABLE)
		return (struct tls_policy){ TLS_LEVEL_MUST, TLS_BY_DANE,
			                        .words = "DANE without a usable record: TLS, not verified" };
	if (f->sts == STS_TESTING)
		return (struct tls_policy){ TLS_LEVEL_TRY, TLS_BY_STS, true, "MTA-STS testing", NULL, false };
	return (struct tls_policy){ TLS_LEVEL_TRY, TLS_BY_NOBODY, .words = "TLS where it works" };
}

struct tls_policy
tls_policy_choose(const struct tls_facts *f)
{
	if (f->demand == DEMAND_TLS)
		return by_requiretls(f);
	if (f->demand == DEMAND_DELIVERY && f->configured != ROUTE_TLS_NONE) /* RFC 8689 3 */
		return (struct tls_policy){ TLS_LEVEL_TRY, TLS_BY_MESSAGE, .words = "TLS-Required: No" };
	return f->configured == ROUTE_TLS_AUTO ? by_domain(f) : by_configuration(f);
}
