/* SPDX-License-Identifier: Apache-2.0 */
/* scram_test.c - the examples of RFC 5802 5 and RFC 7677 3, keys as text, malformed messages. */
#include "auth/scram.h"

#include "auth/saslprep.h"
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
/* after those */
#include <cmocka.h>

static const struct {
	enum scram_hash hash;
	const char *salt, *first, *server_first, *without_proof, *proof, *signature;
} examples[] = {
	{ SCRAM_SHA_1, "QSXCR+Q6sek8bf92", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	  "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	  "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
	  "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	  "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	  "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	  "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

/* The salt of RFC 5802's example has 12 bytes, ours always 16: the keys are made with OpenSSL's own arithmetic there.
 */
static struct scram_keys
keys_of(enum scram_hash hash, struct slice salt)
{
	struct scram_keys k;
	uint8_t room[SCRAM_SALT_BYTES] = { 0 };
	assert_true(salt.len == SCRAM_SALT_BYTES);
	memcpy(room, salt.at, salt.len);
	scram_keys_make(hash, S("pencil"), room, 4096, &k);
	return k;
}

static void
examples_of_the_rfcs(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct slice salt, signature;
		struct scram_first first;
		struct scram_final last;
		uint8_t made[SCRAM_KEY_BYTES];
		assert_true(base64_decode(slice_text(examples[i].salt), &a, &salt));
		assert_true(scram_first_take(slice_text(examples[i].first), &a, &first));
		assert_true(slice_equal(first.user, S("user")) && slice_equal(first.gs2, S("n,,")) && first.flag == 'n');
		struct slice text = arena_printf(&a, "%s,p=%s", examples[i].without_proof, examples[i].proof);
		assert_true(scram_final_take(text, &a, &last));
		assert_true(slice_equal(last.without_proof, slice_text(examples[i].without_proof)));
		assert_true(slice_equal(last.binding, S("n,,")));
		if (salt.len != SCRAM_SALT_BYTES)
			continue;
		struct scram_keys k = keys_of(examples[i].hash, salt);
		struct slice message =
		    arena_printf(&a, "%.*s,%s,%s", SLICE_ARG(first.bare), examples[i].server_first, examples[i].without_proof);
		assert_true(scram_check(examples[i].hash, &k, message, last.proof, made));
		assert_true(base64_decode(slice_text(examples[i].signature), &a, &signature));
		assert_memory_equal(made, signature.at, signature.len);
		((char *)last.proof.at)[0] ^= 1;
		assert_false(scram_check(examples[i].hash, &k, message, last.proof, made));
		assert_false(scram_check(examples[i].hash, &k, message, slice_part(last.proof, 0, 10), made));
	}
	arena_release(&a);
}

/* StoredKey and ServerKey of the example with SHA-1, whose salt is shorter: checked by its proof and signature. */
static void
example_of_rfc5802(void **state)
{
	struct arena a;
	arena_init(&a, 0);
	struct slice stored, server, proof, signature;
	uint8_t made[SCRAM_KEY_BYTES];
	struct scram_keys k = { .iterations = 4096 };
	assert_true(base64_decode(S("6dlGYMOdZcOPutkcNY8U2g7vK9Y="), &a, &stored));
	assert_true(base64_decode(S("D+CSWLOshSulAsxiupA+qs2/fTE="), &a, &server));
	memcpy(k.stored, stored.at, stored.len);
	memcpy(k.server, server.at, server.len);
	struct slice message = arena_printf(&a, "n=user,r=fyko+d2lbbFgONRv9qkxdawL,%s,%s", examples[0].server_first,
	                                    examples[0].without_proof);
	assert_true(base64_decode(slice_text(examples[0].proof), &a, &proof));
	assert_true(base64_decode(slice_text(examples[0].signature), &a, &signature));
	assert_true(scram_check(SCRAM_SHA_1, &k, message, proof, made));
	assert_memory_equal(made, signature.at, signature.len);
	arena_release(&a);
}

static void
keys_as_text(void **state)
{
	struct arena a;
	struct scram_keys k, again;
	arena_init(&a, 0);
	struct slice text = scram_text_make(S("pencil"), 4096, &a);
	assert_true(text.len > 0 && text.len < SCRAM_TEXT_BYTES_MAX);
	for (int h = 0; h < SCRAM_HASHES; h++) {
		assert_true(scram_text_take(text, (enum scram_hash)h, &k));
		scram_keys_make((enum scram_hash)h, S("pencil"), k.salt, k.iterations, &again);
		assert_memory_equal(&k, &again, sizeof k);
	}
	static const char *const bad[] = {
		"",
		"SCRAM-SHA-256",
		"SCRAM-SHA-256$",
		"SCRAM-SHA-256$0:AAAAAAAAAAAAAAAAAAAAAA==$$:",
		"SCRAM-SHA-256$4096:$:",
		"SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
		"SCRAM-SHA-2560$4096:x$y:z",
		"$argon2id$v=19",
		"SCRAM-SHA-1$99999999999:a$b:c",
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(scram_text_take(slice_text(bad[i]), SCRAM_SHA_256, &k));
	assert_true(scram_text_make(S("\xff"), 4096, &a).len == 0);
	assert_true(scram_text_make(S("a\x01"), 4096, &a).len == 0);
	assert_true(scram_text_make(S("\xc2\xad"), 4096, &a).len == 0); /* nothing is left of it */
	arena_release(&a);
}

static void
messages(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "n,,n=a,r=x", true },
		{ "y,,n=a,r=x", true },
		{ "p=tls-exporter,,n=a,r=x", true },
		{ "n,a=b,n=a,r=x", true },
		{ "n,,n=a=2Cb=3Dc,r=x,e=1", true },
		{ "n,,n=a,r=x,m=1", false },
		{ "n,,m=1,n=a,r=x", false },
		{ "p=,,n=a,r=x", false },
		{ "n,,n=a=2c,r=x", false },
		{ "n,,n=a=,r=x", false },
		{ "n,,n=a,r=x,", false },
		{ "n,,n=a", false },
		{ "", false },
	};
	struct arena a;
	struct scram_first f;
	struct scram_final last;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(scram_first_take(slice_text(rows[i].text), &a, &f), rows[i].good);
	assert_true(scram_first_take(S("n,a=x=2Cy,n=a=2Cb=3Dc,r=x"), &a, &f));
	assert_true(slice_equal(f.user, S("a,b=c")) && slice_equal(f.authzid, S("x,y")));
	assert_true(slice_equal(f.bare, S("n=a=2Cb=3Dc,r=x")));
	assert_true(scram_final_take(S("c=biws,r=x,e=1,p=AAAA"), &a, &last));
	assert_false(scram_final_take(S("c=biws,r=x"), &a, &last));
	assert_false(scram_final_take(S("c=biws,r=x,m=1,p=AAAA"), &a, &last));
	assert_false(scram_final_take(S("r=x,c=biws,p=AAAA"), &a, &last));
	assert_false(scram_final_take(S("c=biws,r=x,p=AAAA,"), &a, &last));
	arena_release(&a);
}

static void
mechanisms(void **state)
{
	enum scram_hash hash;
	bool plus;
	assert_true(scram_mechanism(S("scram-sha-1-plus"), &hash, &plus) && hash == SCRAM_SHA_1 && plus);
	assert_true(scram_mechanism(S("SCRAM-SHA-256"), &hash, &plus) && hash == SCRAM_SHA_256 && !plus);
	assert_false(scram_mechanism(S("SCRAM-SHA-512"), &hash, &plus));
	assert_false(scram_mechanism(S("SCRAM-SHA-1-"), &hash, &plus));
}

/* RFC 4013 3 */
static void
prepared_names(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "I\xc2\xadX", "IX" },   { "user", "user" },       { "USER", "USER" },
		{ "\xc2\xaa", "a" },      { "\xe2\x85\xa8", "IX" }, { "\x07", NULL },
		{ "\xd8\xa7\x31", NULL }, { "a\xc2\xa0z", "a z" },  { "\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3" },
		{ "\xed\xa0\x80", NULL },
	};
	struct arena a;
	struct slice out;
	arena_init(&a, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(saslprep(slice_text(rows[i].in), &a, &out), rows[i].out != NULL);
		if (rows[i].out)
			assert_true(slice_equal(out, slice_text(rows[i].out)));
	}
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_the_rfcs), cmocka_unit_test(example_of_rfc5802),
		cmocka_unit_test(keys_as_text),         cmocka_unit_test(messages),
		cmocka_unit_test(mechanisms),           cmocka_unit_test(prepared_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
