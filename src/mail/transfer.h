/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - content transfer encodings undone (RFC 2045 6), tolerantly: what is no base64 is skipped, what is no
 * quoted-printable stands for itself. A decoder takes its input in pieces of any size and gives the same bytes. */
#ifndef MAIL_TRANSFER_H
#define MAIL_TRANSFER_H

#include "base/buf.h"
#include "mail/facts.h"

#define TRANSFER_PADDING_MAX 64 /* white space at the end of a quoted-printable line that is dropped */

struct transfer {
	uint8_t encoding; /* FACTS_ENCODING_* */
	bool ended;       /* base64: "=" was seen, the end of the data (RFC 2045 6.8) */
	uint8_t nheld;    /* base64: characters in bits; quoted-printable: bytes in held */
	uint32_t bits;
	char held[TRANSFER_PADDING_MAX + 4]; /* quoted-printable: what only the next piece can explain */
};
void transfer_init(struct transfer *t, uint8_t encoding);
void transfer_put(struct transfer *t, struct slice piece, struct buf *to);
void transfer_end(struct transfer *t, struct buf *to);

/* All at once. */
void transfer_decode(uint8_t encoding, struct slice text, struct buf *to);
/* How long that would be, without doing it. Fast. */
size_t transfer_decoded_bytes(uint8_t encoding, struct slice text);
/* FACTS_ENCODING_* of a Content-Transfer-Encoding; empty: 7BIT. */
uint8_t transfer_encoding(struct slice name);
/* One encoded word's text (RFC 2047 4): B or Q. */
void transfer_decode_word(bool q, struct slice text, struct buf *to);

#endif
