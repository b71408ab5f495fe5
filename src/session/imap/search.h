/* SPDX-License-Identifier: Apache-2.0 */
/* search.h - a SEARCH program at work: rounds, each over what the one before could not decide. The first looks at the
 * view, the second asks the store about the texts it keeps, the third looks at facts, the fourth lets the scan role
 * look into the message. SORT and THREAD begin with it. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "mail/facts.h"
#include "scan_msg.h"
#include "session/imap/imap.h"

enum { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

/* What the store said of one message: bit n belongs to the key with kept_bit n + 1. */
struct search_kept {
	uint16_t found, unknown;
};

struct search_run {
	struct imap *im;
	const struct imap_search *program;
	size_t max;              /* no more than so many, the last ones; 0: all (RFC 9738) */
	const uint8_t *only;     /* one for each message of the view: 0: it is none of those to search; NULL: all are */
	struct view_spans *sets; /* one for each key: what its set means in the view */
	uint8_t *found;          /* one for each message of the view: SEARCH_NO, _YES, _UNKNOWN */
	uint8_t *stack;
	struct buf scratch;
	int64_t now;              /* wall seconds */
	bool tells_modseq;        /* a key asked for change numbers */
	uint64_t *ids;            /* objects of the messages of the view, when a key asks for one (0: gone) */
	uint8_t **annotated;      /* of each key that looks at annotations, of each message */
	uint8_t *kept_bit;        /* one for each key; 0: the store was not asked about it */
	struct search_kept *kept; /* one for each message of the view; NULL: the store was not asked */
	bool *hits;               /* last round: what scan said of each key */
	uint8_t **scores;         /* of each fuzzy key, of each message; FUZZY_NOT_KNOWN (mail/fuzzy.h) */
	size_t at;                /* last round: the message that scan looks into */
};

/* What can be said of a message: facts NULL: only what the view says; hits: scan was asked too. Pure. */
uint8_t search_judge(struct search_run *r, size_t index, const struct facts *facts, const bool *hits);
/* Does text (UTF-8) hold what folded is the folded form of? */
bool search_text_holds(struct buf *scratch, enum fold_how how, struct slice text, struct slice folded);

/* Makes a program ready, in this arena: its strings are UTF-8 then, and folded. Status OK: it can be searched. */
struct imap_reply imap_search_prepare(struct arena *a, struct imap_search *program);
/* A program that is ready, over some of the messages. */
struct imap_reply await_search_some(struct search_run *r, struct imap *im, const struct imap_search *program,
                                    const uint8_t *only);
/* Decides all messages. Whatever it answers, search_run_release comes afterwards. */
struct imap_reply await_search(struct search_run *r, struct imap *im, struct imap_search *program);
/* The same within the limit of messages for one command. refuses: more are not looked at at all, instead of the last
 * ones. */
struct imap_reply await_search_limited(struct search_run *r, struct imap *im, struct imap_search *program,
                                       bool refuses);
void search_run_release(struct search_run *r);
/* The indices of what was found, in order; rows has place for all of the view. */
size_t search_found(const struct search_run *r, uint32_t *rows);
struct imap_reply imap_search_fault(enum imap_search_fault fault);

/* search_kept.c: the second round. */
struct search_asking {
	struct slice uids; /* of what is undecided; empty: all are looked at */
	char *block;       /* for the answers */
	size_t got;
};
enum err await_search_kept(struct search_run *r);
struct store_search_key search_kept_key(struct imap *im, const struct imap_search_key *k);
/* scores NULL: into r->kept. */
enum err await_search_ask(struct search_run *r, struct store_search_text_in *in, const struct search_asking *how,
                          uint8_t *scores);

/* search_fuzzy.c: RFC 6203. Places for scores; the store's part of the second round; scan's part of the last. */
struct imap_reply search_fuzzy_check(const struct imap_search *program, const struct imap_return *ret, bool sorts);
void search_fuzzy_init(struct search_run *r);
void search_fuzzy_release(struct search_run *r);
enum err await_search_fuzzy(struct search_run *r, const struct search_asking *how);
enum err await_search_scores(struct search_run *r, const struct scan_match_in *in, struct arena *a);
/* 1 to 100, of a message that was found. Pure. */
uint8_t search_relevancy(const struct search_run *r, size_t index);

/* search_annotation.c: r->annotated */
enum err await_search_annotations(struct search_run *r);
void search_annotations_release(struct search_run *r);

/* search_result.c: answers with rows in this order, as * SEARCH, * SORT or * ESEARCH, and remembers them for SAVE. */
void await_search_answer(const struct search_run *r, const struct imap_return *ret, struct slice word, uint32_t *rows,
                         size_t n);
/* RFC 5182 2.1: a search that was to be saved and failed leaves nothing. */
void imap_search_failed(struct imap *im, const struct imap_return *ret, const struct imap_reply *r);

#endif
