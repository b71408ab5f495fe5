/* SPDX-License-Identifier: Apache-2.0 */
/* referral_fuzz.c - a URL that is taken is given to clients as one that is taken again, and cannot end a response. */
#include "mail/referral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct referral r, again;
	struct arena a;
	if (!referral_take(slice_of((const char *)data, size), &r))
		return 0;
	arena_init(&a, 0);
	struct slice url = referral_url(&r, S("\"] @x"), S(""), &a);
	for (size_t i = 0; i < url.len; i++)
		ASSERT(url.at[i] > ' ' && url.at[i] < 127 && url.at[i] != ']' && url.at[i] != '"');
	ASSERT(url.len > REFERRAL_BYTES_MAX || referral_take(url, &again));
	ASSERT(url.len > REFERRAL_BYTES_MAX || slice_equal(again.mailbox, r.mailbox));
	arena_release(&a);
	return 0;
}
