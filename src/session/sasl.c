/* SPDX-License-Identifier: Apache-2.0 */
/* sasl.c - see sasl.h. Called by the AUTH commands. PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login) are taken
 * apart here and asked of auth as any password is; of the others this process knows nothing but how their messages
 * travel: auth says what comes next. Secrets are wiped; nothing is written anywhere. */
#include "session/sasl.h"

#include "base/base64.h"
#include "base/random.h"

enum { STEPS_MAX = 4, RESPONSE_BYTES_MAX = 9216, CHAIN_BYTES_MAX = 65536 };

struct run {
	const struct sasl *s;
	struct slice mechanism;
	bool initial; /* response holds the initial one */
	struct slice response;
	struct sasl_result result;
};

/* ---- lines */

/* Sends a challenge and takes the response, decoded into the arena. False: result.end says why not. */
static bool
await_response(struct run *r, struct slice challenge)
{
	struct stream *io = &r->s->c->io;
	struct buf text;
	struct slice line;
	buf_init(&text, 16384);
	buf_put(&text, r->s->prompt);
	base64_encode(challenge, &text);
	buf_put(&text, S("\r\n"));
	stream_put(io, buf_slice(&text));
	buf_release(&text);
	enum err e = await_line(io, SASL_LINE_BYTES_MAX, r->s->lf_ok, &line);
	bool endless = conn_line_is_endless(r->s->c);
	r->result.end = endless                  ? SASL_TOO_LONG
	                : io->error              ? SASL_LOST
	                : e == ERR_LINE_TOO_LONG ? SASL_TOO_LONG
	                                         : SASL_NO_BASE64;
	if (e)
		return false;
	if (slice_equal(line, S("*"))) {
		r->result.end = SASL_CANCELLED;
		return false;
	}
	bool ok = base64_decode(line, r->s->arena, &r->response);
	login_wipe(line);
	return ok;
}

/* The first response: the initial one, or what the client says to challenge. */
static bool
await_first(struct run *r, struct slice challenge)
{
	bool initial = r->initial;
	r->initial = false;
	return initial || await_response(r, challenge);
}

/* ---- PLAIN and LOGIN */

static void
await_password(struct run *r, struct slice user, struct slice password)
{
	r->result.end = SASL_VERDICT;
	r->result.user = user;
	r->result.verdict = await_login_verdict(r->s->c, user, password, r->s->right, r->s->arena, &r->result.out);
}

/* RFC 4616 2: [authzid] NUL authcid NUL passwd */
static void
await_plain(struct run *r)
{
	struct slice as, rest, user, password;
	if (!await_first(r, S("")))
		return;
	bool sound = slice_cut(r->response, '\0', &as, &rest) && slice_cut(rest, '\0', &user, &password) && user.len > 0 &&
	             slice_find_char(password, '\0') < 0;
	r->result.end = sound ? SASL_OTHER : SASL_MALFORMED;
	if (sound && (as.len == 0 || slice_equal_nocase(as, user)))
		await_password(r, slice_keep(r->s->arena, user), password);
	login_wipe(r->response);
}

static void
await_login(struct run *r)
{
	if (!await_first(r, S("Username:")))
		return;
	struct slice user = r->response;
	if (await_response(r, S("Password:")))
		await_password(r, user, r->response);
}

/* ---- the others: auth knows */

/* What auth says of one response. */
static bool
await_step(struct run *r, struct slice state, struct auth_sasl_out *out)
{
	struct conn *c = r->s->c;
	uint8_t exporter[TLS_EXPORTER_BYTES], end_point[TLS_END_POINT_BYTES_MAX];
	struct auth_sasl_in in = {
		.mechanism = r->mechanism, .state = state, .response = r->response, .client = slice_text(c->peer)
	};
	in.service = r->s->right;
	in.exporter = slice_of(exporter, tls_exporter(&c->io, exporter));
	in.end_point = slice_of(end_point, tls_end_point(&c->io, end_point));
	in.plus = in.exporter.len || in.end_point.len;
	if (slice_equal_nocase(r->mechanism, S("EXTERNAL")))
		in.certificates = tls_client_chain(&c->io, CHAIN_BYTES_MAX, r->s->arena);
	*out = (struct auth_sasl_out){ .verdict = ERR_DENIED };
	r->result.end = SASL_TOO_LONG;
	if (r->response.len > RESPONSE_BYTES_MAX)
		return false;
	if (await_auth_sasl(&c->session->auth, &in, r->s->arena, out))
		*out = (struct auth_sasl_out){ .verdict = ERR_AGAIN };
	login_wipe(r->response);
	return true;
}

/* It has ended. What there is still to say goes to the client first: what it answers to server-final or to an error is
 * nothing (RFC 5802 5, RFC 7628 3.2.3), but it may give up. */
static void
await_end(struct run *r, const struct auth_sasl_out *out)
{
	if (out->challenge.len && !await_response(r, out->challenge) && !out->verdict)
		return;
	if (r->s->c->io.error)
		return;
	r->result.end = SASL_VERDICT;
	r->result.verdict = (enum err)out->verdict;
	r->result.user = out->user;
	r->result.out =
	    (struct auth_login_out){ out->verdict, out->account, out->address, out->rights, out->grant, out->moved_to };
}

static void
await_in_auth(struct run *r)
{
	struct auth_sasl_out out = { 0 };
	if (!await_first(r, S("")))
		return;
	for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
		if (!await_step(r, out.state, &out))
			return;
		if (!out.more) {
			await_end(r, &out);
			return;
		}
		if (!await_response(r, out.challenge))
			return;
	}
	r->result.end = SASL_MALFORMED;
}

/* ---- which there are */

static bool
has_scram(const struct conn *c)
{
	return c->conf->v.auth_scram_iterations > 0;
}

/* RFC 5802 6: offered where there is something to bind to */
static bool
has_binding(const struct conn *c)
{
	uint8_t room[TLS_END_POINT_BYTES_MAX];
	return has_scram(c) && (tls_exporter(&c->io, room) || tls_end_point(&c->io, room));
}

static bool
has_oauth(const struct conn *c)
{
	return c->session->oauth && c->conf->v.oauth_keys[0];
}

static bool
has_client(const struct conn *c)
{
	return tls_has_client(&c->io);
}

static const struct {
	struct slice name;
	void (*await_run)(struct run *r);
	bool (*is_there)(const struct conn *c); /* NULL: always */
} mechanisms[] = {
	{ S_ROW("PLAIN"), await_plain, NULL },
	{ S_ROW("LOGIN"), await_login, NULL },
	{ S_ROW("SCRAM-SHA-256-PLUS"), await_in_auth, has_binding },
	{ S_ROW("SCRAM-SHA-256"), await_in_auth, has_scram },
	{ S_ROW("SCRAM-SHA-1-PLUS"), await_in_auth, has_binding },
	{ S_ROW("SCRAM-SHA-1"), await_in_auth, has_scram },
	{ S_ROW("OAUTHBEARER"), await_in_auth, has_oauth },
	{ S_ROW("XOAUTH2"), await_in_auth, has_oauth },
	{ S_ROW("EXTERNAL"), await_in_auth, has_client },
};

void
sasl_put_mechanisms(const struct conn *c, struct slice before, struct buf *to)
{
	bool first = true;
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
		if (mechanisms[i].is_there && !mechanisms[i].is_there(c))
			continue;
		if (!first)
			buf_put_char(to, ' ');
		first = false;
		buf_put(to, before);
		buf_put(to, mechanisms[i].name);
	}
}

struct sasl_result
await_sasl(const struct sasl *s, struct slice mechanism, const struct slice *initial)
{
	struct run r = { .s = s, .mechanism = mechanism, .initial = initial != NULL, .response = S("") };
	size_t i = 0;
	while (i < COUNT_OF(mechanisms) && (!slice_equal_nocase(mechanism, mechanisms[i].name) ||
	                                    (mechanisms[i].is_there && !mechanisms[i].is_there(s->c))))
		i++;
	r.result.end = i == COUNT_OF(mechanisms) ? SASL_UNKNOWN : SASL_NO_BASE64;
	if (r.result.end == SASL_UNKNOWN)
		return r.result;
	bool given = initial && !slice_equal(*initial, S("="));
	bool ok = !given || base64_decode(*initial, s->arena, &r.response);
	if (given)
		login_wipe(*initial);
	/* The name outlives the line that it came in. */
	r.mechanism = slice_keep(s->arena, mechanism);
	if (ok)
		mechanisms[i].await_run(&r);
	return r.result;
}
