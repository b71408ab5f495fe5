/* SPDX-License-Identifier: Apache-2.0 */
/* imap_structure.h - ENVELOPE, BODY and BODYSTRUCTURE as IMAP sends them (RFC 9051 7.5.2; RFC 3501 7.4.2), made once
 * when a message arrives. Text is ASCII in quoted strings, or UTF-8 in literals: 8-bit bytes that are not UTF-8 are
 * read as windows-1252, so that no client ever gets what it cannot decode. */
#ifndef MAIL_IMAP_STRUCTURE_H
#define MAIL_IMAP_STRUCTURE_H

#include "base/buf.h"
#include "mail/header.h"
#include "mail/mime.h"

/* How much of what strangers wrote is repeated. */
struct imap_limits {
	size_t text_bytes; /* of one text */
	size_t addresses;  /* of one address list */
};

/* The values of one header that ENVELOPE and sorting need, by enum header_id; at NULL: not there. Address fields that
 * come several times are one list. */
struct envelope_fields {
	struct slice value[HEADER_RECEIVED];
	uint32_t received;
	bool more_fields; /* one of them is there twice, or longer than MIME_FIELD_BYTES_MAX */
};
void envelope_fields_read(struct envelope_fields *e, struct slice header, struct arena *a);

void imap_put_envelope(struct buf *to, const struct envelope_fields *e, const struct imap_limits *limits);
/* The tree below part 0. extended: BODYSTRUCTURE, else BODY. */
void imap_put_body(struct buf *to, const struct mime *m, struct slice message, bool extended,
                   const struct imap_limits *limits);

/* A string as quoted string, or as literal where it must be one. */
void structure_put_string(struct buf *to, struct slice s);

#endif
