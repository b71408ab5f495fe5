/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - the auth role: who is who, and signatures with keys that never leave. Holds password hashes while they are
 * checked, the private keys, and the key that grants are signed with. Asks the store only; never the network. */
#include "auth/auth.h"

#include "base/log.h"
#include "base/random.h"
#include "role/role.h"

#include <jansson.h>
#include <malloc.h>
#include <unistd.h>

void
auth_forget(struct auth *auth, uint64_t account)
{
	auth->changes++;
	warm_forget(&auth->warm, account);
}

static void
store_revoked(struct ipc_client *c, const struct store_revoked_in *in)
{
	auth_forget(c->owner, in->account);
}

/* What the store said while it was away is lost. */
static void
store_connected(struct ipc_client *c)
{
	auth_forget(c->owner, 0);
}

static const struct store_listener store_ears = { .revoked = store_revoked, .connected = store_connected };

static void
peer_closed(struct ipc_peer *peer)
{
	struct auth *auth = peer->owner;
	for (size_t i = 0; i < auth->npeers; i++)
		if (auth->peers[i] == peer) {
			auth->peers[i] = auth->peers[--auth->npeers];
			return;
		}
}

static const struct auth_server handlers = {
	.login = login_call,
	.sasl = sasl_call,
	.certificates = certificates_call,
	.tls_sign = tls_sign_call,
	.password_set = password_set_call,
	.account_create = account_create_call,
	.closed = peer_closed,
};

static void
first_time(struct auth *auth)
{
	warm_init(&auth->warm);
	random_bytes(auth->state_key, sizeof auth->state_key);
	json_object_seed((size_t)random_u64()); /* it would look for a file otherwise */
	auth->lockout = must_calloc(1, sizeof *auth->lockout);
	gate_init(&auth->hash_turn);
	(void)mallopt(M_ARENA_MAX, 1); /* the memory of a hash (19 MiB) can go back only from the main arena */
	ipc_client_init(&auth->store, &store_protocol, &store_ears, auth);
	auth->store.wipes = true;
}

static enum err
configure(void *self, const struct conf *conf, const char **why)
{
	(void)why;
	struct auth *auth = self;
	if (!auth->conf)
		first_time(auth);
	conf_free(&auth->conf);
	auth->conf = conf_keep((struct conf *)conf);
	if (!conf->v.oauth_keys[0])
		jwt_keys_free(&auth->oauth_keys);
	if (!conf->v.tls_client_ca[0])
		tls_forget_client_ca(auth);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	auth->hashes_max = conf->v.auth_threads ? (size_t)conf->v.auth_threads : (size_t)MAX(processors, 1);
	return OK;
}

static void
handle(void *self, const char *name, uint32_t index, const char *label, int fd)
{
	(void)index, (void)label;
	tls_take_file(self, name, fd);
}

static void
peer(void *self, enum role_id role, uint32_t index, int fd)
{
	(void)index;
	struct auth *auth = self;
	if (role == ROLE_STORE)
		ipc_client_connect(&auth->store, fd);
	else
		close(fd);
}

/* One process that asks for more and more connections must not take the places of others. */
static void
close_others_of(struct auth *auth, uint32_t class_bit, uint32_t index)
{
	size_t n = 0;
	for (size_t i = 0; i < auth->npeers; i++)
		n += auth->peers[i]->class_bit == class_bit && auth->peers[i]->index == index;
	for (size_t i = auth->npeers; n >= IPC_CONNECTIONS_OF_A_PEER_MAX && i-- > 0;)
		if (auth->peers[i]->class_bit == class_bit && auth->peers[i]->index == index)
			ipc_peer_close(auth->peers[i]);
}

static void
serve(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	(void)role;
	struct auth *auth = self;
	close_others_of(auth, class_bit, index);
	if (auth->npeers == AUTH_PEERS_MAX) {
		close(fd);
		return;
	}
	struct ipc_peer *p = ipc_peer_open(fd, &auth_protocol, &handlers, auth, class_bit, index);
	ipc_peer_wipes(p);
	auth->peers[auth->npeers++] = p;
}

static enum err
await_go(void *self, const char **why)
{
	(void)why;
	struct auth *auth = self;
	auth->serving = true;
	tls_read_again(auth);
	return OK;
}

static void
await_stop(void *self, int64_t grace_ms)
{
	(void)grace_ms;
	struct auth *auth = self;
	auth->serving = false;
	auth_forget(auth, 0);
	secret_wipe(auth->grant_key, sizeof auth->grant_key);
	auth->grant_key_known = false;
	secret_wipe(auth->state_key, sizeof auth->state_key);
	jwt_keys_free(&auth->oauth_keys);
	auth_tls_release(auth);
}

const struct role role_auth = {
	.name = "auth",
	.id = ROLE_AUTH,
	.class_bit = IPC_CLASS_AUTH,
	.may = MAY_THREADS,
	.asks = 1u << ROLE_STORE,
	.state_bytes = sizeof(struct auth),
	.configure = configure,
	.handle = handle,
	.peer = peer,
	.serve = serve,
	.await_go = await_go,
	.await_stop = await_stop,
};
