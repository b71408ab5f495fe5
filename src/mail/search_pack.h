/* SPDX-License-Identifier: Apache-2.0 */
/* search_pack.h - an index over the texts of many messages of a mailbox: columns of the fields that are searched most,
 * and for each three bytes that stand somewhere in a text, which messages have them. The indexer makes packs, the store
 * asks them, piece by piece, wherever they are kept.
 *
 * Columns decide; the rest only proposes: what it proposes is looked into, what it does not propose does not hold the
 * text. Messages whose text was cut, or has too many different bytes, are always proposed.
 *
 * Little endian: struct head's numbers; then uids (u32), objects (u64), flags (u8 each, SEARCH_TEXT_..._CUT and
 * PACK_ALWAYS); for each column offsets (u32, one more than messages) and the values, each ended by LF; then the
 * postings: buckets (u32, one more than there are) of entries (u32 three bytes, u32 offset, u32 how many) by a hash of
 * the three bytes; and the lists. A list of up to PACK_SHORT messages is steps (u16), a longer one a bit for each
 * message, and what all but PACK_SHORT messages have has none. Then, at multiples of 8, the frequent words of bodies
 * and those of headers (mail/search_words.h), which decide where they find something; and the keys by which SORT and
 * THREAD compare (mail/sort_keys.h). */
#ifndef MAIL_SEARCH_PACK_H
#define MAIL_SEARCH_PACK_H

#include "mail/search_text.h"

#define SEARCH_PACK_VERSION 3 /* others are not read: they are made again */
#define SEARCH_PACK_MESSAGES_MAX 2048
#define SEARCH_PACK_BYTES_MAX (4u << 20)
#define SEARCH_PACK_WORDS (SEARCH_PACK_MESSAGES_MAX / 64)

/* ---- making */

struct search_packer;
struct search_packer *search_packer_new(void);
void search_packer_free(struct search_packer **p);
/* By rising uids, with the record of facts (empty: none). False: it is full, the message belongs to the next one. The
 * first is always taken. */
bool search_packer_add(struct search_packer *p, uint32_t uid, uint64_t object, const struct search_text *t,
                       struct slice facts);
bool search_packer_is_full(const struct search_packer *p);
size_t search_packer_count(const struct search_packer *p);
void search_packer_finish(struct search_packer *p, struct buf *pack); /* at least one message; empty afterwards */

/* ---- asking */

struct search_pack {
	bool (*read)(void *from, uint64_t at, void *to, size_t len); /* false: it cannot be read */
	void *from;
	uint64_t bytes;
	uint32_t n; /* messages */
	uint32_t at_columns, at_buckets, at_entries, at_lists, at_words, at_keys, nbuckets, nentries;
};
/* A bit for each message. */
struct search_bits {
	uint64_t words[SEARCH_PACK_WORDS];
};
/* read, from and bytes are set. All return false when the pack is damaged or cannot be read. */
bool search_pack_open(struct search_pack *p);
bool search_pack_messages(const struct search_pack *p, uint32_t *uids, uint64_t *objects, uint8_t *flags);
/* Is it a field with a column? Then those that have it are found, and all others have not (or were cut). */
bool search_pack_has_column(const struct search_key *k);
bool search_pack_column(const struct search_pack *p, const struct search_key *k, struct buf *scratch,
                        struct search_bits *found);
/* Those that may hold it, but for those that are always proposed (by their flags). */
bool search_pack_propose(const struct search_pack *p, const struct search_key *k, struct search_bits *proposed);
/* Those that have it for certain, as far as frequent words tell. */
bool search_pack_certain(const struct search_pack *p, const struct search_key *k, struct buf *scratch,
                         struct search_bits *certain);

#define SEARCH_PACK_ALWAYS 128 /* of flags: it has too many different bytes, and is always proposed */

static inline bool
search_bits_get(const struct search_bits *b, size_t i)
{
	return (b->words[i / 64] >> (i % 64) & 1) != 0;
}
static inline void
search_bits_set(struct search_bits *b, size_t i)
{
	b->words[i / 64] |= (uint64_t)1 << (i % 64);
}

#endif
