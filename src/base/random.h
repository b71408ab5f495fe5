/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - bytes from the kernel's generator (getrandom(2)); never fails, may not be predicted. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/check.h"

void random_bytes(void *to, size_t len);
uint64_t random_u64(void);
/* Uniform in [0, below); below > 0. */
uint64_t random_below(uint64_t below);
/* Fills text with len characters of [a-z2-7] (5 bits each) and a NUL at text[len]. */
void random_text(char *text, size_t len);

/* Overwrites a secret in a way that the compiler keeps. */
void secret_wipe(void *at, size_t len);
/* Compares without telling by its time where the difference is. */
bool secret_equal(const void *a, const void *b, size_t len);

#endif
