/* SPDX-License-Identifier: Apache-2.0 */
/* view_test.c - sequence numbers, marks and sets. */
#include "session/imap/view.h"

#include "ipc/frozen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static struct view view;
static struct arena arena;

/* UIDs 10, 20, 30, 40, 50; the last two are recent. */
static int
start(void **state)
{
	struct index_row rows[5] = { 0 };
	for (uint32_t i = 0; i < 5; i++)
		rows[i] = (struct index_row){ .uid = 10 * (i + 1), .modseq = 1 };
	view = (struct view){ .mailbox = 1 };
	arena_init(&arena, 0);
	view_load(&view, rows, 5, 40);
	return 0;
}

static int
end(void **state)
{
	view_release(&view);
	arena_release(&arena);
	return 0;
}

static void
put_uids(char *to, const uint32_t *uids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes_set_le(to + 4 * i, uids[i], 4);
}

static void
last_messages_of_spans(void **state)
{
	for (size_t n = 0; n <= 6; n++) {
		struct view_span spans[] = { { 1, 3 }, { 5, 6 }, { 8, 11 } };
		const size_t all[] = { 1, 2, 5, 8, 9, 10 };
		struct view_spans s = { spans, 3, 6 };
		size_t i, at = 6 - n;
		view_spans_keep_last(&s, n);
		assert_int_equal(s.messages, n);
		if (n == 0) {
			assert_int_equal(s.count, 0);
			continue;
		}
		for (struct view_walk w = view_walk_of(&s); view_walk_next(&w, &i);)
			assert_int_equal(i, all[at++]);
		assert_int_equal(at, 6);
	}
}

static void
expunged_rows_keep_their_numbers_until_told(void **state)
{
	char uids[12];
	put_uids(uids, (const uint32_t[]){ 20, 40, 45 }, 3);
	view_apply_vanished(&view, slice_of(uids, sizeof uids));
	view_apply_vanished(&view, slice_of(uids, sizeof uids)); /* heard twice */
	assert_int_equal(view.count, 5);
	assert_int_equal(view.gone, 2);
	assert_int_equal(view_index(&view, 50), 4);
	assert_int_equal(view_next_gone(&view, view.count), 4);
	assert_int_equal(view_next_gone(&view, 3), 2);
	assert_int_equal(view_next_gone(&view, 1), 0);
	view_close_gaps(&view);
	assert_int_equal(view.count, 3);
	assert_int_equal(view.recent, 1);
	assert_int_equal(view_index(&view, 50), 2);
	assert_null(view_find(&view, 20));
}

static void
changes_of_others_make_rows_dirty(void **state)
{
	struct index_row rows[3] = { { .uid = 10, .modseq = 5, .flags = MESSAGE_SEEN },
		                         { .uid = 20, .modseq = 5 },
		                         { .uid = 60, .modseq = 6, .flags = MESSAGE_DRAFT, .keyword_set = 9 } };
	view_apply_rows(&view, rows, 3, 60);
	assert_int_equal(view.dirty, 1); /* 20 did not change, 60 is new */
	assert_int_equal(view.count, 6);
	assert_int_equal(view.recent, 3);
	assert_true(view.keywords_missing);
	view_clean(&view, &view.rows[0]);
	assert_int_equal(view.dirty, 0);
	rows[0].modseq = 4; /* older than what is known */
	rows[0].flags = 0;
	view_apply_rows(&view, rows, 1, 0);
	assert_int_equal(view.rows[0].flags & MESSAGE_FLAGS_ALL, MESSAGE_SEEN);
}

static void
own_changes_are_not_dirty(void **state)
{
	struct index_row row = { .uid = 40, .modseq = 5, .flags = MESSAGE_DELETED };
	struct view_own own = { FLAGS_ADD, MESSAGE_DELETED, false };
	view_apply_own(&view, &own, &row, 1);
	assert_int_equal(view.dirty, 0);
	assert_int_equal(view.rows[3].flags, MESSAGE_DELETED | VIEW_RECENT);
	view_apply_rows(&view, &row, 1, 0); /* and heard again */
	assert_int_equal(view.dirty, 0);
}

static void
changes_of_others_below_own_ones_are_dirty(void **state)
{
	struct view_own own = { FLAGS_ADD, MESSAGE_DELETED, false };
	struct index_row row = { .uid = 40, .modseq = 5, .flags = MESSAGE_DELETED | MESSAGE_FLAGGED };
	view_apply_own(&view, &own, &row, 1);
	assert_int_equal(view.dirty, 1);
	assert_int_equal(view.rows[3].flags & VIEW_STAMPED, 0);
}

static void
a_change_number_alone_is_news_to_those_who_asked(void **state)
{
	struct index_row row = { .uid = 40, .modseq = 5 };
	view_apply_rows(&view, &row, 1, 0);
	assert_int_equal(view.dirty, 0);
	view.tells_modseqs = true;
	row.modseq = 6;
	view_apply_rows(&view, &row, 1, 0);
	assert_int_equal(view.dirty, 1);
}

static void
rows_that_are_missing_from_the_whole_are_gone(void **state)
{
	struct index_row rows[3] = { { .uid = 10, .modseq = 1 },
		                         { .uid = 30, .modseq = 7, .flags = MESSAGE_SEEN },
		                         { .uid = 60, .modseq = 8 } };
	view_apply_whole(&view, rows, 2, 1, 30);
	assert_int_equal(view.gone, 1);
	view_apply_whole(&view, rows + 2, 1, 31, UINT32_MAX);
	assert_int_equal(view.gone, 3);
	assert_int_equal(view.dirty, 1);
	view_close_gaps(&view);
	assert_int_equal(view.count, 3);
	assert_int_equal(view.recent, 0);
}

static const struct {
	const char *set;
	bool by_uid;
	const char *rows; /* NULL: BAD */
} sets[] = {
	{ "1", false, "0" },
	{ "1:*", false, "01234" },
	{ "*", false, "4" },
	{ "*:4", false, "34" },
	{ "2:4294967295", false, "1234" },
	{ "1:4294967295,*", false, "01234" },
	{ "9:*", false, "4" },
	{ "3,1,2:3", false, "012" },
	{ "6", false, NULL },
	{ "1,6:9", false, NULL },
	{ "10", true, "0" },
	{ "11", true, "" },
	{ "15:45", true, "123" },
	{ "51:*", true, "4" },
	{ "4294967295:*", true, "4" },
	{ "1:4294967295", true, "01234" },
	{ "50,10,*", true, "04" },
};

static void
sets_become_rows(void **state)
{
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		struct imap_set set;
		struct view_spans spans;
		struct cursor c = cursor_of(slice_text(sets[i].set));
		assert_true(imap_take_set(&c, &arena, &set));
		bool ok = view_resolve(&view, &set, sets[i].by_uid, &arena, &spans);
		if (ok != (sets[i].rows != NULL))
			fail_msg("%s is %s", sets[i].set, ok ? "good" : "bad");
		if (!ok)
			continue;
		char found[10];
		size_t n = 0, at;
		for (struct view_walk w = view_walk_of(&spans); view_walk_next(&w, &at) && n < 9;) {
			found[n++] = (char)('0' + at);
			assert_true(view_spans_hold(&spans, at));
		}
		found[n] = 0;
		assert_int_equal(spans.messages, n);
		if (strcmp(found, sets[i].rows) != 0)
			fail_msg("%s: %s", sets[i].set, found);
	}
}

static void
sets_of_an_empty_mailbox(void **state)
{
	struct imap_set set;
	struct view_spans spans;
	struct view empty = { 0 };
	struct cursor c = cursor_of(S("1:*"));
	assert_true(imap_take_set(&c, &arena, &set));
	assert_true(view_resolve(&empty, &set, false, &arena, &spans));
	assert_int_equal(spans.messages, 0);
	assert_true(view_resolve(&empty, &set, true, &arena, &spans));
	assert_int_equal(spans.messages, 0);
	assert_false(view_spans_hold(&spans, 0));
}

static void
keyword_sets_are_kept_by_number(void **state)
{
	view_keywords_set(&view, 7, S("b c"));
	view_keywords_set(&view, 3, S("a"));
	view_keywords_set(&view, 7, S("other"));
	assert_int_equal(view.nkeywords, 2);
	assert_true(slice_equal(*view_keywords_get(&view, 7), S("b c")));
	assert_true(slice_equal(*view_keywords_get(&view, 3), S("a")));
	assert_null(view_keywords_get(&view, 5));
	assert_int_equal(view_keywords_get(&view, 0)->len, 0);
}

/* A mailbox that many have open: what this session writes to its rows nobody else sees, and new ones find room. */
static void
rows_that_are_shared(void **state)
{
	struct index_row rows[300] = { 0 }, news[2] = { { .uid = 1000, .modseq = 7 }, { .uid = 1001, .modseq = 7 } };
	char uids[4];
	for (uint32_t i = 0; i < 300; i++)
		rows[i] = (struct index_row){ .uid = i + 1, .modseq = 1 };
	int fd = frozen_new(slice_of(rows, sizeof rows));
	struct view mine = { .mailbox = 1 }, other = { .mailbox = 1 };
	assert_true(view_share(&mine, fd, 300) && view_share(&other, fd, 300));
	close(fd);
	rows[9].flags = MESSAGE_SEEN;
	rows[9].modseq = 7;
	put_uids(uids, (const uint32_t[]){ 200 }, 1);
	view_apply_rows(&mine, &rows[9], 1, 0);
	view_apply_rows(&mine, news, 2, 0);
	view_apply_vanished(&mine, slice_of(uids, 4));
	view_begin(&mine, 1001);
	assert_int_equal(mine.count, 301);
	assert_int_equal(mine.dirty + mine.gone, 0);
	assert_int_equal(mine.recent, 1);
	assert_int_equal(view_find(&mine, 10)->flags, MESSAGE_SEEN);
	assert_null(view_find(&mine, 200));
	assert_int_equal(other.count, 300);
	assert_int_equal(view_find(&other, 10)->flags, 0);
	for (uint32_t uid = 2000; uid < 2200; uid++) /* more than there is room for */
		view_apply_rows(&mine, &(struct index_row){ .uid = uid, .modseq = 8 }, 1, 0);
	assert_int_equal(mine.count, 501);
	assert_int_equal(view_find(&mine, 10)->flags, MESSAGE_SEEN);
	view_release(&mine);
	view_release(&other);
}

/* Marks at both ends, and between them. */
static void
marks_are_found_wherever_they_stand(void **state)
{
	struct index_row changed[] = { { .uid = 50, .flags = MESSAGE_SEEN, .modseq = 2 },
		                           { .uid = 10, .flags = MESSAGE_SEEN, .modseq = 2 } };
	char uids[4];
	view_apply_rows(&view, &changed[0], 1, 0);
	assert_int_equal(view.marked_from, 4);
	view_apply_rows(&view, &changed[1], 1, 0);
	put_uids(uids, (const uint32_t[]){ 30 }, 1);
	view_apply_vanished(&view, slice_of(uids, sizeof uids));
	assert_int_equal(view.marked_from, 0);
	assert_int_equal(view.marked_end, 5);
	assert_int_equal(view_next_gone(&view, view.count), 3);
	view_close_gaps(&view);
	assert_int_equal(view.marked_end, 4);
	assert_int_equal(view.dirty, 2);
	view_clean(&view, &view.rows[0]);
	view_clean(&view, &view.rows[3]);
	view_apply_rows(&view, &(struct index_row){ .uid = 20, .flags = MESSAGE_SEEN, .modseq = 3 }, 1, 0);
	assert_int_equal(view.marked_from, 1);
	assert_int_equal(view.marked_end, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_messages_of_spans),
		cmocka_unit_test_setup_teardown(expunged_rows_keep_their_numbers_until_told, start, end),
		cmocka_unit_test_setup_teardown(changes_of_others_make_rows_dirty, start, end),
		cmocka_unit_test_setup_teardown(marks_are_found_wherever_they_stand, start, end),
		cmocka_unit_test(rows_that_are_shared),
		cmocka_unit_test_setup_teardown(own_changes_are_not_dirty, start, end),
		cmocka_unit_test_setup_teardown(changes_of_others_below_own_ones_are_dirty, start, end),
		cmocka_unit_test_setup_teardown(a_change_number_alone_is_news_to_those_who_asked, start, end),
		cmocka_unit_test_setup_teardown(rows_that_are_missing_from_the_whole_are_gone, start, end),
		cmocka_unit_test_setup_teardown(sets_become_rows, start, end),
		cmocka_unit_test_setup_teardown(sets_of_an_empty_mailbox, start, end),
		cmocka_unit_test_setup_teardown(keyword_sets_are_kept_by_number, start, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
