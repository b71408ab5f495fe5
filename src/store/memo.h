/* SPDX-License-Identifier: Apache-2.0 */
/* memo.h - what stands in memos (store.msg, memo_put): kinds, and who may put them. Names are in lower case. */
#ifndef STORE_MEMO_H
#define STORE_MEMO_H

#include "base/slice.h"

#define MEMOS_MAX 4000000 /* of a kind */
#define MEMO_NAME_BYTES_MAX 600
#define MEMO_VALUE_BYTES_MAX 65536
#define MEMO_LIST_BYTES_MAX (1u << 20) /* of one answer of memo_list */

/* kind, IPC_CLASS_* that may put it, what it is */
struct memo_kind {
	struct slice kind;
	unsigned putters;
};
const struct memo_kind *memo_kind_find(struct slice kind); /* NULL: there is no such kind */

#endif
