/* SPDX-License-Identifier: Apache-2.0 */
/* commit.h - group commit, as store.c opens and closes it. What others ask of it stands in store.h. */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include "store/store.h"

#define BATCH_UPDATES_MAX 1000
#define BATCH_BYTES_MAX (4u << 20) /* of bodies; one update alone may have more */
#define BATCH_ROWS_MAX (64u << 20) /* bytes of rows and what was read for them; one update alone may have more */
#define SPACE_CHECK_MS 200

void commit_open(struct store *s);
void commit_close(struct store *s); /* nothing may be under way */
bool commit_idle(const struct commit *c);

#endif
