/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys_fuzz.c - any bytes as columns of sort keys: nothing outside is read. And any bytes as facts of messages:
 * the columns made of them read, and are sound. The first byte says which. */
#include "mail/sort_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_ids(const struct sort_keys *k, uint32_t i)
{
	uint16_t list[SORT_KEYS_REFERENCES_MAX], own = sort_keys_own_id(k, i);
	uint32_t n = sort_keys_references(k, i, list, SORT_KEYS_REFERENCES_MAX);
	for (uint32_t r = 0; r < n; r++)
		(void)slice_hash(sort_keys_id(k, list[r]));
	if (own != SORT_KEYS_NO_ID)
		(void)slice_hash(sort_keys_id(k, own));
}

static void
read_all(struct slice bytes, bool good)
{
	struct sort_keys k;
	bool open = sort_keys_open(&k, bytes);
	ASSERT(!good || (open && sort_keys_is_sound(&k)));
	for (uint32_t i = 0; open && i < k.n; i++) {
		if (k.columns[SORT_KEYS_UIDS].len)
			ASSERT(!good || sort_keys_uid(&k, i) == i + 1);
		if (k.columns[SORT_KEYS_DATE].len)
			(void)sort_keys_date(&k, i);
		for (size_t c = SORT_KEYS_SUBJECT; c <= SORT_KEYS_DISPLAY_TO; c++)
			if (k.columns[c].len)
				(void)slice_hash(sort_keys_text(&k, (enum sort_keys_column)c, i));
		if (k.columns[SORT_KEYS_IDS].len)
			read_ids(&k, i);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sort_keys_maker *maker;
	struct slice rest = size ? slice_of(data + 1, size - 1) : SLICE_NONE;
	struct buf columns;
	if (!size || data[0] % 2 == 0) {
		read_all(rest, false);
		return 0;
	}
	maker = maker ? maker : sort_keys_maker_new();
	sort_keys_add(maker, 1, rest);
	sort_keys_add(maker, 2, slice_part(rest, 0, rest.len / 2));
	buf_init(&columns, 16u << 20);
	sort_keys_finish(maker, &columns);
	read_all(buf_slice(&columns), true);
	buf_release(&columns);
	return 0;
}
