/* SPDX-License-Identifier: Apache-2.0 */
/* downgrade.h - the header of an internationalized message as a surrogate for clients that read ASCII only (RFC 6858).
 * Pure. */
#ifndef MAIL_DOWNGRADE_H
#define MAIL_DOWNGRADE_H

#include "base/buf.h"

/* Appends the surrogate of a header, its empty line included; false, and nothing is appended, where it is the header as
 * it is: in ASCII, or with nothing but 8-bit that is no UTF-8. */
bool downgrade_header(struct buf *to, struct slice header);

#endif
