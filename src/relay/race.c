/* SPDX-License-Identifier: Apache-2.0 */
/* race.c - see race.h. Each try is a task of its own while there are several; the race outlives its caller until the
 * last of them ended, so nobody waits for those that lost. */
#include "relay/race.h"

#include "base/clock.h"
#include "task/stream.h"

#include <netinet/in.h>
#include <unistd.h>

struct race;
struct race_try {
	struct race *race;
	struct task *task; /* NULL: it ended */
	size_t which;
	enum err failed;
	int fd;
};

struct race {
	struct race_entry entries[ROUTE_ADDRESSES_MAX]; /* a copy: the caller's go with it */
	struct race_try tries[ROUTE_ADDRESSES_MAX];     /* as many as began, in their order */
	size_t ntries, running, ended;
	struct race_try *winner;
	int64_t connect_ms;
	struct gate changed;
	bool over; /* nobody waits for it any more: the last try frees it */
};

bool
race_order(struct race_entry *entries, size_t n, int first_family)
{
	struct race_entry sorted[ROUTE_ADDRESSES_MAX];
	size_t first = 0, other = 0, made = 0;
	ASSERT(n <= ROUTE_ADDRESSES_MAX);
	while (made < n) {
		while (first < n && entries[first].address.to.ss_family != first_family)
			first++;
		while (other < n && entries[other].address.to.ss_family == first_family)
			other++;
		if (first < n)
			sorted[made++] = entries[first++];
		if (other < n)
			sorted[made++] = entries[other++];
	}
	bool both = false;
	for (size_t i = 1; i < n; i++)
		both |= sorted[i].address.to.ss_family != sorted[0].address.to.ss_family;
	memcpy(entries, sorted, n * sizeof *entries);
	return both;
}

static enum err
await_one(const struct race_entry *e, int64_t connect_ms, int *fd)
{
	const struct sockaddr *from = e->from.ss_family == AF_UNSPEC ? NULL : (const struct sockaddr *)&e->from;
	unsigned from_len = e->from.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return await_connect((const struct sockaddr *)&e->address.to, e->address.len, from, from_len,
	                     deadline_in_ms(connect_ms), fd);
}

static void
try_task(void *arg)
{
	struct race_try *t = arg;
	struct race *race = t->race;
	int fd = -1;
	t->task = task_self();
	enum err e = await_one(&race->entries[t->which], race->connect_ms, &fd);
	t->task = NULL;
	t->failed = e;
	if (e == OK && (race->over || race->winner))
		close(fd);
	else if (e == OK)
		t->fd = fd, race->winner = t;
	race->ended++;
	if (--race->running == 0 && race->over)
		free(race);
	else
		gate_open(&race->changed, OK);
}

/* False: no stack for it now; then it failed. */
static void
try_begin(struct race *race, size_t which)
{
	struct race_try *t = &race->tries[race->ntries++];
	*t = (struct race_try){ .race = race, .which = which, .fd = -1 };
	race->running++;
	if (task_start(try_task, t))
		return;
	race->running--;
	race->ended++;
	t->failed = ERR_LIMIT;
}

static size_t
next_of(const struct race_entry *entries, size_t n, size_t from)
{
	while (from < n && entries[from].out)
		from++;
	return from;
}

/* Until one is connected, or all failed. The next begins when one failed, or after a while. */
static void
await_tries(struct race *race, size_t n)
{
	size_t next = next_of(race->entries, n, 0);
	while (!race->winner && (next < n || race->running > 0)) {
		size_t ended = race->ended;
		if (next < n) {
			try_begin(race, next);
			next = next_of(race->entries, n, next + 1);
		}
		int64_t until = next < n ? deadline_in_ms(RACE_DELAY_MS) : DEADLINE_NONE;
		enum err e = OK;
		while (e == OK && race->ended == ended && race->running > 0)
			e = await_gate(&race->changed, until);
		if (e == ERR_CLOSED)
			return; /* we were cancelled */
	}
}

static void
race_end(struct race *race)
{
	race->over = true;
	for (size_t i = 0; i < race->ntries; i++)
		if (race->tries[i].task)
			task_cancel(race->tries[i].task);
}

static size_t
await_several(struct race_entry *entries, size_t n, int64_t connect_ms, int *fd)
{
	struct race *race = must_calloc(1, sizeof *race);
	size_t won = n;
	memcpy(race->entries, entries, n * sizeof *entries);
	race->connect_ms = connect_ms;
	gate_init(&race->changed);
	await_tries(race, n);
	for (size_t i = 0; i < race->ntries; i++) {
		const struct race_try *t = &race->tries[i];
		if (t == race->winner)
			won = t->which, *fd = t->fd;
		else if (t->failed)
			entries[t->which].out = true, entries[t->which].failed = t->failed;
	}
	if (won < n)
		entries[won].out = true;
	if (race->running > 0)
		race_end(race);
	else
		free(race);
	return won;
}

size_t
await_race(struct race_entry *entries, size_t n, int64_t connect_ms, int *fd)
{
	size_t only = next_of(entries, n, 0);
	*fd = -1;
	if (only == n)
		return n;
	if (next_of(entries, n, only + 1) < n)
		return await_several(entries, n, connect_ms, fd);
	entries[only].out = true;
	entries[only].failed = await_one(&entries[only], connect_ms, fd);
	return entries[only].failed ? n : only;
}
