/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - THREAD=REFERENCES and THREAD=ORDEREDSUBJECT (RFC 5256 3), THREAD=REFS (draft-ietf-morg-inthread-01).
 * Called by cmd_thread.c. While messages are added nodes know only their parents; lists of children are made
 * afterwards, so that no input makes a step take longer than THREAD_WALK_MAX. Pure, without recursion. */
#include "session/imap/thread.h"

#include "base/radix.h"

#define THREAD_BYTES_MAX ((size_t)8 << 30) /* some 150 for each of the most messages that a mailbox can have here */

void
thread_init(struct thread *t, size_t messages)
{
	*t = (struct thread){ .root.message = THREAD_NO_MESSAGE };
	arena_init(&t->arena, THREAD_BYTES_MAX);
	map_reserve(&t->ids, messages);
}

void
thread_release(struct thread *t)
{
	arena_release(&t->arena);
	map_release(&t->ids);
	map_release(&t->subjects);
}

/* ---- all nodes */

static struct thread_node *
new_node(struct thread *t)
{
	if (!t->latest || t->latest->used == THREAD_BLOCK_NODES) {
		struct thread_block *b = ARENA_NEW(&t->arena, struct thread_block);
		b->older = t->latest;
		t->latest = b;
	}
	struct thread_node *n = &t->latest->nodes[t->latest->used++];
	*n = (struct thread_node){ .message = THREAD_NO_MESSAGE, .newest = INT64_MIN };
	t->nodes++;
	return n;
}

/* From the latest to the oldest. */
struct walk {
	struct thread_block *block;
	size_t left;
};

static struct walk
walk_of(const struct thread *t)
{
	return (struct walk){ t->latest, t->latest ? t->latest->used : 0 };
}

static struct thread_node *
walk_next(struct walk *w)
{
	if (w->block && w->left == 0) {
		w->block = w->block->older;
		w->left = THREAD_BLOCK_NODES; /* only the latest one is not full */
	}
	return w->block ? &w->block->nodes[--w->left] : NULL;
}

/* ---- step 1: who is whose parent */

struct thread_node *
thread_node_of(struct thread *t, struct slice id)
{
	uint64_t hash = slice_hash(id);
	struct thread_node *n = map_get(&t->ids, hash);
	if (!n) {
		n = new_node(t);
		map_set(&t->ids, hash, n);
	}
	return n;
}

/* Unless that makes a loop. */
static void
link_to(struct thread_node *parent, struct thread_node *child)
{
	size_t steps = 0;
	for (const struct thread_node *n = parent; n; n = n->parent)
		if (n == child || steps++ == THREAD_WALK_MAX)
			return;
	child->parent = parent;
}

/* Step 1.A: each reference is the parent of the next; the last one is returned. */
static struct thread_node *
link_references(struct thread_node *const *references, size_t n)
{
	struct thread_node *last = NULL;
	for (size_t i = 0; i < n; i++) {
		if (last && !references[i]->parent)
			link_to(last, references[i]);
		last = references[i];
	}
	return last;
}

void
thread_add_nodes(struct thread *t, const struct thread_message *m, struct thread_node *id,
                 struct thread_node *const *references, size_t nreferences)
{
	struct thread_node *n =
	    id && id->message == THREAD_NO_MESSAGE ? id : new_node(t); /* else a second one of that id */
	n->message = m->message;
	n->sent = m->sent;
	n->newest = m->sent;
	n->reply = m->reply;
	n->subject = m->subject.len ? slice_hash(m->subject) | 1 : 0;
	struct thread_node *parent = link_references(references, nreferences);
	n->parent = NULL; /* 1.B */
	if (parent)
		link_to(parent, n);
}

void
thread_add(struct thread *t, const struct thread_message *m)
{
	struct thread_node *references[THREAD_REFERENCES_MAX], *own = m->id.len ? thread_node_of(t, m->id) : NULL;
	struct slice id, rest = m->references;
	size_t n = 0;
	for (bool more = rest.len > 0; more && n < THREAD_REFERENCES_MAX;) {
		more = slice_cut(rest, '\0', &id, &rest);
		references[n++] = thread_node_of(t, id);
	}
	thread_add_nodes(t, m, own, references, n);
}

/* ---- lists of children */

static void
prepend(struct thread_node *parent, struct thread_node *first, struct thread_node *last)
{
	last->next = parent->first;
	parent->first = first;
	if (!parent->last)
		parent->last = last;
}

static void
append(struct thread_node *parent, struct thread_node *first, struct thread_node *last)
{
	last->next = NULL;
	if (parent->last)
		parent->last->next = first;
	else
		parent->first = first;
	parent->last = last;
}

static void
clear_children(struct thread_node *n)
{
	n->first = n->last = NULL;
}

/* All nodes so that parents come before their children: order has place for all. */
static size_t
put_in_order(struct thread *t, struct thread_node **order)
{
	struct walk w = walk_of(t);
	size_t n = 0;
	for (struct thread_node *i; (i = walk_next(&w));) /* the latest first: prepended, the oldest comes first */
		prepend(i->parent ? i->parent : &t->root, i, i);
	for (struct thread_node *i = t->root.first; i; i = i->next)
		order[n++] = i;
	for (size_t at = 0; at < n; at++)
		for (struct thread_node *i = order[at]->first; i; i = i->next)
			order[n++] = i;
	return n;
}

/* Steps 2 and 3: from the leaves up, nodes without a message go, and their children take their place; below the root
 * only where there is one child. */
static void
prune(struct thread *t)
{
	struct thread_node **order = ARENA_ARRAY(&t->arena, struct thread_node *, t->nodes + 1);
	size_t n = put_in_order(t, order);
	clear_children(&t->root);
	for (size_t i = 0; i < n; i++)
		clear_children(order[i]);
	for (size_t i = n; i-- > 0;) {
		struct thread_node *x = order[i], *parent = x->parent ? x->parent : &t->root;
		bool dummy = x->message == THREAD_NO_MESSAGE;
		parent->newest = MAX(parent->newest, x->newest);
		if (!dummy || (x->first && !x->parent && x->first != x->last)) {
			prepend(parent, x, x);
		} else if (x->first) {
			prepend(parent, x->first, x->last);
			clear_children(x);
		}
	}
}

/* ---- siblings by date */

/* What a node without a message is sorted by: its first child, which has one once these are sorted. */
static struct thread_node *
face(struct thread_node *n)
{
	while (n->message == THREAD_NO_MESSAGE && n->first)
		n = n->first;
	return n;
}

static int
compare_nodes(const void *a, const void *b)
{
	const struct thread_node *x = face(*(struct thread_node *const *)a), *y = face(*(struct thread_node *const *)b);
	if (x->sent != y->sent)
		return x->sent < y->sent ? -1 : 1;
	return x->message < y->message ? -1 : x->message > y->message;
}

static int
compare_newest(const void *a, const void *b)
{
	const struct thread_node *x = *(struct thread_node *const *)a, *y = *(struct thread_node *const *)b;
	return x->newest != y->newest ? (x->newest < y->newest ? -1 : 1) : compare_nodes(a, b);
}

static int
compare_items(const void *a, const void *b, void *compare)
{
	int (**by)(const void *a, const void *b) = compare;
	return (*by)(&((const struct radix *)a)->item, &((const struct radix *)b)->item);
}

/* By number, and by `compare` among those that have the same. list has place for twice as many. */
static void
sort_nodes(struct radix *list, size_t n, int (*compare)(const void *a, const void *b))
{
	if (n > 16)
		radix_sort(list, list + n, n);
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && (n <= 16 || list[to].number == list[from].number); to++)
			continue;
		if (to - from > 1)
			qsort_r(list + from, to - from, sizeof *list, compare_items, &compare);
	}
}

/* What decides first in `compare`. */
static int64_t
sent_of(struct thread_node *n)
{
	return face(n)->sent;
}

static int64_t
newest_of(struct thread_node *n)
{
	return n->newest;
}

static void
sort_children_by(struct thread_node *parent, int64_t (*first_of)(struct thread_node *n),
                 int (*compare)(const void *a, const void *b))
{
	size_t n = 0;
	if (parent->first == parent->last)
		return;
	for (struct thread_node *i = parent->first; i; i = i->next)
		n++;
	struct radix few[2 * 16], *list = n <= 16 ? few : must_calloc(2 * n, sizeof *list);
	n = 0;
	for (struct thread_node *i = parent->first; i; i = i->next)
		list[n++] = (struct radix){ radix_of_signed(first_of(i)), i };
	sort_nodes(list, n, compare);
	clear_children(parent);
	for (size_t i = 0; i < n; i++)
		append(parent, list[i].item, list[i].item);
	if (list != few)
		free(list);
}

static void
sort_children(struct thread_node *parent)
{
	sort_children_by(parent, sent_of, compare_nodes);
}

static void
sort_root(struct thread *t)
{
	for (struct thread_node *i = t->root.first; i; i = i->next)
		if (i->message == THREAD_NO_MESSAGE)
			sort_children(i);
	sort_children(&t->root);
}

/* ---- step 5: threads of one subject */

static uint64_t
subject_of(struct thread_node *n)
{
	return face(n)->subject;
}

static bool
is_dummy(const struct thread_node *n)
{
	return n->message == THREAD_NO_MESSAGE;
}

/* 5.B */
static void
note_subjects(struct thread *t)
{
	for (struct thread_node *i = t->root.first; i; i = i->next) {
		uint64_t subject = subject_of(i);
		if (!subject)
			continue;
		const struct thread_node *there = map_get(&t->subjects, subject);
		if (!there || (!is_dummy(there) && (is_dummy(i) || (there->reply && !i->reply))))
			map_set(&t->subjects, subject, i);
	}
}

/* `there` stands in the table and below the root. A dummy that takes the place of both does so where the table's stood:
 * the node keeps its place in the list, and what it was moves into a new one. */
static void
merge(struct thread *t, struct thread_node *there, struct thread_node *n)
{
	if (is_dummy(there) && is_dummy(n)) {
		append(there, n->first, n->last);
		clear_children(n);
	} else if (is_dummy(there) || (n->reply && !there->reply)) {
		append(there, n, n);
	} else {
		struct thread_node *moved = new_node(t);
		*moved = *there;
		there->message = THREAD_NO_MESSAGE;
		clear_children(there);
		append(there, moved, moved);
		append(there, n, n);
	}
}

/* 5.C */
static void
merge_subjects(struct thread *t)
{
	struct thread_node *next, *list = t->root.first;
	struct thread_node kept = { .message = THREAD_NO_MESSAGE };
	for (struct thread_node *i = list; i; i = next) {
		uint64_t subject = subject_of(i);
		struct thread_node *there = subject ? map_get(&t->subjects, subject) : NULL;
		next = i->next;
		if (!there || there == i)
			append(&kept, i, i);
		else
			merge(t, there, i);
	}
	t->root.first = kept.first;
	t->root.last = kept.last;
}

/* ---- the algorithms */

static void
sort_all_children(struct thread *t)
{
	struct walk w = walk_of(t);
	for (struct thread_node *i; (i = walk_next(&w));)
		sort_children(i);
}

void
thread_by_references(struct thread *t)
{
	prune(t);
	sort_root(t);
	note_subjects(t);
	merge_subjects(t);
	sort_all_children(t);
	sort_root(t);
}

void
thread_by_refs(struct thread *t)
{
	prune(t);
	sort_all_children(t);
	sort_children_by(&t->root, newest_of, compare_newest);
}

/* The first message of a subject is the parent of all others. Taken by date, all come out by date. */
void
thread_by_subject(struct thread *t)
{
	struct radix *all = must_calloc(2 * t->nodes + 1, sizeof *all);
	struct walk w = walk_of(t);
	size_t n = 0;
	for (struct thread_node *i; (i = walk_next(&w));)
		all[n++] = (struct radix){ radix_of_signed(i->sent), i };
	sort_nodes(all, n, compare_nodes);
	for (size_t i = 0; i < n; i++) {
		struct thread_node *node = all[i].item;
		uint64_t subject = subject_of(node);
		struct thread_node *head = map_get(&t->subjects, subject);
		append(head ? head : &t->root, node, node);
		if (!head)
			map_set(&t->subjects, subject, node);
	}
	free(all);
}
