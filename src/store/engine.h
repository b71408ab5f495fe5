/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - an ordered, transactional key-value store: all that the store needs of RocksDB today, of PostgreSQL later.
 *
 * Keys and values are bytes. A key begins with its part (the account, the queue shard, the directory), so that an
 * engine of many nodes can spread by it; a transaction should stay within few parts. Transaction bodies are functions
 * over txn_get, txn_put, txn_delete and ranges; an engine may run one again after a conflict, so they change nothing
 * else until they are known to be durable.
 *
 * Threads: a transaction that writes belongs to the store's loop thread; only its txn_commit may run on another thread,
 * while the loop thread goes on reading (it sees the state before the commit until it is done). A transaction that only
 * reads may be begun, used and ended on any one thread. */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include "base/arena.h"
#include "base/err.h"

struct engine;
struct txn;

struct engine_options {
	size_t cache_bytes;        /* block cache */
	size_t write_buffer_bytes; /* what waits in memory before it is sorted to disk */
};
/* folder: where its files live, made when missing. *why: a literal or a text of the engine for the log. */
enum err engine_open(const char *folder, const struct engine_options *options, struct engine **e, struct arena *a,
                     const char **why);
void engine_close(struct engine **e);
const char *engine_name(const struct engine *e);

/* A transaction that only reads (a snapshot), or one that may write. Its arena holds what it returned. */
struct txn *txn_begin(struct engine *e, bool write);
struct arena *txn_arena(struct txn *t);
/* OK, ERR_NOT_FOUND, ERR_IO, ERR_DAMAGED. *value lives as long as the transaction. Sees its own writes. */
enum err txn_get(struct txn *t, struct slice key, struct slice *value);
void txn_put(struct txn *t, struct slice key, struct slice value);
void txn_delete(struct txn *t, struct slice key);
/* Marks a point; rollback undoes what was written after the newest mark and drops it; keep only drops it. */
void txn_mark(struct txn *t);
void txn_rollback(struct txn *t);
void txn_keep(struct txn *t);
void txn_end(struct txn **t);        /* without commit */
bool txn_empty(const struct txn *t); /* nothing to commit */
bool txn_writes(const struct txn *t);
/* Durable when it returns OK. May run on another thread. The transaction still wants txn_end. */
enum err txn_commit(struct txn *t);

/* Keys in [from, to), ascending, or descending from the last one below to. key and value live until the next step. The
 * transaction may write meanwhile: a range sees what is written to keys that it has not reached. */
struct range;
struct range *range_begin(struct txn *t, struct slice from, struct slice to, bool backwards);
/* Forwards over much: reads ahead, and leaves the cache to others. */
struct range *range_begin_scan(struct txn *t, struct slice from, struct slice to);
bool range_next(struct range *r, struct slice *key, struct slice *value);
enum err range_end(struct range **r); /* what went wrong on the way, or OK */

#endif
