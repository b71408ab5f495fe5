/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - clock_gettime, or the simulated time. */
#include "base/clock.h"

#include <time.h>

static struct {
	bool on;
	int64_t mono_ms, wall_ms;
} sim;

static int64_t
now_us(clockid_t id)
{
	struct timespec t;
	ASSERT(clock_gettime(id, &t) == 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_mono_us(void)
{
	return sim.on ? sim.mono_ms * 1000 : now_us(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t
clock_wall_ms(void)
{
	return sim.on ? sim.wall_ms : now_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_wall_sec(void)
{
	return clock_wall_ms() / 1000;
}

int64_t
deadline_in_ms(int64_t ms)
{
	int64_t due;
	return __builtin_add_overflow(clock_mono_ms(), ms, &due) ? DEADLINE_NONE : due;
}

void
clock_sim_start(int64_t wall_sec)
{
	sim.on = true;
	sim.mono_ms = 1000;
	sim.wall_ms = wall_sec * 1000;
}

void
clock_sim_advance(int64_t ms)
{
	ASSERT(sim.on && ms >= 0);
	sim.mono_ms += ms;
	sim.wall_ms += ms;
}

void
clock_sim_step(int64_t sec)
{
	ASSERT(sim.on);
	sim.wall_ms += sec * 1000;
}

bool
clock_is_sim(void)
{
	return sim.on;
}
