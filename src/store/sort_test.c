/* SPDX-License-Identifier: Apache-2.0 */
/* sort_test.c - sort_keys: what the columns of packs say of a message is what its facts say, while messages come and
 * go, with packs that are damaged and regions in which little has place; who may ask. Whose turn it is on the threads
 * for searches, and that packs of an older version are made again. The indexer is played by the test. */
#include "store/indexer_testing.h"

#include "mail/fold.h"
#include "mail/sort_keys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

enum { UIDS_MAX = 600, ALL = (1 << SORT_KEYS_COLUMNS) - 1 };

static uint64_t account, inbox;
static uint32_t handle, last_uid;
static struct slice facts_of_uid[UIDS_MAX + 1]; /* at NULL: gone */

static void
await_alice(void)
{
	ASSERT(await_domain_add("example.test") == OK);
	account = await_account("alice@example.test", RIGHTS_USER, 0);
	handle = await_handle(account);
	memset(facts_of_uid, 0, sizeof facts_of_uid);
	last_uid = 0;
}

static void
await_more(size_t n)
{
	static const char *const words[] = { "one", "Two", "Re: three", "\xc3\xa4", "", "[x] four" };
	for (; n > 0 && last_uid < UIDS_MAX; n--) {
		struct store_delivered d;
		struct buf facts;
		unsigned r = (unsigned)(random_u64() % 1000);
		struct slice m =
		    arena_printf(&house.a,
		                 "Subject: %s\r\nFrom: %s <u%u@example.test>\r\nDate: %u Nov 2026 01:02:%02u +0000\r\n"
		                 "Message-ID: <%u@x>\r\nReferences: <%u@x> <%u@x>\r\n\r\ntext\r\n",
		                 words[r % 6], words[r % 5], r % 7, 1 + r % 28, r % 60, r, r % 50, r % 49);
		buf_init(&facts, FACTS_BYTES_MAX);
		ASSERT(facts_of_message(m, &facts));
		struct slice kept = r % 11 ? slice_keep(&house.a, buf_slice(&facts)) : S("facts"); /* some do not read */
		ASSERT(await_deliver_with(account, "INBOX", m, kept, &d) == OK);
		buf_release(&facts);
		facts_of_uid[d.uid] = kept;
		last_uid = d.uid;
		inbox = d.mailbox;
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
		facts_of_uid[uid[0]] = SLICE_NONE;
	}
}

/* ---- asking */

static void
check_key(const struct sort_keys *k, uint32_t i, uint32_t columns)
{
	struct facts f;
	struct facts_numbers numbers;
	struct buf folded;
	uint32_t uid = sort_keys_uid(k, i);
	ASSERT(uid <= last_uid);
	if (!facts_of_uid[uid].at || !(sort_keys_flags(k, i) & SORT_KEYS_KNOWN))
		return; /* what went may still be named */
	assert_true(facts_open(&f, facts_of_uid[uid]) && facts_numbers(&f, &numbers));
	if (columns & 1u << SORT_KEYS_DATE)
		assert_int_equal(sort_keys_date(k, i), numbers.date);
	if (columns & 1u << SORT_KEYS_IDS)
		assert_true(slice_equal(sort_keys_id(k, sort_keys_own_id(k, i)), facts_get(&f, FACTS_MESSAGE_ID)));
	if (columns & 1u << SORT_KEYS_SUBJECT) {
		buf_init(&folded, 1000);
		fold_put(&folded, facts_get(&f, FACTS_BASE_SUBJECT));
		assert_true(slice_equal(sort_keys_text(k, SORT_KEYS_SUBJECT, i), buf_slice(&folded)));
		buf_release(&folded);
	}
}

/* Returns how many messages that are there, with facts that read, the columns know. */
static size_t
check_entries(uint32_t filled, uint32_t columns, uint32_t *last)
{
	size_t known = 0;
	for (uint32_t at = 0; at < filled;) {
		struct sort_keys k;
		uint32_t bytes = (uint32_t)bytes_get_le(house.region + at, 4);
		assert_true(bytes % 8 == 0 && bytes <= filled - at - 8);
		assert_true(sort_keys_open(&k, slice_of(house.region + at + 8, bytes)) && sort_keys_is_sound(&k));
		for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++)
			assert_int_equal(k.columns[c].len != 0, columns >> c & 1);
		for (uint32_t i = 0; i < k.n; i++) {
			assert_true(sort_keys_uid(&k, i) > *last);
			*last = sort_keys_uid(&k, i);
			check_key(&k, i, columns);
			known += facts_of_uid[*last].at && (sort_keys_flags(&k, i) & SORT_KEYS_KNOWN);
		}
		at += 8 + bytes;
	}
	return known;
}

static size_t
await_check(uint32_t columns, size_t room)
{
	struct store_sort_keys_in in = { handle, inbox, columns, 1, UINT32_MAX, in_region() };
	size_t known = 0;
	uint32_t last = 0;
	in.into.len = room;
	for (bool more = true; more;) {
		struct store_sort_keys_out out = { 0 };
		assert_int_equal(await_store_sort_keys(&house.user, &in, &house.a, &out), OK);
		assert_true(out.filled <= room && (!out.more || out.upto >= in.from));
		known += check_entries(out.filled, columns, &last);
		more = out.more;
		in.from = out.upto + 1;
	}
	return known;
}

static size_t
count_readable(uint32_t upto)
{
	size_t n = 0;
	for (uint32_t uid = 1; uid <= upto; uid++)
		n += facts_of_uid[uid].at && !slice_equal(facts_of_uid[uid], S("facts"));
	return n;
}

static uint32_t
pack_uid(void)
{
	struct row_texts texts;
	struct txn *t = txn_begin(house.s.engine, false);
	ASSERT(texts_get(t, account, inbox, &texts) == OK);
	txn_end(&t);
	return texts.pack_uid;
}

static void
are_exact(void)
{
	size_t lied = 0;
	await_alice();
	pack_messages = 16;
	for (int round = 0; round < 40; round++) {
		await_more((size_t)(random_u64() % 30) + 1);
		await_make(account, inbox, 64, 1000);
		bool lie = random_u64() % 8 == 0;
		if (random_u64() % 4)
			lied += await_pack(account, inbox, lie) && lie;
		size_t all = await_check(ALL, REGION_BYTES), some = await_check(ALL & ~(random_u64() & 0x1fe), 3000);
		assert_true(all <= count_readable(pack_uid()) && (lied || all == count_readable(pack_uid())));
		assert_true(some <= all);
		assert_int_equal(await_check(ALL, 100), 0); /* no pack has place: all are passed over */
		assert_int_equal(await_check(1, REGION_BYTES), all);
		await_fewer((size_t)(random_u64() % 8));
		await_check(ALL, REGION_BYTES);
	}
	assert_true(pack_uid() > 100);
	pack_messages = SEARCH_PACK_MESSAGES_MAX;
}

static void
test_exact(void **state)
{
	on_house_with_indexer(are_exact);
}

static void
asks_badly(void)
{
	await_alice();
	await_more(1);
	uint64_t other = await_account("bob@example.test", RIGHTS_USER, 0);
	struct store_sort_keys_out out;
	struct store_sort_keys_in in = { handle, inbox, ALL, 1, 9, in_region() }, bad = in;
	assert_int_equal(await_store_sort_keys(&house.user, &in, &house.a, &out), OK);
	assert_true(out.filled == 0 && !out.more);
	assert_int_equal(await_store_sort_keys(&house.mx, &in, &house.a, &out), ERR_DENIED);
	bad.handle = handle + 1;
	assert_int_equal(await_store_sort_keys(&house.user, &bad, &house.a, &out), ERR_STALE);
	bad = in;
	bad.columns = 2;
	assert_int_equal(await_store_sort_keys(&house.user, &bad, &house.a, &out), ERR_SYNTAX);
	bad = in;
	bad.from = 0;
	assert_int_equal(await_store_sort_keys(&house.user, &bad, &house.a, &out), ERR_SYNTAX);
	bad = in;
	bad.into.len = 1ull << 40;
	assert_int_equal(await_store_sort_keys(&house.user, &bad, &house.a, &out), ERR_SYNTAX);
	bad = in;
	bad.handle = await_handle(other); /* the mailbox is one of alice */
	assert_int_equal(await_store_sort_keys(&house.user, &bad, &house.a, &out), OK);
	assert_int_equal(out.filled, 0);
}

static void
test_bad_questions(void **state)
{
	on_house_with_indexer(asks_badly);
}

/* ---- packs of an older version */

static void
test_old_packs(void **state)
{
	static const char first[17] = { 1, 40, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 32, 0, 0, 0 };
	const struct row_mailbox mailbox = { .messages = 40 };
	struct row_texts row;
	assert_true(row_texts_take(slice_of(first, sizeof first), &row));
	assert_true(row.pack_version == 1 && row.packed == 32 && row.text_uid == 40);
	assert_true(packs_have_work(&row, &mailbox));
	row.pack_version = SEARCH_PACK_VERSION;
	assert_false(packs_have_work(&row, &mailbox));
}

/* ---- turns */

enum { JOBS_OF_ONE = 30, THREADS = 2 /* of reader.c */ };

static sem_t go;
static atomic_uint busy, started, ended;

struct turn {
	unsigned at;
};

static void
wait_run(void *arg)
{
	atomic_fetch_add(&busy, 1);
	while (sem_wait(&go) != 0)
		continue;
}

static void
turn_run(void *arg)
{
	((struct turn *)arg)->at = atomic_fetch_add(&started, 1);
}

static void
count_done(void *arg)
{
	atomic_fetch_add(&ended, 1);
}

/* While the threads are busy one account asks for much, then two others for a little: they wait for one job of it, not
 * for all. One thread stays busy, so that what runs has one order. */
static void
take_turns(void)
{
	static struct turn much[JOBS_OF_ONE], little[2];
	atomic_store(&busy, 0);
	atomic_store(&started, 0);
	atomic_store(&ended, 0);
	ASSERT(sem_init(&go, 0, 0) == 0);
	for (int i = 0; i < THREADS; i++)
		store_search_later(&house.s, 9, wait_run, count_done, NULL);
	while (atomic_load(&busy) < THREADS)
		await_sleep(5);
	for (int i = 0; i < JOBS_OF_ONE; i++)
		store_search_later(&house.s, 1, turn_run, count_done, &much[i]);
	store_search_later(&house.s, 2, turn_run, count_done, &little[0]);
	store_search_later(&house.s, 0, turn_run, count_done, &little[1]);
	sem_post(&go);
	while (atomic_load(&ended) < 1 + JOBS_OF_ONE + 2)
		await_sleep(5);
	sem_post(&go);
	while (atomic_load(&ended) < THREADS + JOBS_OF_ONE + 2)
		await_sleep(5);
	assert_true(much[0].at == 0 && little[0].at == 1 && little[1].at == 2);
	for (unsigned i = 1; i < JOBS_OF_ONE; i++)
		assert_int_equal(much[i].at, i + 2);
	sem_destroy(&go);
}

static void
test_turns(void **state)
{
	on_house_with_indexer(take_turns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_bad_questions),
		cmocka_unit_test(test_old_packs),
		cmocka_unit_test(test_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
