/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - messages made into threads (RFC 5256 3). Pure. Messages are added in the order of the mailbox. */
#ifndef IMAP_THREAD_H
#define IMAP_THREAD_H

#include "base/arena.h"
#include "base/map.h"

#define THREAD_NO_MESSAGE UINT32_MAX
#define THREAD_WALK_MAX 1000       /* ancestors that are looked at to find a loop: no deeper link is made */
#define THREAD_REFERENCES_MAX 1000 /* of one message */

struct thread_node {
	uint32_t message; /* THREAD_NO_MESSAGE: known from references only */
	bool reply;       /* its subject says so */
	int64_t sent;
	int64_t newest;       /* the latest `sent` of it and all below */
	struct slice subject; /* base subject, folded */
	uint64_t subject_hash;
	struct thread_node *parent, *first, *last, *next;
	struct thread_node *older; /* all nodes, the latest first */
};

struct thread {
	struct arena arena;
	struct map ids, subjects;
	struct thread_node *latest;
	size_t nodes;
	struct thread_node root;
};

void thread_init(struct thread *t);
void thread_release(struct thread *t);

/* The node of an id, which may be one of no message so far. */
struct thread_node *thread_node_of(struct thread *t, struct slice id);
struct thread_message {
	uint32_t message;
	int64_t sent;
	bool reply;
	struct slice subject;        /* kept by the caller */
	struct slice id, references; /* as facts have them */
};
void thread_add(struct thread *t, const struct thread_message *m);
/* The same with nodes in the place of ids. id: NULL: it has none. references: at most THREAD_REFERENCES_MAX count. */
void thread_add_nodes(struct thread *t, const struct thread_message *m, struct thread_node *id,
                      struct thread_node *const *references, size_t n);
/* Makes the tree below t->root: siblings by date. */
void thread_by_references(struct thread *t);
/* The same without looking at subjects, threads in the order of their newest messages. */
void thread_by_refs(struct thread *t);
void thread_by_subject(struct thread *t);

#endif
