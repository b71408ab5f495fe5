/* SPDX-License-Identifier: Apache-2.0 */
/* slice.c - operations on borrowed bytes. Pure; no heap but slice_dup. */
#include "base/slice.h"

#include "base/random.h"

#include <pthread.h>

struct slice
slice_of(const void *at, size_t len)
{
	return (struct slice){ at, len };
}

struct slice
slice_text(const char *terminated)
{
	return (struct slice){ terminated, terminated ? strlen(terminated) : 0 };
}

bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

int
slice_compare(struct slice a, struct slice b)
{
	size_t n = MIN(a.len, b.len);
	int c = n ? memcmp(a.at, b.at, n) : 0;
	return c ? c : (a.len > b.len) - (a.len < b.len);
}

int
slice_compare_nocase(struct slice a, struct slice b)
{
	size_t n = MIN(a.len, b.len);
	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)ascii_lower(a.at[i]) - (unsigned char)ascii_lower(b.at[i]);
		if (c)
			return c;
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool
slice_equal_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && slice_compare_nocase(a, b) == 0;
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_equal(slice_part(s, 0, prefix.len), prefix);
}

bool
slice_starts_nocase(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_equal_nocase(slice_part(s, 0, prefix.len), prefix);
}

bool
slice_ends(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_equal(slice_from(s, s.len - suffix.len), suffix);
}

bool
slice_ends_nocase(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_equal_nocase(slice_from(s, s.len - suffix.len), suffix);
}

struct slice
slice_from(struct slice s, size_t offset)
{
	offset = MIN(offset, s.len);
	return (struct slice){ offset ? s.at + offset : s.at, s.len - offset };
}

struct slice
slice_part(struct slice s, size_t offset, size_t len)
{
	s = slice_from(s, offset);
	s.len = MIN(len, s.len);
	return s;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim_end(struct slice s)
{
	while (s.len > 0 && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.at[0]))
		s = slice_from(s, 1);
	return slice_trim_end(s);
}

ptrdiff_t
slice_find_char(struct slice s, char c)
{
	const char *p = s.len ? memchr(s.at, c, s.len) : NULL;
	return p ? p - s.at : -1;
}

ptrdiff_t
slice_find_last_char(struct slice s, char c)
{
	for (size_t i = s.len; i-- > 0;)
		if (s.at[i] == c)
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t
slice_find(struct slice s, struct slice what)
{
	if (what.len == 0)
		return 0;
	const char *p = s.len >= what.len ? memmem(s.at, s.len, what.at, what.len) : NULL;
	return p ? p - s.at : -1;
}

ptrdiff_t
slice_find_nocase(struct slice s, struct slice what)
{
	char first = what.len ? ascii_lower(*what.at) : '\0';
	for (size_t i = 0; i + what.len <= s.len; i++)
		if (what.len == 0 || (ascii_lower(s.at[i]) == first && slice_equal_nocase(slice_part(s, i, what.len), what)))
			return (ptrdiff_t)i;
	return -1;
}

bool
slice_cut(struct slice s, char c, struct slice *head, struct slice *rest)
{
	ptrdiff_t i = slice_find_char(s, c);
	*head = i < 0 ? s : slice_part(s, 0, (size_t)i);
	*rest = i < 0 ? slice_from(s, s.len) : slice_from(s, (size_t)i + 1);
	return i >= 0;
}

bool
slice_to_u64(struct slice s, uint64_t *value)
{
	uint64_t v = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_digit(s.at[i]))
			return false;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(s.at[i] - '0'), &v))
			return false;
	}
	*value = v;
	return true;
}

bool
slice_to_u32(struct slice s, uint32_t *value)
{
	uint64_t v;
	if (!slice_to_u64(s, &v) || v > UINT32_MAX)
		return false;
	*value = (uint32_t)v;
	return true;
}

bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return false;
	return true;
}

/* RFC 3629 4: the ABNF of UTF8-octets, one row a line. */
static size_t
utf8_char(const unsigned char *p, size_t n)
{
#define TAIL(i, lo, hi) (n > (i) && p[i] >= (lo) && p[i] <= (hi))
	unsigned char c = p[0];
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return TAIL(1, 0x80, 0xbf) ? 2 : 0;
	if (c >= 0xe0 && c <= 0xef) {
		unsigned char lo = c == 0xe0 ? 0xa0 : 0x80, hi = c == 0xed ? 0x9f : 0xbf;
		return TAIL(1, lo, hi) && TAIL(2, 0x80, 0xbf) ? 3 : 0;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		unsigned char lo = c == 0xf0 ? 0x90 : 0x80, hi = c == 0xf4 ? 0x8f : 0xbf;
		return TAIL(1, lo, hi) && TAIL(2, 0x80, 0xbf) && TAIL(3, 0x80, 0xbf) ? 4 : 0;
	}
	return 0;
#undef TAIL
}

bool
slice_is_utf8(struct slice s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_char((const unsigned char *)s.at + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

bool
slice_has_control(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
			return true;
	return false;
}

char *
slice_dup(struct slice s)
{
	char *p = must_calloc(1, s.len + 1);
	if (s.len)
		memcpy(p, s.at, s.len);
	return p;
}

/* SipHash-2-4 (Aumasson, Bernstein 2012): tables keyed by what strangers send must not be floodable. */
#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIPROUND(v)                                                                                                    \
	do {                                                                                                               \
		v[0] += v[1];                                                                                                  \
		v[1] = ROTL(v[1], 13) ^ v[0];                                                                                  \
		v[0] = ROTL(v[0], 32);                                                                                         \
		v[2] += v[3];                                                                                                  \
		v[3] = ROTL(v[3], 16) ^ v[2];                                                                                  \
		v[0] += v[3];                                                                                                  \
		v[3] = ROTL(v[3], 21) ^ v[0];                                                                                  \
		v[2] += v[1];                                                                                                  \
		v[1] = ROTL(v[1], 17) ^ v[2];                                                                                  \
		v[2] = ROTL(v[2], 32);                                                                                         \
	} while (0)

static uint64_t hash_key[2];

static void
hash_key_make(void)
{
	random_bytes(hash_key, sizeof hash_key);
}

static uint64_t
siphash(struct slice s, bool fold)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT; /* threads hash too: all with the same key */
	pthread_once(&once, hash_key_make);
	const uint64_t *key = hash_key;
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
		              key[1] ^ 0x7465646279746573u };
	uint64_t word = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)(fold ? ascii_lower(s.at[i]) : s.at[i]);
		word |= (uint64_t)c << (8 * (i & 7));
		if ((i & 7) == 7) {
			v[3] ^= word;
			SIPROUND(v);
			SIPROUND(v);
			v[0] ^= word;
			word = 0;
		}
	}
	word |= (uint64_t)s.len << 56;
	v[3] ^= word;
	SIPROUND(v);
	SIPROUND(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		SIPROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
slice_hash(struct slice s)
{
	return siphash(s, false);
}

uint64_t
slice_hash_nocase(struct slice s)
{
	return siphash(s, true);
}

size_t
slice_distance(struct slice a, struct slice b)
{
	size_t row[64];
	if (a.len >= COUNT_OF(row) || b.len >= COUNT_OF(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = diagonal + (ascii_lower(a.at[i - 1]) != ascii_lower(b.at[j - 1]));
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.len];
}
