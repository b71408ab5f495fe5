/* SPDX-License-Identifier: Apache-2.0 */
/* seven_bit_fuzz.c - any message: the steps cover it in its order and inside its bounds, what they make has no byte
 * that may not be in it, and is as long as was said. The first byte says which transport it is for. */
#include "mail/mime.h"
#include "mail/seven_bit.h"
#include "mail/transfer_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seven_bit_plan p;
	struct buf out;
	uint64_t done = 0;
	if (size == 0 || size > 100000)
		return 0;
	bool eight_bit = data[0] & 1;
	struct slice message = slice_of((const char *)data + 1, size - 1);
	seven_bit_init(&p);
	buf_init(&out, 2000000);
	bool can = seven_bit_make(&p, message, eight_bit);
	for (size_t i = 0; can && i < seven_bit_steps(&p); i++) {
		struct seven_bit_step s = seven_bit_step(&p, i);
		struct encoder e;
		if (s.how == SEVEN_BIT_TEXT) {
			ASSERT((uint64_t)s.at + s.len <= p.text.len);
			buf_put(&out, slice_part(buf_slice(&p.text), s.at, s.len));
			continue;
		}
		ASSERT(s.how < ENCODE_WAYS && s.at >= done && (uint64_t)s.at + s.len <= message.len);
		done = s.at + s.len;
		encoder_init(&e, (enum encode_how)s.how);
		encoder_put(&e, slice_part(message, s.at, s.len), &out);
		encoder_end(&e, &out);
	}
	if (can) {
		ASSERT(out.over || out.len == p.bytes);
		ASSERT(eight_bit || !(mime_flags_of_bytes(buf_slice(&out)) & FACTS_8BIT));
	}
	buf_release(&out);
	seven_bit_release(&p);
	return 0;
}
