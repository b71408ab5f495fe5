/* SPDX-License-Identifier: Apache-2.0 */
/* lockout.c - a set-associative table of failures, keyed with a secret of this process, so that nobody can choose whom
 * he pushes out of it. Called by login.c on the loop. Cannot fail. */
#include "auth/lockout.h"

#include <arpa/inet.h>

bool
lockout_address(struct slice text, uint8_t address[16])
{
	char copy[64];
	if (text.len >= sizeof copy)
		return false;
	memcpy(copy, text.at ? text.at : "", text.len);
	copy[text.len] = '\0';
	memset(address, 0, 16);
	if (inet_pton(AF_INET, copy, address + 12) == 1) {
		address[10] = address[11] = 0xff;
		return true;
	}
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (inet_pton(AF_INET6, copy, address) != 1)
		return false;
	if (memcmp(address, mapped, sizeof mapped) != 0)
		memset(address + 8, 0, 8); /* whoever has one IPv6 address has the whole /64 */
	return true;
}

static uint64_t
key_of(const uint8_t address[16], struct slice user)
{
	uint64_t words[2] = { slice_hash(slice_of(address, 16)), user.at ? slice_hash_nocase(user) : 0 };
	uint64_t key = slice_hash(slice_of(words, sizeof words));
	return key ? key : 1;
}

static struct lockout_cell *
cell_find(struct lockout *l, uint64_t key, struct lockout_rules rules, int64_t now_ms)
{
	struct lockout_cell *set = l->cells[key % LOCKOUT_SETS];
	for (size_t i = 0; i < LOCKOUT_WAYS; i++)
		if (set[i].key == key)
			return now_ms - set[i].since_ms < rules.window_ms ? &set[i] : NULL;
	return NULL;
}

static struct lockout_cell *
cell_make(struct lockout *l, uint64_t key, int64_t now_ms)
{
	struct lockout_cell *set = l->cells[key % LOCKOUT_SETS], *oldest = set;
	for (size_t i = 0; i < LOCKOUT_WAYS; i++) {
		if (set[i].key == key || set[i].key == 0) {
			oldest = &set[i];
			break;
		}
		if (set[i].since_ms < oldest->since_ms)
			oldest = &set[i];
	}
	*oldest = (struct lockout_cell){ .key = key, .since_ms = now_ms };
	return oldest;
}

static uint32_t
failures_of(struct lockout *l, uint64_t key, struct lockout_rules rules, int64_t now_ms)
{
	const struct lockout_cell *c = cell_find(l, key, rules, now_ms);
	return c ? c->failures : 0;
}

bool
lockout_refuses(struct lockout *l, const uint8_t address[16], struct slice user, struct lockout_rules rules,
                int64_t now_ms)
{
	return failures_of(l, key_of(address, user), rules, now_ms) >= rules.failures_max ||
	       failures_of(l, key_of(address, SLICE_NONE), rules, now_ms) >= rules.failures_max * LOCKOUT_ADDRESS_FACTOR;
}

static uint32_t
count(struct lockout *l, uint64_t key, uint32_t guess, struct lockout_rules rules, int64_t now_ms)
{
	struct lockout_cell *c = cell_find(l, key, rules, now_ms);
	if (!c)
		c = cell_make(l, key, now_ms);
	if (c->failures == 0 || c->guess != guess)
		c->failures++;
	c->guess = guess;
	return c->failures;
}

int64_t
lockout_failed(struct lockout *l, const uint8_t address[16], struct slice user, struct slice password,
               struct lockout_rules rules, int64_t now_ms)
{
	uint64_t words[2] = { slice_hash_nocase(user), slice_hash(password) };
	uint32_t guess = (uint32_t)slice_hash(slice_of(words, sizeof words));
	uint32_t pair = count(l, key_of(address, user), guess, rules, now_ms);
	uint32_t all = count(l, key_of(address, SLICE_NONE), guess, rules, now_ms) / LOCKOUT_ADDRESS_FACTOR;
	uint32_t doublings = MIN(MAX(pair, all + 1) - 1, 10u);
	return MIN((int64_t)LOCKOUT_DELAY_FIRST_MS << doublings, (int64_t)LOCKOUT_DELAY_MS_MAX);
}

void
lockout_succeeded(struct lockout *l, const uint8_t address[16], struct slice user)
{
	uint64_t key = key_of(address, user);
	struct lockout_cell *set = l->cells[key % LOCKOUT_SETS];
	for (size_t i = 0; i < LOCKOUT_WAYS; i++)
		if (set[i].key == key)
			set[i] = (struct lockout_cell){ 0 };
}
