/* SPDX-License-Identifier: Apache-2.0 */
/* bounce_fuzz.c - whatever comes back is read, and what is kept of it is bounded and printable. */
#include "mail/bounce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounce b;
	struct arena a;
	arena_init(&a, 0);
	bounce_read(slice_of(data, size), &a, &b);
	ASSERT((unsigned)b.kind < BOUNCE_KINDS && (unsigned)b.class < BOUNCE_CLASSES);
	ASSERT(b.nrecipients <= BOUNCE_RECIPIENTS_MAX && b.npaths <= BOUNCE_PATHS_MAX);
	ASSERT(b.said.len <= BOUNCE_SAID_BYTES_MAX && slice_is_utf8(b.said) && !slice_has_control(b.said));
	ASSERT(!slice_has_control(b.status) && b.status.len <= 20 && !slice_has_control(b.type));
	for (size_t i = 0; i < b.nrecipients; i++) {
		const struct bounce_recipient *to = &b.recipients[i];
		ASSERT(to->said.len <= BOUNCE_SAID_BYTES_MAX && slice_is_utf8(to->said) && !slice_has_control(to->said));
		ASSERT(!slice_has_control(to->address) && to->address.len <= 320 && to->status.len <= 20);
	}
	for (size_t i = 0; i < b.npaths; i++)
		ASSERT(b.paths[i].len && b.paths[i].len <= 1000 && !slice_has_control(b.paths[i]));
	arena_release(&a);
	return 0;
}
