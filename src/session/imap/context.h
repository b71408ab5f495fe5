/* SPDX-License-Identifier: Apache-2.0 */
/* context.h - searches whose results the client keeps: it is told what comes to them and what goes (RFC 5267 4.3). They
 * end with CANCELUPDATE, and when the mailbox is not selected any more. */
#ifndef IMAP_CONTEXT_H
#define IMAP_CONTEXT_H

#include "session/imap/sort.h"

#define CONTEXTS_MAX 64
#define CONTEXT_BYTES_MAX ((size_t)32 << 20) /* of all contexts of a session: programs, results, keys of sorting */

struct context {
	struct context *next;
	struct arena arena; /* tag and program */
	struct slice tag;
	bool by_uid;
	struct imap_search program;
	const struct imap_fetch *fetch; /* of new messages; NULL: none */
	bool sorted;
	struct sorting by;      /* the criteria */
	uint32_t *uids;         /* the results as the client has them, in their order */
	struct sort_key **keys; /* of each, when sorted */
	size_t n, cap, bytes;   /* bytes: of keys */
};

struct context *context_find(struct imap *im, struct slice tag);
/* A search with RETURN (UPDATE) that was answered. */
struct context_of {
	const struct imap_return *ret;
	struct slice text; /* of the command, from the space before RETURN on */
	const struct imap_search *program;
	const uint32_t *rows; /* what was found, in the order of the answer */
	size_t n;
	const struct sorting *sorted; /* NULL: in the order of the mailbox */
};
/* Says NOUPDATE when there are too many. */
void context_add(struct imap *im, const struct context_of *of);
void contexts_end(struct imap *im);
void context_end(struct imap *im, struct context *c);
size_t contexts_bytes(const struct imap *im);
void context_refuse(struct imap *im, struct slice tag);
/* A copy of one result's keys. */
struct sort_key *context_keep_keys(struct context *c, const struct sort_key *keys);
/* Tells what changed in the results, and fetches what is wanted of the rows from first_new on, which the client was
 * just told of (RFC 5465 5.2, 7). */
void await_imap_contexts(struct imap *im, size_t first_new);

#endif
