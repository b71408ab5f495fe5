/* SPDX-License-Identifier: Apache-2.0 */
/* lockout.h - counts wrong passwords for each pair (address, user) and for each address, and says how long the answer
 * waits and when no more are looked at. A pair is never locked by what comes from another address, so nobody can lock a
 * user out from elsewhere. The tables have a fixed size; when they are full, the oldest counts are forgotten. */
#ifndef AUTH_LOCKOUT_H
#define AUTH_LOCKOUT_H

#include "base/slice.h"

#define LOCKOUT_SETS 4096
#define LOCKOUT_WAYS 4
#define LOCKOUT_DELAY_FIRST_MS 500
#define LOCKOUT_DELAY_MS_MAX 15000
#define LOCKOUT_ADDRESS_FACTOR 10 /* an address may fail this many times as often as a pair */

struct lockout_cell {
	uint64_t key;      /* keyed hash of address and user, or of the address; 0: free */
	int64_t since_ms;  /* the first failure of the window */
	uint32_t failures; /* different guesses since then */
	uint32_t guess;    /* keyed hash of the last one: the same wrong password again is no new guess */
};
struct lockout {
	struct lockout_cell cells[LOCKOUT_SETS][LOCKOUT_WAYS];
};
struct lockout_rules {
	uint32_t failures_max;
	int64_t window_ms;
};

/* The 16 bytes that an address counts as: IPv4 as ::ffff:a.b.c.d, IPv6 by its /64. False: not an address. */
bool lockout_address(struct slice text, uint8_t address[16]);
bool lockout_refuses(struct lockout *l, const uint8_t address[16], struct slice user, struct lockout_rules rules,
                     int64_t now_ms);
/* Counts a wrong password; returns how many milliseconds the answer is to wait. */
int64_t lockout_failed(struct lockout *l, const uint8_t address[16], struct slice user, struct slice password,
                       struct lockout_rules rules, int64_t now_ms);
/* The right one: the pair's failures are forgotten; those of the address stay. */
void lockout_succeeded(struct lockout *l, const uint8_t address[16], struct slice user);

#endif
