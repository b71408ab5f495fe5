/* SPDX-License-Identifier: Apache-2.0 */
/* date.h - dates in the three forms that mail writes them: RFC 5322 3.3 (with the obsolete forms of 4.3), IMAP's
 * date-time (INTERNALDATE) and IMAP's date (SEARCH). A moment is UTC seconds since 1970; a zone is minutes east. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "base/buf.h"
#include "base/cursor.h"

#define DATE_NONE INT64_MIN

/* A Date field's value. False (and DATE_NONE): not a date. A zone that is missing or unknown is 0 (RFC 5322 4.3). */
bool date_parse(struct slice value, int64_t *sec, int32_t *zone);
/* Thu, 21 Nov 2024 21:24:32 +0100 */
void date_put(struct buf *to, int64_t sec, int32_t zone);

/* date-time of RFC 3501 9, without its quotes: "21-Nov-2024 21:24:32 +0100", the day padded with a space or a zero. */
bool take_imap_date_time(struct cursor *c, int64_t *sec);
#define DATE_IMAP_BYTES 26
void date_write_imap(char to[DATE_IMAP_BYTES], int64_t sec); /* in UTC */
/* date-text of RFC 3501 9, without quotes: 1-Feb-1994; days since 1970-01-01. */
bool take_imap_date(struct cursor *c, int64_t *days);

/* date-time of RFC 3339 5.6: 2026-11-22T01:30:00.5+01:00; parts of a second are dropped. */
bool date_parse_rfc3339(struct slice text, int64_t *sec);

/* The day that a moment falls on at a place with that zone: what IMAP's SENTON and ON compare. */
int64_t date_days(int64_t sec, int32_t zone);

#endif
