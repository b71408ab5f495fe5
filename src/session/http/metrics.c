/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - reads the counter pages of all processes (session.c maps them). Called by status.c. A process without a
 * page is left out. */
#include "session/http/metrics.h"

static uint64_t
value(const struct session_page *p, enum counter c)
{
	return __atomic_load_n(&p->words[c], __ATOMIC_RELAXED);
}

uint64_t
metrics_sum(const struct session *s, enum counter c)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < s->npages; i++)
		sum += s->pages[i].words ? value(&s->pages[i], c) : 0;
	return sum;
}

void
metrics_write(const struct session *s, struct buf *to)
{
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		const char *name = counter_name(c);
		const char *type = slice_ends(slice_text(name), S("_total")) ? "counter" : "gauge";
		buf_printf(to, "# HELP posthouse_%s %s\n# TYPE posthouse_%s %s\n", name, counter_help(c), name, type);
		for (size_t i = 0; i < s->npages; i++)
			if (s->pages[i].words)
				buf_printf(to, "posthouse_%s{role=\"%s\",process=\"%zu\"} %llu\n", name, s->pages[i].label, i,
				           (unsigned long long)value(&s->pages[i], c));
	}
}
