/* SPDX-License-Identifier: Apache-2.0 */
/* login.h - who the client is: what SMTP, IMAP and POP3 ask of auth, each with the words of its protocol around it. */
#ifndef SESSION_LOGIN_H
#define SESSION_LOGIN_H

#include "auth_msg.h"
#include "session/session.h"

/* What auth says: OK; ERR_DENIED, ERR_SUSPENDED, ERR_LIMIT as auth.msg has it; ERR_AGAIN when it cannot be asked. The
 * password is in memory that this session may write, and is wiped. right: RIGHT_* that the protocol needs. */
enum err await_login_verdict(struct conn *c, struct slice user, struct slice password, uint32_t right, struct arena *a,
                             struct auth_login_out *out);
/* login.ok or login.failed, once it is known whether the account could be opened, too. */
void login_log(const struct conn *c, struct slice user, enum err verdict);
/* Overwrites a slice of memory that this session may write. */
void login_wipe(struct slice secret);

#endif
