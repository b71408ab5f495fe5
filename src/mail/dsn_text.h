/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_text.h - what people read in a report, by language. Pure. */
#ifndef MAIL_DSN_TEXT_H
#define MAIL_DSN_TEXT_H

#include "base/slice.h"

/* The English text in that language (RFC 5646: "de", "de-AT"); one that was not translated stays. */
struct slice dsn_text(struct slice language, struct slice english);

/* The language that a report is in for somebody who reads this one: "de", "fr" or "en". */
struct slice dsn_language(struct slice tag);

#endif
