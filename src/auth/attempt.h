/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.h - a try to log in, by whatever mechanism: who is locked out, what is counted, when the answer leaves, and
 * the grant. An unknown user, a wrong secret and an account without the right look alike from outside. */
#ifndef AUTH_ATTEMPT_H
#define AUTH_ATTEMPT_H

#include "auth/auth.h"

struct attempt {
	struct auth *auth;
	struct ipc_call *call;
	struct slice user, client;
	struct slice guess; /* what was tried as a secret: the same again is no new guess */
	const char *mechanism;
	uint32_t service;
	struct lockout_rules rules;
	uint8_t address[16];
	bool trusted;       /* neither slowed nor limited */
	const char *reason; /* for the log */
	int64_t delay_ms;
	struct timer timer; /* while the answer waits */
	void (*answer)(struct attempt *a);
	/* what is answered */
	enum err verdict;
	uint64_t account, rights;
	struct slice shown, grant; /* the account's address */
	struct slice moved_to;     /* where the account is; empty: here */
};

/* user may be set later, before anything of it is asked. */
void attempt_init(struct attempt *a, struct ipc_call *call, struct slice client, uint32_t service,
                  const char *mechanism);
bool attempt_is_locked_out(const struct attempt *a);
bool await_attempt_key(struct attempt *a); /* the key of grants is known; false: the store did not give it */
/* What the store knows of an address; secret.account is 0 when there is no such account. ERR_AGAIN. */
enum err await_attempt_secret(struct attempt *a, struct slice address, struct store_secret_get_out *secret);
/* The credentials are right: rights and the grant that says so. */
enum err attempt_admit(struct attempt *a, const struct warm_account *who);
/* The same for what await_attempt_secret gave: suspended ones are refused. Wipes it. */
enum err attempt_admit_secret(struct attempt *a, struct store_secret_get_out *secret);
/* Counts and logs verdict, then has it answered, late if it must be. The call may be gone afterwards. */
void attempt_end(struct attempt *a);

#endif
