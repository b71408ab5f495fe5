/* SPDX-License-Identifier: Apache-2.0 */
/* slice.h - bytes that somebody else owns: a pointer and a length. NUL is data; nothing here is terminated.
 * A slice is valid as long as its owner says (an arena, a stream's buffer, a string literal). Comparisons name
 * their case rule; "nocase" folds ASCII only, as the protocols do (RFC 5234 2.3). */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/check.h"

struct slice {
	const char *at;
	size_t len;
};

#define S(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
/* The same as an initializer of a static table, where ISO C wants no compound literal. */
#define S_ROW(literal)                                                                                                 \
	{                                                                                                                  \
		"" literal, sizeof(literal) - 1                                                                                \
	}
#define SLICE_NONE ((struct slice){ NULL, 0 })
/* For printf: printf("%.*s", SLICE_ARG(s)). Only for text that was checked to hold no control characters. */
#define SLICE_ARG(s) (int)(s).len, (s).at ? (s).at : ""

struct slice slice_of(const void *at, size_t len);
struct slice slice_text(const char *terminated); /* NULL gives an empty slice */
bool slice_equal(struct slice a, struct slice b);
bool slice_equal_nocase(struct slice a, struct slice b);
int slice_compare(struct slice a, struct slice b);        /* by bytes, shorter first; <0, 0, >0 */
int slice_compare_nocase(struct slice a, struct slice b); /* by ASCII-lowered bytes */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
bool slice_ends_nocase(struct slice s, struct slice suffix);
struct slice slice_from(struct slice s, size_t offset);             /* clamps: an offset past the end gives "" */
struct slice slice_part(struct slice s, size_t offset, size_t len); /* clamps */
struct slice slice_trim(struct slice s);                            /* SP, HTAB, CR, LF at both ends */
struct slice slice_trim_end(struct slice s);
ptrdiff_t slice_find_char(struct slice s, char c); /* -1: not there */
ptrdiff_t slice_find_last_char(struct slice s, char c);
ptrdiff_t slice_find(struct slice s, struct slice what);
ptrdiff_t slice_find_nocase(struct slice s, struct slice what);
/* Splits at the first c: *head gets what is before, *rest what is after; without c, head is all and false. */
bool slice_cut(struct slice s, char c, struct slice *head, struct slice *rest);
/* Decimal digits only, the whole slice, at least one, no overflow; else false and *value untouched. */
bool slice_to_u64(struct slice s, uint64_t *value);
bool slice_to_u32(struct slice s, uint32_t *value);
bool slice_is_ascii(struct slice s);    /* every byte < 0x80 */
bool slice_is_utf8(struct slice s);     /* well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) */
bool slice_has_control(struct slice s); /* any byte < 0x20 or 0x7f */
size_t slice_distance(struct slice a, struct slice b); /* letters to change to make a into b (ASCII case aside), for
                                                           "is X meant?"; SIZE_MAX past 63 bytes */
char *slice_dup(struct slice s);                       /* malloc'ed, NUL-terminated; the caller frees */
uint64_t slice_hash(struct slice s); /* keyed with a secret of this process (SipHash-2-4), for tables */
uint64_t slice_hash_nocase(struct slice s);

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static inline bool
ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool
ascii_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/* Of a hexadecimal digit in either case; -1: it is none. */
static inline int
hex_value(char c)
{
	char low = ascii_lower(c);
	return ascii_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

#endif
