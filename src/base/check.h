/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - assertions, and the functions of libc that must not be used.
 *
 * ASSERT states what we ourselves guarantee: when it is false the process ends (and is started again by
 * the supervisor). It is never used for what a peer or the disk may do: those have replies and enum err.
 * Every file includes this header (through slice.h), so that the banned functions fail to compile. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSERT(cond)                                                                                                   \
	do {                                                                                                               \
		if (!(cond))                                                                                                   \
			check_failed(#cond, __FILE__, __LINE__);                                                                   \
	} while (0)
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define UNUSED __attribute__((unused))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

_Noreturn void check_failed(const char *cond, const char *file, int line);

/* Memory that cannot be had ends the process: limits are checked before memory is asked for. */
void *must_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *must_realloc(void *old, size_t size) __attribute__((alloc_size(2)));

/* Banned: each use is an undeclared function that no library has. */
#undef strcpy
#define strcpy(...) banned_strcpy(__VA_ARGS__)
#undef strcat
#define strcat(...) banned_strcat(__VA_ARGS__)
#undef sprintf
#define sprintf(...) banned_sprintf(__VA_ARGS__)
#undef vsprintf
#define vsprintf(...) banned_vsprintf(__VA_ARGS__)
#undef atoi
#define atoi(...) banned_atoi(__VA_ARGS__)
#undef atol
#define atol(...) banned_atol(__VA_ARGS__)
#undef gets
#define gets(...) banned_gets(__VA_ARGS__)
#undef strtok
#define strtok(...) banned_strtok(__VA_ARGS__)
#undef alloca
#define alloca(...) banned_alloca(__VA_ARGS__)
#undef strncpy
#define strncpy(...) banned_strncpy(__VA_ARGS__)
#undef strncat
#define strncat(...) banned_strncat(__VA_ARGS__)

#endif
