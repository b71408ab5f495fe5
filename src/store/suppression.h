/* SPDX-License-Identifier: Apache-2.0 */
/* suppression.h - addresses that a sending domain does not write bulk mail to any more: why, since when, and who said
 * so. Memos of the kind "suppress" (memo.h) under the name "domain/address". Pure; shared by all roles. */
#ifndef STORE_SUPPRESSION_H
#define STORE_SUPPRESSION_H

#include "base/arena.h"

/* A reason replaces those before it. */
enum suppress_reason {
	SUPPRESS_SOFT, /* mail bounced again and again */
	SUPPRESS_HARD, /* nobody is there */
	SUPPRESS_UNSUBSCRIBED,
	SUPPRESS_COMPLAINT,
	SUPPRESS_ADMINISTRATOR, /* letters do not go there either */
	SUPPRESS_REASONS
};
#define SUPPRESS_TEXT_BYTES_MAX 300

struct suppression {
	enum suppress_reason reason;
	struct slice by; /* one word: "relay", "bounce", "feedback", "administrator" */
	int64_t added;   /* wall seconds */
	struct slice text;
};
extern const struct slice suppress_words[SUPPRESS_REASONS]; /* "hard" */
bool suppress_reason_of(struct slice word, enum suppress_reason *reason);
/* Of a memo; what is malformed is a text. */
void suppression_take(struct slice value, struct suppression *s);
struct slice suppression_put(const struct suppression *s, struct arena *a);
/* The name of the memo; empty: too long. */
struct slice suppression_name(struct arena *a, struct slice domain, struct slice address);
/* For people: "hard bounce: 550 5.1.1 no such user". */
struct slice suppression_words(const struct suppression *s, struct arena *a);

#endif
