/* SPDX-License-Identifier: Apache-2.0 */
/* frozen.h - bytes that one role made once and others may look at without a copy: a memfd, sealed against every change.
 *
 * Whoever gets it maps it privately: pages are shared by all until one of them writes to its own view of a page, which
 * nobody else sees. The seals are checked when mapping, so that what is mapped can neither change nor go away. */
#ifndef IPC_FROZEN_H
#define IPC_FROZEN_H

#include "base/err.h"
#include "base/slice.h"

/* A sealed copy of these bytes (more than none); -1: no memory. The caller closes it. */
int frozen_new(struct slice bytes);
/* A private, writable view of the first `bytes` of it, with room for `room` bytes in all (zero behind what it holds).
 * NULL: it is not sealed, is smaller than that, or there is no memory. */
void *frozen_map(int fd, size_t bytes, size_t room);
void frozen_unmap(void *at, size_t room);

#endif
