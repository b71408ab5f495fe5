/* SPDX-License-Identifier: Apache-2.0 */
/* breaker_mail.h - tells a user and the administrator that a breaker tripped. The session that accepted the mail, and
 * relay, which hears of refusals, both run this in their own process. */
#ifndef RELAY_BREAKER_MAIL_H
#define RELAY_BREAKER_MAIL_H

#include "ipc/ipc.h"
#include "role/conf.h"
#include "store_msg.h"

/* When this commit tripped a breaker: logs it and delivers the message. That it could not be delivered is logged. */
void await_breaker_mail(const struct conf *conf, struct ipc_client *store, struct shm_pool *shm,
                        const struct store_commit_out *done, struct arena *a);

#endif
