/* SPDX-License-Identifier: Apache-2.0 */
/* backup.h - mail that is taken for another server. Inside the store's transactions. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "base/err.h"
#include "store/directory_name.h"

struct txn;
struct backup {             /* slices are the transaction's */
	uint32_t relay;         /* BACKUP_* of store/rows.h */
	struct slice why, user; /* what the other server said; what memos call the address */
};
enum err backup_find(struct txn *t, const struct address_name *name, struct backup *b);

#endif
