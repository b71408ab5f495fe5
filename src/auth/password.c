/* SPDX-License-Identifier: Apache-2.0 */
/* password.c - makes and checks password hashes. Called on threads (login.c, change.c); keeps nothing. Clear text that
 * was copied is wiped before return. Fails: memory; a hash that nobody knows. */
#include "auth/password.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/cursor.h"
#include "base/random.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/evp.h>

#define SALT_BYTES 16
#define HASH_BYTES 32
#define IMPORTED_PASSES_MAX 1000

enum err
password_hash(struct slice password, struct password_cost cost, char out[PASSWORD_HASH_BYTES_MAX])
{
	uint8_t salt[SALT_BYTES];
	random_bytes(salt, sizeof salt);
	uint32_t kib = (uint32_t)MAX(cost.memory_bytes / 1024, 8u);
	int e = argon2id_hash_encoded(cost.passes, kib, 1, password.at, password.len, salt, sizeof salt, HASH_BYTES, out,
	                              PASSWORD_HASH_BYTES_MAX);
	return e == ARGON2_OK ? OK : ERR_LIMIT;
}

/* ---- $argon2id$v=19$m=65536,t=2,p=1$salt$hash */

static bool
take_parameter(struct cursor *c, struct slice name, uint32_t max)
{
	uint32_t v;
	return take_exact(c, name) && take_u32(c, &v) && v >= 1 && v <= max;
}

/* The costs stand in the hash: one that would take all memory, or a day, is not computed. */
static bool
argon2_is_affordable(struct slice hash)
{
	struct cursor c = cursor_of(hash);
	struct slice kind;
	uint32_t version;
	if (!take_char(&c, '$') || !take_until_char(&c, '$', &kind) || !take_char(&c, '$'))
		return false;
	if (take_exact(&c, S("v=")) && !(take_u32(&c, &version) && take_char(&c, '$')))
		return false;
	return take_parameter(&c, S("m="), PASSWORD_MEMORY_BYTES_MAX / 1024) && take_char(&c, ',') &&
	       take_parameter(&c, S("t="), IMPORTED_PASSES_MAX) && take_char(&c, ',') && take_parameter(&c, S("p="), 64) &&
	       take_char(&c, '$');
}

static enum err
check_argon2(struct slice password, struct slice hash)
{
	if (!argon2_is_affordable(hash))
		return ERR_UNSUPPORTED;
	argon2_type type = slice_starts(hash, S("$argon2id$"))  ? Argon2_id
	                   : slice_starts(hash, S("$argon2i$")) ? Argon2_i
	                                                        : Argon2_d;
	char *text = slice_dup(hash);
	int e = argon2_verify(text, password.at, password.len, type);
	free(text);
	if (e == ARGON2_OK)
		return OK;
	return e == ARGON2_VERIFY_MISMATCH ? ERR_DENIED : ERR_UNSUPPORTED;
}

/* ---- crypt(3) */

static enum err
check_crypt(struct slice password, struct slice hash)
{
	if (password.len > 512 || memchr(password.at, '\0', password.len))
		return ERR_DENIED; /* crypt(3) takes a C string of at most CRYPT_MAX_PASSPHRASE_SIZE */
	char *text = slice_dup(hash), *clear = slice_dup(password);
	struct crypt_data *data = must_calloc(1, sizeof *data);
	/* Not crypt_r: a sanitizer's wrapper of it keeps the library itself from being linked. */
	const char *made = crypt_rn(clear, text, data, sizeof *data);
	enum err e = ERR_UNSUPPORTED;
	if (made)
		e = strlen(made) == hash.len && secret_equal(made, hash.at, hash.len) ? OK : ERR_DENIED;
	secret_wipe(clear, password.len);
	secret_wipe(data, sizeof *data);
	free(data);
	free(clear);
	free(text);
	return e;
}

/* ---- {SSHA}: base64 of digest(password salt) and salt, as LDAP servers keep them */

static const struct digest_scheme {
	struct slice name;
	const char *digest;
	size_t bytes;
} digest_schemes[] = {
	{ { "{SSHA}", 6 }, "SHA1", 20 },
	{ { "{SSHA256}", 9 }, "SHA256", 32 },
	{ { "{SSHA512}", 9 }, "SHA512", 64 },
};

static const struct digest_scheme *
digest_scheme_of(struct slice hash)
{
	for (size_t i = 0; i < COUNT_OF(digest_schemes); i++)
		if (slice_starts_nocase(hash, digest_schemes[i].name))
			return &digest_schemes[i];
	return NULL;
}

static bool
salted_digest(const struct digest_scheme *s, struct slice password, struct slice salt, uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_get_digestbyname(s->digest), NULL) &&
	          EVP_DigestUpdate(ctx, password.at, password.len) && EVP_DigestUpdate(ctx, salt.at, salt.len) &&
	          EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static enum err
check_digest(const struct digest_scheme *s, struct slice password, struct slice hash)
{
	struct arena a;
	arena_init(&a, 0);
	struct slice bytes;
	uint8_t made[EVP_MAX_MD_SIZE];
	enum err e = ERR_UNSUPPORTED;
	if (base64_decode(slice_from(hash, s->name.len), &a, &bytes) && bytes.len > s->bytes &&
	    salted_digest(s, password, slice_from(bytes, s->bytes), made))
		e = secret_equal(made, bytes.at, s->bytes) ? OK : ERR_DENIED;
	secret_wipe(made, sizeof made);
	arena_release(&a);
	return e;
}

/* ---- which is which */

/* Names that other servers put before a hash that says itself what it is. */
static const struct slice prefixes[] = {
	{ "{CRYPT}", 7 },         { "{ARGON2ID}", 10 },     { "{ARGON2I}", 9 },    { "{ARGON2}", 8 },
	{ "{SHA512-CRYPT}", 14 }, { "{SHA256-CRYPT}", 14 }, { "{BLF-CRYPT}", 11 }, { "{MD5-CRYPT}", 11 },
};

static struct slice
without_prefix(struct slice hash)
{
	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		if (slice_starts_nocase(hash, prefixes[i]))
			return slice_from(hash, prefixes[i].len);
	return hash;
}

static bool
is_crypt(struct slice hash)
{
	static const char *const kinds[] = { "$6$", "$5$", "$y$", "$2b$", "$2a$", "$2y$", "$1$", "$gy$", "$7$" };
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (slice_starts(hash, slice_text(kinds[i])))
			return true;
	return false;
}

enum err
password_check(struct slice password, struct slice hash)
{
	const struct digest_scheme *scheme = digest_scheme_of(hash);
	if (scheme)
		return check_digest(scheme, password, hash);
	hash = without_prefix(hash);
	if (slice_starts(hash, S("$argon2")))
		return check_argon2(password, hash);
	return is_crypt(hash) ? check_crypt(password, hash) : ERR_UNSUPPORTED;
}

const char *
password_hash_refused(struct slice hash)
{
	if (hash.len == 0 || hash.len >= PASSWORD_HASH_BYTES_MAX)
		return "the hash is empty or too long";
	for (size_t i = 0; i < hash.len; i++)
		if (hash.at[i] <= ' ' || hash.at[i] > '~')
			return "the hash holds white space or characters that no hash has";
	if (slice_starts(without_prefix(hash), S("$argon2")) && !argon2_is_affordable(without_prefix(hash)))
		return "the argon2 hash is malformed, or asks for more than 1 GiB of memory or 1000 passes";
	if (password_check(S(""), hash) == ERR_UNSUPPORTED)
		return "the hash is of no kind that is known: argon2, crypt(3) ($6$, $5$, $y$, $2b$, $1$) and {SSHA} are";
	return NULL;
}
