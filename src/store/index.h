/* SPDX-License-Identifier: Apache-2.0 */
/* index.h - what index.c and packed.c want of each other; all others see rows_state.h. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/rows_state.h"

/* ---- index.c */
/* All rows of the mailbox as the transaction sees it, from memory; false: they are not there. */
bool index_rows_at(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
                   const struct index_row **rows, const uint64_t **objects, size_t *n);
/* It was packed as it is now, about. */
void index_packed(struct store *s, uint64_t account, uint64_t mailbox);

/* ---- packed.c */
extern size_t packed_rows_min; /* smaller mailboxes are not packed. Tests set it lower */
/* The modseq at which the mailbox was packed, and how many messages there were; 0: it was not. */
uint64_t packed_head(struct txn *t, uint64_t account, uint64_t mailbox, size_t *messages);
/* So many rows, as they were at this modseq; false: they do not read. */
bool packed_read(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t modseq, struct index_row *rows,
                 uint64_t *objects, size_t n);
void packed_write_later(struct store *s, uint64_t account, uint64_t mailbox);

#endif
