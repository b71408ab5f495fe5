/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - which of our addresses a message goes out from (options source and pool), and how new ones are warmed up:
 * each site counts what every source reached there on the day (UTC); a new source may reach no more than its day of
 * relay.warm-up allows. Pure.
 *
 * What is under way counts as if it had arrived, so that many connections together keep the number, too. */
#ifndef RELAY_POOL_H
#define RELAY_POOL_H

#include "base/arena.h"
#include "role/conf.h"

struct pool_count {
	char address[64];
	uint32_t sent, under_way; /* recipients, on the day */
};

/* Of one site. Begin with zeros. */
struct pool_counts {
	int64_t day; /* since 1970 */
	struct pool_count *of;
	size_t n;
};
void pool_counts_release(struct pool_counts *c);

/* The pool for mail of this class (CLASS_*) from this domain. NULL: there are no sources. */
const char *pool_of(const struct conf *conf, unsigned class, struct slice sender_domain);

struct pool_ask {
	const char *pool;
	int family;    /* 4, 6; 0: either */
	uint32_t more; /* recipients */
	bool bulk;     /* letters go whatever the warm-up says */
	int64_t now;   /* wall seconds */
	uint64_t pick; /* at random */
};
/* A source of the pool that may send that much more to the site; NULL: none. A message with more recipients than the
 * day allows goes as the first of a day. */
const struct conf_source *pool_pick(const struct conf *conf, struct pool_counts *c, const struct pool_ask *ask);
/* The same for a source whose connection is there. */
bool pool_may(const struct conf *conf, struct pool_counts *c, const char *address, const struct pool_ask *ask);

/* It is under way; and what became of it. Sources that are not new are not counted. */
void pool_begin(const struct conf *conf, struct pool_counts *c, const char *address, uint32_t recipients, int64_t now);
void pool_end(struct pool_counts *c, const char *address, uint32_t recipients, uint32_t accepted);

/* As a memo has them: "day=N ADDRESS=COUNT ..."; empty: nothing to keep. */
struct slice pool_memo(struct arena *a, const struct pool_counts *c);
void pool_from_memo(struct pool_counts *c, struct slice value);

#endif
