/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - who the client is: CAPA, STLS, UTF8, USER, PASS, AUTH. Passwords are asked of auth and wiped; they are
 * taken only where the connection is safe enough (option login.without-tls). */
#include "session/pop3/pop3.h"

#include "session/sasl.h"
#include "store/rows.h"

static void
put_logins(struct pop3 *p)
{
	struct buf names;
	buf_init(&names, 1000);
	buf_put(&names, S("USER\r\nSASL "));
	sasl_put_mechanisms(p->c, S(""), &names);
	buf_put(&names, S("\r\n"));
	stream_put(&p->c->io, buf_slice(&names));
	buf_release(&names);
}

/* RFC 2449 6.7: before the login the least that any user may have, USER says that it may be another; rules are set in
 * whole days. */
static void
put_expire(struct pop3 *p)
{
	if (p->state == POP3_AUTHORIZATION)
		stream_put(&p->c->io, S("EXPIRE 1 USER\r\n"));
	else if (p->expire_days)
		stream_printf(&p->c->io, "EXPIRE %u\r\n", p->expire_days);
	else
		stream_put(&p->c->io, S("EXPIRE NEVER\r\n"));
}

/* CAPA - RFC 2449 5 */
static struct pop3_reply
await_capa(struct pop3 *p, const struct pop3_line *line)
{
	struct stream *io = &p->c->io;
	if (line->has_rest)
		return pop3_err("CAPA takes no argument");
	pop3_put_ok(p, "what this server can do");
	stream_put(io, S("TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	                 "LANG\r\nUTF8 USER\r\n"));
	put_expire(p);
	if (p->c->secure) /* RFC 2449 6.3: only while it can be used */
		put_logins(p);
	if (p->state == POP3_AUTHORIZATION && conn_can_starttls(p->c))
		stream_put(io, S("STLS\r\n"));
	stream_put(io, S("IMPLEMENTATION Posthouse\r\n.\r\n"));
	return pop3_sent();
}

/* STLS - RFC 2595 4; what was learned before it counts no more */
static struct pop3_reply
await_stls(struct pop3 *p, const struct pop3_line *line)
{
	if (line->has_rest)
		return pop3_err("STLS takes no argument");
	if (p->c->io.tls)
		return pop3_err("TLS is in use already");
	if (p->utf8)
		return pop3_err("STLS comes before UTF8"); /* RFC 6856 2.1 */
	if (!conn_can_starttls(p->c))
		return pop3_err("[SYS/PERM] no TLS here: the server has no certificate");
	pop3_put_ok(p, "begin TLS now");
	p->have_user = false;
	await_conn_starttls(p->c); /* a failure is sticky in the stream */
	return pop3_sent();
}

static void
put_languages(struct pop3 *p)
{
	pop3_put_ok(p, "the languages");
	for (enum lang l = LANG_EN; l < LANG_COUNT; l++) {
		stream_put(&p->c->io, lang_tag(l));
		stream_put(&p->c->io, S(" "));
		stream_put(&p->c->io, lang_name(l));
		stream_put(&p->c->io, S("\r\n"));
	}
	stream_put(&p->c->io, S(".\r\n"));
}

/* LANG [range] - RFC 6856 3: a basic range (RFC 4647 2.1) names one, "*" the house's own. */
static struct pop3_reply
await_lang(struct pop3 *p, const struct pop3_line *line)
{
	if (!line->has_rest) {
		put_languages(p);
		return pop3_sent();
	}
	enum lang preferred = lang_preferred(slice_text(p->c->conf->v.language)), lang;
	if (!slice_equal_nocase(line->rest, S("default")) && lang_of_range(line->rest, preferred, &lang)) {
		p->language = lang;
		struct slice tag = lang_tag(lang), text = lang_text(lang, S("this is the language now"));
		struct slice both = arena_join(p->arena, arena_join(p->arena, tag, S(" ")), text);
		return pop3_ok(arena_join(p->arena, both, S("\0")).at);
	}
	return pop3_err("this language is not spoken here: LANG alone names those that are");
}

/* UTF8 - RFC 6856 2.1. Without it headers in UTF-8 are sent as surrogates (retr.c). */
static struct pop3_reply
await_utf8(struct pop3 *p, const struct pop3_line *line)
{
	if (line->has_rest)
		return pop3_err("UTF8 takes no argument");
	p->utf8 = true;
	return pop3_ok("UTF-8 is welcome");
}

static struct pop3_reply
not_secure(struct pop3 *p)
{
	return pop3_err(conn_can_starttls(p->c) ? "passwords need TLS here: give STLS first"
	                                        : "[SYS/PERM] passwords need TLS here, and there is none");
}

/* RFC 3206: [AUTH] means that other credentials would help, [SYS/...] that they would not. */
static struct pop3_reply
login_refused(struct pop3 *p, enum err verdict, const struct auth_login_out *who)
{
	if (verdict == ERR_DENIED || verdict == ERR_LIMIT)
		p->failures++;
	bool close = p->failures >= POP3_FAILURES_MAX;
	struct pop3_reply r = verdict == ERR_DENIED ? pop3_err("[AUTH] wrong user or password")
	                      : verdict == ERR_SUSPENDED && who->moved_to.len
	                          ? pop3_err("[SYS/PERM] this account is on another server now")
	                      : verdict == ERR_SUSPENDED ? pop3_err("[SYS/PERM] the account is suspended")
	                      : verdict == ERR_LIMIT     ? pop3_err("[SYS/TEMP] too many wrong passwords: try again later")
	                                                 : pop3_err("[SYS/TEMP] logins do not work now: try again later");
	r.close = close;
	return r;
}

static struct pop3_reply
await_enter(struct pop3 *p, const struct auth_login_out *who)
{
	struct slice address = slice_keep(&p->c->arena, who->address);
	p->grant = slice_keep(&p->c->arena, who->grant);
	enum err e = await_maildrop_open(p);
	login_log(p->c, address, e);
	if (e == ERR_BUSY)
		return pop3_err("[IN-USE] another session has this maildrop: try again in a moment"); /* RFC 2449 8.1.1 */
	if (e == ERR_SUSPENDED)
		return login_refused(p, e, &(struct auth_login_out){ 0 });
	if (e)
		return pop3_trouble(p, e);
	p->state = POP3_TRANSACTION;
	p->c->idle_ms = p->c->conf->v.pop3_timeout;
	conn_account(p->c, who->account);
	return pop3_count(p, p->nmessages, "messages");
}

static struct pop3_reply
await_login(struct pop3 *p, struct slice user, struct slice password)
{
	struct auth_login_out out = { 0 };
	enum err e = await_login_verdict(p->c, user, password, RIGHT_POP3, p->arena, &out);
	if (e) {
		login_log(p->c, user, e);
		return login_refused(p, e, &out);
	}
	p->failures = 0;
	return await_enter(p, &out);
}

/* USER name - RFC 1939 7; whether there is such a user is told after PASS only */
static struct pop3_reply
await_user(struct pop3 *p, const struct pop3_line *line)
{
	if (!p->c->secure)
		return not_secure(p);
	if (!line->has_rest)
		return pop3_err("USER takes a name");
	if (!slice_is_utf8(line->rest)) /* RFC 6856 2.2 */
		return pop3_err("a name is UTF-8");
	buf_release(&p->user);
	buf_init(&p->user, POP3_LINE_BYTES_MAX);
	buf_put(&p->user, line->rest);
	p->have_user = true;
	return pop3_ok("and the password?");
}

/* PASS text - RFC 1939 7: everything after the space, spaces included */
static struct pop3_reply
await_pass(struct pop3 *p, const struct pop3_line *line)
{
	if (!p->c->secure)
		return not_secure(p);
	if (!p->have_user)
		return pop3_err("USER comes first");
	p->have_user = false;
	struct slice user = slice_keep(p->arena, buf_slice(&p->user));
	buf_release(&p->user);
	if (!line->has_rest)
		return pop3_err("[AUTH] wrong user or password");
	return await_login(p, user, line->rest);
}

/* ---- AUTH */

static struct pop3_reply
await_verdict(struct pop3 *p, const struct sasl_result *r)
{
	if (r->verdict) {
		login_log(p->c, r->user, r->verdict);
		return login_refused(p, r->verdict, &r->out);
	}
	p->failures = 0;
	return await_enter(p, &r->out);
}

/* The mechanisms, as lines (RFC 5034 4; RFC 1734 had none) */
static struct pop3_reply
list_mechanisms(struct pop3 *p)
{
	struct buf names;
	buf_init(&names, 1000);
	sasl_put_mechanisms(p->c, S(""), &names);
	struct slice rest = buf_slice(&names), name;
	stream_put(&p->c->io, S("+OK\r\n"));
	while (rest.len) {
		slice_cut(rest, ' ', &name, &rest);
		stream_put(&p->c->io, name);
		stream_put(&p->c->io, S("\r\n"));
	}
	stream_put(&p->c->io, S(".\r\n"));
	buf_release(&names);
	return pop3_sent();
}

/* AUTH mechanism [initial-response] - RFC 5034 4 */
static struct pop3_reply
await_auth(struct pop3 *p, const struct pop3_line *line)
{
	struct slice mechanism, initial;
	if (!p->c->secure)
		return not_secure(p);
	if (!line->has_rest)
		return list_mechanisms(p);
	bool given = slice_cut(line->rest, ' ', &mechanism, &initial);
	struct sasl sasl = { .c = p->c, .arena = p->arena, .prompt = S("+ "), .right = RIGHT_POP3, .lf_ok = true };
	struct sasl_result r = await_sasl(&sasl, mechanism, given ? &initial : NULL);
	switch (r.end) {
	case SASL_VERDICT: return await_verdict(p, &r);
	case SASL_CANCELLED: return pop3_err("cancelled");
	case SASL_TOO_LONG: return pop3_err("the line is too long");
	case SASL_NO_BASE64: return pop3_err("the response is not base64");
	case SASL_MALFORMED: return pop3_err("the response is malformed; PLAIN is authzid NUL user NUL password");
	case SASL_OTHER: return pop3_err("[AUTH] nobody may log in for another user here");
	case SASL_UNKNOWN: return pop3_err("there is no such mechanism: CAPA names those that there are");
	default: return pop3_sent();
	}
}

static const struct pop3_command rows[] = {
	{ S_ROW("CAPA"), await_capa, POP3_AUTHORIZATION | POP3_TRANSACTION, "2449 5" },
	{ S_ROW("STLS"), await_stls, POP3_AUTHORIZATION, "2595 4" },
	{ S_ROW("LANG"), await_lang, POP3_AUTHORIZATION | POP3_TRANSACTION, "6856 3" },
	{ S_ROW("UTF8"), await_utf8, POP3_AUTHORIZATION, "6856 2.1" },
	{ S_ROW("USER"), await_user, POP3_AUTHORIZATION, "1939 7" },
	{ S_ROW("PASS"), await_pass, POP3_AUTHORIZATION, "1939 7" },
	{ S_ROW("AUTH"), await_auth, POP3_AUTHORIZATION, "5034 4" },
};
const struct pop3_commands pop3_login_commands = { rows, COUNT_OF(rows) };
