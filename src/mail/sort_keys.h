/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys.h - what SORT and THREAD compare of many messages (RFC 5256), as columns: each is read by itself, so that
 * nobody reads facts of 100,000 messages to sort them by date. Made of facts (mail/facts.h) by the indexer as a part of
 * a pack (mail/search_pack.h); the store hands out the columns that are asked for, sessions read them.
 *
 * They say exactly what facts say, or that the message is not known: then its facts have to be looked at. That is so
 * for messages without readable facts, and for those of which something passes a bound below.
 *
 * Little endian: u8 version, u8 version of facts, u16 columns, u32 messages; for each column u32 offset, u32 bytes (0:
 * it is not here), u32 CRC32C; then the columns, each at a multiple of 8:
 * UIDS u32 each, then a byte of SORT_KEYS_KNOWN and _REPLY each; DATE i64 each; texts offsets (u32, one more than
 * messages), then the bytes; IDS u32 how many, offsets of each (u32, one more), first reference of each message in the
 * list (u32, one more), its own id (u16, SORT_KEYS_NO_ID: none), the list (u16), the bytes. */
#ifndef MAIL_SORT_KEYS_H
#define MAIL_SORT_KEYS_H

#include "mail/facts.h"

enum sort_keys_column {
	SORT_KEYS_UIDS,
	SORT_KEYS_DATE,
	SORT_KEYS_SUBJECT, /* these are texts, folded with FOLD_UNICODE for order */
	SORT_KEYS_FROM,
	SORT_KEYS_TO,
	SORT_KEYS_CC,
	SORT_KEYS_DISPLAY_FROM,
	SORT_KEYS_DISPLAY_TO,
	SORT_KEYS_IDS, /* of the message, and those that it refers to */
	SORT_KEYS_COLUMNS
};
#define SORT_KEYS_VERSION 2
#define SORT_KEYS_HEAD_BYTES (8 + 12 * (size_t)SORT_KEYS_COLUMNS + 4) /* a multiple of 8 */
#define SORT_KEYS_TEXT_BYTES_MAX 1000u      /* folded; a message with a longer one is not known */
#define SORT_KEYS_REFERENCES_MAX 1000u      /* of one message, the same */
#define SORT_KEYS_IDS_BYTES_MAX (64u << 10) /* of one message, the same */
#define SORT_KEYS_BYTES_MAX (768u << 10)    /* from which on it is full */
#define SORT_KEYS_IDS_MAX 65000             /* different ones of all messages, the same */
#define SORT_KEYS_NO_ID UINT16_MAX

enum { SORT_KEYS_KNOWN = 1, SORT_KEYS_REPLY = 2 /* the subject says so */ };

/* ---- making */

struct sort_keys_maker;
struct sort_keys_maker *sort_keys_maker_new(void);
void sort_keys_maker_free(struct sort_keys_maker **m);
/* By rising uids. facts: the record; what does not read makes a message that is not known. */
void sort_keys_add(struct sort_keys_maker *m, uint32_t uid, struct slice facts);
bool sort_keys_is_full(const struct sort_keys_maker *m);
void sort_keys_finish(struct sort_keys_maker *m, struct buf *to); /* appends; empty afterwards */

/* ---- reading */

struct sort_keys {
	uint32_t n;
	struct slice columns[SORT_KEYS_COLUMNS]; /* empty: not here */
	uint32_t sums[SORT_KEYS_COLUMNS];
	uint32_t nids;
};
/* Only the head, of which the columns' places are learnt: their slices have no bytes yet (at NULL), offsets in *at. */
bool sort_keys_open_head(struct sort_keys *k, struct slice head, uint64_t at[SORT_KEYS_COLUMNS]);
/* All that is there. Every offset is checked here or when it is used; sums are not (sort_keys_is_sound). */
bool sort_keys_open(struct sort_keys *k, struct slice all);
bool sort_keys_is_sound(const struct sort_keys *k);
/* The head of an extract with the columns as they are in k, one behind the other; returns its bytes in all. */
size_t sort_keys_put_head(const struct sort_keys *k, char head[SORT_KEYS_HEAD_BYTES]);

/* i < n, and the column is here. */
uint32_t sort_keys_uid(const struct sort_keys *k, uint32_t i);
uint8_t sort_keys_flags(const struct sort_keys *k, uint32_t i);
int64_t sort_keys_date(const struct sort_keys *k, uint32_t i); /* INT64_MIN: missing or malformed */
struct slice sort_keys_text(const struct sort_keys *k, enum sort_keys_column c, uint32_t i);
uint16_t sort_keys_own_id(const struct sort_keys *k, uint32_t i);
/* Of the references of a message, the first `max` at most; returns how many. All numbers are below nids. */
uint32_t sort_keys_references(const struct sort_keys *k, uint32_t i, uint16_t *ids, uint32_t max);
struct slice sort_keys_id(const struct sort_keys *k, uint16_t id);

#endif
