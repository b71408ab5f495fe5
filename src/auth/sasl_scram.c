/* SPDX-License-Identifier: Apache-2.0 */
/* sasl_scram.c - SCRAM as two steps (RFC 5802 5). The first answers with a salt, the real one or, for who has no keys
 * here, one that is always the same for the same name; the second asks the store again and checks the proof. What the
 * first step said goes with the session as a signed state, which names the client and ends after two minutes. */
#include "auth/sasl.h"
#include "auth/saslprep.h"
#include "auth/scram.h"

#include "base/base64.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { NONCE_BYTES = 18, CLIENT_NONCE_BYTES_MAX = 512, MAC_BYTES = 32, NAME_BYTES_MAX = 1000 };

/* ---- the state between the steps: mac, when, and the strings that the proof is made of */

struct state {
	int64_t made_ms;
	struct slice mechanism, client, user, gs2, bare, server_first, nonce;
};

static void
state_mac(const struct auth *auth, struct slice text, uint8_t mac[MAC_BYTES])
{
	ASSERT(HMAC(EVP_sha256(), auth->state_key, sizeof auth->state_key, (const unsigned char *)text.at, text.len, mac,
	            NULL));
}

static void
put_text(struct buf *b, struct slice text)
{
	buf_put_le(b, text.len, 4);
	buf_put(b, text);
}

static bool
state_put(struct sasl_step *s, const struct state *state)
{
	struct buf b;
	uint8_t mac[MAC_BYTES] = { 0 };
	const struct slice texts[] = { state->mechanism, state->client,       state->user, state->gs2,
		                           state->bare,      state->server_first, state->nonce };
	buf_init(&b, 4096);
	buf_put(&b, slice_of(mac, sizeof mac));
	buf_put_le(&b, (uint64_t)state->made_ms, 8);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		put_text(&b, texts[i]);
	bool fits = !b.over;
	if (fits) {
		state_mac(s->attempt.auth, slice_from(buf_slice(&b), MAC_BYTES), mac);
		memcpy(b.at, mac, sizeof mac);
		s->state = slice_keep(&s->attempt.call->arena, buf_slice(&b));
	}
	buf_release(&b);
	return fits;
}

static bool
take_text(struct cursor *c, struct slice *text)
{
	struct slice head;
	return take_bytes(c, 4, &head) && take_bytes(c, bytes_get_le(head.at, 4), text);
}

static bool
state_take(const struct sasl_step *s, struct state *state)
{
	struct slice text = s->in->state, head;
	uint8_t mac[MAC_BYTES];
	if (text.len < MAC_BYTES)
		return false;
	state_mac(s->attempt.auth, slice_from(text, MAC_BYTES), mac);
	if (!secret_equal(mac, text.at, MAC_BYTES))
		return false;
	struct cursor c = cursor_of(slice_from(text, MAC_BYTES));
	if (!take_bytes(&c, 8, &head))
		return false;
	state->made_ms = (int64_t)bytes_get_le(head.at, 8);
	return take_text(&c, &state->mechanism) && take_text(&c, &state->client) && take_text(&c, &state->user) &&
	       take_text(&c, &state->gs2) && take_text(&c, &state->bare) && take_text(&c, &state->server_first) &&
	       take_text(&c, &state->nonce) && take_end(&c);
}

/* ---- the first step */

/* RFC 5802 6: what the client says about channel binding must fit what it was offered and what it chose. */
static const char *
binding_refused(const struct sasl_step *s, const struct scram_first *f, bool plus)
{
	if (plus != (f->flag == 'p'))
		return "channel binding does not fit the mechanism";
	if (f->flag == 'y' && s->in->plus)
		return "the client saw no mechanism with channel binding: somebody may stand between";
	if (f->flag != 'p')
		return NULL;
	if (slice_equal(f->binding, S("tls-exporter")) && s->in->exporter.len)
		return NULL;
	return slice_equal(f->binding, S("tls-server-end-point")) && s->in->end_point.len
	           ? NULL
	           : "a channel binding that this connection does not have";
}

/* The same for the same name, also after a restart: whether there is such an account cannot be told from it. */
static void
invented_salt(const struct auth *auth, struct slice user, uint8_t salt[SCRAM_SALT_BYTES])
{
	uint8_t key[MAC_BYTES], mac[MAC_BYTES];
	char lower[NAME_BYTES_MAX];
	size_t n = MIN(user.len, sizeof lower);
	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(user.at[i]);
	static const unsigned char purpose[] = "SCRAM salt";
	ASSERT(HMAC(EVP_sha256(), auth->grant_key, GRANT_KEY_BYTES, purpose, sizeof purpose - 1, key, NULL));
	ASSERT(HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)lower, n, mac, NULL));
	memcpy(salt, mac, SCRAM_SALT_BYTES);
	secret_wipe(key, sizeof key);
}

static struct slice
base64_in(struct arena *a, const void *at, size_t len)
{
	struct buf b;
	buf_init(&b, 4096);
	base64_encode(slice_of(at, len), &b);
	struct slice text = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return text;
}

static enum err
await_server_first(struct sasl_step *s, enum scram_hash hash, const struct scram_first *f)
{
	struct attempt *a = &s->attempt;
	struct arena *arena = &a->call->arena;
	struct store_secret_get_out secret;
	struct scram_keys keys;
	uint8_t random[NONCE_BYTES];
	if (await_attempt_secret(a, a->user, &secret))
		return ERR_AGAIN;
	if (!secret.account || !scram_text_take(secret.scram, hash, &keys)) {
		if (!scram_text_take(secret.like, hash, &keys))
			keys.iterations = auth_scram_iterations(a->auth);
		invented_salt(a->auth, a->user, keys.salt);
	}
	random_bytes(random, sizeof random);
	struct state state = { .made_ms = clock_mono_ms(), .mechanism = s->in->mechanism, .client = s->in->client };
	state.user = a->user;
	state.gs2 = f->gs2;
	state.bare = f->bare;
	state.nonce = arena_join(arena, f->nonce, base64_in(arena, random, sizeof random));
	state.server_first = arena_printf(arena, "r=%.*s,s=%.*s,i=%u", SLICE_ARG(state.nonce),
	                                  SLICE_ARG(base64_in(arena, keys.salt, sizeof keys.salt)), keys.iterations);
	secret_wipe(&keys, sizeof keys);
	s->challenge = state.server_first;
	s->more = state_put(s, &state);
	return s->more ? OK : ERR_DENIED;
}

static enum err
await_first(struct sasl_step *s, enum scram_hash hash, bool plus)
{
	struct attempt *a = &s->attempt;
	struct scram_first f;
	a->reason = "malformed message";
	if (!scram_first_take(s->in->response, &a->call->arena, &f))
		return ERR_DENIED;
	a->user = f.user;
	if (f.user.len > NAME_BYTES_MAX || f.nonce.len > CLIENT_NONCE_BYTES_MAX ||
	    !saslprep(f.user, &a->call->arena, &a->user) || a->user.len > NAME_BYTES_MAX)
		return ERR_DENIED;
	if (attempt_is_locked_out(a))
		return ERR_LIMIT;
	a->reason = "nobody logs in here to act as somebody else";
	if (f.authzid.len && !slice_equal_nocase(f.authzid, f.user))
		return ERR_DENIED;
	a->reason = binding_refused(s, &f, plus);
	return a->reason ? ERR_DENIED : await_server_first(s, hash, &f);
}

/* ---- the second step */

/* RFC 5802 7: cbind-input = gs2-header [cbind-data] */
static bool
binding_is_right(const struct sasl_step *s, const struct state *state, struct slice said)
{
	struct slice data = S("");
	if (slice_starts(state->gs2, S("p=tls-exporter,")))
		data = s->in->exporter;
	else if (slice_starts(state->gs2, S("p=")))
		data = s->in->end_point;
	return said.len == state->gs2.len + data.len && slice_starts(said, state->gs2) &&
	       (data.len == 0 || secret_equal(said.at + state->gs2.len, data.at, data.len));
}

static enum err
await_proof(struct sasl_step *s, enum scram_hash hash, const struct state *state, const struct scram_final *f)
{
	struct attempt *a = &s->attempt;
	struct arena *arena = &a->call->arena;
	struct store_secret_get_out secret;
	struct scram_keys keys;
	uint8_t signature[SCRAM_KEY_BYTES];
	if (await_attempt_secret(a, a->user, &secret))
		return ERR_AGAIN;
	bool known = secret.account && scram_text_take(secret.scram, hash, &keys);
	if (!known)
		random_bytes(&keys, sizeof keys);
	struct slice message = arena_printf(arena, "%.*s,%.*s,%.*s", SLICE_ARG(state->bare), SLICE_ARG(state->server_first),
	                                    SLICE_ARG(f->without_proof));
	bool right = scram_check(hash, &keys, message, f->proof, signature) && known;
	secret_wipe(&keys, sizeof keys);
	a->reason = !secret.account ? "unknown user"
	            : !known        ? "no SCRAM keys: none until the next login with PLAIN"
	                            : "wrong password";
	enum err e = right ? attempt_admit_secret(a, &secret) : ERR_DENIED;
	if (!e)
		s->challenge = arena_printf(arena, "v=%.*s", SLICE_ARG(base64_in(arena, signature, scram_bytes(hash))));
	return e;
}

static enum err
await_final(struct sasl_step *s, enum scram_hash hash)
{
	struct attempt *a = &s->attempt;
	struct state state;
	struct scram_final f;
	a->reason = "the exchange is not ours, or took too long";
	if (!state_take(s, &state) || !slice_equal(state.mechanism, s->in->mechanism) ||
	    !slice_equal(state.client, s->in->client) || clock_mono_ms() - state.made_ms > SASL_STATE_SECONDS * 1000)
		return ERR_AGAIN;
	a->user = state.user;
	if (attempt_is_locked_out(a)) /* many exchanges may have begun before the first failed */
		return ERR_LIMIT;
	a->reason = "malformed message";
	if (!scram_final_take(s->in->response, &a->call->arena, &f))
		return ERR_DENIED;
	a->guess = f.proof; /* another one each time: whether it is the same wrong password again cannot be known */
	a->reason = "another nonce";
	if (!slice_equal(f.nonce, state.nonce))
		return ERR_DENIED;
	a->reason = "channel binding differs: somebody may stand between";
	if (!binding_is_right(s, &state, f.binding))
		return ERR_DENIED;
	return await_proof(s, hash, &state, &f);
}

enum err
await_scram_step(struct sasl_step *s)
{
	enum scram_hash hash;
	bool plus;
	if (auth_scram_iterations(s->attempt.auth) == 0 || !scram_mechanism(s->in->mechanism, &hash, &plus))
		return ERR_DENIED;
	return s->in->state.len ? await_final(s, hash) : await_first(s, hash, plus);
}
