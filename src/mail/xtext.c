/* SPDX-License-Identifier: Apache-2.0 */
/* xtext.c - RFC 3461 4. */
#include "mail/xtext.h"

/* RFC 3461 4: upper case only. */
static int
hex_digit(char c)
{
	return ascii_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct slice
xtext_decode(struct slice xtext, struct arena *a)
{
	char *to = arena_alloc(a, xtext.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < xtext.len; i++) {
		int c = (unsigned char)xtext.at[i];
		if (c == '+' && i + 2 < xtext.len && hex_digit(xtext.at[i + 1]) >= 0 && hex_digit(xtext.at[i + 2]) >= 0) {
			c = hex_digit(xtext.at[i + 1]) * 16 + hex_digit(xtext.at[i + 2]);
			i += 2;
		}
		to[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	return slice_of(to, n);
}
