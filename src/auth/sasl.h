/* SPDX-License-Identifier: Apache-2.0 */
/* sasl.h - one step of a SASL exchange, as the files of auth that know the mechanisms see it. */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "auth/attempt.h"

#define SASL_STATE_SECONDS 120 /* an exchange that takes longer begins again */

struct sasl_step {
	struct attempt attempt;
	const struct auth_sasl_in *in;
	bool more;
	struct slice challenge, state; /* in the call's arena */
};

/* Each judges a step: a verdict, or more. */
enum err await_scram_step(struct sasl_step *s);    /* sasl_scram.c */
enum err await_oauth_step(struct sasl_step *s);    /* oauth.c: OAUTHBEARER and XOAUTH2 */
enum err await_external_step(struct sasl_step *s); /* external.c */

#endif
