/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - the certificate and its private key, which stays here: sessions send what is to be signed. The supervisor
 * hands over open files, at start and at each reload; a pair that cannot be used is told in the log with its file and
 * what to do, and the one before (or none: no TLS) stays. An expired one stays in use: it still encrypts. */
#include "auth/auth.h"

#include "base/log.h"
#include "base/random.h"

#include <errno.h>
#include <unistd.h>

static void
forget_text(struct slice *s)
{
	if (s->at) {
		secret_wipe((char *)s->at, s->len);
		free((char *)s->at);
	}
	*s = SLICE_NONE;
}

void
tls_forget_client_ca(struct auth *auth)
{
	forget_text(&auth->client_ca_pem);
}

/* The whole file, cut one byte past what is allowed. Takes over fd. */
static struct slice
read_file(int fd)
{
	char *at = must_calloc(1, CERTIFICATE_PEM_BYTES_MAX + 1);
	size_t len = 0;
	for (;;) {
		ssize_t n = pread(fd, at + len, CERTIFICATE_PEM_BYTES_MAX + 1 - len, (off_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	return slice_of(at, len);
}

static void
tell_sessions(struct auth *auth)
{
	for (size_t i = 0; i < auth->npeers; i++)
		if (auth->peers[i]->class_bit & (IPC_CLASS_MX | IPC_CLASS_USER))
			auth_certificates_changed_notify(auth->peers[i], &(struct auth_certificates_changed_in){ 1 });
}

static void
read_later(struct later *l)
{
	tls_read_again(CONTAINER_OF(l, struct auth, tls_later));
}

static void
take_oauth_keys(struct auth *auth, int fd)
{
	struct slice text = read_file(fd);
	bool had = auth->oauth_keys != NULL;
	oauth_take_keys(auth, text);
	forget_text(&text);
	if (auth->serving && !had) /* sessions offer them from now on */
		tell_sessions(auth);
}

void
tls_take_file(struct auth *auth, const char *name, int fd)
{
	if (strcmp(name, "oauth-keys") == 0) {
		take_oauth_keys(auth, fd);
		return;
	}
	struct slice *to = strcmp(name, "certificate") == 0 ? &auth->chain_pem
	                   : strcmp(name, "key") == 0       ? &auth->key_pem
	                   : strcmp(name, "client-ca") == 0 ? &auth->client_ca_pem
	                                                    : NULL;
	if (!to) {
		close(fd);
		return;
	}
	forget_text(to);
	*to = read_file(fd);
	auth->tls_later.fn = read_later;
	if (auth->serving && auth->chain_pem.at && auth->key_pem.at)
		loop_later(&auth->tls_later);
}

static void
tell(const struct auth *auth, enum certificate_state state, const char *why)
{
	struct log l;
	log_begin(&l, state == CERTIFICATE_BAD ? LOG_ERROR : LOG_WARN, "tls.certificate");
	log_text(&l, "why", why);
	log_text(&l, "certificate", auth->conf->v.tls_certificate);
	log_text(&l, "key", auth->conf->v.tls_key);
	if (state == CERTIFICATE_BAD)
		log_text(&l, "effect", auth->certificate.key ? "the certificate before it stays in use" : "no TLS is offered");
	log_end(&l);
}

static void
use(struct auth *auth, const struct certificate *fresh)
{
	certificate_release(&auth->certificate);
	auth->certificate = *fresh;
	auth->certificate_id++;
	tell_sessions(auth);
}

void
tls_read_again(struct auth *auth)
{
	struct arena a;
	arena_init(&a, 0);
	const char *why = NULL;
	struct certificate fresh = { 0 };
	enum certificate_state state = CERTIFICATE_BAD;
	if (!auth->chain_pem.at || !auth->key_pem.at)
		why = !auth->chain_pem.at ? "the certificate's file is missing or cannot be read: make one, or name another in "
		                            "tls.certificate"
		                          : "the key's file is missing or cannot be read: name another in tls.key";
	else
		state = certificate_read(&fresh, auth->chain_pem, auth->key_pem, clock_wall_sec(), &a, &why);
	if (why)
		tell(auth, state, why);
	if (state != CERTIFICATE_BAD)
		use(auth, &fresh);
	/* A reload hands over both again. */
	forget_text(&auth->chain_pem);
	forget_text(&auth->key_pem);
	arena_release(&a);
}

void
auth_tls_release(struct auth *auth)
{
	later_cancel(&auth->tls_later);
	forget_text(&auth->chain_pem);
	forget_text(&auth->key_pem);
	forget_text(&auth->client_ca_pem);
	certificate_release(&auth->certificate);
}

void
certificates_call(struct ipc_call *call, const struct auth_certificates_in *in)
{
	(void)in;
	const struct auth *auth = call->peer->owner;
	const struct certificate *c = &auth->certificate;
	struct auth_certificate *row = ARENA_NEW(&call->arena, struct auth_certificate);
	*row = (struct auth_certificate){ auth->certificate_id, slice_text(c->names), slice_of(c->chain, c->chain_len),
		                              c->expires };
	bool ca = auth->client_ca_pem.len <= CERTIFICATE_PEM_BYTES_MAX;
	auth_certificates_reply(call, &(struct auth_certificates_out){ .list = row,
	                                                               .nlist = c->key ? 1 : 0,
	                                                               .client_ca = ca ? auth->client_ca_pem : S(""),
	                                                               .oauth = auth->oauth_keys != NULL });
}

struct sign {
	struct auth *auth;
	struct ipc_call *call;
	const struct auth_tls_sign_in *in;
	struct certificate with; /* a key of its own count: a reload may come while a thread signs */
	enum err result;
	struct auth_tls_sign_out out;
};

static void
sign_now(void *arg)
{
	struct sign *s = arg;
	s->result = certificate_sign(&s->with, (int)s->in->padding, s->in->data, &s->call->arena, &s->out.signature);
}

static void
sign_task(void *arg)
{
	struct sign *s = arg;
	struct certificate mine = certificate_share(&s->auth->certificate);
	s->with = mine;
	s->result = ERR_AGAIN;
	if (certificate_signs_slowly(&mine)) {
		enum err e = await_thread(sign_now, s);
		s->result = e ? ERR_AGAIN : s->result;
	} else
		sign_now(s);
	certificate_release(&mine);
	if (s->result)
		ipc_fail(s->call, s->result);
	else
		auth_tls_sign_reply(s->call, &s->out);
}

void
tls_sign_call(struct ipc_call *call, const struct auth_tls_sign_in *in)
{
	struct auth *auth = call->peer->owner;
	/* A key that a reload took away: the handshake fails, and the session has heard of the new one. */
	if (!auth->certificate.key || in->key != auth->certificate_id) {
		ipc_fail(call, ERR_STALE);
		return;
	}
	struct sign *s = ARENA_NEW(&call->arena, struct sign);
	*s = (struct sign){ .auth = auth, .call = call, .in = in };
	if (!task_start(sign_task, s))
		ipc_fail(call, ERR_AGAIN);
}
