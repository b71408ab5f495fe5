/* SPDX-License-Identifier: Apache-2.0 */
/* login.h - logging in to a smarthost. */
#ifndef RELAY_LOGIN_H
#define RELAY_LOGIN_H

#include "relay/send.h"

/* With s->user and s->password. False: r->reply says why (always one that may be tried again). */
bool await_remote_login(struct remote *r, const struct send_settings *s);

#endif
