/* SPDX-License-Identifier: Apache-2.0 */
/* keys_walk.h - what messages are compared by, for SORT and THREAD. */
#ifndef IMAP_KEYS_WALK_H
#define IMAP_KEYS_WALK_H

#include "mail/sort_keys.h"
#include "session/imap/fetch.h"

struct keys_wanted {
	uint32_t columns; /* bits of enum sort_keys_column, UIDS among them; 0: facts of all are wanted */
	/* One of these is called for each of the rows, in their order: what it is given is good until it returns. */
	void (*keys)(void *to, size_t i, const struct sort_keys *k, uint32_t at);
	facts_visitor *facts;
	void (*pack)(void *to, const struct sort_keys *k); /* before the keys of other columns come; may be NULL */
	void *to;
};
extern size_t keys_walk_rows_min; /* facts of fewer are looked at; tests set it lower, to 1 at least */
/* rows rise. */
enum err await_keys_walk(struct imap *im, const uint32_t *rows, size_t n, const struct keys_wanted *want);

#endif
