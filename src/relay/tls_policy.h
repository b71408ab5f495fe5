/* SPDX-License-Identifier: Apache-2.0 */
/* tls_policy.h - what is asked of the TLS of one remote server, and who asks it: the message (RFC 8689), the
 * configuration, DANE (RFC 7672), MTA-STS (RFC 8461), or nobody. Pure: facts in, policy out. */
#ifndef RELAY_TLS_POLICY_H
#define RELAY_TLS_POLICY_H

#include "role/conf.h"

/* In order of what they demand. */
enum tls_level {
	TLS_LEVEL_NONE,   /* no STARTTLS */
	TLS_LEVEL_TRY,    /* when it is offered; in plain when it does not work (RFC 7435) */
	TLS_LEVEL_MUST,   /* encrypted, whoever it is */
	TLS_LEVEL_VERIFY, /* a trusted certificate with the right name */
	TLS_LEVEL_DANE,   /* a certificate that the TLSA records name */
};

enum dane_state {
	DANE_INSECURE,   /* the domain or the host is not signed: there was no lookup (RFC 7672 2.2.1) */
	DANE_ABSENT,     /* there are none (2.1.3) */
	DANE_UNANSWERED, /* bogus, or no answer (2.1.2) */
	DANE_UNUSABLE,   /* there are, and none that we can use (2.2) */
	DANE_USABLE
};

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

/* What the message asks (RFC 8689). */
enum tls_demand { DEMAND_USUAL, DEMAND_TLS, DEMAND_DELIVERY };

struct tls_facts {
	enum route_tls configured;
	enum dane_state dane;
	enum sts_mode sts;
	bool sts_names_host; /* an mx of the policy is this host */
	bool host_secure;    /* its name is from the configuration, or DNSSEC secures it */
	enum tls_demand demand;
};

enum tls_source { TLS_BY_NOBODY, TLS_BY_MESSAGE, TLS_BY_CONFIGURATION, TLS_BY_DANE, TLS_BY_STS };

struct tls_policy {
	enum tls_level level;
	enum tls_source source;
	bool soft;          /* VERIFY is looked at and reported, and mail goes in any case (MTA-STS testing) */
	const char *words;  /* which policy that is, for people */
	const char *refuse; /* not NULL: the host must not be used now; why, for people */
	bool final;         /* and not later either */
};

struct tls_policy tls_policy_choose(const struct tls_facts *f);

#endif
