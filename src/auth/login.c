/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - a login with a password: lock-out, warm credentials, else the store's hash checked on a thread; then the
 * grant. Called for each auth.login. A wrong password, an unknown user and an account without the right look alike from
 * outside: the same verdict, the same work, the same delay. The password is wiped before the answer leaves. */
#include "auth/attempt.h"
#include "auth/scram.h"

#include "base/counter.h"
#include "base/random.h"

struct login {
	struct attempt attempt;
	const struct auth_login_in *in;
};

struct password_cost
auth_cost(const struct auth *auth)
{
	return (struct password_cost){ auth->conf->v.auth_hash_memory, (uint32_t)auth->conf->v.auth_hash_passes };
}

uint32_t
auth_scram_iterations(const struct auth *auth)
{
	uint64_t n = auth->conf->v.auth_scram_iterations;
	return n ? (uint32_t)MAX(n, (uint64_t)SCRAM_ITERATIONS_MIN) : 0;
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
	uint32_t scram_iterations; /* keys for SCRAM are to be made, too, if the password is right; 0: no */
	struct arena *arena;
	enum err result;
	struct slice scram;
};

static void
check_on_thread(void *arg)
{
	struct check *c = arg;
	char made[PASSWORD_HASH_BYTES_MAX];
	if (c->hash.len) {
		c->result = password_check(c->password, c->hash);
		if (c->result == OK && c->scram_iterations)
			c->scram = scram_text_make(c->password, c->scram_iterations, c->arena);
		return;
	}
	c->result = password_hash(c->password, c->cost, made) ? ERR_LIMIT : ERR_DENIED;
	secret_wipe(made, sizeof made);
}

/* Accounts that were imported with a hash, or are older than SCRAM here, get their keys when the password is seen. */
static uint32_t
iterations_wanted(const struct login *l, const struct store_secret_get_out *secret)
{
	struct scram_keys k;
	uint32_t want = auth_scram_iterations(l->attempt.auth);
	bool has = scram_text_take(secret->scram, SCRAM_SHA_256, &k) && k.iterations >= want;
	secret_wipe(&k, sizeof k);
	return has ? 0 : want;
}

static void
await_keep_scram(struct login *l, const struct store_secret_get_out *secret, struct slice scram)
{
	struct store_scram_put_out out;
	struct store_scram_put_in in = { .account = secret->account, .generation = secret->generation, .scram = scram };
	if (scram.len == 0)
		return;
	/* Not kept: the next login tries again. */
	(void)await_store_scram_put(&l->attempt.auth->store, &in, &l->attempt.call->arena, &out);
	secret_wipe((char *)scram.at, scram.len);
}

static enum err
await_check(struct login *l, const struct store_secret_get_out *secret, struct slice hash)
{
	struct check *c = ARENA_NEW(&l->attempt.call->arena, struct check);
	*c = (struct check){ .password = l->in->password, .hash = hash, .cost = auth_cost(l->attempt.auth) };
	c->arena = &l->attempt.call->arena;
	c->result = ERR_AGAIN;
	if (hash.len)
		c->scram_iterations = iterations_wanted(l, secret);
	enum err e = await_hash_turn(l->attempt.auth, check_on_thread, c);
	if (!e && c->result == OK)
		await_keep_scram(l, secret, c->scram);
	return e ? ERR_AGAIN : c->result;
}

static enum err
await_cold(struct login *l)
{
	struct auth *auth = l->attempt.auth;
	uint64_t changes = auth->changes;
	struct store_secret_get_out secret;
	if (await_attempt_secret(&l->attempt, l->in->user, &secret))
		return ERR_AGAIN;
	bool known = secret.account != 0 && secret.hash.len > 0;
	enum err e = await_check(l, &secret, known ? secret.hash : S(""));
	l->attempt.reason = !secret.account ? "unknown user" : !known ? "no password set" : "wrong password";
	struct warm_account who = { secret.account, secret.generation, secret.rights,
		                        slice_keep_text(&l->attempt.call->arena, secret.address) };
	enum err verdict = e ? ERR_DENIED : attempt_admit_secret(&l->attempt, &secret);
	if (e)
		return e == ERR_AGAIN || e == ERR_LIMIT ? ERR_AGAIN : ERR_DENIED;
	if (verdict != ERR_SUSPENDED && !l->attempt.moved_to.len &&
	    auth->changes == changes) /* else the hash may be an old one already */
		warm_keep(&auth->warm, l->in->user, l->in->password, &who, clock_mono_ms());
	return verdict;
}

static enum err
await_verdict(struct login *l)
{
	struct attempt *a = &l->attempt;
	if (l->in->user.len == 0 || l->in->password.len == 0) {
		a->reason = "empty user or password";
		return ERR_DENIED;
	}
	if (attempt_is_locked_out(a))
		return ERR_LIMIT;
	if (!await_attempt_key(a))
		return ERR_AGAIN;
	struct warm_account who;
	if (!warm_look(&a->auth->warm, l->in->user, l->in->password, clock_mono_ms(), &who))
		return await_cold(l);
	counter_add(COUNTER_AUTH_CACHE_HIT, 1);
	return attempt_admit(a, &who);
}

static void
answer(struct attempt *a)
{
	auth_login_reply(a->call,
	                 &(struct auth_login_out){ a->verdict, a->account, a->shown, a->rights, a->grant, a->moved_to });
}

static void
login_task(void *arg)
{
	struct login *l = arg;
	l->attempt.verdict = await_verdict(l);
	attempt_end(&l->attempt);
}

void
login_call(struct ipc_call *call, const struct auth_login_in *in)
{
	struct login *l = ARENA_NEW(&call->arena, struct login);
	attempt_init(&l->attempt, call, in->client, in->service, "password");
	l->in = in;
	l->attempt.user = in->user;
	l->attempt.guess = in->password;
	l->attempt.answer = answer;
	if (!task_start(login_task, l))
		ipc_fail(call, ERR_AGAIN);
}
