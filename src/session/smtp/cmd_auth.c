/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_auth.c - AUTH (RFC 4954), on submission alone and only where passwords may cross the connection (conn->secure).
 * The exchange itself is session/sasl.c's; auth decides. */
#include "session/smtp/smtp.h"

#include "base/random.h"
#include "session/sasl.h"
#include "store/rows.h"

enum { LOGIN_FAILURES_MAX = 5 }; /* of one connection: passwords are not guessed here */

/* ---- what auth says */

static struct reply
reply_login(struct smtp *s, enum err verdict)
{
	switch (verdict) {
	case ERR_DENIED: return reply(535, "5.7.8", "wrong user or password");
	case ERR_SUSPENDED: return reply(535, "5.7.13", "the account is suspended");
	case ERR_LIMIT: return reply(454, "4.7.0", "too many tries, wait a while");
	default: return reply(454, "4.7.0", "logins do not work now, try again later");
	}
}

/* ---- the account, open at the store */

enum err
await_account(struct smtp *s)
{
	struct ipc_client *store = &s->c->session->store;
	if (s->handle && s->generation == store->generation)
		return OK;
	struct store_account_open_in in = { .grant = slice_of(s->grant, s->grant_len) };
	struct store_account_open_out out = { 0 };
	enum err e = await_store_account_open(store, &in, s->command, &out);
	if (e != OK)
		return e;
	s->handle = out.handle;
	s->generation = store->generation;
	return out.account == s->account ? OK : ERR_DENIED;
}

void
account_release(struct smtp *s)
{
	struct ipc_client *store = &s->c->session->store;
	if (s->handle && s->generation == store->generation)
		store_account_close_notify(store, &(struct store_account_close_in){ .handle = s->handle });
	secret_wipe(s->grant, sizeof s->grant);
	free(s->user);
	s->user = NULL;
	s->account = s->handle = 0;
	s->grant_len = 0;
}

static enum err
await_enter(struct smtp *s, const struct auth_login_out *out)
{
	if (!out->account || out->grant.len == 0 || out->grant.len > sizeof s->grant)
		return ERR_AGAIN;
	s->account = out->account;
	s->user = slice_dup(out->address);
	memcpy(s->grant, out->grant.at, out->grant.len);
	s->grant_len = out->grant.len;
	conn_account(s->c, out->account);
	enum err e = await_account(s);
	if (e == OK) {
		s->c->idle_ms = s->c->conf->v.smtp_timeout;
		return OK;
	}
	conn_account(s->c, 0);
	account_release(s);
	return e == ERR_STALE ? ERR_AGAIN : e; /* changed between the two: the client may try with what holds now */
}

static struct reply
await_verdict(struct smtp *s, struct sasl_result *r)
{
	if (r->verdict == OK)
		r->verdict = await_enter(s, &r->out);
	login_log(s->c, r->user, r->verdict);
	if (r->verdict == OK)
		return reply(235, "2.7.0", "welcome");
	bool moved = r->verdict == ERR_SUSPENDED && r->out.moved_to.len > 0;
	struct reply no =
	    moved ? reply(535, "5.7.13", "this account is on another server now") : reply_login(s, r->verdict);
	return ++s->login_failures >= LOGIN_FAILURES_MAX ? reply_close(no) : no;
}

static struct reply
await_exchange(struct smtp *s, struct slice mechanism, const struct slice *initial)
{
	struct sasl sasl = { .c = s->c, .arena = s->command, .prompt = S("334 "), .right = RIGHT_SEND };
	struct sasl_result r = await_sasl(&sasl, mechanism, initial);
	switch (r.end) {
	case SASL_VERDICT: return await_verdict(s, &r);
	case SASL_CANCELLED: return reply(501, "5.7.0", "authentication given up"); /* RFC 4954 4 */
	case SASL_TOO_LONG: return reply(500, "5.5.6", "the answer is too long");
	case SASL_NO_BASE64: return reply(501, "5.5.2", "the answer is no base64");
	case SASL_MALFORMED: return reply(501, "5.5.2", "the answer is malformed; PLAIN is NUL user NUL password");
	case SASL_OTHER: return reply(535, "5.7.8", "nobody logs in here to act as somebody else");
	case SASL_UNKNOWN: return reply(504, "5.5.4", "no such mechanism: see the answer to EHLO");
	default: return (struct reply){ .close = true };
	}
}

struct reply
await_cmd_auth(struct smtp *s, struct cursor *args)
{
	struct slice mechanism = S(""), initial = S("");
	skip_spaces(args);
	slice_cut(cursor_rest(args), ' ', &mechanism, &initial);
	if (s->account)
		return reply(503, "5.5.1", "you are logged in already");
	if (s->tx.open)
		return reply(503, "5.5.1", "a message is under way: finish it, or say RSET");
	if (!s->esmtp)
		return reply(503, "5.5.1", "say EHLO first");
	if (!s->c->secure)
		return reply(538, "5.7.11", "passwords are taken only under TLS: say STARTTLS first");
	if (mechanism.len == 0)
		return reply(501, "5.5.4", "say AUTH and a mechanism, as in the answer to EHLO");
	return await_exchange(s, mechanism, initial.len ? &initial : NULL);
}
