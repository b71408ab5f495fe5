/* SPDX-License-Identifier: Apache-2.0 */
/* texts.h - what texts.c (texts of messages and how far they are made) and search.c (who looks into them) share. */
#ifndef STORE_TEXTS_H
#define STORE_TEXTS_H

#include "store/calls.h"

/* A row 'i', little endian: u8 version, u32 each of these, u8 pack_version. No row: all 0. Version 1 has no
 * pack_version: it was 1. */
struct row_texts {
	uint32_t text_uid; /* every message up to here has its text */
	uint32_t redo_uid; /* those behind text_uid up to here are made again, though they have one */
	uint32_t pack_uid; /* all up to here are in packs */
	uint32_t packed;   /* messages in packs, those that went since included */
	uint8_t pack_version;
};
bool row_texts_take(struct slice value, struct row_texts *row);
enum err texts_get(struct txn *t, uint64_t account, uint64_t mailbox, struct row_texts *row);
void texts_put(struct txn *t, uint64_t account, uint64_t mailbox, const struct row_texts *row);
/* The packed text of an object; ERR_NOT_FOUND. */
enum err text_get(struct txn *t, uint64_t object, struct slice *packed);

struct texts;
void texts_open(struct store *s);
void texts_close(struct store *s);
/* Messages may have come: of one mailbox, or (mailbox 0) of any of the account. */
void texts_changed(struct store *s, uint64_t account, uint64_t mailbox);

void index_next_call(struct ipc_call *call, const struct store_index_next_in *in);
void texts_wanted_call(struct ipc_call *call, const struct store_texts_wanted_in *in);
void texts_put_call(struct ipc_call *call, const struct store_texts_put_in *in);

bool texts_busy(struct store *s); /* changes come in fast: the background waits */
/* May there be enough for a pack, or are packs mostly dead? */
bool packs_have_work(const struct row_texts *texts, const struct row_mailbox *mailbox);

/* ---- packs.c */
extern uint32_t pack_messages; /* of a pack; tests set it lower */
struct row_pack {
	uint32_t from, upto; /* uids */
	uint32_t count;
	uint64_t object;
};
bool row_pack_take(struct slice key, struct slice value, struct row_pack *row);
/* All packs of a mailbox go, in this transaction; the texts stay. */
enum err packs_remove(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox);
void pack_wanted_call(struct ipc_call *call, const struct store_pack_wanted_in *in);
void texts_get_call(struct ipc_call *call, const struct store_texts_get_in *in);
void pack_put_call(struct ipc_call *call, const struct store_pack_put_in *in);
void packs_drop_call(struct ipc_call *call, const struct store_packs_drop_in *in);

/* ---- search.c */
extern int64_t search_step_ms; /* of a thread, before others get a turn; tests set it lower */
void search_text_call(struct ipc_call *call, const struct store_search_text_in *in);

/* ---- sort.c */
void sort_keys_call(struct ipc_call *call, const struct store_sort_keys_in *in);

/* ---- search_admin.c */
void search_status_call(struct ipc_call *call, const struct store_search_status_in *in);
void search_rebuild_call(struct ipc_call *call, const struct store_search_rebuild_in *in);

#endif
