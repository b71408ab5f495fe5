/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h - the auth role as its own files see it. One loop thread; hashes and RSA signatures are made on the threads of
 * await_thread, at most hashes_max at a time, with a bounded queue before them. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "auth/jwt.h"
#include "auth/lockout.h"
#include "auth/password.h"
#include "auth/warm.h"
#include "auth_msg.h"
#include "ipc/grant.h"
#include "role/conf.h"
#include "store_msg.h"
#include "task/certificate.h"

#define AUTH_PEERS_MAX 256
#define AUTH_HASHES_WAITING_MAX 256
#define AUTH_HASH_WAIT_MS 10000
#define AUTH_DELAYED_MAX 4096 /* answers to wrong passwords that wait; more: they go out at once */

struct auth {
	struct conf *conf;
	struct ipc_client store;
	struct ipc_peer *peers[AUTH_PEERS_MAX];
	size_t npeers;
	uint8_t grant_key[GRANT_KEY_BYTES];
	bool grant_key_known;
	struct warm warm;
	uint64_t changes; /* counts what emptied the warm table: a login that began before is not kept */
	struct lockout *lockout;
	struct gate hash_turn;
	size_t hashing, hashes_waiting, hashes_max;
	size_t delayed;
	struct slice chain_pem, key_pem; /* malloc'ed, as the supervisor handed them over */
	struct slice client_ca_pem;      /* the same; empty: no certificates of clients */
	struct jwt_keys *oauth_keys;     /* NULL: no bearer tokens */
	uint8_t state_key[32];           /* signs what goes with sessions between the steps of SASL */
	struct later tls_later;
	struct certificate certificate; /* .key NULL: none */
	uint32_t certificate_id;        /* grows with each one */
	bool serving;
};

/* ---- login.c */
void login_call(struct ipc_call *call, const struct auth_login_in *in);
/* Waits for a turn and runs fn(arg) on a thread. ERR_AGAIN: too many wait already. */
enum err await_hash_turn(struct auth *auth, void (*fn)(void *arg), void *arg);
struct password_cost auth_cost(const struct auth *auth);
uint32_t auth_scram_iterations(const struct auth *auth); /* 0: SCRAM is off */

/* ---- sasl.c, oauth.c */
void sasl_call(struct ipc_call *call, const struct auth_sasl_in *in);
void oauth_take_keys(struct auth *auth, struct slice text);

/* ---- change.c */
void password_set_call(struct ipc_call *call, const struct auth_password_set_in *in);
void account_create_call(struct ipc_call *call, const struct auth_account_create_in *in);

/* ---- tls.c */
void tls_take_file(struct auth *auth, const char *name, int fd);
void tls_read_again(struct auth *auth);
void tls_forget_client_ca(struct auth *auth);
void certificates_call(struct ipc_call *call, const struct auth_certificates_in *in);
void tls_sign_call(struct ipc_call *call, const struct auth_tls_sign_in *in);
void auth_tls_release(struct auth *auth);

/* Credentials of the account (0: all) are warm no more. */
void auth_forget(struct auth *auth, uint64_t account);

#endif
