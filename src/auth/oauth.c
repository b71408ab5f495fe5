/* SPDX-License-Identifier: Apache-2.0 */
/* oauth.c - OAUTHBEARER (RFC 7628) and XOAUTH2: a token that somebody else signed says whose account it is. Called by
 * sasl.c. What fails is told to the client as JSON (3.2.2), which it answers before the exchange ends. */
#include "auth/bearer.h"
#include "auth/jwt.h"
#include "auth/sasl.h"

#include "base/log.h"
#include "base/random.h"

#include <jansson.h>

/* RFC 7628 3.2.2 and, for XOAUTH2, what its clients know */
static struct slice
error_json(const struct sasl_step *s, bool xoauth2, const char *status)
{
	const struct conf_values *v = &s->attempt.auth->conf->v;
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(xoauth2 ? "401" : status));
	if (xoauth2)
		json_object_set_new(o, "schemes", json_string("bearer"));
	if (v->oauth_scope[0])
		json_object_set_new(o, "scope", json_string(v->oauth_scope));
	if (!xoauth2 && v->oauth_discovery[0])
		json_object_set_new(o, "openid-configuration", json_string(v->oauth_discovery));
	char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	struct slice kept = slice_keep(&s->attempt.call->arena, slice_text(text));
	free(text);
	json_decref(o);
	return kept;
}

static enum err
refuse(struct sasl_step *s, bool xoauth2, const char *status, const char *reason)
{
	s->attempt.reason = reason;
	s->challenge = error_json(s, xoauth2, status);
	return ERR_DENIED;
}

static enum err
await_token(struct sasl_step *s, bool xoauth2, const struct bearer *b)
{
	struct attempt *a = &s->attempt;
	const struct conf_values *v = &a->auth->conf->v;
	struct jwt_rules rules = { v->oauth_issuer, v->oauth_audience, v->oauth_scope, v->oauth_claim,
		                       v->oauth_leeway / 1000 };
	struct slice account;
	const char *why;
	enum err e = jwt_check(b->token, a->auth->oauth_keys, &rules, clock_wall_sec(), &a->call->arena, &account, &why);
	if (e)
		return refuse(s, xoauth2, e == ERR_UNSUPPORTED ? "insufficient_scope" : "invalid_token", why);
	struct store_secret_get_out secret;
	if (slice_find_char(account, '\0') >= 0)
		return refuse(s, xoauth2, "invalid_token", "no address of an account in it");
	if (await_attempt_secret(a, account, &secret))
		return ERR_AGAIN;
	if (!secret.account)
		return refuse(s, xoauth2, "invalid_token", "the token is for an account that is not here");
	/* RFC 7628 3.1: the authorization identity is the account's, or is not given */
	if (b->user.len && !slice_equal_nocase(b->user, secret.address) && !slice_equal_nocase(b->user, account))
		return refuse(s, xoauth2, "invalid_token", "the token is for another account");
	a->user = slice_keep(&a->call->arena, secret.address);
	e = attempt_admit_secret(a, &secret);
	return e == ERR_DENIED ? refuse(s, xoauth2, "insufficient_scope", a->reason) : e;
}

enum err
await_oauth_step(struct sasl_step *s)
{
	struct attempt *a = &s->attempt;
	struct bearer b;
	bool xoauth2 = slice_equal_nocase(s->in->mechanism, S("XOAUTH2"));
	if (!a->auth->oauth_keys) {
		a->reason = "no keys for bearer tokens";
		return ERR_DENIED;
	}
	bool sound = xoauth2 ? bearer_take_xoauth2(s->in->response, &b) : bearer_take(s->in->response, &b);
	a->guess = b.token;
	a->user = slice_part(b.user, 0, 1000);
	if (!sound)
		return refuse(s, xoauth2, "invalid_request", "malformed message");
	if (attempt_is_locked_out(a))
		return ERR_LIMIT;
	if (b.token.len == 0) /* RFC 7628 4.3: a client asks what it needs */
		return refuse(s, xoauth2, "invalid_token", "no token");
	return await_token(s, xoauth2, &b);
}

/* ---- the keys */

void
oauth_take_keys(struct auth *auth, struct slice text)
{
	const char *why = "";
	struct jwt_keys *keys = jwt_keys_read(text, &why);
	if (keys) {
		jwt_keys_free(&auth->oauth_keys);
		auth->oauth_keys = keys;
		return;
	}
	struct log l;
	log_begin(&l, LOG_ERROR, "oauth.keys");
	log_text(&l, "why", why);
	log_text(&l, "file", auth->conf->v.oauth_keys);
	log_text(&l, "effect", auth->oauth_keys ? "the keys before them stay in use" : "no bearer tokens are taken");
	log_end(&l);
}
