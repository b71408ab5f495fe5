/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - what an answer of a remote server says about how fast mail may go there: rows of conf/answers.txt and of
 * the option relay.answer. Pure. */
#ifndef RELAY_ANSWER_H
#define RELAY_ANSWER_H

#include "base/slice.h"

#define ANSWER_PATTERN_BYTES_MAX 160

enum answer_action { ANSWER_NONE, ANSWER_RECIPIENT, ANSWER_SLOW, ANSWER_CONNECTIONS, ANSWER_SUSPEND };

struct answer {
	enum answer_action action;
	int64_t ms;           /* for how long; 0: not said */
	char code[4];         /* "42x" */
	struct slice pattern; /* of the row that it was made from */
};

/* ACTION TIME CODE PATTERN; false: it is not of that form. */
bool answer_parse(struct slice row, struct answer *a);
/* "421 4.7.0 text" against one row. */
bool answer_matches(const struct answer *a, struct slice reply);
/* The first row that matches, those of `own` before those of conf/answers.txt; a 4xx that none matches is about its
 * recipient. */
struct answer answer_find(const char *const *own, size_t nown, struct slice reply);

extern const char *const answer_rows[];
extern const size_t answer_rows_count;

#endif
