/* SPDX-License-Identifier: Apache-2.0 */
/* notice_mail.h - a report about a delivery as mail for the store: where it goes, its body, its facts. Relay and SMTP
 * both send reports, each runs this in its own process. */
#ifndef RELAY_NOTICE_MAIL_H
#define RELAY_NOTICE_MAIL_H

#include "ipc/ipc.h"
#include "mail/dsn.h"
#include "store_msg.h"

/* Writes the report (its id is made here) and finds out where d->sender leads: a mailbox of ours gets it in the commit,
 * for others it becomes queue rows. id: of the message that it is about. *mail and what it points to live in a, the
 * body in shared memory at *block (the caller frees it after the commit). False: there is no report, because it is too
 * large or nobody would get it; why is logged. */
bool await_notice_mail(struct ipc_client *store, struct shm_pool *shm, const struct dsn *d, struct slice id,
                       struct arena *a, struct store_mail *mail, void **block);
/* Where mail of ours to that address goes: local targets become deliveries of *mail, remote ones queue rows. */
enum err await_mail_to(struct ipc_client *store, struct slice to, struct arena *a, struct store_mail *mail);

#endif
