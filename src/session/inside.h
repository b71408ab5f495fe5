/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what the files of the session role's core know of each other; protocols do not include it. */
#ifndef SESSION_INSIDE_H
#define SESSION_INSIDE_H

#include "session/session.h"

/* accept.c: the listening sockets of a session process. */
/* Takes over fd. start: at once; else acceptors_start does it, once the process is boxed in. */
void acceptor_open(struct session *s, struct link *acceptors, const struct conf_listener *l, int fd, bool start);
void acceptors_start(struct link *acceptors);
void acceptor_close(struct link *acceptors, const struct conf_listener *l);
void acceptors_close_all(struct link *acceptors);

/* certs.c: the TLS context of a session, from auth's certificates; the private keys stay there. */
enum err await_certificates(struct session *s); /* asks auth; keeps what it had when that fails */
void certificates_ask(struct session *s);       /* the same in a task of its own */

#endif
