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

/* "21-Nov-2024 21:24:32 +0100" without the quotes, the day padded with a space (RFC 9051 date-time). */
bool take_imap_date_time(struct cursor *c, int64_t *sec, int32_t *zone);
void date_put_imap(struct buf *to, int64_t sec, int32_t zone);
/* 1-Feb-1994 (RFC 9051 date-text): days since 1970-01-01. */
bool take_imap_date(struct cursor *c, int64_t *days);

/* The day that a moment falls on at a place with that zone: what IMAP's SENTON and ON compare. */
int64_t date_days(int64_t sec, int32_t zone);

#endif
