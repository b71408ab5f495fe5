/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - how a failed assertion ends the process. Writes one line to standard error with write(2) only,
 * so that it works inside every sandbox. */
#include "base/check.h"

#include <unistd.h>

_Noreturn void
check_failed(const char *cond, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof text, "level=fatal event=assert cond=\"%s\" at=%s:%d\n", cond, file, line);
	if (n > 0)
		(void)!write(STDERR_FILENO, text, MIN((size_t)n, sizeof text - 1));
	abort();
}

void *
must_calloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	ASSERT(p != NULL);
	return p;
}

void *
must_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);
	ASSERT(p != NULL);
	return p;
}
