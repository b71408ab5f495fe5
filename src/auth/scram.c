/* SPDX-License-Identifier: Apache-2.0 */
/* scram.c - see scram.h. Called by sasl.c on the loop (messages, proofs) and by change.c and login.c on threads (keys).
 * Cannot fail but for what is malformed; what it computes in between is wiped. */
#include "auth/scram.h"

#include "auth/saslprep.h"
#include "base/base64.h"
#include "base/cursor.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

static const struct {
	struct slice name;
	size_t bytes;
} hashes[SCRAM_HASHES] = {
	[SCRAM_SHA_256] = { S_ROW("SCRAM-SHA-256"), 32 },
	[SCRAM_SHA_1] = { S_ROW("SCRAM-SHA-1"), 20 },
};

size_t
scram_bytes(enum scram_hash hash)
{
	return hashes[hash].bytes;
}

bool
scram_mechanism(struct slice name, enum scram_hash *hash, bool *plus)
{
	for (size_t i = 0; i < SCRAM_HASHES; i++) {
		struct slice rest = slice_from(name, hashes[i].name.len);
		*hash = (enum scram_hash)i;
		*plus = slice_equal_nocase(rest, S("-PLUS"));
		if (slice_starts_nocase(name, hashes[i].name) && (*plus || rest.len == 0))
			return true;
	}
	return false;
}

/* ---- arithmetic, RFC 5802 2.2 */

static const EVP_MD *
digest_of(enum scram_hash hash)
{
	return hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
}

static void
hmac(enum scram_hash hash, const uint8_t *key, struct slice text, uint8_t out[SCRAM_KEY_BYTES])
{
	unsigned n = 0;
	ASSERT(HMAC(digest_of(hash), key, (int)hashes[hash].bytes, (const unsigned char *)text.at, text.len, out, &n) &&
	       n == hashes[hash].bytes);
}

static void
digest(enum scram_hash hash, const uint8_t *of, uint8_t out[SCRAM_KEY_BYTES])
{
	unsigned n = 0;
	ASSERT(EVP_Digest(of, hashes[hash].bytes, out, &n, digest_of(hash), NULL) && n == hashes[hash].bytes);
}

/* RFC 5802 3: SaltedPassword, ClientKey, StoredKey, ServerKey */
void
scram_keys_make(enum scram_hash hash, struct slice password, const uint8_t salt[SCRAM_SALT_BYTES], uint32_t iterations,
                struct scram_keys *k)
{
	uint8_t salted[SCRAM_KEY_BYTES], client[SCRAM_KEY_BYTES];
	*k = (struct scram_keys){ .iterations = iterations };
	memcpy(k->salt, salt, SCRAM_SALT_BYTES);
	ASSERT(PKCS5_PBKDF2_HMAC(password.at ? password.at : "", (int)password.len, salt, SCRAM_SALT_BYTES, (int)iterations,
	                         digest_of(hash), (int)hashes[hash].bytes, salted));
	hmac(hash, salted, S("Client Key"), client);
	digest(hash, client, k->stored);
	hmac(hash, salted, S("Server Key"), k->server);
	secret_wipe(salted, sizeof salted);
	secret_wipe(client, sizeof client);
}

bool
scram_check(enum scram_hash hash, const struct scram_keys *k, struct slice auth_message, struct slice proof,
            uint8_t signature[SCRAM_KEY_BYTES])
{
	size_t n = hashes[hash].bytes;
	uint8_t client[SCRAM_KEY_BYTES], made[SCRAM_KEY_BYTES];
	if (proof.len != n)
		return false;
	hmac(hash, k->stored, auth_message, client); /* ClientSignature */
	for (size_t i = 0; i < n; i++)
		client[i] ^= (uint8_t)proof.at[i]; /* ClientKey */
	digest(hash, client, made);
	bool good = secret_equal(made, k->stored, n);
	hmac(hash, k->server, auth_message, signature);
	secret_wipe(client, sizeof client);
	secret_wipe(made, sizeof made);
	return good;
}

/* ---- keys as text, RFC 5803 */

struct slice
scram_text_make(struct slice password, uint32_t iterations, struct arena *a)
{
	struct slice prepared;
	if (!saslprep(password, a, &prepared) || prepared.len == 0)
		return S("");
	uint8_t salt[SCRAM_SALT_BYTES];
	random_bytes(salt, sizeof salt);
	struct buf text;
	buf_init(&text, SCRAM_TEXT_BYTES_MAX);
	for (size_t i = 0; i < SCRAM_HASHES; i++) {
		struct scram_keys k;
		scram_keys_make((enum scram_hash)i, prepared, salt, iterations, &k);
		buf_printf(&text, "%s%.*s$%u:", i ? " " : "", SLICE_ARG(hashes[i].name), iterations);
		base64_encode(slice_of(k.salt, sizeof k.salt), &text);
		buf_put_char(&text, '$');
		base64_encode(slice_of(k.stored, hashes[i].bytes), &text);
		buf_put_char(&text, ':');
		base64_encode(slice_of(k.server, hashes[i].bytes), &text);
		secret_wipe(&k, sizeof k);
	}
	secret_wipe((char *)prepared.at, prepared.len);
	struct slice kept = slice_keep(a, buf_slice(&text));
	secret_wipe(text.at, text.len);
	buf_release(&text);
	return kept;
}

/* Base64 of exactly n bytes. */
static bool
take_key(struct slice text, struct arena *a, uint8_t *to, size_t n)
{
	struct slice bytes;
	if (!base64_decode(text, a, &bytes) || bytes.len != n)
		return false;
	memcpy(to, bytes.at, n);
	secret_wipe((char *)bytes.at, n);
	return true;
}

static bool
take_keys(struct slice word, enum scram_hash hash, struct arena *a, struct scram_keys *k)
{
	struct slice head, keys, iterations, salt, stored, server;
	bool cut = slice_cut(slice_from(word, hashes[hash].name.len + 1), '$', &head, &keys) &&
	           slice_cut(head, ':', &iterations, &salt) && slice_cut(keys, ':', &stored, &server);
	return cut && slice_to_u32(iterations, &k->iterations) && k->iterations > 0 &&
	       take_key(salt, a, k->salt, SCRAM_SALT_BYTES) && take_key(stored, a, k->stored, hashes[hash].bytes) &&
	       take_key(server, a, k->server, hashes[hash].bytes);
}

bool
scram_text_take(struct slice text, enum scram_hash hash, struct scram_keys *k)
{
	struct arena a;
	struct slice word;
	bool found = false;
	*k = (struct scram_keys){ 0 };
	arena_init(&a, 0);
	while (text.len && !found) {
		slice_cut(text, ' ', &word, &text);
		if (slice_equal(slice_part(word, 0, hashes[hash].name.len), hashes[hash].name) &&
		    slice_equal(slice_part(word, hashes[hash].name.len, 1), S("$")))
			found = take_keys(word, hash, &a, k);
	}
	arena_release(&a);
	return found;
}

/* ---- messages, RFC 5802 7 */

/* saslname = 1*(value-safe-char / "=2C" / "=3D") */
static bool
decode_name(struct slice text, struct arena *a, struct slice *out)
{
	char *to = arena_alloc(a, text.len + 1);
	size_t n = 0;
	if (text.len == 0 || !slice_is_utf8(text))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		struct slice escape = slice_part(text, i, 3);
		char c = text.at[i];
		if (c == '=' && !slice_equal(escape, S("=2C")) && !slice_equal(escape, S("=3D")))
			return false;
		if (c == '=') {
			c = escape.at[2] == 'C' ? ',' : '=';
			i += 2;
		}
		if (c == '\0')
			return false;
		to[n++] = c;
	}
	*out = slice_of(to, n);
	return true;
}

/* letter "=" value, up to a comma or the end, which is taken with it */
static bool
take_attribute(struct cursor *c, char letter, struct slice *value)
{
	struct slice rest = cursor_rest(c), all;
	if (rest.len < 2 || rest.at[0] != letter || rest.at[1] != '=')
		return false;
	bool more = slice_cut(rest, ',', &all, &rest);
	*value = slice_from(all, 2);
	c->at = more ? rest.at : c->end;
	return value->len > 0 && (!more || rest.len > 0);
}

/* nonce = "r=" 1*(%x21-2B / %x2D-7E) */
static bool
take_nonce(struct cursor *c, struct slice *nonce)
{
	if (!take_attribute(c, 'r', nonce))
		return false;
	for (size_t i = 0; i < nonce->len; i++)
		if (nonce->at[i] < 0x21 || nonce->at[i] > 0x7e)
			return false;
	return true;
}

/* extensions = attr-val *("," attr-val): not known, ignored (5.1) */
static bool
extensions_are_sound(struct slice rest)
{
	while (rest.len) {
		struct slice one;
		bool more = slice_cut(rest, ',', &one, &rest);
		if (one.len < 3 || !ascii_alpha(one.at[0]) || one.at[1] != '=' || (more && rest.len == 0))
			return false;
		if (one.at[0] == 'm') /* 5.1: an extension that must be understood */
			return false;
	}
	return true;
}

static bool
is_binding_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '.' || c == '-';
}

static bool
take_gs2(struct cursor *c, struct arena *a, struct scram_first *f)
{
	struct slice name;
	f->binding = f->authzid = S("");
	if (!take_any(c, &f->flag) || (f->flag != 'n' && f->flag != 'y' && f->flag != 'p'))
		return false;
	if (f->flag == 'p' && !(take_char(c, '=') && take_while(c, is_binding_char, &f->binding)))
		return false;
	if (!take_char(c, ','))
		return false;
	if (peek(c) == 'a')
		return take_attribute(c, 'a', &name) && decode_name(name, a, &f->authzid);
	return take_char(c, ',');
}

bool
scram_first_take(struct slice message, struct arena *a, struct scram_first *f)
{
	struct cursor c = cursor_of(message);
	struct slice name;
	*f = (struct scram_first){ 0 };
	if (!take_gs2(&c, a, f) || c.at[-1] != ',')
		return false;
	f->gs2 = slice_of(message.at, (size_t)(c.at - message.at));
	f->bare = cursor_rest(&c);
	/* reserved-mext "m=" comes before the name and is not understood: refused */
	return take_attribute(&c, 'n', &name) && decode_name(name, a, &f->user) && take_nonce(&c, &f->nonce) &&
	       extensions_are_sound(cursor_rest(&c));
}

bool
scram_final_take(struct slice message, struct arena *a, struct scram_final *f)
{
	struct slice binding, proof, rest;
	*f = (struct scram_final){ 0 };
	/* the proof is the last attribute; no value holds a comma */
	ptrdiff_t comma = slice_find_last_char(message, ',');
	if (comma < 0)
		return false;
	f->without_proof = slice_part(message, 0, (size_t)comma);
	rest = slice_from(message, (size_t)comma + 1);
	struct cursor c = cursor_of(f->without_proof), p = cursor_of(rest);
	return take_attribute(&c, 'c', &binding) && base64_decode(binding, a, &f->binding) && take_nonce(&c, &f->nonce) &&
	       extensions_are_sound(cursor_rest(&c)) && take_attribute(&p, 'p', &proof) &&
	       base64_decode(proof, a, &f->proof);
}
