/* SPDX-License-Identifier: Apache-2.0 */
/* memo.h - what stands in memos (store.msg, memo_put): kinds, and who may put them. Names are in lower case. */
#ifndef STORE_MEMO_H
#define STORE_MEMO_H

#include "base/err.h"
#include "base/slice.h"
#include "store/rows.h"

#define MEMOS_MAX 4000000      /* of a kind */
#define TLS_RECEIVED_MAX 10000 /* reports that strangers sent us */
#define MEMO_VALUE_BYTES_MAX 65536
#define MEMO_LIST_BYTES_MAX (1u << 20) /* of one answer of memo_list */

/* kind, IPC_CLASS_* that may put it, how many there may be (0: MEMOS_MAX), what it is */
struct memo_kind {
	struct slice kind;
	unsigned putters;
	uint32_t max;
};
struct txn;
/* Until when such a memo stands (wall seconds); 0: there is none. */
enum err memo_until(struct txn *t, struct slice kind, struct slice name, int64_t *until);
enum err memo_read(struct txn *t, struct slice kind, struct slice name, struct slice *value); /* or ERR_NOT_FOUND */
struct store_memo;
enum err memo_write(struct txn *t, const struct store_memo *m); /* whoever may; ERR_LIMIT */
enum err memo_any(struct txn *t, struct slice kind, bool *any); /* of this kind */
const struct memo_kind *memo_kind_find(struct slice kind);      /* NULL: there is no such kind */

#endif
