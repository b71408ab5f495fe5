/* SPDX-License-Identifier: Apache-2.0 */
/* certs.c - the TLS context of a session process. The certificates come from auth; what must be signed in a handshake
 * goes there, so no private key is ever in a process that strangers talk to. Without a usable certificate there is no
 * TLS, and the log says why. */
#include "session/inside.h"

#include "auth_msg.h"
#include "base/log.h"

enum { EXPIRES_SOON_SEC = 14 * 86400 };

static enum err
await_sign(void *arg, uint32_t key_id, int padding, struct slice data, struct arena *a, struct slice *signature)
{
	struct session *s = arg;
	struct auth_tls_sign_in in = { .key = key_id, .padding = (uint32_t)padding, .data = data };
	struct auth_tls_sign_out out = { 0 };
	enum err e = await_auth_tls_sign(&s->auth, &in, a, &out);
	*signature = out.signature;
	return e;
}

static void
log_expiry(const struct auth_certificate *c)
{
	int64_t left = c->expires - clock_wall_sec();
	if (left > EXPIRES_SOON_SEC)
		return;
	struct log l;
	log_begin(&l, LOG_WARN, left < 0 ? "tls.certificate_expired" : "tls.certificate_expires");
	log_slice(&l, "names", c->names);
	log_i64(&l, "days", left / 86400);
	log_text(&l, "advice", "put a newer one at tls.certificate and tls.key, then reload");
	log_end(&l);
}

/* Mail from other servers comes with certificates of all kinds: only users are asked for theirs. */
static void
ask_clients(const struct session *s, struct tls_context *tls, struct slice ca)
{
	const char *why = "";
	if (ca.len && s->class_bit == IPC_CLASS_USER && !tls_context_ask_client(tls, ca, &why))
		log_event(LOG_ERROR, "tls.client_ca_refused", "why", why);
}

static void
use_certificate(struct session *s, const struct auth_certificate *c, struct slice client_ca)
{
	const char *why = "";
	struct tls_context *tls = tls_server_context(c->chain, c->id, await_sign, s, &why);
	if (!tls) {
		log_event(LOG_ERROR, "tls.certificate_refused", "why", why);
		return;
	}
	ask_clients(s, tls, client_ca);
	log_expiry(c);
	tls_context_free(&s->tls); /* connections that use it hold it */
	s->tls = tls;
}

enum err
await_certificates(struct session *s)
{
	struct arena a;
	arena_init(&a, 0);
	struct auth_certificates_out out = { 0 };
	enum err e = await_auth_certificates(&s->auth, &(struct auth_certificates_in){ 0 }, &a, &out);
	if (e == OK)
		s->oauth = out.oauth;
	if (e == OK && out.nlist > 0)
		use_certificate(s, &out.list[0], out.client_ca);
	else if (e == OK)
		tls_context_free(&s->tls);
	if (!s->tls && !s->stopping)
		log_event(LOG_WARN, "tls.off", "why",
		          e != OK ? "auth did not answer" : "there is no usable certificate: see tls.certificate and tls.key");
	arena_release(&a);
	return e;
}

static void
ask_task(void *arg)
{
	await_certificates(arg);
}

void
certificates_ask(struct session *s)
{
	if (!task_start(ask_task, s))
		log_event(LOG_ERROR, "tls.certificates_not_asked", "why", "no task can be had");
}
