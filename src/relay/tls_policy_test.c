/* SPDX-License-Identifier: Apache-2.0 */
/* tls_policy_test.c - which policy wins: the message, the configuration, DANE, MTA-STS, nobody. */
#include "relay/dane.h"
#include "relay/tls_policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define AUTO ROUTE_TLS_AUTO
#define NO false
#define YES true

static const struct {
	const char *what;
	struct tls_facts f; /* configured, DANE, MTA-STS, it names the host, the host is secure, what the message asks */
	enum tls_level level;
	enum tls_source source;
	int refused; /* 1: for now, 2: for good */
	bool soft;
} rows[] = {
	{ "nobody asks for anything",
	  { AUTO, DANE_INSECURE, STS_NONE, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_TRY,
	  TLS_BY_NOBODY,
	  0,
	  false },
	{ "signed, without records",
	  { AUTO, DANE_ABSENT, STS_NONE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_TRY,
	  TLS_BY_NOBODY,
	  0,
	  false },
	{ "records", { AUTO, DANE_USABLE, STS_NONE, NO, YES, DEMAND_USUAL }, TLS_LEVEL_DANE, TLS_BY_DANE, 0, false },
	{ "records that are of no use",
	  { AUTO, DANE_UNUSABLE, STS_NONE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_MUST,
	  TLS_BY_DANE,
	  0,
	  false },
	{ "no answer about records",
	  { AUTO, DANE_UNANSWERED, STS_NONE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_DANE,
	  TLS_BY_DANE,
	  1,
	  false },
	{ "no answer about records does not fall back to MTA-STS",
	  { AUTO, DANE_UNANSWERED, STS_ENFORCE, YES, YES, DEMAND_USUAL },
	  TLS_LEVEL_DANE,
	  TLS_BY_DANE,
	  1,
	  false },
	{ "DANE goes before MTA-STS",
	  { AUTO, DANE_USABLE, STS_ENFORCE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_DANE,
	  TLS_BY_DANE,
	  0,
	  false },
	{ "MTA-STS asks for more than useless records",
	  { AUTO, DANE_UNUSABLE, STS_ENFORCE, YES, YES, DEMAND_USUAL },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_STS,
	  0,
	  false },
	{ "useless records ask for more than testing",
	  { AUTO, DANE_UNUSABLE, STS_TESTING, YES, YES, DEMAND_USUAL },
	  TLS_LEVEL_MUST,
	  TLS_BY_DANE,
	  0,
	  false },
	{ "enforce", { AUTO, DANE_INSECURE, STS_ENFORCE, YES, NO, DEMAND_USUAL }, TLS_LEVEL_VERIFY, TLS_BY_STS, 0, false },
	{ "enforce, another host",
	  { AUTO, DANE_INSECURE, STS_ENFORCE, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_STS,
	  1,
	  false },
	{ "testing", { AUTO, DANE_INSECURE, STS_TESTING, YES, NO, DEMAND_USUAL }, TLS_LEVEL_TRY, TLS_BY_STS, 0, true },
	{ "testing, another host",
	  { AUTO, DANE_INSECURE, STS_TESTING, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_TRY,
	  TLS_BY_STS,
	  0,
	  true },
	{ "configured none goes before DANE",
	  { ROUTE_TLS_NONE, DANE_USABLE, STS_ENFORCE, YES, YES, DEMAND_USUAL },
	  TLS_LEVEL_NONE,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "configured try goes before MTA-STS",
	  { ROUTE_TLS_TRY, DANE_INSECURE, STS_ENFORCE, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_TRY,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "configured must",
	  { ROUTE_TLS_MUST, DANE_INSECURE, STS_NONE, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_MUST,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "configured verify",
	  { ROUTE_TLS_VERIFY, DANE_UNANSWERED, STS_NONE, NO, NO, DEMAND_USUAL },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "configured dane",
	  { ROUTE_TLS_DANE, DANE_USABLE, STS_NONE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_DANE,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "configured dane, without records",
	  { ROUTE_TLS_DANE, DANE_ABSENT, STS_NONE, NO, YES, DEMAND_USUAL },
	  TLS_LEVEL_DANE,
	  TLS_BY_CONFIGURATION,
	  1,
	  false },
	{ "TLS-Required: No goes before DANE",
	  { AUTO, DANE_USABLE, STS_ENFORCE, NO, YES, DEMAND_DELIVERY },
	  TLS_LEVEL_TRY,
	  TLS_BY_MESSAGE,
	  0,
	  false },
	{ "TLS-Required: No, configured none",
	  { ROUTE_TLS_NONE, DANE_USABLE, STS_NONE, NO, YES, DEMAND_DELIVERY },
	  TLS_LEVEL_NONE,
	  TLS_BY_CONFIGURATION,
	  0,
	  false },
	{ "REQUIRETLS with DANE",
	  { AUTO, DANE_USABLE, STS_NONE, NO, YES, DEMAND_TLS },
	  TLS_LEVEL_DANE,
	  TLS_BY_MESSAGE,
	  0,
	  false },
	{ "REQUIRETLS with a signed MX",
	  { AUTO, DANE_ABSENT, STS_NONE, NO, YES, DEMAND_TLS },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_MESSAGE,
	  0,
	  false },
	{ "REQUIRETLS with MTA-STS",
	  { AUTO, DANE_INSECURE, STS_TESTING, YES, NO, DEMAND_TLS },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_MESSAGE,
	  0,
	  false },
	{ "REQUIRETLS, nobody vouches",
	  { AUTO, DANE_INSECURE, STS_NONE, NO, NO, DEMAND_TLS },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_MESSAGE,
	  2,
	  false },
	{ "REQUIRETLS, another host",
	  { AUTO, DANE_INSECURE, STS_ENFORCE, NO, NO, DEMAND_TLS },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_MESSAGE,
	  2,
	  false },
	{ "REQUIRETLS, no answer about records",
	  { AUTO, DANE_UNANSWERED, STS_NONE, NO, YES, DEMAND_TLS },
	  TLS_LEVEL_VERIFY,
	  TLS_BY_MESSAGE,
	  1,
	  false },
	{ "REQUIRETLS on a route without TLS",
	  { ROUTE_TLS_NONE, DANE_USABLE, STS_NONE, NO, YES, DEMAND_TLS },
	  TLS_LEVEL_DANE,
	  TLS_BY_MESSAGE,
	  2,
	  false },
};

static void
policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct tls_policy p = tls_policy_choose(&rows[i].f);
		int refused = p.refuse ? 1 + p.final : 0;
		if (p.level != rows[i].level || p.source != rows[i].source || refused != rows[i].refused ||
		    p.soft != rows[i].soft)
			fail_msg("%s: level %d, source %d, refused %d: %s", rows[i].what, p.level, p.source, refused, p.words);
		assert_true(p.words && p.words[0]);
	}
}

#define H32 "0123456789abcdef0123456789abcdef"

static void
records(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct slice rdata;
		bool usable;
	} table[] = {
		{ "DANE-EE, key, SHA-256", S_ROW("\3\1\1" H32), true },
		{ "DANE-TA, certificate, SHA-512", S_ROW("\2\0\2" H32 H32), true },
		{ "the whole certificate", S_ROW("\3\0\0certificate"), true },
		{ "PKIX-TA", S_ROW("\0\0\1" H32), false },
		{ "PKIX-EE", S_ROW("\1\1\1" H32), false },
		{ "a private usage", S_ROW("\xff\1\1" H32), false },
		{ "an unknown selector", S_ROW("\3\2\1" H32), false },
		{ "an unknown matching type", S_ROW("\3\1\3" H32), false },
		{ "a short digest",
		  S_ROW("\3\1\1"
		        "0123"),
		  false },
		{ "a long digest", S_ROW("\3\1\1" H32 "x"), false },
		{ "nothing after the head", S_ROW("\3\1\0"), false },
		{ "nothing", S_ROW(""), false },
	};
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct tls_tlsa t;
		if (dane_record(table[i].rdata, &t) != table[i].usable)
			fail_msg("%s", table[i].what);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(policies), cmocka_unit_test(records) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
