/* SPDX-License-Identifier: Apache-2.0 */
/* transfer_fuzz.c - a decoder gives the same bytes whether its input comes at once or in pieces, and as many as it was
 * said to give. */
#include "mail/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_encoding(uint8_t encoding, struct slice text, size_t step)
{
	struct buf whole, pieces;
	buf_init(&whole, text.len + 4);
	buf_init(&pieces, text.len + 4);
	transfer_decode(encoding, text, &whole);
	ASSERT(!whole.over && whole.len == transfer_decoded_bytes(encoding, text));
	struct transfer t;
	transfer_init(&t, encoding);
	for (size_t i = 0; i < text.len; i += step)
		transfer_put(&t, slice_part(text, i, step), &pieces);
	transfer_end(&t, &pieces);
	ASSERT(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
	buf_release(&whole);
	buf_release(&pieces);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t step = data[0] % 37 + 1;
	struct slice text = slice_of(data + 1, size - 1);
	try_encoding(FACTS_ENCODING_BASE64, text, step);
	try_encoding(FACTS_ENCODING_QP, text, step);
	try_encoding(FACTS_ENCODING_8BIT, text, step);
	struct buf b;
	buf_init(&b, size);
	transfer_decode_word(true, text, &b);
	transfer_decode_word(false, text, &b);
	buf_release(&b);
	return 0;
}
