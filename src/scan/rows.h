/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - the numbers that scan.msg speaks of. Shared by the roles that ask and the one that answers; pure. */
#ifndef SCAN_ROWS_H
#define SCAN_ROWS_H

/* key.where: where match looks for a substring. */
enum { SCAN_IN_TEXT, SCAN_IN_BODY, SCAN_IN_HEADER };
#define SCAN_TEXT_BYTES_MAX 2000000 /* of a packed text */
#define SCAN_KEYS_MAX 64            /* of one call: its hits are bits of a u64 */

#endif
