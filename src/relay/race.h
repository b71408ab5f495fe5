/* SPDX-License-Identifier: Apache-2.0 */
/* race.h - the first connection to one of several addresses of a host (RFC 8305 5): the next is tried when the last
 * failed, or did not answer within RACE_DELAY_MS. The first that is connected wins. Those that were slower are closed
 * before they read a byte: a server sees a connection without a command, never a second session. */
#ifndef RELAY_RACE_H
#define RELAY_RACE_H

#include "relay/route.h"

#define RACE_DELAY_MS 250

struct race_entry {
	struct route_address address;
	struct sockaddr_storage from; /* ss_family AF_UNSPEC: as the kernel likes */
	bool out;                     /* not to be tried (any more) */
	enum err failed;              /* why it is out, when connecting failed */
};

/* Puts the families in turn, the given one first, and keeps the order within each (RFC 8305 4). True: there are both.
 */
bool race_order(struct race_entry *entries, size_t n, int first_family);
/* A connection to one of those that are not out: its index, and *fd. n: none could be had; why stands in each entry.
 * Each has connect_ms. Entries that failed are out afterwards; those that were slower than the winner are not. */
size_t await_race(struct race_entry *entries, size_t n, int64_t connect_ms, int *fd);

#endif
