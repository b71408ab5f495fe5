/* SPDX-License-Identifier: Apache-2.0 */
/* sts_policy_fuzz.c - policies, TXT records and HTTP answers of any bytes. */
#include "relay/http_reply.h"
#include "relay/sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size), id;
	struct sts_policy p;
	struct http_reply r;
	struct arena a;
	arena_init(&a, 0);
	if (sts_policy_parse(in, &p)) {
		ASSERT(p.max_age <= STS_MAX_AGE_MAX && (p.nmx > 0 || p.mode == STS_NONE));
		for (size_t i = 0; i < p.nmx; i++)
			if (p.mx[i].at[0] != '*')
				ASSERT(sts_policy_names(&p, p.mx[i]));
	}
	if (sts_record_id(txt_join(in, arena_alloc(&a, size + 1)), &id))
		ASSERT(id.len > 0 && id.len <= STS_ID_BYTES_MAX);
	if (http_reply_take(in, 1000, &a, &r) == HTTP_WHOLE)
		ASSERT(r.body.len <= 1000 && r.status >= 100 && r.status <= 999);
	arena_release(&a);
	return 0;
}
