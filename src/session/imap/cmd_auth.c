/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_auth.c - STARTTLS, LOGIN, AUTHENTICATE. The auth role says who it is and gives the grant with
 * which the store is opened; delays for wrong passwords are its business. Passwords are wiped here and never logged. */
#include "session/imap/imap.h"

#include "session/sasl.h"
#include "store/rows.h"

/* RFC 3501 6.2.1 */
struct imap_reply
imap_cmd_starttls(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("STARTTLS takes no arguments");
	if (im->c->io.tls)
		return imap_bad("TLS is on already");
	if (!conn_can_starttls(im->c))
		return imap_no(NULL, "TLS is not available here");
	struct imap_reply r = imap_ok("begin TLS now");
	await_imap_reply(im, NULL, &r);
	if (await_conn_starttls(im->c) != OK)
		im->ended = true;
	return imap_silent;
}

/* ---- who it is */

static struct imap_reply
refuse_login(struct imap *im, enum err verdict, struct slice user, const struct auth_login_out *out)
{
	login_log(im->c, user, verdict);
	if (++im->logins_failed >= IMAP_LOGINS_FAILED_MAX) {
		imap_untagged(im, S("BYE too many failed logins"));
		im->ended = true;
	}
	if (verdict == ERR_SUSPENDED && out->moved_to.len) /* RFC 2221 4.1 */
		return (struct imap_reply){ IMAP_NO, imap_login_referral(im, out->moved_to, out->address),
			                        "this account is on another server now" };
	switch (verdict) { /* RFC 5530 3 */
	case ERR_DENIED: return imap_no("AUTHENTICATIONFAILED", "wrong user or password");
	case ERR_SUSPENDED: return imap_no("CONTACTADMIN", "the account is suspended");
	case ERR_LIMIT: return imap_no("LIMIT", "too many failed logins, try again later");
	default: return imap_no("UNAVAILABLE", "logins are not possible at the moment, try again later");
	}
}

/* What auth said: the account is opened, or the login refused. */
static struct imap_reply
await_enter(struct imap *im, enum err e, struct slice user, const struct auth_login_out *out)
{
	if (e == OK && out->grant.len > sizeof im->grant)
		e = ERR_AGAIN;
	if (e != OK)
		return refuse_login(im, e, user, out);
	memcpy(im->grant, out->grant.at, out->grant.len);
	im->grant_bytes = out->grant.len;
	uint32_t handle;
	if (!await_imap_handle(im, NULL, &handle)) {
		e = im->asked == ERR_SUSPENDED ? ERR_SUSPENDED : ERR_AGAIN; /* auth may remember an older status */
		im->asked = OK;
		return refuse_login(im, e, user, out);
	}
	im->account = out->account;
	im->logins_failed = 0;
	im->state = IMAP_AUTHENTICATED;
	im->c->idle_ms = im->c->conf->v.imap_timeout;
	conn_account(im->c, out->account);
	login_log(im->c, out->address, OK);
	struct buf code;
	buf_init(&code, 1000);
	buf_put(&code, S("CAPABILITY "));
	imap_put_capabilities(im, &code);
	struct slice kept = slice_keep(&im->arena, buf_slice(&code));
	buf_release(&code);
	if (out->moved_to.len) { /* RFC 2221 4.1: it works here, but one's mailboxes are elsewhere */
		imap_untagged(im, kept);
		return imap_ok_code(imap_login_referral(im, out->moved_to, out->address),
		                    "your mailboxes are on another server");
	}
	return imap_ok_code(kept, "logged in"); /* RFC 3501 6.2.3: saves the client a question */
}

/* RFC 3501 6.2.3 */
struct imap_reply
imap_cmd_login(struct imap *im, struct cursor *args)
{
	struct slice user, password;
	if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &user) || !imap_take_space(args) ||
	    !imap_take_astring(args, &im->arena, &password) || !take_end(args))
		return imap_bad("LOGIN takes a user name and a password");
	if (!im->c->secure)
		return imap_no("PRIVACYREQUIRED", "passwords only cross this connection under TLS");
	struct auth_login_out out = { 0 };
	enum err e = await_login_verdict(im->c, user, password, RIGHT_IMAP, &im->arena, &out);
	return await_enter(im, e, user, &out);
}

/* ---- AUTHENTICATE */

static bool
is_base64_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '+' || c == '/' || c == '=';
}

/* RFC 4959 3: SP (base64 / "="), "=" for an initial response that is empty */
static bool
take_initial(struct cursor *c, bool *given, struct slice *text)
{
	*given = imap_take_space(c);
	return !*given || take_while(c, is_base64_char, text);
}

static struct imap_reply
await_exchange(struct imap *im, struct slice mechanism, const struct slice *initial)
{
	struct sasl sasl = { .c = im->c, .arena = &im->arena, .prompt = S("+ "), .right = RIGHT_IMAP };
	struct sasl_result r = await_sasl(&sasl, mechanism, initial);
	switch (r.end) {
	case SASL_VERDICT: return await_enter(im, r.verdict, r.user, &r.out);
	case SASL_CANCELLED: return imap_bad("cancelled"); /* RFC 3501 6.2.2 */
	case SASL_MALFORMED: return imap_bad("malformed message of this mechanism");
	case SASL_OTHER: return imap_no("AUTHORIZATIONFAILED", "acting for somebody else is not possible");
	case SASL_UNKNOWN: return imap_no(NULL, "this mechanism is not known here");
	default: return imap_bad("that is not base64");
	}
}

/* RFC 3501 6.2.2 */
struct imap_reply
imap_cmd_authenticate(struct imap *im, struct cursor *args)
{
	struct slice mechanism, initial = SLICE_NONE;
	bool given;
	if (!imap_take_space(args) || !imap_take_atom(args, &mechanism) || !take_initial(args, &given, &initial) ||
	    !take_end(args))
		return imap_bad("AUTHENTICATE takes a mechanism and perhaps an initial response in base64");
	if (!im->c->secure)
		return imap_no("PRIVACYREQUIRED", "passwords only cross this connection under TLS");
	return await_exchange(im, mechanism, given ? &initial : NULL);
}

/* RFC 8437 3: as if nobody had logged in yet; what ENABLE asked for is forgotten too (4.1) */
struct imap_reply
imap_cmd_unauthenticate(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("UNAUTHENTICATE takes no arguments");
	imap_unselect(im);
	conn_account(im->c, 0);
	imap_forget_account(im);
	im->enabled = 0;
	im->language = LANG_DEFAULT; /* RFC 8437 4.1 */
	im->collation = FOLD_UNICODE;
	im->state = IMAP_NOT_AUTHENTICATED;
	im->c->idle_ms = im->c->conf->v.login_timeout;
	struct imap_reply r = imap_ok("nobody is logged in now");
	if (!im->c->io.deflate)
		return r;
	await_imap_reply(im, NULL, &r);
	if (await_deflate_end(&im->c->io) != OK) /* RFC 8437 4: behind the OK nothing is compressed */
		im->ended = true;
	return imap_silent;
}
