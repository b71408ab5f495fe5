/* SPDX-License-Identifier: Apache-2.0 */
/* transfer_encode.h - bytes made fit for a transport that takes less (RFC 2045 6): in pieces of any size, with the same
 * result. Pure; knows nothing of messages. */
#ifndef MAIL_TRANSFER_ENCODE_H
#define MAIL_TRANSFER_ENCODE_H

#include "base/buf.h"

enum encode_how {
	ENCODE_COPY,
	ENCODE_QP,     /* quoted-printable of text: CRLF stays a line end, what stands alone of it is encoded */
	ENCODE_BASE64, /* lines of 76 characters, no line end behind the last one */
	ENCODE_ESCAPE, /* what is quoted-printable already: bytes that may not be in it are encoded */
	ENCODE_MASK,   /* bytes above 127 and NUL become '?' */
	ENCODE_WAYS
};

struct encoder {
	uint8_t how;
	uint8_t nheld;     /* base64: up to a line; quoted-printable: white space or CR that only the next byte explains */
	uint8_t column;    /* quoted-printable: of the output line */
	bool line_is_full; /* base64: a line stands, whose end comes with the next byte */
	char held[57];
};

void encoder_init(struct encoder *e, enum encode_how how);
void encoder_put(struct encoder *e, struct slice piece, struct buf *to);
void encoder_end(struct encoder *e, struct buf *to);
/* How long it becomes, without keeping it. */
uint64_t encoded_bytes(enum encode_how how, struct slice bytes);

#endif
