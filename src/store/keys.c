/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - builds keys in memory of the caller. Pure; a key that would not fit is a mistake of ours (names are limited
 * where they come in). */
#include "store/keys.h"

void
key_begin(struct key *k, char kind)
{
	k->bytes[0] = kind;
	k->len = 1;
}

void
key_u64(struct key *k, uint64_t v)
{
	ASSERT(k->len + 8 <= sizeof k->bytes);
	bytes_set_be(k->bytes + k->len, v, 8);
	k->len += 8;
}

void
key_u32(struct key *k, uint32_t v)
{
	ASSERT(k->len + 4 <= sizeof k->bytes);
	bytes_set_be(k->bytes + k->len, v, 4);
	k->len += 4;
}

void
key_bytes(struct key *k, struct slice s)
{
	ASSERT(s.len <= sizeof k->bytes - k->len);
	if (s.len)
		memcpy(k->bytes + k->len, s.at, s.len);
	k->len += s.len;
}

void
key_nul(struct key *k)
{
	key_bytes(k, slice_of("", 1));
}

struct slice
key_slice(const struct key *k)
{
	return slice_of(k->bytes, k->len);
}

void
key_after_prefix(struct key *k)
{
	/* 0xff cannot grow: it goes, and the byte before it grows instead. */
	while (k->len && (unsigned char)k->bytes[k->len - 1] == 0xff)
		k->len--;
	ASSERT(k->len > 0); /* kinds are letters */
	k->bytes[k->len - 1] = (char)((unsigned char)k->bytes[k->len - 1] + 1);
}

struct key
key1(char kind, uint64_t a)
{
	struct key k;
	key_begin(&k, kind);
	key_u64(&k, a);
	return k;
}

struct key
key2(char kind, uint64_t a, uint64_t b)
{
	struct key k = key1(kind, a);
	key_u64(&k, b);
	return k;
}

struct key
key_message(uint64_t account, uint64_t mailbox, uint32_t uid)
{
	struct key k = key2('u', account, mailbox);
	key_u32(&k, uid);
	return k;
}
