/* SPDX-License-Identifier: Apache-2.0 */
/* verp.h - return paths of bulk mail, another one for each recipient (variable envelope return paths), and what stands
 * for the recipient in a header field of the copy. From either the recipient can be told again, and nobody who was not
 * given one can make one: a bounce or a complaint that names a return path is about a message that was sent.
 *
 *   bounce+DDtttttttttttta=user=example.net@sending.domain
 *          DD day on which the message came in (of 1024), t a tag of 60 bits, a the number of the account (base 32)
 *   bounce+DDtttttttttttta==hhhhhhhhhhhhh@sending.domain
 *          where the address does not fit into 64 octets (RFC 5321 4.5.3.1.1) or is no plain ASCII: a hash of it
 *
 * The tag is a MAC over the day, the account, both domains and the recipient, under a key for each account, day and
 * sending domain that is made of one key which never leaves the store. Letters may come back in another case. Pure. */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "base/arena.h"
#include "base/buf.h"

#define VERP_KEY_BYTES 32
#define VERP_DAYS 60 /* a return path is good for so long */
#define VERP_ADDRESS_BYTES_MAX 320
#define VERP_RECIPIENT_BYTES_MAX 254 /* in a field */

/* What a return path or the value of a field says, before it is checked. */
struct verp {
	uint32_t day; /* of 1024 */
	uint64_t account;
	struct slice tag, text; /* lower case; text: user=domain, or "=" and a hash; of a field: unread bytes */
	struct slice domain;    /* whose mail it was */
	bool field;
	struct slice recipient; /* after verp_check; empty: the hash alone is known */
};

/* The key that mail of this account, day (since 1970) and domain is signed with. */
void verp_key(const uint8_t master[VERP_KEY_BYTES], uint64_t account, int64_t day, struct slice domain,
              uint8_t key[VERP_KEY_BYTES]);
/* The return path of a recipient. False: nothing was put, since the sending domain is too long or no ASCII. */
bool verp_put(struct buf *to, const uint8_t key[VERP_KEY_BYTES], uint64_t account, int64_t day, struct slice domain,
              struct slice recipient);
/* The value of the field; nothing but key and recipient is needed to make it, nothing of the recipient can be read. */
bool verp_field_put(struct buf *to, const uint8_t key[VERP_KEY_BYTES], uint64_t account, int64_t day,
                    struct slice domain, struct slice recipient);

/* The form only; copies go into the arena. */
bool verp_take(struct slice address, struct arena *a, struct verp *v);
bool verp_field_take(struct slice value, struct arena *a, struct verp *v);
/* Is it genuine, and not older than VERP_DAYS? Then *day is its day since 1970, and v->recipient whom it went to. */
bool verp_check(struct verp *v, const uint8_t master[VERP_KEY_BYTES], int64_t today, struct arena *a, int64_t *day);
/* Was it made for that recipient? For those that hold a hash. */
bool verp_is_of(const struct verp *v, struct slice recipient);

#endif
