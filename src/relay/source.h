/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - the addresses of ours that connections come from, as workers need them: which one a job may use (pool.h),
 * what is under way over it, and what became of the mail that went out from each. */
#ifndef RELAY_SOURCE_H
#define RELAY_SOURCE_H

#include "relay/pool.h"
#include "relay/relay.h"

/* What destinations said to recipients. */
struct tally {
	uint64_t accepted, deferred, refused, complained;
};

/* A source, as its memo has it: what is known, and what came since it was put down. */
struct source_total {
	char address[64];
	struct tally tally;
	bool known, changed;
};

/* A connection for the job may be opened now: some source of its pool may send that much more to its site. */
bool source_there(const struct job *j);
/* The job may go over the open connection. */
bool source_serves(const struct remote *remote, const struct job *j);
/* The job begins; what it used so far is not counted any more. */
void source_begin(struct remote *remote, struct job *j);
/* The source for a connection to an address of that family, which counts for the job from now on; *picked NULL: as the
 * kernel likes. False: there is none. */
bool source_pick(struct remote *remote, struct job *j, const struct conf *conf, int family,
                 const struct conf_source **picked);
void source_opened(struct remote *remote, const struct conf_source *picked); /* fills remote->source */
/* The job was tried. */
void source_end(struct remote *remote, struct job *j, const struct tally *said);

void sources_release(struct relay *r);
/* Puts down what changed. In a task. */
enum err await_sources_put(struct relay *r);

/* Pure: tallies, and how memos have them. */
void tally_add(struct tally *t, const struct tally *more);
struct slice tally_memo(struct arena *a, const struct tally *t);
void tally_from_memo(struct tally *t, struct slice value);   /* adds */
uint64_t memo_number(struct slice value, struct slice name); /* of "NAME=NUMBER NAME=NUMBER why=..."; 0: not there */

#endif
