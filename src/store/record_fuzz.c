/* SPDX-License-Identifier: Apache-2.0 */
/* record_fuzz.c - any bytes as any row: what reads must be written back as the same bytes. */
#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY(kind)                                                                                                      \
	do {                                                                                                               \
		struct row_##kind row;                                                                                         \
		if (row_##kind##_take(bytes, &row))                                                                            \
			ASSERT(slice_equal(row_##kind##_put(&a, &row), bytes));                                                    \
	} while (0)
#define TRY_LIST(kind)                                                                                                 \
	do {                                                                                                               \
		struct row_##kind row;                                                                                         \
		if (row_##kind##_take(bytes, &a, &row))                                                                        \
			ASSERT(slice_equal(row_##kind##_put(&a, &row), bytes));                                                    \
	} while (0)

static void
try_message(struct slice bytes)
{
	struct row_message row;
	char to[ROW_MESSAGE_BYTES];
	if (row_message_take(bytes, &row))
		ASSERT(slice_equal(row_message_put(&row, to), bytes));
}

/* What an older version wrote is written back as the present one. */
static void
try_queue(struct slice bytes, struct arena *a)
{
	struct row_queue row;
	if (!row_queue_take(bytes, a, &row))
		return;
	struct slice again = row_queue_put(a, &row);
	ASSERT(row_queue_take(again, a, &row) && slice_equal(row_queue_put(a, &row), again));
	ASSERT(bytes.at[0] == 1 || slice_equal(again, bytes));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct arena a;
	arena_init(&a, 0);
	struct slice bytes = slice_of(data + 1, size - 1);
	switch (data[0] % 13) {
	case 0: TRY(domain); break;
	case 1: TRY_LIST(address); break;
	case 2: TRY(account); break;
	case 3: TRY(counters); break;
	case 4: TRY(name); break;
	case 5: TRY(mailbox); break;
	case 6: try_message(bytes); break;
	case 7: TRY(sequence); break;
	case 8: try_queue(bytes, &a); break;
	case 9: TRY_LIST(answer); break;
	case 10: TRY_LIST(acl); break;
	case 11: TRY(annotated); break;
	default: TRY(annotation); break;
	}
	arena_release(&a);
	return 0;
}
