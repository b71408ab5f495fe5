/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - mailbox names and the wildcards of LIST (RFC 3501 6.3.8). Pure. */
#ifndef IMAP_MATCH_H
#define IMAP_MATCH_H

#include "base/slice.h"

#define IMAP_MATCH_STEPS_MAX 100000 /* of one name: a pattern that takes longer matches nothing */

/* "*": anything, "%": anything but '/'. */
bool imap_match(struct slice pattern, struct slice name);

#endif
