/* SPDX-License-Identifier: Apache-2.0 */
/* sasl.c - the steps of SASL exchanges (RFC 4422): finds the mechanism, counts what fails, answers. Called for each
 * auth.sasl. Between two steps nothing is kept here: what must be remembered goes with the session, signed. */
#include "auth/sasl.h"

#include "base/random.h"

static const struct {
	struct slice name;
	const char *shown;
	enum err (*await_step)(struct sasl_step *s);
} mechanisms[] = {
	{ S_ROW("SCRAM-SHA-256"), "SCRAM-SHA-256", await_scram_step },
	{ S_ROW("SCRAM-SHA-256-PLUS"), "SCRAM-SHA-256-PLUS", await_scram_step },
	{ S_ROW("SCRAM-SHA-1"), "SCRAM-SHA-1", await_scram_step },
	{ S_ROW("SCRAM-SHA-1-PLUS"), "SCRAM-SHA-1-PLUS", await_scram_step },
	{ S_ROW("OAUTHBEARER"), "OAUTHBEARER", await_oauth_step },
	{ S_ROW("XOAUTH2"), "XOAUTH2", await_oauth_step },
	{ S_ROW("EXTERNAL"), "EXTERNAL", await_external_step },
};

static void
answer(struct attempt *a)
{
	const struct sasl_step *s = CONTAINER_OF(a, struct sasl_step, attempt);
	struct slice user = a->user.len <= 1000 && slice_find_char(a->user, '\0') < 0 ? a->user : S("");
	auth_sasl_reply(a->call, &(struct auth_sasl_out){ .verdict = a->verdict,
	                                                  .more = s->more,
	                                                  .challenge = s->challenge,
	                                                  .state = s->state,
	                                                  .user = user,
	                                                  .account = a->account,
	                                                  .address = a->shown,
	                                                  .rights = a->rights,
	                                                  .grant = a->grant,
	                                                  .moved_to = a->moved_to }); /* s is gone */
}

static void
sasl_task(void *arg)
{
	struct sasl_step *s = arg;
	size_t i = 0;
	while (i < COUNT_OF(mechanisms) && !slice_equal_nocase(s->in->mechanism, mechanisms[i].name))
		i++;
	if (i == COUNT_OF(mechanisms)) {
		ipc_fail(s->attempt.call, ERR_UNSUPPORTED);
		return;
	}
	s->attempt.mechanism = mechanisms[i].shown;
	s->attempt.verdict = await_attempt_key(&s->attempt) ? mechanisms[i].await_step(s) : ERR_AGAIN;
	if (s->more)
		answer(&s->attempt);
	else
		attempt_end(&s->attempt);
}

void
sasl_call(struct ipc_call *call, const struct auth_sasl_in *in)
{
	struct sasl_step *s = ARENA_NEW(&call->arena, struct sasl_step);
	attempt_init(&s->attempt, call, in->client, in->service, "SASL");
	s->in = in;
	s->attempt.answer = answer;
	if (!task_start(sasl_task, s))
		ipc_fail(call, ERR_AGAIN);
}
