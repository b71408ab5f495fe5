/* SPDX-License-Identifier: Apache-2.0 */
/* search_pack_test.c - packs of texts: columns decide as the texts do, what is proposed holds all that has the text,
 * what frequent words find has it, a message of too many different bytes is always proposed, a full pack says so, and
 * packs that lie are harmless. */
#include "mail/search_pack.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/random.h"
#include "mail/charset.h"
#include "mail/fold.h"
#include "mail/search_words.h"

static bool
read_memory(void *from, uint64_t at, void *to, size_t len)
{
	const struct slice *s = from;
	assert_true(at <= s->len && len <= s->len - at);
	if (len)
		memcpy(to, s->at + at, len);
	return true;
}

static struct search_pack
pack_of(struct slice *bytes)
{
	return (struct search_pack){ .read = read_memory, .from = bytes, .bytes = bytes->len };
}

static const char *const words[] = { "a",    "B",       "ab",   " ",         "stra\xc3\x9f", "SS",
	                                 "mail", "Mailbox", "the ", "e\xcc\x81", "zq",           "qqq" };

static struct slice
some_words(struct arena *a, size_t max)
{
	struct buf b;
	buf_init(&b, 10000);
	for (size_t n = (size_t)(random_u64() % (max + 1)); n-- > 0;)
		buf_put(&b, slice_text(words[random_u64() % COUNT_OF(words)]));
	struct slice s = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return s;
}

enum { MESSAGES = 150 };

struct made {
	struct arena arena;
	struct search_packer *packer;
	struct search_text texts[MESSAGES];
	struct buf pack;
	struct slice bytes;
};

/* Every tenth text is cut. */
static void
make(struct made *m)
{
	arena_init(&m->arena, 0);
	buf_init(&m->pack, SEARCH_PACK_BYTES_MAX);
	m->packer = search_packer_new();
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct buf record;
		struct slice s = some_words(&m->arena, 4), f = some_words(&m->arena, 2), t = some_words(&m->arena, 30);
		struct slice message =
		    arena_printf(&m->arena, "Subject: %.*s\r\nX-F: %.*s\r\n%s\r\n%.*s\r\n", SLICE_ARG(s), SLICE_ARG(f),
		                 random_u64() % 3 ? "" : "SUBJECT: mail\r\nFrom:\r\n", SLICE_ARG(t));
		buf_init(&record, 10000);
		search_text_make(message, i % 10 == 9 ? 24 : 5000, &record);
		assert_true(search_text_open(&m->texts[i], slice_keep(&m->arena, buf_slice(&record))));
		assert_true(search_packer_add(m->packer, 10 + 2 * i, 1000 + i, &m->texts[i], S("")));
		buf_release(&record);
	}
	search_packer_finish(m->packer, &m->pack);
	m->bytes = buf_slice(&m->pack);
}

static void
made_release(struct made *m)
{
	search_packer_free(&m->packer);
	buf_release(&m->pack);
	arena_release(&m->arena);
	charset_release();
}

static struct search_key
some_key(struct made *m)
{
	static const struct slice fields[] = { S_ROW("SUBJECT"), S_ROW("FROM"), S_ROW("X-F"), S_ROW("BCC") };
	struct buf folded;
	buf_init(&folded, 1000);
	fold_put(&folded, some_words(&m->arena, 3));
	struct search_key k = { (enum search_where)(random_u64() % 3), fields[random_u64() % 4],
		                    slice_keep(&m->arena, buf_slice(&folded)) };
	buf_release(&folded);
	return k;
}

/* Some that have it are found by words alone. */
static size_t
check_certain(struct made *m, const struct search_pack *p, const struct search_key *k, struct buf *scratch)
{
	struct search_bits bits;
	size_t n = 0;
	assert_true(search_pack_certain(p, k, scratch, &bits));
	for (size_t i = 0; i < SEARCH_PACK_MESSAGES_MAX; i++) {
		if (!search_bits_get(&bits, i))
			continue;
		assert_true(i < MESSAGES && k->where != SEARCH_IN_HEADER);
		if (search_text_find(&m->texts[i], k) != SEARCH_FOUND)
			fail_msg("message %zu is said to have '%.*s'", i, SLICE_ARG(k->needle));
		n++;
	}
	return n;
}

static void
test_agrees(void **state)
{
	struct made m = { .packer = NULL };
	struct buf scratch;
	size_t narrowed = 0, certain = 0;
	buf_init(&scratch, 1u << 20);
	make(&m);
	struct search_pack p = pack_of(&m.bytes);
	uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
	uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
	uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
	assert_true(search_pack_open(&p) && p.n == MESSAGES && search_pack_messages(&p, uids, objects, flags));
	assert_true(uids[3] == 16 && objects[3] == 1003 && flags[3] == 0 && flags[9] != 0);
	for (int round = 0; round < 2000; round++) {
		struct search_key k = some_key(&m);
		struct search_bits bits;
		bool column = search_pack_has_column(&k);
		certain += check_certain(&m, &p, &k, &scratch);
		assert_true(column ? search_pack_column(&p, &k, &scratch, &bits) : search_pack_propose(&p, &k, &bits));
		for (size_t i = 0; i < MESSAGES; i++) {
			enum search_found found = search_text_find(&m.texts[i], &k);
			bool said = search_bits_get(&bits, i);
			if (column && said != (found == SEARCH_FOUND))
				fail_msg("message %zu, '%.*s': the column says %d", i, SLICE_ARG(k.needle), said);
			if (!column && !said && found == SEARCH_FOUND)
				fail_msg("message %zu, '%.*s' is not proposed", i, SLICE_ARG(k.needle));
			narrowed += !column && !said;
		}
	}
	assert_true(narrowed > 1000 && certain > 1000);
	buf_release(&scratch);
	made_release(&m);
}

static void
test_bounds(void **state)
{
	struct search_packer *p = search_packer_new();
	struct buf text, pack;
	buf_init(&text, 1u << 20);
	buf_init(&pack, SEARCH_PACK_BYTES_MAX);
	for (uint32_t i = 0; i < 400000; i++)
		buf_put_char(&text, (char)('!' + random_u64() % 90));
	struct search_text many = { .body = buf_slice(&text) }, few = { .body = S("FEW AND SMALL\n") };
	assert_true(search_packer_add(p, 1, 1, &many, S("")) && search_packer_add(p, 2, 2, &few, S("")));
	search_packer_finish(p, &pack);
	struct slice bytes = buf_slice(&pack);
	struct search_pack k = pack_of(&bytes);
	uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
	uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
	uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
	assert_true(search_pack_open(&k) && search_pack_messages(&k, uids, objects, flags));
	assert_true(flags[0] == SEARCH_PACK_ALWAYS && flags[1] == 0 && pack.len < 10000);
	/* many of middling size: it is full long before it passes its limit */
	uint32_t n = 0;
	for (bool more = true; more; n++) {
		struct search_text some = { .body = slice_part(buf_slice(&text), (n * 1777u) % 350000, 50000) };
		more = search_packer_add(p, n + 1, n + 1, &some, S(""));
	}
	assert_true(n > 10 && search_packer_is_full(p));
	search_packer_finish(p, &pack);
	assert_true(!pack.over);
	for (n = 0; search_packer_add(p, n + 1, n + 1, &few, S("")); n++)
		continue;
	assert_int_equal(n, SEARCH_PACK_MESSAGES_MAX);
	search_packer_finish(p, &pack);
	assert_true(!pack.over);
	search_packer_free(&p);
	buf_release(&text);
	buf_release(&pack);
}

/* The most frequent words are listed; what most messages have needs no look into any of them. */
static void
test_words(void **state)
{
	struct search_packer *p = search_packer_new();
	struct buf pack, scratch, text;
	struct search_bits bits;
	buf_init(&pack, SEARCH_PACK_BYTES_MAX);
	buf_init(&scratch, 1u << 20);
	buf_init(&text, 1u << 20);
	for (uint32_t i = 0; i < 1600; i++) {
		buf_clear(&text);
		buf_printf(&text, "WITH %sWITHOUT-%s\n", i % 10 ? "" : "TENTH ", i % 100 ? "" : "RARE");
		for (uint32_t w = 0; w < 600; w++)
			buf_printf(&text, "W%u ", w);
		struct search_text t = { .header = S("SUBJECT: HEADED\n"), .body = buf_slice(&text) };
		assert_true(search_packer_add(p, i + 1, i + 1, &t, S("")));
	}
	search_packer_finish(p, &pack);
	struct slice bytes = buf_slice(&pack);
	struct search_pack k = pack_of(&bytes);
	static const struct {
		enum search_where where;
		struct slice needle;
		size_t messages;
	} rows[] = {
		{ SEARCH_IN_BODY, S_ROW("WITH"), 1600 }, { SEARCH_IN_BODY, S_ROW("THOU"), 1600 },
		{ SEARCH_IN_TEXT, S_ROW("WITH"), 1600 }, { SEARCH_IN_BODY, S_ROW("HEAD"), 0 },
		{ SEARCH_IN_TEXT, S_ROW("HEAD"), 1600 }, { SEARCH_IN_HEADER, S_ROW("HEAD"), 0 },
		{ SEARCH_IN_BODY, S_ROW("RARE"), 0 },    { SEARCH_IN_BODY, S_ROW("WITH WITH"), 0 },
		{ SEARCH_IN_BODY, S_ROW(""), 0 },        { SEARCH_IN_BODY, S_ROW("W1"), 1600 },
		{ SEARCH_IN_BODY, S_ROW("NO SUCH"), 0 },
	};
	assert_true(search_pack_open(&k));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct search_key key = { rows[i].where, S("X"), rows[i].needle };
		size_t n = 0;
		assert_true(search_pack_certain(&k, &key, &scratch, &bits));
		for (size_t b = 0; b < SEARCH_PACK_MESSAGES_MAX; b++)
			n += search_bits_get(&bits, b);
		if (n != rows[i].messages)
			fail_msg("'%.*s' is certain in %zu", SLICE_ARG(rows[i].needle), n);
	}
	assert_true(k.at_keys - k.at_words < 2 * SEARCH_WORDS_MAX * (k.n / 8 + 40));
	search_packer_free(&p);
	buf_release(&pack);
	buf_release(&scratch);
	buf_release(&text);
}

/* Every byte changed, every length: nothing outside is read (read_memory says so), nothing loops. */
static void
test_lies(void **state)
{
	struct made m = { .packer = NULL };
	struct buf scratch;
	buf_init(&scratch, 1u << 20);
	make(&m);
	for (int round = 0; round < 20000; round++) {
		size_t at = (size_t)(random_u64() % (round % 2 ? m.pack.len : 4000));
		char was = m.pack.at[at];
		m.pack.at[at] = (char)random_u64();
		struct slice bytes = slice_of(m.pack.at, round % 3 ? m.pack.len : (size_t)(random_u64() % m.pack.len));
		struct search_pack p = pack_of(&bytes);
		if (search_pack_open(&p)) {
			uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
			uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
			uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
			struct search_bits bits;
			struct search_key k = some_key(&m);
			(void)search_pack_messages(&p, uids, objects, flags);
			if (search_pack_has_column(&k))
				(void)search_pack_column(&p, &k, &scratch, &bits);
			else
				(void)search_pack_propose(&p, &k, &bits);
			(void)search_pack_certain(&p, &k, &scratch, &bits);
		}
		m.pack.at[at] = was;
	}
	buf_release(&scratch);
	made_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agrees), cmocka_unit_test(test_bounds),
		                                cmocka_unit_test(test_words), cmocka_unit_test(test_lies) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
