/* SPDX-License-Identifier: Apache-2.0 */
/* verp_fuzz.c - no address and no field that comes in passes for one of ours; what is made of any recipient does. */
#include "mail/verp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t master[VERP_KEY_BYTES] = { 7 };
	struct slice text = slice_of(data, MIN(size, (size_t)1000)), domain = S("news.example");
	uint8_t key[VERP_KEY_BYTES];
	struct verp v;
	struct arena a;
	struct buf b;
	int64_t day, today = 20000;
	arena_init(&a, 0);
	buf_init(&b, 2000);
	if (verp_take(text, &a, &v))
		ASSERT(!verp_check(&v, master, today, &a, &day));
	if (verp_field_take(text, &a, &v))
		ASSERT(!verp_check(&v, master, today, &a, &day));
	verp_key(master, size, today, domain, key);
	if (verp_put(&b, key, size, today, domain, text)) {
		ASSERT(verp_take(buf_slice(&b), &a, &v) && verp_check(&v, master, today, &a, &day));
		ASSERT(day == today && v.account == size && verp_is_of(&v, text));
	}
	buf_clear(&b);
	if (verp_field_put(&b, key, size, today, domain, text)) {
		ASSERT(verp_field_take(buf_slice(&b), &a, &v) && verp_check(&v, master, today, &a, &day));
		ASSERT(slice_equal_nocase(v.recipient, text));
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
