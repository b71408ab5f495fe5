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
	int64_t newest;   /* the latest `sent` of it and all below */
	uint64_t subject; /* hash of the base subject, folded; 0: it has none */
	struct thread_node *parent, *first, *last, *next;
};

#define THREAD_BLOCK_NODES 256
struct thread_block {
	struct thread_block *older;
	size_t used;
	struct thread_node nodes[THREAD_BLOCK_NODES];
};

struct thread {
	struct arena arena;
	struct map ids, subjects;
	struct thread_block *latest;
	size_t nodes;
	struct thread_node root;
};

/* messages: about so many. */
void thread_init(struct thread *t, size_t messages);
void thread_release(struct thread *t);

/* The node of an id, which may be one of no message so far. */
struct thread_node *thread_node_of(struct thread *t, struct slice id);
struct thread_message {
	uint32_t message;
	int64_t sent;
	bool reply;
	struct slice subject;        /* base subject, folded */
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
