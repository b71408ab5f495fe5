/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - see attempt.h. Called by login.c and sasl.c, on the loop. An attempt lives in its call's arena. */
#include "auth/attempt.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"
#include "store/rows.h"

void
attempt_init(struct attempt *a, struct ipc_call *call, struct slice client, uint32_t service, const char *mechanism)
{
	struct auth *auth = call->peer->owner;
	*a = (struct attempt){ .auth = auth, .call = call, .client = client, .service = service, .mechanism = mechanism };
	a->rules = (struct lockout_rules){ (uint32_t)auth->conf->v.auth_failures_max, auth->conf->v.auth_window };
	/* What is no address came over a Unix socket, from this machine. */
	a->trusted = !lockout_address(client, a->address) || conf_trusts(auth->conf, a->address);
}

bool
attempt_is_locked_out(const struct attempt *a)
{
	return !a->trusted && lockout_refuses(a->auth->lockout, a->address, a->user, a->rules, clock_mono_ms());
}

bool
await_attempt_key(struct attempt *a)
{
	struct auth *auth = a->auth;
	if (auth->grant_key_known)
		return true;
	struct store_grant_key_out out;
	if (await_store_grant_key(&auth->store, &(struct store_grant_key_in){ 0 }, &a->call->arena, &out) ||
	    out.key.len != GRANT_KEY_BYTES)
		return false;
	memcpy(auth->grant_key, out.key.at, GRANT_KEY_BYTES);
	secret_wipe((char *)out.key.at, out.key.len);
	auth->grant_key_known = true;
	return true;
}

enum err
await_attempt_secret(struct attempt *a, struct slice address, struct store_secret_get_out *secret)
{
	struct store_secret_get_in ask = { .address = address };
	enum err e = await_store_secret_get(&a->auth->store, &ask, &a->call->arena, secret);
	if (e)
		*secret = (struct store_secret_get_out){ 0 };
	return e == OK || e == ERR_NOT_FOUND || e == ERR_SYNTAX ? OK : ERR_AGAIN;
}

enum err
attempt_admit(struct attempt *a, const struct warm_account *who)
{
	if ((who->rights & a->service) != a->service) {
		a->reason = "no right to this service";
		return ERR_DENIED;
	}
	struct grant g = { who->account, who->rights, who->generation, clock_wall_sec() };
	uint8_t *bytes = arena_alloc(&a->call->arena, GRANT_BYTES);
	grant_sign(&g, a->auth->grant_key, bytes);
	a->account = who->account;
	a->rights = who->rights;
	a->shown = slice_keep(&a->call->arena, slice_text(who->address));
	a->grant = slice_of(bytes, GRANT_BYTES);
	return OK;
}

enum err
attempt_admit_secret(struct attempt *a, struct store_secret_get_out *secret)
{
	const char *address = slice_keep_text(&a->call->arena, secret->address);
	struct warm_account who = { secret->account, secret->generation, secret->rights, address };
	if (secret->hash.len)
		secret_wipe((char *)secret->hash.at, secret->hash.len);
	if (secret->scram.len)
		secret_wipe((char *)secret->scram.at, secret->scram.len);
	if (secret->status != ACCOUNT_ACTIVE)
		return ERR_SUSPENDED;
	enum err e = attempt_admit(a, &who);
	if (e || !secret->moved_to.len)
		return e;
	a->moved_to = slice_keep(&a->call->arena, secret->moved_to); /* RFC 2221 6: only who may log in is told */
	if (secret->moved_open)
		return OK;
	a->grant = SLICE_NONE;
	return ERR_SUSPENDED;
}

static void
note(const struct attempt *a)
{
	struct log line;
	enum err e = a->verdict;
	counter_add(e ? COUNTER_LOGIN_FAILED : COUNTER_LOGIN_OK, 1);
	log_begin(&line, e ? LOG_WARN : LOG_DEBUG, e ? "auth.refused" : "auth.accepted");
	log_slice(&line, "user", a->user);
	log_slice(&line, "peer", a->client);
	log_text(&line, "mechanism", a->mechanism);
	if (e == ERR_DENIED && a->reason)
		log_text(&line, "why", a->reason);
	else if (e)
		log_text(&line, "why", e == ERR_LIMIT ? "too many failed logins" : err_text(e));
	if (a->delay_ms)
		log_i64(&line, "delay_ms", a->delay_ms);
	log_end(&line);
}

static void
answer_late(struct timer *t)
{
	struct attempt *a = CONTAINER_OF(t, struct attempt, timer);
	a->auth->delayed--;
	a->answer(a);
}

static void
count_failures(struct attempt *a)
{
	struct lockout *table = a->auth->lockout;
	if (a->trusted)
		return;
	if (a->verdict == OK)
		lockout_succeeded(table, a->address, a->user);
	else if (a->verdict == ERR_DENIED)
		a->delay_ms = lockout_failed(table, a->address, a->user, a->guess, a->rules, clock_mono_ms());
	else if (a->verdict == ERR_LIMIT)
		a->delay_ms = LOCKOUT_DELAY_FIRST_MS;
}

void
attempt_end(struct attempt *a)
{
	count_failures(a);
	note(a);
	if (a->guess.len)
		secret_wipe((char *)a->guess.at, a->guess.len);
	if (a->delay_ms == 0 || a->auth->delayed >= AUTH_DELAYED_MAX) {
		a->answer(a);
		return;
	}
	a->auth->delayed++;
	a->timer = (struct timer){ .fire = answer_late };
	timer_set(&a->timer, deadline_in_ms(a->delay_ms));
}
