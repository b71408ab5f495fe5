/* SPDX-License-Identifier: Apache-2.0 */
/* backup.c - domains whose mail we take for another server (a backup MX, or a relay in front), and which of their
 * addresses we take it for: those that were listed, or those that the other server answered for (relay/verify.c).
 * Called by resolve.c. They are memos: "relay-domain" by domain, "relay-user", "verified" and "verify" by domain and
 * local-part. */
#include "store/backup.h"

#include "store/memo.h"
#include "store/rows_state.h"

/* What of the rest of a verdict is shown to senders. */
#define WHY_BYTES_MAX 280

static struct slice
user_name(struct txn *t, const struct address_name *name)
{
	return arena_join(txn_arena(t), arena_join(txn_arena(t), name->domain, S("/")), name->local);
}

static enum err
is_listed(struct txn *t, struct slice name, uint32_t *relay)
{
	int64_t until;
	enum err e = memo_until(t, S("relay-user"), name, &until);
	*relay = until ? BACKUP_TAKEN : BACKUP_UNKNOWN;
	return e;
}

/* What stands there: "yes", "no WHY", "unsure WHY". */
static enum err
is_verified(struct txn *t, struct slice name, uint32_t *relay, struct slice *why)
{
	struct slice value, word;
	int64_t asked;
	enum err e = memo_read(t, S("verified"), name, &value);
	if (e == OK) {
		slice_cut(value, ' ', &word, &value);
		*relay = slice_equal(word, S("yes"))  ? BACKUP_TAKEN
		         : slice_equal(word, S("no")) ? BACKUP_UNKNOWN
		                                      : BACKUP_UNSURE;
		*why = slice_part(value, 0, WHY_BYTES_MAX);
		return OK;
	}
	if (e != ERR_NOT_FOUND)
		return e;
	e = memo_until(t, S("verify"), name, &asked);
	*relay = asked ? BACKUP_ASKED : BACKUP_ASK;
	return e;
}

enum err
backup_find(struct txn *t, const struct address_name *name, struct backup *b)
{
	struct slice value;
	*b = (struct backup){ .relay = BACKUP_NONE };
	enum err e = memo_read(t, S("relay-domain"), name->domain, &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	b->user = user_name(t, name);
	if (slice_equal(name->local, S("postmaster")) || slice_starts(value, S("users=any"))) { /* RFC 5321 4.5.1 */
		b->relay = BACKUP_TAKEN;
		return OK;
	}
	e = is_listed(t, b->user, &b->relay);
	if (e == OK && b->relay == BACKUP_UNKNOWN && slice_starts(value, S("users=ask")))
		e = is_verified(t, b->user, &b->relay, &b->why);
	return e;
}
