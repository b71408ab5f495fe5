/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - struct session: what the connections of one process share. The clients of store, auth, scan and resolver,
 * the memory that it shares with them, the configuration, the lists of connections. Called by host.c (the role around
 * it) and by tests. Nothing here fails but memory and what the peers answer. */
#include "session/inside.h"

#include "auth_msg.h"
#include "resolver_msg.h"
#include "scan_msg.h"
#include "store_msg.h"

/* ---- what the servers tell */

static void
store_changed(struct ipc_client *c, const struct store_changed_in *in)
{
	session_changed(c->owner, in->account, in->mailbox, in->modseq);
}

static void
store_revoked(struct ipc_client *c, const struct store_revoked_in *in)
{
	session_revoked(c->owner, in->account);
}

/* The store was started again: what it would have told meanwhile is asked for. */
static void
store_connected(struct ipc_client *c)
{
	session_changed_all(c->owner);
}

static const struct store_listener store_listener = { .changed = store_changed,
	                                                  .revoked = store_revoked,
	                                                  .connected = store_connected };

static void
auth_certificates_changed(struct ipc_client *c, const struct auth_certificates_changed_in *in)
{
	certificates_ask(c->owner);
}

static const struct auth_listener auth_listener = { .certificates_changed = auth_certificates_changed };

/* ---- struct session by itself */

void
session_init(struct session *s, const struct conf *conf, uint32_t class_bit, size_t nscan, size_t shm_bytes)
{
	ASSERT(nscan <= COUNT_OF(s->scan));
	*s = (struct session){ .conf = conf_keep((struct conf *)conf), .class_bit = class_bit, .nscan = nscan };
	s->shm = shm_pool_new(shm_bytes);
	ASSERT(s->shm); /* address space for it: an error of the set-up */
	ipc_client_init(&s->auth, &auth_protocol, &auth_listener, s);
	s->auth.wipes = true;
	ipc_client_init(&s->store, &store_protocol, &store_listener, s);
	ipc_client_init(&s->resolver, &resolver_protocol, NULL, s);
	s->store.shm = s->shm;
	for (size_t i = 0; i < COUNT_OF(s->scan); i++) {
		ipc_client_init(&s->scan[i], &scan_protocol, NULL, s);
		s->scan[i].shm = s->shm;
	}
	list_init(&s->conns);
	gate_init(&s->emptied);
}

void
session_release(struct session *s)
{
	ASSERT(s->open == 0);
	ipc_client_release(&s->auth);
	ipc_client_release(&s->store);
	ipc_client_release(&s->resolver);
	for (size_t i = 0; i < COUNT_OF(s->scan); i++)
		ipc_client_release(&s->scan[i]);
	shm_pool_free(&s->shm);
	tls_context_free(&s->tls);
	map_release(&s->by_account);
	map_release(&s->by_peer);
	struct conf *conf = (struct conf *)s->conf;
	conf_free(&conf);
	s->conf = NULL;
}

/* Connections go on with the configuration that they began with. */
void
session_reload(struct session *s, const struct conf *conf)
{
	struct conf *old = (struct conf *)s->conf;
	s->conf = conf_keep((struct conf *)conf);
	conf_free(&old);
}

struct ipc_client *
session_scan(struct session *s)
{
	if (s->nscan == 0)
		return &s->scan[0]; /* waits for the first one to come */
	return &s->scan[s->next_scan++ % s->nscan];
}

/* ---- listening, counted */

struct listening *
listening_new(const struct conf_listener *l)
{
	struct listening *n = must_calloc(1, sizeof *n);
	snprintf(n->name, sizeof n->name, "%s", l->name);
	snprintf(n->address, sizeof n->address, "%s", l->address);
	n->l = *l;
	n->l.name = n->name;
	n->l.address = n->address;
	n->uses = 1;
	return n;
}

struct listening *
listening_keep(struct listening *l)
{
	l->uses++;
	return l;
}

void
listening_free(struct listening **l)
{
	if (*l && --(*l)->uses == 0)
		free(*l);
	*l = NULL;
}
