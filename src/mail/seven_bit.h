/* SPDX-License-Identifier: Apache-2.0 */
/* seven_bit.h - what must be done to a message before a server that takes less can have it (RFC 6152 3, RFC 3030 3):
 * which bytes stay, which parts are encoded, which headers are said anew. Pure: makes a list of steps, which whoever
 * has the bytes can follow without understanding them.
 *
 * Each part is encoded for itself (RFC 2045 6.4: multipart and message are not), text as quoted-printable where that is
 * shorter. What is signed (S/MIME, OpenPGP, DKIM over the body) verifies no longer when a part that it covers
 * was encoded; programs that sign encode to 7-bit first for that reason. */
#ifndef MAIL_SEVEN_BIT_H
#define MAIL_SEVEN_BIT_H

#include "base/buf.h"

#define SEVEN_BIT_STEPS_MAX 40000
#define SEVEN_BIT_TEXT_BYTES_MAX 900000 /* of new headers, together */

enum { SEVEN_BIT_TEXT = 100 }; /* instead of an encode_how of transfer_encode.h: at and len are of the text */

struct seven_bit_step {
	uint32_t how;
	uint32_t at, len;
};

struct seven_bit_plan {
	struct buf steps; /* struct seven_bit_step */
	struct buf text;
	uint64_t bytes; /* of what comes out */
};

void seven_bit_init(struct seven_bit_plan *p);
void seven_bit_release(struct seven_bit_plan *p);
size_t seven_bit_steps(const struct seven_bit_plan *p);
struct seven_bit_step seven_bit_step(const struct seven_bit_plan *p, size_t i);
/* eight_bit: 8-bit text may stay, only what is no lines of text is encoded. False: it cannot be done (too many parts or
 * steps, 8-bit bytes in a part whose encoding is unknown or may not be changed). */
bool seven_bit_make(struct seven_bit_plan *p, struct slice message, bool eight_bit);

#endif
