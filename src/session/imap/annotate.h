/* SPDX-License-Identifier: Apache-2.0 */
/* annotate.h - reading annotations of many messages of the selected mailbox (RFC 5257). Used by FETCH, SEARCH and SORT.
 * Fails: what annotation_get answers. */
#ifndef IMAP_ANNOTATE_H
#define IMAP_ANNOTATE_H

#include "session/imap/imap.h"

/* Reads ahead along a walk: ask for rising rows. */
struct annotation_reader {
	struct imap *im;
	struct store_annotation_get_in ask; /* of which entries, and whose */
	struct store_annotation_get_out page;
	uint32_t at, upto;
	size_t work; /* of wildcards, since others got a turn */
	struct arena arena;
};
void annotation_reader_init(struct annotation_reader *r, struct imap *im, uint32_t attribs);
void annotation_reader_release(struct annotation_reader *r);
/* Only this entry, and others that are added; without any, all are read. */
void annotation_reader_add(struct annotation_reader *r, struct slice entry);
/* Those of row `index`; ahead: the walk behind it. Valid until the next call. */
enum err await_annotations(struct annotation_reader *r, size_t index, const struct view_walk *ahead,
                           const struct store_annotated **list, size_t *n);
bool await_annotation_matches(struct annotation_reader *r, struct slice pattern, struct slice entry);

/* FETCH: "ANNOTATION (...)" of a message into im->text; *any false: there is nothing to say. `word` is called before
 * the first of it. */
enum err await_annotation_item(struct annotation_reader *r, const struct imap_annotation_fetch *what, size_t index,
                               const struct view_walk *ahead, void (*word)(void *to), void *to);
/* Is there each part that entries without wildcards are of? */
bool annotation_parts_exist(const struct imap_annotation_fetch *what, const struct facts *facts, uint64_t bytes);

#endif
