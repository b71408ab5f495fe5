/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the two clocks. mono: milliseconds that only grow, for deadlines. wall: seconds since 1970, for what is
 * written down (it may jump: never computed with for waiting). In a simulation both are set by the loop. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/check.h"

#define DEADLINE_NONE INT64_MAX

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void); /* for measuring only */
int64_t clock_wall_sec(void);
int64_t clock_wall_ms(void);
/* mono + ms, saturating. */
int64_t deadline_in_ms(int64_t ms);

/* Simulation: from now on both clocks stand still and are moved by clock_sim_advance only. */
void clock_sim_start(int64_t wall_sec);
void clock_sim_advance(int64_t ms);
void clock_sim_step(int64_t sec); /* somebody sets the wall clock, back when negative */
bool clock_is_sim(void);

#endif
