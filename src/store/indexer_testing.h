/* SPDX-License-Identifier: Apache-2.0 */
/* indexer_testing.h - for tests: plays the indexer on a store of store_testing.h, with no scan beside it. */
#ifndef STORE_INDEXER_TESTING_H
#define STORE_INDEXER_TESTING_H

#include "mail/charset.h"
#include "mail/search_pack.h"
#include "store/store_testing.h"
#include "store/texts.h"

static struct ipc_client indexer;
static unsigned told;

static inline void
hear_ready(struct ipc_client *c, const struct store_index_ready_in *in)
{
	told++;
}

static const struct store_listener indexer_heard = { .index_ready = hear_ready };

static inline void
connect_indexer(void)
{
	house_connect(&indexer, IPC_CLASS_INDEXER);
}

static inline void
on_house_with_indexer(void (*body)(void))
{
	house_new();
	house.conf.v.search_index = true;
	ipc_client_init(&indexer, &store_protocol, &indexer_heard, NULL);
	indexer.shm = house.shm;
	connect_indexer();
	task_body = body;
	task_ended = false;
	ASSERT(task_start(run_body, NULL));
	ASSERT(loop_run_until(body_ended, NULL, 120000));
	ASSERT(house_remove() == 0);
	ipc_client_release(&indexer);
	loop_turn(0);
	loop_reset();
	charset_release();
}

static inline struct store_texts_wanted_out
await_wanted(uint64_t account, uint64_t mailbox, uint32_t max)
{
	struct store_texts_wanted_in in = { account, mailbox, max };
	struct store_texts_wanted_out out = { 0 };
	ASSERT(await_store_texts_wanted(&indexer, &in, &house.a, &out) == OK);
	return out;
}

static inline struct slice
await_body_of(uint64_t account, uint64_t mailbox, uint32_t uid)
{
	struct store_text_body_in in = { account, mailbox, uid, 0, in_region() };
	struct store_text_body_out out = { 0 };
	ASSERT(await_store_text_body(&indexer, &in, &house.a, &out) == OK && out.filled == out.total);
	return slice_keep(&house.a, slice_of(house.region, out.filled));
}

static inline struct slice
text_of(struct slice message)
{
	struct buf record, packed;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	buf_init(&packed, SEARCH_TEXT_BYTES_MAX);
	search_text_make(message, 1 << 20, &record);
	search_text_pack(buf_slice(&record), &packed);
	struct slice kept = slice_keep(&house.a, buf_slice(&packed));
	buf_release(&record);
	buf_release(&packed);
	return kept;
}

/* Makes what is missing in a mailbox, at most `rounds` times `max`. */
static inline size_t
await_make(uint64_t account, uint64_t mailbox, uint32_t max, unsigned rounds)
{
	size_t made = 0;
	while (rounds-- > 0) {
		struct store_texts_wanted_out w = await_wanted(account, mailbox, max);
		struct store_text texts[64];
		if (w.nwanted == 0 && w.upto == 0)
			return made;
		for (uint32_t i = 0; i < w.nwanted; i++)
			texts[i] =
			    (struct store_text){ w.wanted[i].object, text_of(await_body_of(account, mailbox, w.wanted[i].uid)) };
		struct store_texts_put_in in = { account, mailbox, w.upto, texts, w.nwanted };
		struct store_texts_put_out out;
		ASSERT(await_store_texts_put(&indexer, &in, &house.a, &out) == OK);
		made += w.nwanted;
	}
	return made;
}

static inline uint32_t
put_entries(struct search_packer *p, uint32_t filled)
{
	struct buf record;
	uint32_t last = 0;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	for (uint32_t at = 0; at < filled;) {
		struct search_text t;
		const char *e = house.region + at;
		size_t bytes = bytes_get_le(e + 4, 4), facts = bytes_get_le(e + 16, 8);
		ASSERT(search_text_unpack(slice_of(e + 24, bytes), &record) && search_text_open(&t, buf_slice(&record)));
		last = (uint32_t)bytes_get_le(e, 4);
		ASSERT(search_packer_add(p, last, bytes_get_le(e + 8, 8), &t, slice_of(e + 24 + bytes, facts)));
		at += 24 + (uint32_t)((bytes + facts + 7) & ~(size_t)7);
	}
	buf_release(&record);
	return last;
}

/* What is due for packs is packed, or (lie) something that is no pack is kept as one. */
static inline size_t
await_pack(uint64_t account, uint64_t mailbox, bool lie)
{
	size_t made = 0;
	for (;; made++) {
		struct store_pack_wanted_in in = { account, mailbox, 0 };
		struct store_pack_wanted_out w = { 0 };
		ASSERT(await_store_pack_wanted(&indexer, &in, &house.a, &w) == OK);
		if (w.drop) {
			struct store_packs_drop_in drop = { account, mailbox };
			ASSERT(await_store_packs_drop(&indexer, &drop, &house.a, &(struct store_packs_drop_out){ 0 }) == OK);
			continue;
		}
		if (w.upto == 0)
			return made;
		struct store_texts_get_in get = { account, mailbox, w.from, w.upto, in_region() };
		struct store_texts_get_out got = { 0 };
		ASSERT(await_store_texts_get(&indexer, &get, &house.a, &got) == OK && got.last == 0);
		struct search_packer *p = search_packer_new();
		struct buf pack;
		buf_init(&pack, SEARCH_PACK_BYTES_MAX);
		struct store_pack_put_in put = { account, mailbox, w.from, put_entries(p, got.filled), 0, in_region() };
		put.count = (uint32_t)search_packer_count(p);
		search_packer_finish(p, &pack);
		ASSERT(put.upto == w.upto && pack.len <= REGION_BYTES);
		if (lie)
			memset(pack.at + 8, 255, pack.len - 8);
		memcpy(house.region, pack.at, pack.len);
		put.pack.len = pack.len;
		ASSERT(await_store_pack_put(&indexer, &put, &house.a, &(struct store_pack_put_out){ 0 }) == OK);
		buf_release(&pack);
		search_packer_free(&p);
	}
}

static inline struct store_index_next_out
await_next(void)
{
	struct store_index_next_out out = { 0 };
	ASSERT(await_store_index_next(&indexer, &(struct store_index_next_in){ 0 }, &house.a, &out) == OK);
	return out;
}

#endif
