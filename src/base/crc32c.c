/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - see crc32c.h. The choice is made once, at the first call. */
#include "base/crc32c.h"

static uint32_t table[256];

static uint32_t
crc_table(uint32_t crc, const unsigned char *p, size_t len)
{
	for (; len > 0; len--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

static void
table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0x82f63b78u ^ c >> 1 : c >> 1;
		table[i] = c;
	}
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t c = crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	crc = (uint32_t)c;
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

typedef uint32_t crc_fn(uint32_t, const unsigned char *, size_t);

static crc_fn *
choose(void)
{
	table_fill();
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc_sse42;
#endif
	return crc_table;
}

uint32_t
crc32c(uint32_t crc, const void *at, size_t len)
{
	static crc_fn *chosen;
	crc_fn *fn = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
	if (!fn) {
		fn = choose(); /* the same answer in every thread */
		__atomic_store_n(&chosen, fn, __ATOMIC_RELEASE);
	}
	return ~fn(~crc, at, len);
}
