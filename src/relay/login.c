/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - the client's side of AUTH (RFC 4954), for smarthosts: SCRAM-SHA-256 (RFC 7677) where it is offered, else
 * PLAIN (RFC 4616), else LOGIN. Called by send.c after EHLO, under TLS only. The password is wiped from every buffer of
 * ours that it went through. Fails: a reply that says why; a refusal is temporary, since somebody may mend the file. */
#include "relay/login.h"

#include "base/base64.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { HASH_BYTES = 32, NONCE_CHARS = 24, ITERATIONS_MAX = 200000, MESSAGE_BYTES_MAX = 2000 };

struct login {
	struct remote *r;
	const struct send_settings *s;
	struct arena a;
	struct slice challenge; /* the last one, decoded */
};

/* Sends one line: `before` and the base64 of bytes. True: the server answered 235, or 334 with l->challenge. */
static bool
await_say(struct login *l, const char *before, struct slice bytes)
{
	struct buf line;
	buf_init(&line, 2 * MESSAGE_BYTES_MAX);
	buf_put(&line, slice_text(before));
	base64_encode(bytes, &line);
	buf_put(&line, S("\r\n"));
	stream_put(&l->r->io, buf_slice(&line));
	secret_wipe(line.at, line.len);
	buf_release(&line);
	if (!await_remote_command(l->r, "logging in"))
		return false;
	struct slice text = slice_text(l->r->reply.text);
	return l->r->reply.code == 235 ||
	       (l->r->reply.code == 334 && base64_decode(slice_trim(text), &l->a, &l->challenge));
}

static bool
await_plain(struct login *l)
{
	struct slice parts[] = { S("\0"), l->s->user, S("\0"), l->s->password };
	char message[MESSAGE_BYTES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		if (parts[i].len > sizeof message - n)
			return false;
		memcpy(message + n, parts[i].at, parts[i].len);
		n += parts[i].len;
	}
	bool said = await_say(l, "AUTH PLAIN ", slice_of(message, n));
	secret_wipe(message, sizeof message);
	return said;
}

static bool
await_login(struct login *l)
{
	stream_put(&l->r->io, S("AUTH LOGIN\r\n"));
	return await_remote_command(l->r, "logging in") && l->r->reply.code == 334 && await_say(l, "", l->s->user) &&
	       l->r->reply.code == 334 && await_say(l, "", l->s->password);
}

/* ---- SCRAM */

static void
hmac(const uint8_t *key, size_t key_len, struct slice data, uint8_t out[HASH_BYTES])
{
	unsigned n = HASH_BYTES;
	ASSERT(HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)data.at, data.len, out, &n) && n == HASH_BYTES);
}

/* "x=value," at the cursor (RFC 5802 7). */
static bool
take_attribute(struct slice *rest, char name, struct slice *value)
{
	struct slice one;
	slice_cut(*rest, ',', &one, rest);
	if (one.len < 3 || one.at[0] != name || one.at[1] != '=')
		return false;
	*value = slice_from(one, 2);
	return true;
}

struct scram_server {
	struct slice nonce, salt;
	uint32_t iterations;
};

static bool
server_first_take(struct login *l, struct slice message, struct slice own_nonce, struct scram_server *out)
{
	struct slice salt, count;
	return take_attribute(&message, 'r', &out->nonce) && take_attribute(&message, 's', &salt) &&
	       take_attribute(&message, 'i', &count) && slice_starts(out->nonce, own_nonce) &&
	       out->nonce.len > own_nonce.len && base64_decode(salt, &l->a, &out->salt) && out->salt.len > 0 &&
	       slice_to_u32(count, &out->iterations) && out->iterations >= 4096 && out->iterations <= ITERATIONS_MAX;
}

/* RFC 5802 3. proof and signature are HASH_BYTES each. */
static void
scram_compute(const struct login *l, const struct scram_server *server, struct slice auth_message, uint8_t *proof,
              uint8_t *signature)
{
	uint8_t salted[HASH_BYTES], key[HASH_BYTES], stored[HASH_BYTES], client[HASH_BYTES];
	ASSERT(PKCS5_PBKDF2_HMAC(l->s->password.at, (int)l->s->password.len, (const uint8_t *)server->salt.at,
	                         (int)server->salt.len, (int)server->iterations, EVP_sha256(), HASH_BYTES, salted) == 1);
	hmac(salted, HASH_BYTES, S("Client Key"), key);
	ASSERT(EVP_Digest(key, HASH_BYTES, stored, NULL, EVP_sha256(), NULL) == 1);
	hmac(stored, HASH_BYTES, auth_message, client);
	for (size_t i = 0; i < HASH_BYTES; i++)
		proof[i] = key[i] ^ client[i];
	hmac(salted, HASH_BYTES, S("Server Key"), key);
	hmac(key, HASH_BYTES, auth_message, signature);
	secret_wipe(salted, sizeof salted);
	secret_wipe(key, sizeof key);
}

static struct slice
scram_name(struct login *l) /* RFC 5802 5.1: '=' and ',' are escaped */
{
	struct slice out = SLICE_NONE;
	for (size_t i = 0; i < l->s->user.len; i++) {
		char c = l->s->user.at[i];
		out = arena_join(&l->a, out, c == '=' ? S("=3D") : c == ',' ? S("=2C") : slice_part(l->s->user, i, 1));
	}
	return out;
}

static bool
await_scram(struct login *l)
{
	char nonce[NONCE_CHARS + 1];
	uint8_t proof[HASH_BYTES], signature[HASH_BYTES];
	struct scram_server server;
	struct slice said, verifier;
	random_text(nonce, NONCE_CHARS);
	struct slice bare = arena_printf(&l->a, "n=%.*s,r=%s", SLICE_ARG(scram_name(l)), nonce);
	if (!await_say(l, "AUTH SCRAM-SHA-256 ", arena_join(&l->a, S("n,,"), bare)) || l->r->reply.code != 334)
		return false;
	struct slice first = l->challenge;
	if (!server_first_take(l, first, slice_text(nonce), &server)) {
		reply_set(&l->r->reply, 451, "4.7.8", "the remote server's answer is not SCRAM");
		return false;
	}
	struct slice without = arena_printf(&l->a, "c=biws,r=%.*s", SLICE_ARG(server.nonce));
	struct slice message = arena_printf(&l->a, "%.*s,%.*s,%.*s", SLICE_ARG(bare), SLICE_ARG(first), SLICE_ARG(without));
	scram_compute(l, &server, message, proof, signature);
	struct buf text;
	buf_init(&text, 100);
	base64_encode(slice_of(proof, HASH_BYTES), &text);
	struct slice final = arena_printf(&l->a, "%.*s,p=%.*s", SLICE_ARG(without), SLICE_ARG(buf_slice(&text)));
	buf_release(&text);
	if (!await_say(l, "", final) || l->r->reply.code != 334)
		return false;
	said = l->challenge;
	if (!take_attribute(&said, 'v', &verifier) || !base64_decode(verifier, &l->a, &verifier) ||
	    verifier.len != HASH_BYTES || CRYPTO_memcmp(verifier.at, signature, HASH_BYTES) != 0) {
		reply_set(&l->r->reply, 451, "4.7.8",
		          "the remote server does not know the password itself: it is not who it says");
		return false;
	}
	return await_say(l, "", SLICE_NONE);
}

bool
await_remote_login(struct remote *r, const struct send_settings *s)
{
	static const struct {
		unsigned bit;
		bool (*await)(struct login *l);
	} ways[] = { { REMOTE_AUTH_SCRAM, await_scram },
		         { REMOTE_AUTH_PLAIN, await_plain },
		         { REMOTE_AUTH_LOGIN, await_login } };
	struct login l = { .r = r, .s = s };
	size_t way = 0;
	if (!r->secure) {
		reply_set(&r->reply, 451, "4.7.11", "the route logs in, and there is no TLS to protect the password");
		return false;
	}
	while (way < COUNT_OF(ways) && !(r->auth & ways[way].bit))
		way++;
	if (way == COUNT_OF(ways)) {
		reply_set(&r->reply, 451, "4.7.0", "the remote server offers none of SCRAM-SHA-256, PLAIN, LOGIN");
		return false;
	}
	arena_init(&l.a, 0);
	bool good = ways[way].await(&l) && r->reply.code == 235;
	arena_release(&l.a);
	if (!good && r->reply.code >= 500) {
		char text[300];
		snprintf(text, sizeof text, "the remote server does not let us log in: %u %.200s", r->reply.code,
		         r->reply.text);
		reply_set(&r->reply, 451, "4.7.8", text);
	} else if (!good && r->reply.code < 400) {
		reply_set(&r->reply, 451, "4.7.0", "the remote server's answer to AUTH makes no sense");
	}
	return good;
}
