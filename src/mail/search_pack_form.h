/* SPDX-License-Identifier: Apache-2.0 */
/* search_pack_form.h - what search_packer.c and search_pack.c have in common: the form of a pack. */
#ifndef MAIL_SEARCH_PACK_FORM_H
#define MAIL_SEARCH_PACK_FORM_H

#include "base/slice.h"

enum {
	/* u8 version, u8 of the texts, u16 0, u32 messages, buckets, entries, offset of the buckets, of the words, of the
	 * sort keys, 0 */
	PACK_HEAD_BYTES = 32,
	PACK_COLUMNS = 5,
	PACK_ENTRY_BYTES = 12,
	PACK_SHORT = 100,
};

static const struct slice pack_columns[PACK_COLUMNS] = { S_ROW("SUBJECT"), S_ROW("FROM"), S_ROW("TO"), S_ROW("CC"),
	                                                     S_ROW("BCC") };

/* What nearly all messages have rules out nothing. */
static inline bool
pack_has_list(size_t count, size_t messages)
{
	return count <= PACK_SHORT || count + PACK_SHORT <= messages;
}

static inline uint32_t
pack_bucket(uint32_t gram, uint32_t nbuckets)
{
	return (uint32_t)((uint64_t)(gram * 2654435761u) * nbuckets >> 32);
}

#endif
