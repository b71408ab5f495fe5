/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - a login: lock-out, warm credentials, else the store's hash checked on a thread; then the grant. Called for
 * each auth.login. A wrong password, an unknown user and an account without the right look alike from outside: the same
 * verdict, the same work, the same delay. The password is wiped before the answer leaves. */
#include "auth/auth.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"
#include "store/rows.h"

struct login {
	struct auth *auth;
	struct ipc_call *call;
	const struct auth_login_in *in;
	struct lockout_rules rules;
	uint8_t address[16];
	bool trusted;       /* neither slowed nor limited */
	const char *reason; /* for the log */
	int64_t delay_ms;
	struct auth_login_out out;
	struct timer timer; /* while the answer waits */
};

struct password_cost
auth_cost(const struct auth *auth)
{
	return (struct password_cost){ auth->conf->v.auth_hash_memory, (uint32_t)auth->conf->v.auth_hash_passes };
}

enum err
await_hash_turn(struct auth *auth, void (*fn)(void *arg), void *arg)
{
	if (auth->hashes_waiting >= AUTH_HASHES_WAITING_MAX)
		return ERR_AGAIN;
	int64_t deadline = deadline_in_ms(AUTH_HASH_WAIT_MS);
	auth->hashes_waiting++;
	enum err e = OK;
	while (!e && auth->hashing >= auth->hashes_max)
		e = await_gate(&auth->hash_turn, deadline);
	auth->hashes_waiting--;
	if (e)
		return ERR_AGAIN;
	auth->hashing++;
	counter_add(COUNTER_AUTH_HASHES, 1);
	e = await_thread(fn, arg);
	auth->hashing--;
	gate_open_one(&auth->hash_turn, OK);
	return e;
}

struct check {
	struct slice password, hash; /* hash empty: nobody has this name, but the work is done all the same */
	struct password_cost cost;
	enum err result;
};

static void
check_on_thread(void *arg)
{
	struct check *c = arg;
	char made[PASSWORD_HASH_BYTES_MAX];
	if (c->hash.len) {
		c->result = password_check(c->password, c->hash);
		return;
	}
	c->result = password_hash(c->password, c->cost, made) ? ERR_LIMIT : ERR_DENIED;
	secret_wipe(made, sizeof made);
}

static bool
await_grant_key(struct login *l)
{
	struct auth *auth = l->auth;
	if (auth->grant_key_known)
		return true;
	struct store_grant_key_out out;
	if (await_store_grant_key(&auth->store, &(struct store_grant_key_in){ 0 }, &l->call->arena, &out) ||
	    out.key.len != GRANT_KEY_BYTES)
		return false;
	memcpy(auth->grant_key, out.key.at, GRANT_KEY_BYTES);
	secret_wipe((char *)out.key.at, out.key.len);
	auth->grant_key_known = true;
	return true;
}

/* The credentials are right; rights and the grant that says so. */
static enum err
admit(struct login *l, const struct warm_account *who)
{
	if ((who->rights & l->in->service) != l->in->service) {
		l->reason = "no right to this service";
		return ERR_DENIED;
	}
	struct grant g = { who->account, who->rights, who->generation, clock_wall_sec() };
	uint8_t *bytes = arena_alloc(&l->call->arena, GRANT_BYTES);
	grant_sign(&g, l->auth->grant_key, bytes);
	l->out.account = who->account;
	l->out.rights = who->rights;
	l->out.address = slice_keep(&l->call->arena, slice_text(who->address));
	l->out.grant = slice_of(bytes, GRANT_BYTES);
	return OK;
}

static enum err
await_check(struct login *l, struct slice hash)
{
	struct check *c = ARENA_NEW(&l->call->arena, struct check);
	*c = (struct check){ l->in->password, hash, auth_cost(l->auth), ERR_AGAIN };
	enum err e = await_hash_turn(l->auth, check_on_thread, c);
	return e ? ERR_AGAIN : c->result;
}

static enum err
await_cold(struct login *l)
{
	struct auth *auth = l->auth;
	uint64_t changes = auth->changes;
	struct store_secret_get_out secret;
	struct store_secret_get_in ask = { .address = l->in->user };
	enum err e = await_store_secret_get(&auth->store, &ask, &l->call->arena, &secret);
	if (e == ERR_NOT_FOUND || e == ERR_SYNTAX)
		secret = (struct store_secret_get_out){ 0 };
	else if (e)
		return ERR_AGAIN;
	bool known = secret.account != 0 && secret.hash.len > 0;
	e = await_check(l, known ? secret.hash : S(""));
	if (secret.hash.len)
		secret_wipe((char *)secret.hash.at, secret.hash.len);
	l->reason = !secret.account ? "unknown user" : !known ? "no password set" : "wrong password";
	if (e)
		return e == ERR_AGAIN || e == ERR_LIMIT ? ERR_AGAIN : ERR_DENIED;
	if (secret.status != ACCOUNT_ACTIVE)
		return ERR_SUSPENDED;
	const char *address = slice_keep_text(&l->call->arena, secret.address);
	struct warm_account who = { secret.account, secret.generation, secret.rights, address };
	if (auth->changes == changes) /* else the hash may be an old one already */
		warm_keep(&auth->warm, l->in->user, l->in->password, &who, clock_mono_ms());
	return admit(l, &who);
}

static enum err
await_verdict(struct login *l)
{
	if (l->in->user.len == 0 || l->in->password.len == 0) {
		l->reason = "empty user or password";
		return ERR_DENIED;
	}
	if (!l->trusted && lockout_refuses(l->auth->lockout, l->address, l->in->user, l->rules, clock_mono_ms()))
		return ERR_LIMIT;
	if (!await_grant_key(l))
		return ERR_AGAIN;
	struct warm_account who;
	if (!warm_look(&l->auth->warm, l->in->user, l->in->password, clock_mono_ms(), &who))
		return await_cold(l);
	counter_add(COUNTER_AUTH_CACHE_HIT, 1);
	return admit(l, &who);
}

static void
note(struct login *l)
{
	struct log line;
	enum err e = (enum err)l->out.verdict;
	counter_add(e ? COUNTER_LOGIN_FAILED : COUNTER_LOGIN_OK, 1);
	log_begin(&line, e ? LOG_WARN : LOG_DEBUG, e ? "auth.refused" : "auth.accepted");
	log_slice(&line, "user", l->in->user);
	log_slice(&line, "peer", l->in->client);
	if (e == ERR_DENIED && l->reason)
		log_text(&line, "why", l->reason);
	else if (e)
		log_text(&line, "why", e == ERR_LIMIT ? "too many wrong passwords" : err_text(e));
	if (l->delay_ms)
		log_i64(&line, "delay_ms", l->delay_ms);
	log_end(&line);
}

static void
answer(struct login *l)
{
	auth_login_reply(l->call, &l->out); /* l lives in the call's arena: gone */
}

static void
answer_late(struct timer *t)
{
	struct login *l = CONTAINER_OF(t, struct login, timer);
	l->auth->delayed--;
	answer(l);
}

static void
count_failures(struct login *l)
{
	struct lockout *table = l->auth->lockout;
	if (l->trusted)
		return;
	if (l->out.verdict == OK)
		lockout_succeeded(table, l->address, l->in->user);
	else if (l->out.verdict == ERR_DENIED)
		l->delay_ms = lockout_failed(table, l->address, l->in->user, l->in->password, l->rules, clock_mono_ms());
	else if (l->out.verdict == ERR_LIMIT)
		l->delay_ms = LOCKOUT_DELAY_FIRST_MS;
}

static void
login_task(void *arg)
{
	struct login *l = arg;
	l->out.verdict = await_verdict(l);
	count_failures(l);
	note(l);
	if (l->in->password.len)
		secret_wipe((char *)l->in->password.at, l->in->password.len);
	if (l->delay_ms == 0 || l->auth->delayed >= AUTH_DELAYED_MAX) {
		answer(l);
		return;
	}
	l->auth->delayed++;
	l->timer = (struct timer){ .fire = answer_late };
	timer_set(&l->timer, deadline_in_ms(l->delay_ms));
}

void
login_call(struct ipc_call *call, const struct auth_login_in *in)
{
	struct login *l = ARENA_NEW(&call->arena, struct login);
	struct auth *auth = call->peer->owner;
	*l = (struct login){ .auth = auth, .call = call, .in = in };
	l->rules = (struct lockout_rules){ (uint32_t)auth->conf->v.auth_failures_max, auth->conf->v.auth_window };
	/* What is no address came over a Unix socket, from this machine. */
	l->trusted = !lockout_address(in->client, l->address) || conf_trusts(auth->conf, l->address);
	if (!task_start(login_task, l))
		ipc_fail(call, ERR_AGAIN);
}
