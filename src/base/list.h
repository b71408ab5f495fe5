/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - a doubly linked list whose links live inside the members. A member is in at most one list per link. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

struct link {
	struct link *next, *prev; /* both NULL: in no list */
};

static inline void
list_init(struct link *head)
{
	head->next = head->prev = head;
}
static inline bool
list_empty(const struct link *head)
{
	return head->next == head;
}
static inline bool
list_in(const struct link *l)
{
	return l->next != NULL;
}
static inline void
list_append(struct link *head, struct link *l)
{
	ASSERT(!list_in(l));
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}
static inline void
list_remove(struct link *l)
{
	if (!list_in(l))
		return;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}
static inline struct link *
list_first(struct link *head)
{
	return list_empty(head) ? NULL : head->next;
}
/* The member may be removed inside the loop. */
#define LIST_EACH(head, it)                                                                                            \
	for (struct link *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
