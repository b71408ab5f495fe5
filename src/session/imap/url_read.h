/* SPDX-License-Identifier: Apache-2.0 */
/* url_read.h - the bytes that an IMAP URL means: of a message that the user may read himself, or, with URLAUTH, of one
 * that somebody else opened to him. Used by CATENATE and URLFETCH. */
#ifndef IMAP_URL_READ_H
#define IMAP_URL_READ_H

#include "session/imap/fetch.h"
#include "session/imap/url.h"

/* All that it allocates ends with it: there may be a thousand of them in a command. */
struct url_part {
	struct imap *im;
	struct arena arena;
	struct imap_url url;
	struct imap_owner signer; /* with URLAUTH */
	struct store_url_open_in opening;
	struct fetch_body body;
	struct facts facts;
	struct buf fields; /* HEADER.FIELDS: what was chosen */
	bool in_fields;    /* from and to are of that, and not of the message */
	uint64_t from, to; /* PARTIAL applied */
};
/* with_facts: p->facts are wanted in any case. ERR_NOT_FOUND: there is no such message or part, or it is not for this
 * user. */
enum err await_url_find(struct url_part *p, struct imap *im, struct slice text, bool with_facts);
void url_part_release(struct url_part *p);
/* Some bytes from `from` on, at most len and at least one; valid until the next call. */
enum err await_url_piece(struct url_part *p, uint64_t from, size_t len, struct slice *out);
void url_cut_partial(const struct imap_url *url, uint64_t *from, uint64_t *to);

/* Is it about this server, and about who is logged in here? */
bool await_url_is_own(struct imap *im, struct arena *a, const struct imap_url *url);

#endif
