/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - see login.h. Called by the commands that log in. auth counts logins and delays its answer to a wrong
 * password; nothing secret is written anywhere. */
#include "session/login.h"

#include "base/log.h"
#include "base/random.h"

enum { NAME_BYTES_MAX = 1000 }; /* of user and password, as auth.msg has it: nobody has longer ones */

void
login_wipe(struct slice secret)
{
	if (secret.len)
		secret_wipe((char *)secret.at, secret.len);
}

enum err
await_login_verdict(struct conn *c, struct slice user, struct slice password, uint32_t right, struct arena *a,
                    struct auth_login_out *out)
{
	enum err e = ERR_DENIED;
	struct auth_login_in in = { user, password, slice_text(c->peer), right };
	if (user.len <= NAME_BYTES_MAX && password.len <= NAME_BYTES_MAX && slice_find_char(user, '\0') < 0)
		e = await_auth_login(&c->session->auth, &in, a, out) ? ERR_AGAIN : (enum err)out->verdict;
	login_wipe(password);
	return e;
}

void
login_log(const struct conn *c, struct slice user, enum err verdict)
{
	struct log l;
	log_begin(&l, LOG_INFO, verdict ? "login.failed" : "login.ok");
	log_text(&l, "session", c->id);
	log_text(&l, "peer", c->peer);
	log_text(&l, "protocol", c->protocol->name);
	log_text(&l, "tls", c->io.tls ? tls_info(&c->io).version : "none");
	log_slice(&l, "user", user);
	if (verdict)
		log_text(&l, "why", err_word(verdict));
	log_end(&l);
}
