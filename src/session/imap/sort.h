/* SPDX-License-Identifier: Apache-2.0 */
/* sort.h - messages in the order that SORT asks for (RFC 5256 3). Used by SORT and by the contexts of sorted searches.
 */
#ifndef IMAP_SORT_H
#define IMAP_SORT_H

#include "mail/facts.h"
#include "session/imap/imap.h"

#define SORT_ANNOTATIONS_MAX 4
#define SORT_CRITERIA_MAX (10 + SORT_ANNOTATIONS_MAX)

struct sort_criterion;
struct search_run;
struct sort_key {
	int64_t number;
	struct slice text;
};
struct sort_item {
	uint32_t row;          /* of the view, or another number that orders messages alike */
	struct sort_key *keys; /* one for each criterion */
};
struct sorting {
	struct imap *im;
	enum fold_how how; /* texts are compared */
	const struct sort_criterion *by[SORT_CRITERIA_MAX];
	bool reverse[SORT_CRITERIA_MAX];
	size_t nby, key_bytes; /* key_bytes: of a text that counts; 0: not known yet */
	bool needs_facts, by_relevancy;
	struct { /* of a criterion that is one; in the arena of the command */
		struct slice entry;
		uint32_t attribs;
	} annotations[SORT_CRITERIA_MAX];
	size_t nannotations;
	const struct search_run *search; /* when by_relevancy: whose scores */
	struct sort_item *items;         /* after await_sort_items */
	size_t n;
	struct arena arena; /* their keys */
	struct buf folded;
};

/* "(" sort-criterion *(SP sort-criterion) ")" */
bool sort_take_criteria(struct cursor *c, struct sorting *s);
/* Items of these rows, in their order; sort_release in any case. */
enum err await_sort_items(struct sorting *s, const uint32_t *rows, size_t n);
void sort_release(struct sorting *s);
extern size_t sort_keys_bytes_max; /* of all texts of a command; tests set it lower */
/* In order; pure. The same as sort_compare says, faster. */
void sort_items(struct sorting *s, struct sort_item *items, size_t n);
int sort_compare(const void *a, const void *b, void *sorting);

#endif
