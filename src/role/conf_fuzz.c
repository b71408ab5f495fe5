/* SPDX-License-Identifier: Apache-2.0 */
/* conf_fuzz.c - any bytes as configuration: an error for people, or a configuration that can be used. */
#include "role/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct conf_error errors[4];
	size_t n;
	arena_init(&a, 0);
	struct conf *c = conf_parse(slice_of(data, size), "fuzz.conf", "/etc", &a, errors, COUNT_OF(errors), &n);
	ASSERT((c == NULL) == (n > 0));
	for (size_t i = 0; i < MIN(n, COUNT_OF(errors)); i++)
		ASSERT(errors[i].text[0] != 0);
	if (c) {
		uint8_t address[16] = { 0 };
		(void)conf_trusts(c, address);
		ASSERT(c->nlisteners == c->v.nlisten + 1 && c->nretry > 0);
	}
	conf_free(&c);
	arena_release(&a);
	return 0;
}
