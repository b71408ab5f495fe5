/* SPDX-License-Identifier: Apache-2.0 */
/* bodystructure.h - parts of a BODYSTRUCTURE. Pure. */
#ifndef IMAP_BODYSTRUCTURE_H
#define IMAP_BODYSTRUCTURE_H

#include "base/buf.h"
#include "base/cursor.h"

/* The structure of the part with this number (1.2.3); depth 0: the message's own. False: there is none. */
bool bodystructure_part(struct slice list, const uint32_t *path, size_t depth, struct slice *part);
/* The same as it is without its transfer encoding (RFC 5524 3.2). */
void bodystructure_put_decoded(struct buf *to, struct slice part, uint64_t bytes);

#endif
