/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - RFC 4648 4. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
digit(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;
	return p ? (int)(p - alphabet) : -1;
}

bool
base64_decode(struct slice text, struct arena *a, struct slice *out)
{
	if (text.len % 4 != 0)
		return false;
	size_t pad = 0;
	while (pad < 2 && pad < text.len && text.at[text.len - 1 - pad] == '=')
		pad++;
	char *to = arena_alloc(a, text.len / 4 * 3 + 1);
	size_t n = 0;
	uint32_t bits = 0;
	for (size_t i = 0; i < text.len - pad; i++) {
		int d = digit(text.at[i]);
		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 == 0)
			continue;
		unsigned left = 6 - 2 * (unsigned)(i % 4); /* bits of this digit that belong to the next byte */
		to[n++] = (char)(bits >> left);
		bits &= (1u << left) - 1;
	}
	if (bits != 0) /* RFC 4648 3.5: pad bits are zero */
		return false;
	*out = slice_of(to, n);
	return true;
}

void
base64_encode(struct slice bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = MIN(bytes.len - i, (size_t)3);
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)bytes.at[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_put_char(out, k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=');
	}
}
