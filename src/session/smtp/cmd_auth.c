/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_auth.c - AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), on submission alone and
 * only where passwords may cross the connection (conn->secure). auth decides; what the client typed is wiped here and
 * written nowhere. */
#include "session/smtp/smtp.h"

#include "base/base64.h"
#include "base/random.h"
#include "session/login.h"
#include "store/rows.h"

enum { LOGIN_FAILURES_MAX = 5 }; /* of one connection: passwords are not guessed here */

struct credentials {
	struct slice user, password;
};

/* A challenge, and the client's answer to it, decoded into the command's arena. */
static struct reply
await_answer(struct smtp *s, struct slice challenge, struct slice *out)
{
	smtp_put_line(s, 334, false, challenge);
	struct slice line;
	enum err e = await_line(&s->c->io, SMTP_AUTH_LINE_BYTES_MAX, false, &line);
	if (e == ERR_LINE_TOO_LONG)
		return reply(500, "5.5.6", "the answer is too long");
	if (e == ERR_BARE_EOL || e == ERR_NUL)
		return reply(501, "5.5.2", "the answer is no base64");
	if (e != OK)
		return (struct reply){ .close = true };
	if (slice_equal(line, S("*"))) /* RFC 4954 4 */
		return reply(501, "5.7.0", "authentication given up");
	bool ok = base64_decode(line, s->command, out);
	login_wipe(line);
	return ok ? REPLY_NONE : reply(501, "5.5.2", "the answer is no base64");
}

/* The initial response, "=" for an empty one (RFC 4954 4), or what the client answers to the challenge. */
static struct reply
await_first(struct smtp *s, struct slice initial, struct slice challenge, struct slice *out)
{
	if (initial.len == 0)
		return await_answer(s, challenge, out);
	if (slice_equal(initial, S("="))) {
		*out = S("");
		return REPLY_NONE;
	}
	bool ok = base64_decode(initial, s->command, out);
	login_wipe(initial);
	return ok ? REPLY_NONE : reply(501, "5.5.2", "the answer is no base64");
}

static struct reply
await_plain(struct smtp *s, struct slice initial, struct credentials *who)
{
	struct slice text = S(""), authzid, rest;
	struct reply r = await_first(s, initial, S(""), &text);
	if (r.code || r.close)
		return r;
	bool ok = slice_cut(text, 0, &authzid, &rest) && slice_cut(rest, 0, &who->user, &who->password) &&
	          who->user.len > 0 && slice_find_char(who->password, 0) < 0;
	if (!ok)
		r = reply(501, "5.5.2", "PLAIN is NUL user NUL password");
	else if (authzid.len && !slice_equal(authzid, who->user))
		r = reply(535, "5.7.8", "nobody logs in here to act as somebody else");
	if (r.code)
		login_wipe(text);
	return r;
}

static struct reply
await_login(struct smtp *s, struct slice initial, struct credentials *who)
{
	struct reply r = await_first(s, initial, S("VXNlcm5hbWU6"), &who->user); /* "Username:" */
	if (r.code || r.close)
		return r;
	return await_answer(s, S("UGFzc3dvcmQ6"), &who->password); /* "Password:" */
}

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
await_check(struct smtp *s, const struct credentials *who)
{
	struct auth_login_out out = { 0 };
	enum err verdict = await_login_verdict(s->c, who->user, who->password, RIGHT_SEND, s->command, &out);
	if (verdict == OK)
		verdict = await_enter(s, &out);
	login_log(s->c, who->user, verdict);
	if (verdict == OK)
		return reply(235, "2.7.0", "welcome");
	struct reply r = reply_login(s, verdict);
	return ++s->login_failures >= LOGIN_FAILURES_MAX ? reply_close(r) : r;
}

struct reply
await_cmd_auth(struct smtp *s, struct cursor *args)
{
	struct slice mechanism = S(""), initial = S("");
	skip_spaces(args);
	slice_cut(cursor_rest(args), ' ', &mechanism, &initial);
	bool plain = slice_equal_nocase(mechanism, S("PLAIN")), login = slice_equal_nocase(mechanism, S("LOGIN"));
	if (s->account)
		return reply(503, "5.5.1", "you are logged in already");
	if (s->tx.open)
		return reply(503, "5.5.1", "a message is under way: finish it, or say RSET");
	if (!s->esmtp)
		return reply(503, "5.5.1", "say EHLO first");
	if (!s->c->secure)
		return reply(538, "5.7.11", "passwords are taken only under TLS: say STARTTLS first");
	if (mechanism.len == 0)
		return reply(501, "5.5.4", "say AUTH PLAIN or AUTH LOGIN");
	if (!plain && !login)
		return reply(504, "5.5.4", "no such mechanism: PLAIN or LOGIN");
	struct credentials who = { S(""), S("") };
	struct reply r = plain ? await_plain(s, initial, &who) : await_login(s, initial, &who);
	if (r.code || r.close)
		return r;
	return await_check(s, &who);
}
