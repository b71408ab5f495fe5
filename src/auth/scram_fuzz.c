/* SPDX-License-Identifier: Apache-2.0 */
/* scram_fuzz.c - the messages of SCRAM, OAUTHBEARER and XOAUTH2, tokens and kept keys, from any bytes. */
#include "auth/bearer.h"
#include "auth/jwt.h"
#include "auth/saslprep.h"
#include "auth/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const char keys_text[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";

static void
try_token(struct slice text, struct arena *a)
{
	static struct jwt_keys *keys;
	static const struct jwt_rules rules = { "issuer", "mail", "mail", "email", 60 };
	struct slice account;
	const char *why = "";
	if (!keys)
		keys = jwt_keys_read(slice_text(keys_text), &why);
	ASSERT(keys);
	if (jwt_check(text, keys, &rules, 1800000000, a, &account, &why) == OK)
		ASSERT(account.len > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct arena a;
	struct slice text = slice_of(at, len), out;
	struct scram_first first;
	struct scram_final last;
	struct scram_keys k;
	struct bearer b;
	const char *why = "";
	arena_init(&a, 0);
	if (scram_first_take(text, &a, &first)) {
		ASSERT(first.gs2.len + first.bare.len == len && first.user.len > 0 && first.nonce.len > 0);
		(void)saslprep(first.user, &a, &out);
	}
	if (scram_final_take(text, &a, &last))
		ASSERT(last.without_proof.len < len && last.nonce.len > 0);
	(void)scram_text_take(text, SCRAM_SHA_256, &k);
	(void)scram_text_take(text, SCRAM_SHA_1, &k);
	if (bearer_take(text, &b) || bearer_take_xoauth2(text, &b))
		try_token(b.token, &a);
	try_token(text, &a);
	struct jwt_keys *keys = jwt_keys_read(text, &why);
	jwt_keys_free(&keys);
	arena_release(&a);
	return 0;
}
