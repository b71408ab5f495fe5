/* SPDX-License-Identifier: Apache-2.0 */
/* mutf7.h - mailbox names on the wire: modified UTF-7 of RFC 3501 5.1.3. Pure. */
#ifndef IMAP_MUTF7_H
#define IMAP_MUTF7_H

#include "base/buf.h"

/* Appends the UTF-8 form; false for what is not canonical modified UTF-7 (then to holds a part of it): so that no two
 * names on the wire mean the same mailbox. */
bool mutf7_decode(struct slice name, struct buf *to);
/* Appends the modified UTF-7 form of well-formed UTF-8. */
void mutf7_encode(struct slice utf8, struct buf *to);

#endif
