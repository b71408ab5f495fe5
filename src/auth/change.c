/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - new passwords and new accounts, for the administrator's session. All password changes go through here, so
 * that warm credentials end with them. Fails: ERR_SYNTAX for a hash that nobody knows or an empty password; what the
 * store says. */
#include "auth/auth.h"
#include "auth/scram.h"

#include "base/log.h"
#include "base/random.h"

struct change {
	struct auth *auth;
	struct ipc_call *call;
	struct slice password, brought; /* one of them */
	struct password_cost cost;
	uint32_t scram_iterations; /* 0: no keys for SCRAM */
	char hash[PASSWORD_HASH_BYTES_MAX];
	struct slice scram;
	enum err result;
};

static void
make_on_thread(void *arg)
{
	struct change *c = arg;
	if (c->brought.len == 0) {
		c->result = password_hash(c->password, c->cost, c->hash);
		if (c->scram_iterations)
			c->scram = scram_text_make(c->password, c->scram_iterations, &c->call->arena);
	} else if (password_hash_refused(c->brought))
		c->result = ERR_SYNTAX;
	else
		memcpy(c->hash, c->brought.at, c->brought.len);
}

/* The hash and the SCRAM keys to keep, in the call's arena; empty when neither password nor hash came. */
static enum err
await_hash(struct auth *auth, struct ipc_call *call, struct slice password, struct slice brought, struct slice *hash,
           struct slice *scram)
{
	struct change *c = ARENA_NEW(&call->arena, struct change);
	*c = (struct change){ .auth = auth, .call = call, .password = password, .brought = brought };
	c->cost = auth_cost(auth);
	c->scram_iterations = auth_scram_iterations(auth);
	*hash = *scram = S("");
	if (password.len == 0 && brought.len == 0)
		return OK;
	if (brought.len >= PASSWORD_HASH_BYTES_MAX)
		return ERR_SYNTAX;
	enum err e = await_hash_turn(auth, make_on_thread, c);
	if (password.len)
		secret_wipe((char *)password.at, password.len);
	*hash = slice_text(c->hash);
	*scram = c->scram;
	return e ? e : c->result;
}

static void
note(const char *event, struct slice address, enum err e)
{
	struct log l;
	log_begin(&l, e ? LOG_WARN : LOG_INFO, event);
	log_slice(&l, "user", address);
	if (e)
		log_err(&l, e);
	log_end(&l);
}

struct password_set {
	struct ipc_call *call;
	const struct auth_password_set_in *in;
};

static void
password_set_task(void *arg)
{
	struct password_set *p = arg;
	struct auth *auth = p->call->peer->owner;
	struct store_secret_put_in put = { .address = p->in->address };
	struct store_secret_put_out out;
	enum err e = await_hash(auth, p->call, p->in->password, p->in->hash, &put.hash, &put.scram);
	if (!e && put.hash.len == 0)
		e = ERR_SYNTAX;
	if (!e)
		e = await_store_secret_put(&auth->store, &put, &p->call->arena, &out);
	if (!e)
		auth_forget(auth, out.account);
	note("password.set", p->in->address, e);
	if (e)
		ipc_fail(p->call, e);
	else
		auth_password_set_reply(p->call, &(struct auth_password_set_out){ 0 });
}

void
password_set_call(struct ipc_call *call, const struct auth_password_set_in *in)
{
	struct password_set *p = ARENA_NEW(&call->arena, struct password_set);
	*p = (struct password_set){ call, in };
	if (!task_start(password_set_task, p))
		ipc_fail(call, ERR_AGAIN);
}

struct account_create {
	struct ipc_call *call;
	const struct auth_account_create_in *in;
};

static void
account_create_task(void *arg)
{
	struct account_create *c = arg;
	struct auth *auth = c->call->peer->owner;
	struct store_account_add_in add = { .address = c->in->address, .rights = c->in->rights, .quota = c->in->quota };
	struct store_account_add_out out;
	enum err e = await_hash(auth, c->call, c->in->password, c->in->hash, &add.hash, &add.scram);
	if (!e)
		e = await_store_account_add(&auth->store, &add, &c->call->arena, &out);
	note("account.create", c->in->address, e);
	if (e)
		ipc_fail(c->call, e);
	else
		auth_account_create_reply(c->call, &(struct auth_account_create_out){ out.account });
}

void
account_create_call(struct ipc_call *call, const struct auth_account_create_in *in)
{
	struct account_create *c = ARENA_NEW(&call->arena, struct account_create);
	*c = (struct account_create){ call, in };
	if (!task_start(account_create_task, c))
		ipc_fail(call, ERR_AGAIN);
}
