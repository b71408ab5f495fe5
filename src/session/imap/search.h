/* SPDX-License-Identifier: Apache-2.0 */
/* search.h - a SEARCH program at work: three rounds, each over what the one before could not decide. The first looks at
 * the view, the second at facts, the third lets the scan role look into the message. SORT and THREAD begin with it. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "mail/facts.h"
#include "session/imap/imap.h"

enum { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

struct search_run {
	struct imap *im;
	const struct imap_search *program;
	struct view_spans *sets; /* one for each key: what its set means in the view */
	uint8_t *found;          /* one for each message of the view: SEARCH_NO, _YES, _UNKNOWN */
	uint8_t *stack;
	struct buf *scratch;
	bool tells_modseq; /* a key asked for change numbers */
	bool *hits;        /* third round: what scan said of each key */
};

/* What can be said of a message: facts NULL: only what the view says; hits: scan was asked too. Pure. */
uint8_t search_judge(const struct search_run *r, size_t index, const struct facts *facts, const bool *hits);
/* Does text (UTF-8) hold what folded is the folded form of? */
bool search_text_holds(struct buf *scratch, struct slice text, struct slice folded);

/* Decides all messages. */
enum err await_search(struct search_run *r);

#endif
