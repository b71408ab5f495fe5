/* SPDX-License-Identifier: Apache-2.0 */
/* random.c - getrandom(2) and the two things one does with secrets. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

void
random_bytes(void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom((char *)to + done, len - done, 0);
		ASSERT(n > 0 || errno == EINTR);
		if (n > 0)
			done += (size_t)n;
	}
}

uint64_t
random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof v);
	return v;
}

uint64_t
random_below(uint64_t below)
{
	ASSERT(below > 0);
	uint64_t limit = UINT64_MAX - UINT64_MAX % below; /* values above it would make small results likelier */
	uint64_t v;
	do
		v = random_u64();
	while (v >= limit);
	return v % below;
}

void
random_text(char *text, size_t len)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	random_bytes(text, len);
	for (size_t i = 0; i < len; i++)
		text[i] = alphabet[(unsigned char)text[i] & 31];
	text[len] = '\0';
}

void
secret_wipe(void *at, size_t len)
{
	explicit_bzero(at, len);
}

bool
secret_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char difference = 0;
	for (size_t i = 0; i < len; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}
