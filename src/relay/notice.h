/* SPDX-License-Identifier: Apache-2.0 */
/* notice.h - which notices a try causes (RFC 3461 5, RFC 3464), and the mail that carries one. Never a notice about a
 * notice: a message with the null reverse-path causes none (RFC 5321 6.1). */
#ifndef RELAY_NOTICE_H
#define RELAY_NOTICE_H

#include "ipc/ipc.h"
#include "role/conf.h"
#include "store_msg.h"

enum notice { NOTICE_FAILED, NOTICE_DELAYED, NOTICE_LATE /* RFC 2852 4.1.3 */, NOTICE_RELAYED, NOTICE_DELIVERED };

/* What the server that took the message does: it took over the duty of NOTIFY=SUCCESS, and that of DELIVERBY. early: it
 * took it before the time that was asked for. */
struct notice_next {
	bool dsn, by, early;
};

/* Mail that nobody logged in for and that came from nowhere trusted causes no notice: its reverse-path may be
 * anybody's, who would get notices about mail that he never sent. */
bool notice_withheld(const struct store_envelope *e);
/* Does this recipient, in its present state, want a notice of that kind? */
bool notice_wanted(const struct store_envelope *e, const struct store_recipient *to, enum notice kind,
                   const struct notice_next *next);

struct notice_input {
	const struct conf *conf;
	struct ipc_client *store;
	struct shm_pool *shm;
	const struct store_queue_row *row;
	enum notice kind;
	const bool *about;     /* which recipients of the row */
	struct slice original; /* the message, or its beginning, as it was sent */
	bool original_whole;
	int64_t now, give_up_at;
};
/* Builds the notice and finds out where it goes. *mail and what it points to live in a, the body in shared memory at
 * *block (the caller frees it after the commit). False: it cannot be delivered anywhere (why is logged). */
bool await_notice(const struct notice_input *in, struct arena *a, struct store_mail *mail, void **block);

#endif
