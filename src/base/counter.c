/* SPDX-License-Identifier: Apache-2.0 */
/* counter.c - where the counters of this process live. */
#include "base/counter.h"

static uint64_t private_page[COUNTER_COUNT];
uint64_t *counters = private_page;
_Static_assert(sizeof private_page <= COUNTER_PAGE_BYTES, "the counters fit into their page");

static const struct {
	const char *name, *help;
} table[] = {
#define X(id, name, help) { name, help },
	COUNTER_TABLE(X)
#undef X
};

void
counter_use_page(void *page)
{
	memcpy(page, counters, sizeof private_page);
	counters = page;
}

const char *
counter_name(enum counter c)
{
	return table[c].name;
}

const char *
counter_help(enum counter c)
{
	return table[c].help;
}
