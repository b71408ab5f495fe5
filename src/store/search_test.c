/* SPDX-License-Identifier: Apache-2.0 */
/* search_test.c - texts for search in the store: asked for, kept, gone with their messages; and what search_text finds
 * in them, compared with a look into each message, while messages come and go. The indexer is played by the test. */
#include "store/indexer_testing.h"

#include "mail/charset.h"
#include "mail/fold.h"
#include "mail/match.h"
#include "mail/search_pack.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- asking */

struct answer {
	uint16_t found[1000], unknown[1000]; /* by uid */
};

static enum err
await_ask(uint32_t handle, uint64_t mailbox, struct store_search_key *keys, uint32_t n, struct slice uids, size_t room,
          struct answer *answer)
{
	*answer = (struct answer){ 0 };
	struct store_search_text_in in = {
		.handle = handle, .mailbox = mailbox, .keys = keys, .nkeys = n, .uids = uids, .from = 1
	};
	in.into = (struct store_region){ shm_offset(house.shm, house.region), room };
	for (bool more = true; more;) {
		struct store_search_text_out out = { 0 };
		enum err e = await_store_search_text(&house.user, &in, &house.a, &out);
		if (e)
			return e;
		ASSERT(out.filled <= room && out.filled % 8 == 0);
		for (uint32_t at = 0; at < out.filled; at += 8) {
			uint64_t uid = bytes_get_le(house.region + at, 4);
			ASSERT(uid < 1000 && uid >= in.from);
			answer->found[uid] = (uint16_t)bytes_get_le(house.region + at + 4, 2);
			answer->unknown[uid] = (uint16_t)bytes_get_le(house.region + at + 6, 2);
		}
		more = out.more;
		in.from = out.upto + 1;
	}
	return OK;
}

static struct store_search_key
key_of(enum search_where where, struct slice field, struct slice needle)
{
	struct buf folded;
	buf_init(&folded, 10000);
	fold_put(&folded, needle);
	struct store_search_key k = { where, field, slice_keep(&house.a, buf_slice(&folded)) };
	buf_release(&folded);
	return k;
}

#define MESSAGE(subject, text) S("Subject: " subject "\r\n\r\n" text "\r\n")

static uint64_t account;
static uint32_t handle;

static void
await_alice(void)
{
	ASSERT(await_domain_add("example.test") == OK);
	account = await_account("alice@example.test", RIGHTS_USER, 0);
	handle = await_handle(account);
}

/* ---- how texts come and go */

static void
lives(void)
{
	struct store_delivered d;
	struct answer a;
	await_alice();
	assert_int_equal(await_next().account, 0);
	unsigned before = told;
	ASSERT(await_deliver(account, "INBOX", MESSAGE("one", "alpha"), &d) == OK);
	ASSERT(await_deliver(account, "INBOX", MESSAGE("two", "beta"), NULL) == OK);
	while (told == before)
		await_sleep(10);
	struct store_search_key keys[] = { key_of(SEARCH_IN_TEXT, S(""), S("ALPHA")),
		                               key_of(SEARCH_IN_HEADER, S("SUBJECT"), S("two")) };
	assert_int_equal(await_ask(handle, d.mailbox, keys, 2, S(""), REGION_BYTES, &a), OK);
	assert_true(a.unknown[1] == 3 && a.unknown[2] == 3);
	struct store_index_next_out next = await_next();
	assert_true(next.account == account && next.mailbox == d.mailbox);
	assert_int_equal(await_make(account, d.mailbox, 1, 1), 1);
	assert_int_equal(await_ask(handle, d.mailbox, keys, 2, S(""), REGION_BYTES, &a), OK);
	assert_true(a.found[1] == 1 && a.unknown[1] == 0 && a.unknown[2] == 3);
	assert_int_equal(await_make(account, d.mailbox, 64, 10), 1);
	assert_int_equal(await_ask(handle, d.mailbox, keys, 2, S(""), 8, &a), OK); /* one entry at a time */
	assert_true(a.found[1] == 1 && a.found[2] == 2 && a.unknown[2] == 0);
	uint32_t two[] = { 2 };
	assert_int_equal(await_ask(handle, d.mailbox, keys, 2, uid_list(two, 1), REGION_BYTES, &a), OK);
	assert_true(a.found[1] == 0 && a.found[2] == 2);
	assert_int_equal(await_next().account, 0);
	assert_int_equal(await_make(account, d.mailbox, 64, 1), 0);
}

static void
test_lives(void **state)
{
	on_house_with_indexer(lives);
}

/* A copy needs no text of its own; a text goes with the last message that has it, however it goes. */
static void
goes(void)
{
	struct store_delivered d;
	struct slice packed;
	await_alice();
	ASSERT(await_deliver(account, "INBOX", MESSAGE("one", "alpha"), &d) == OK);
	uint64_t object = await_wanted(account, d.mailbox, 64).wanted[0].object;
	await_make(account, d.mailbox, 64, 10);
	struct store_message_copy_in copy = { handle, d.mailbox, uid_list((uint32_t[]){ 1 }, 1), S("Keep"), true };
	struct store_message_copy_out copied;
	struct store_mailbox_create_in create = { handle, S("Keep"), 0 };
	struct store_mailbox_create_out created;
	ASSERT(await_store_mailbox_create(&house.user, &create, &house.a, &created) == OK);
	ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == OK);
	assert_int_equal(await_make(account, created.id, 64, 10), 0);
	struct answer a;
	struct store_search_key k = key_of(SEARCH_IN_BODY, S(""), S("alpha"));
	assert_int_equal(await_ask(handle, created.id, &k, 1, S(""), REGION_BYTES, &a), OK);
	assert_true(a.found[1] == 1);
	struct txn *t = txn_begin(house.s.engine, false);
	assert_int_equal(text_get(t, object, &packed), OK);
	txn_end(&t);
	struct store_mailbox_delete_in gone = { handle, S("Keep") };
	struct store_mailbox_delete_out out;
	ASSERT(await_store_mailbox_delete(&house.user, &gone, &house.a, &out) == OK);
	for (enum err e = OK; e == OK; await_sleep(10)) {
		t = txn_begin(house.s.engine, false);
		e = text_get(t, object, &packed);
		txn_end(&t);
		assert_true(e == OK || e == ERR_NOT_FOUND);
	}
	/* by EXPUNGE, too */
	ASSERT(await_deliver(account, "INBOX", MESSAGE("three", "gamma"), &d) == OK);
	object = await_wanted(account, d.mailbox, 64).wanted[0].object;
	await_make(account, d.mailbox, 64, 10);
	struct store_message_expunge_in all = { handle, d.mailbox, S(""), true };
	struct store_message_expunge_out went;
	ASSERT(await_store_message_expunge(&house.user, &all, &house.a, &went) == OK && went.vanished.len == 4);
	t = txn_begin(house.s.engine, false);
	assert_int_equal(text_get(t, object, &packed), ERR_NOT_FOUND);
	txn_end(&t);
	/* what was made meanwhile for a message that is gone is not kept */
	ASSERT(await_deliver(account, "INBOX", MESSAGE("two", "beta"), &d) == OK);
	struct store_texts_wanted_out w = await_wanted(account, d.mailbox, 64);
	struct store_text late = { w.wanted[0].object, text_of(S("x")) };
	struct store_message_expunge_in expunge = { handle, d.mailbox, S(""), true };
	struct store_message_expunge_out expunged;
	ASSERT(await_store_message_expunge(&house.user, &expunge, &house.a, &expunged) == OK);
	struct store_texts_put_in put = { account, d.mailbox, w.upto, &late, 1 };
	struct store_texts_put_out put_out;
	assert_int_equal(await_store_texts_put(&indexer, &put, &house.a, &put_out), OK);
	t = txn_begin(house.s.engine, false);
	assert_int_equal(text_get(t, late.object, &packed), ERR_NOT_FOUND);
	txn_end(&t);
}

static void
test_goes(void **state)
{
	on_house_with_indexer(goes);
}

/* After a start all mailboxes are looked at; with search.index off nothing is to do and nothing is known. */
static void
begins(void)
{
	struct store_delivered d, e;
	struct answer a;
	await_alice();
	ASSERT(await_deliver(account, "INBOX", MESSAGE("one", "alpha"), &d) == OK);
	ASSERT(await_deliver(account, "Trash", MESSAGE("two", "beta"), &e) == OK);
	await_make(account, d.mailbox, 64, 10);
	await_reopen();
	connect_indexer();
	struct store_index_next_out next = await_next();
	assert_true(next.account == account && next.mailbox == e.mailbox);
	assert_int_equal(await_next().account, 0);
	house.conf.v.search_index = false;
	await_reopen();
	connect_indexer();
	handle = await_handle(account);
	assert_int_equal(await_next().account, 0);
	struct store_search_key k = key_of(SEARCH_IN_BODY, S(""), S("alpha"));
	assert_int_equal(await_ask(handle, d.mailbox, &k, 1, S(""), REGION_BYTES, &a), ERR_UNSUPPORTED);
}

static void
test_begins(void **state)
{
	on_house_with_indexer(begins);
}

/* ---- who may ask what */

static void
asks_badly(void)
{
	struct store_delivered d;
	struct answer a;
	await_alice();
	ASSERT(await_deliver(account, "INBOX", MESSAGE("one", "alpha"), &d) == OK);
	struct store_search_key k = key_of(SEARCH_IN_BODY, S(""), S("alpha"));
	assert_int_equal(await_ask(handle + 1, d.mailbox, &k, 1, S(""), REGION_BYTES, &a), ERR_STALE);
	assert_int_equal(await_ask(handle, d.mailbox, &k, 0, S(""), REGION_BYTES, &a), ERR_SYNTAX);
	assert_int_equal(await_ask(handle, d.mailbox, &k, 1, S(""), 7, &a), ERR_SYNTAX);
	assert_int_equal(await_ask(handle, d.mailbox, &k, 1, S("abc"), REGION_BYTES, &a), ERR_SYNTAX);
	k.where = SEARCH_IN_HEADER + 1;
	assert_int_equal(await_ask(handle, d.mailbox, &k, 1, S(""), REGION_BYTES, &a), ERR_SYNTAX);
	struct store_texts_wanted_in in = { account, d.mailbox, 64 };
	struct store_texts_wanted_out out;
	assert_int_equal(await_store_texts_wanted(&house.user, &in, &house.a, &out),
	                 ERR_DENIED); /* no path without a grant */
	struct store_text_body_in body = { account, d.mailbox, 1, 0, in_region() };
	struct store_text_body_out body_out;
	assert_int_equal(await_store_text_body(&house.mx, &body, &house.a, &body_out), ERR_DENIED);
	/* texts that lie: they are said to be not known */
	struct store_texts_wanted_out w = await_wanted(account, d.mailbox, 64);
	struct store_text text = { w.wanted[0].object, S("\1\1\0\0\377\377\0\0nonsense") };
	struct store_texts_put_in put = { account, d.mailbox, w.upto, &text, 1 };
	struct store_texts_put_out put_out;
	assert_int_equal(await_store_texts_put(&indexer, &put, &house.a, &put_out), OK);
	k.where = SEARCH_IN_BODY;
	assert_int_equal(await_ask(handle, d.mailbox, &k, 1, S(""), REGION_BYTES, &a), OK);
	assert_true(a.unknown[1] == 1 && a.found[1] == 0);
}

static void
test_bad_questions(void **state)
{
	on_house_with_indexer(asks_badly);
}

/* ---- exact: compared with a look into each message, while messages come and go */

static const char *const words[] = { "a", "B",    "ab",      " ",    "stra\xc3\x9f", "SS",       "\xc4\xb0",
	                                 "i", "mail", "Mailbox", "the ", "e\xcc\x81",    "\xc3\x89", "zq" };

static struct slice
some_words(size_t max)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t n = (size_t)(random_u64() % (max + 1)); n-- > 0;)
		buf_put(&b, slice_text(words[random_u64() % COUNT_OF(words)]));
	struct slice kept = slice_keep(&house.a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

static struct slice messages[1000]; /* by uid; at NULL: gone */
static uint32_t last_uid;
static uint64_t inbox;

static void
await_more(size_t n)
{
	for (; n > 0 && last_uid < 900; n--) {
		struct slice s = some_words(4), from = some_words(3), text = some_words(40);
		struct slice m = arena_printf(&house.a, "Subject: %.*s\r\nFrom: %.*s\r\n%s\r\n%.*s\r\n", SLICE_ARG(s),
		                              SLICE_ARG(from), random_u64() % 4 ? "" : "Subject: twice\r\n", SLICE_ARG(text));
		struct store_delivered d;
		ASSERT(await_deliver(account, "INBOX", m, &d) == OK);
		inbox = d.mailbox;
		last_uid = d.uid;
		messages[d.uid] = m;
	}
}

static void
await_fewer(size_t n)
{
	for (; n > 0; n--) {
		uint32_t uid[] = { 1 + (uint32_t)(random_u64() % last_uid) };
		struct store_message_expunge_in in = { handle, inbox, uid_list(uid, 1), true };
		struct store_message_expunge_out out;
		ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &out) == OK);
		messages[uid[0]] = SLICE_NONE;
	}
}

static void
check_one(const struct answer *a, uint32_t uid, const struct match_key *k, uint32_t bit)
{
	bool unknown = a->unknown[uid] >> bit & 1, found = a->found[uid] >> bit & 1;
	if (!messages[uid].at) /* what went may still be named */
		return;
	if (!unknown && found != (match_message(messages[uid], k, 1) != 0))
		fail_msg("message %u: where %d '%.*s' is said to be %d in\n%.*s", uid, k->where, SLICE_ARG(k->needle), found,
		         SLICE_ARG(messages[uid]));
}

static void
await_check(bool all_known)
{
	struct match_key asked[16];
	struct store_search_key keys[16];
	struct answer a;
	uint32_t n = 1 + (uint32_t)(random_u64() % 16);
	for (uint32_t i = 0; i < n; i++) {
		static const char *const fields[] = { "SUBJECT", "FROM", "TO", "X" };
		asked[i] = (struct match_key){ (enum match_where)(random_u64() % 3), slice_text(fields[random_u64() % 4]),
			                           some_words(3) };
		keys[i] = key_of((enum search_where)asked[i].where, asked[i].field, asked[i].needle);
	}
	assert_int_equal(await_ask(handle, inbox, keys, n, S(""), REGION_BYTES, &a), OK);
	for (uint32_t uid = 1; uid <= last_uid; uid++) {
		for (uint32_t i = 0; i < n; i++)
			check_one(&a, uid, &asked[i], i);
		assert_true(!all_known || !messages[uid].at || a.unknown[uid] == 0);
	}
}

static struct store_search_status_out
await_status(void)
{
	struct store_search_status_in in = { S("alice@example.test") };
	struct store_search_status_out out = { 0 };
	assert_int_equal(await_store_search_status(&house.admin, &in, &house.a, &out), OK);
	return out;
}

/* All is made again, in steps; what was known stays known. */
static void
await_rebuild(void)
{
	struct store_search_rebuild_in in = { S("alice@example.test") };
	struct store_search_rebuild_out out = { 0 };
	await_make(account, inbox, 64, 1000);
	assert_int_equal(await_store_search_rebuild(&house.admin, &in, &house.a, &out), OK);
	struct store_search_status_out s = await_status();
	assert_true(s.on && s.texts == 0 && s.packed == 0 && s.messages == out.messages);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(await_make(account, inbox, 5, 1), MIN(5, out.messages - 5 * (uint64_t)i));
		await_check(true);
	}
	assert_true(await_next().account == account);
	await_make(account, inbox, 64, 1000);
	await_pack(account, inbox, false);
	s = await_status();
	assert_true(s.texts == out.messages && s.packed > 0 && s.packed + pack_messages > s.messages);
	assert_int_equal(await_store_search_rebuild(&house.user, &in, &house.a, &out), ERR_DENIED);
	in.address = S("nobody@example.test");
	assert_int_equal(await_store_search_rebuild(&house.admin, &in, &house.a, &out), ERR_NOT_FOUND);
}

static void
is_exact(void)
{
	size_t packs = 0;
	await_alice();
	memset(messages, 0, sizeof messages);
	last_uid = 0;
	pack_messages = 16;
	for (int round = 0; round < 60; round++) {
		search_step_ms = round % 3 ? 20 : 0; /* 0: a turn ends after each text, in the middle of packs, too */
		await_more((size_t)(random_u64() % 20) + 1);
		await_check(false);
		bool all = random_u64() % 2;
		await_make(account, inbox, 1 + (uint32_t)(random_u64() % 64), all ? 1000 : 1);
		await_check(all);
		if (random_u64() % 4)
			packs += await_pack(account, inbox, random_u64() % 8 == 0);
		await_check(all);
		if (round % 20 == 10)
			await_rebuild();
		await_check(all);
		await_fewer((size_t)(random_u64() % (round % 16 == 15 ? 200 : 10)));
		await_check(false);
	}
	assert_true(packs > 10);
	search_step_ms = 20;
	pack_messages = SEARCH_PACK_MESSAGES_MAX;
}

/* Packs are counted, go with their mailbox, and when most of their messages went. */
static void
packs_go(void)
{
	struct store_delivered d;
	struct txn *t;
	struct row_texts texts;
	await_alice();
	pack_messages = 8;
	for (int i = 0; i < 20; i++)
		ASSERT(await_deliver(account, "INBOX", MESSAGE("one", "alpha"), &d) == OK);
	await_make(account, d.mailbox, 64, 100);
	assert_int_equal(await_pack(account, d.mailbox, false), 2);
	t = txn_begin(house.s.engine, false);
	assert_true(texts_get(t, account, d.mailbox, &texts) == OK && texts.packed == 16 && texts.pack_uid == 16);
	txn_end(&t);
	struct store_message_expunge_in expunge = { handle, d.mailbox, S(""), true };
	struct store_message_expunge_out expunged;
	ASSERT(await_store_message_expunge(&house.user, &expunge, &house.a, &expunged) == OK);
	assert_true(await_next().account == account); /* they are dead */
	assert_int_equal(await_pack(account, d.mailbox, false), 1);
	t = txn_begin(house.s.engine, false);
	assert_true(texts_get(t, account, d.mailbox, &texts) == OK && texts.packed == 0);
	uint64_t alive, on_disk;
	assert_int_equal(object_usage(&house.s, t, &alive, &on_disk), OK);
	assert_int_equal(alive, 0);
	txn_end(&t);
	pack_messages = SEARCH_PACK_MESSAGES_MAX;
}

static void
test_packs_go(void **state)
{
	on_house_with_indexer(packs_go);
}

static void
test_exact(void **state)
{
	on_house_with_indexer(is_exact);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),         cmocka_unit_test(test_goes),  cmocka_unit_test(test_begins),
		cmocka_unit_test(test_bad_questions), cmocka_unit_test(test_exact), cmocka_unit_test(test_packs_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
