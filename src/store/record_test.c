/* SPDX-License-Identifier: Apache-2.0 */
/* record_test.c - rows come back as they were written; anything shorter, longer or of another version is damage. */
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena arena;

static void
row_of_a_message(void **state)
{
	struct row_message m = {
		.object = 77, .flags = 5, .keyword_set = 3, .modseq = 1ull << 40, .received = -5, .saved = 9, .bytes = 4096
	};
	char to[ROW_MESSAGE_BYTES];
	struct slice s = row_message_put(&m, to);
	struct row_message back;
	assert_true(row_message_take(s, &back));
	assert_int_equal(back.object, 77);
	assert_int_equal(back.modseq, m.modseq);
	assert_int_equal(back.bytes, 4096);
	assert_int_equal(back.keyword_set, 3);
	struct index_row row = index_row_of(12, &m);
	assert_int_equal(row.uid, 12);
	assert_int_equal(row.received, -5);
	for (size_t n = 0; n < s.len; n++)
		assert_false(row_message_take(slice_part(s, 0, n), &back));
	to[0] = 2;
	assert_false(row_message_take(s, &back));
}

static void
row_of_a_mailbox(void **state)
{
	struct row_mailbox m = { .name = S("Archive/2026"),
		                     .uidvalidity = 9,
		                     .uidnext = 100,
		                     .modseq = 55,
		                     .messages = 3,
		                     .log_floor = 2,
		                     .log_entries = 8,
		                     .annotations = 5,
		                     .bytes = 1u << 31 };
	struct slice s = row_mailbox_put(&arena, &m);
	struct row_mailbox back;
	assert_true(row_mailbox_take(s, &back));
	assert_true(slice_equal(back.name, m.name));
	assert_int_equal(back.log_entries, 8);
	assert_int_equal(back.annotations, 5);
	assert_int_equal(back.bytes, 1u << 31);
	for (size_t n = 0; n < s.len; n++)
		assert_false(row_mailbox_take(slice_part(s, 0, n), &back));
}

static void
row_of_an_annotation(void **state)
{
	struct row_annotation a = { .gone = true, .modseq = 7, .value = slice_of("a\0b", 3) }, back;
	struct slice s = row_annotation_put(&arena, &a);
	assert_true(row_annotation_take(s, &back));
	assert_true(back.gone && back.modseq == 7 && slice_equal(back.value, a.value));
	for (size_t n = 0; n < s.len; n++)
		assert_false(row_annotation_take(slice_part(s, 0, n), &back));
	struct row_annotated sum = { 1u << 31 }, again;
	s = row_annotated_put(&arena, &sum);
	assert_true(row_annotated_take(s, &again) && again.bytes == sum.bytes);
	assert_false(row_annotated_take(slice_part(s, 0, s.len - 1), &again));
}

static void
row_of_the_queue(void **state)
{
	struct store_recipient to[2] = { { .address = S("a@x.test"), .notify = NOTIFY_FAILURE },
		                             { .address = S("b@x.test"), .reply = S("450 later"), .status = S("4.2.0") } };
	struct row_queue q = { .object = 4,
		                   .domain = S("x.test"),
		                   .due = 10,
		                   .born = 9,
		                   .held = true,
		                   .bytes = 5,
		                   .recipients = to,
		                   .nrecipients = 2 };
	q.envelope.reverse_path = S("c@y.test");
	struct slice s = row_queue_put(&arena, &q);
	struct row_queue back;
	assert_true(row_queue_take(s, &arena, &back));
	assert_int_equal(back.nrecipients, 2);
	assert_true(slice_equal(back.recipients[1].reply, S("450 later")));
	assert_true(slice_equal(back.envelope.reverse_path, S("c@y.test")));
	assert_true(back.held);
	for (size_t n = 0; n < s.len; n++)
		assert_false(row_queue_take(slice_part(s, 0, n), &arena, &back));
}

static void
a_list_longer_than_its_row_is_damage(void **state)
{
	struct row_address r = {
		.kind = ADDRESS_ALIAS, .shown = S("x@y"), .targets = &(struct store_name){ S("z@y") }, .ntargets = 1
	};
	struct slice s = slice_keep(&arena, row_address_put(&arena, &r));
	struct row_address back;
	assert_true(row_address_take(s, &arena, &back));
	assert_int_equal(back.ntargets, 1);
	bytes_set_le((char *)s.at + 17, 9999, 4);
	assert_false(row_address_take(s, &arena, &back));
}

int
main(void)
{
	arena_init(&arena, 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_of_a_message),
		cmocka_unit_test(row_of_a_mailbox),
		cmocka_unit_test(row_of_an_annotation),
		cmocka_unit_test(row_of_the_queue),
		cmocka_unit_test(a_list_longer_than_its_row_is_damage),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_release(&arena);
	return failed;
}
