/* SPDX-License-Identifier: Apache-2.0 */
/* route_test.c - the order of MX hosts (RFC 5321 5.1). What DNS answers become is shown in relay_test.c. */
#include "relay/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t word;

static uint64_t
next_word(void)
{
	return word = word * 6364136223846793005u + 1442695040888963407u, word >> 33;
}

static struct route
route_of(const char *text) /* "10 a 20 b" */
{
	struct route r = { .nhosts = 0 };
	struct slice rest = slice_text(text), preference, name;
	while (slice_cut(rest, ' ', &preference, &rest)) {
		slice_cut(rest, ' ', &name, &rest);
		struct route_host *h = &r.hosts[r.nhosts++];
		assert_true(slice_to_u32(preference, &h->preference));
		snprintf(h->name, sizeof h->name, "%.*s", SLICE_ARG(name));
	}
	return r;
}

static void
order(void **state)
{
	(void)state;
	static const struct {
		const char *what, *in, *out; /* out: preferences and names */
		bool own;
	} rows[] = {
		{ "the lowest preference comes first", "20 b 10 a 30 c", "a b c ", false },
		{ "hosts behind ourselves are dropped", "10 a 20 me 30 c", "a ", true },
		{ "equals of ourselves are dropped too", "10 a 20 x 20 Me 20 y", "a ", true },
		{ "when we are the best, nobody is left", "10 me 20 b", "", true },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int run = 0; run < 50; run++) {
			struct route r = route_of(rows[i].in);
			char got[256] = "";
			size_t n = 0;
			bool own = route_order(&r, "me", next_word);
			for (size_t k = 0; k < r.nhosts; k++)
				n += (size_t)snprintf(got + n, sizeof got - n, "%s ", r.hosts[k].name);
			if (own != rows[i].own || strcmp(got, rows[i].out) != 0)
				fail_msg("%s: '%s'", rows[i].what, got);
		}
	}
}

static void
equals_are_shuffled(void **state)
{
	(void)state;
	unsigned first[3] = { 0 };
	for (int run = 0; run < 3000; run++) {
		struct route r = route_of("10 a 10 b 10 c");
		route_order(&r, "me", next_word);
		first[r.hosts[0].name[0] - 'a']++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(first[i], 850, 1150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(order), cmocka_unit_test(equals_are_shuffled) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
