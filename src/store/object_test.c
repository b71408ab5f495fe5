/* SPDX-License-Identifier: Apache-2.0 */
/* object_test.c - references, what of a segment is alive, ids that are never given twice, reads on threads, and the
 * sweep that gives space back. */
#include "store/bare_store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static struct bare_store b;

static int
begin(void **state)
{
	return bare_new(&b);
}

static int
end(void **state)
{
	return bare_remove(&b);
}

/* One change of objects, made durable before it returns. */
struct change {
	struct update update;
	uint64_t object; /* 0: a new one */
	int32_t refs;
	uint32_t len;
	char fill;
	bool done;
	enum err result, fail;
};
static char *body; /* 1 MiB */

static enum err
change_run(struct store *s, struct txn *t, struct update *u)
{
	struct change *c = CONTAINER_OF(u, struct change, update);
	if (c->object && c->refs)
		return object_refer(s, t, c->object, c->refs);
	memset(body, c->fill, c->len);
	struct body_source from = { .bytes = slice_of(body, c->len), .file = -1, .len = c->len };
	enum err e = object_new(s, t, &from, slice_of(&c->fill, 1), 1, &c->object);
	return e ? e : c->fail;
}

static void
change_done(struct store *s, struct update *u, enum err e)
{
	struct change *c = CONTAINER_OF(u, struct change, update);
	c->done = true;
	c->result = e;
}

static bool
is_done(void *arg)
{
	return ((struct change *)arg)->done;
}

static enum err
make(struct change *c)
{
	if (!body)
		body = must_calloc(1, 1 << 20);
	c->update.run = change_run;
	c->update.done = change_done;
	c->done = false;
	store_update(&b.s, &c->update);
	assert_true(loop_run_until(is_done, c, 20000));
	return c->result;
}

static uint64_t
new_object(uint32_t len, char fill)
{
	struct change c = { .len = len, .fill = fill };
	assert_int_equal(make(&c), OK);
	return c.object;
}

static enum err
refer(uint64_t object, int32_t refs)
{
	struct change c = { .object = object, .refs = refs };
	return make(&c);
}

static enum err
look(uint64_t object, struct object *o)
{
	struct slice facts;
	struct txn *t = txn_begin(b.s.engine, false);
	enum err e = object_get(t, object, o);
	assert_int_equal(object_facts(t, object, &facts), e);
	txn_end(&t);
	return e;
}

static uint64_t
alive(void)
{
	uint64_t bytes, on_disk;
	assert_int_equal(object_usage(&b.s, NULL, &bytes, &on_disk), OK);
	return bytes;
}

static void
the_last_reference_ends_an_object(void **state)
{
	uint64_t id = new_object(1000, 'a');
	struct object o;
	assert_int_equal(look(id, &o), OK);
	assert_int_equal(o.refs, 1);
	assert_int_equal(alive(), segment_record_bytes(1000));
	assert_int_equal(refer(id, 2), OK);
	assert_int_equal(refer(id, -1), OK);
	assert_int_equal(look(id, &o), OK);
	assert_int_equal(o.refs, 2);
	char text[10];
	assert_int_equal(object_read(&b.s, &o, 990, text, 10), OK);
	assert_memory_equal(text, "aaaaaaaaaa", 10);
	assert_int_equal(refer(id, -3), ERR_DAMAGED); /* more than there are */
	assert_int_equal(refer(id, -2), OK);
	assert_int_equal(look(id, &o), ERR_NOT_FOUND);
	assert_int_equal(alive(), 0);
	assert_int_equal(refer(id, 1), ERR_DAMAGED);
}

static void
a_failed_update_leaves_nothing(void **state)
{
	new_object(1000, 'a');
	struct segment_end mark = segment_mark(b.s.segments);
	struct change c = { .len = 5000, .fill = 'b', .fail = ERR_QUOTA };
	assert_int_equal(make(&c), ERR_QUOTA);
	struct object o;
	assert_int_equal(look(c.object, &o), ERR_NOT_FOUND);
	assert_int_equal(segment_mark(b.s.segments).end, mark.end);
	assert_int_equal(alive(), segment_record_bytes(1000));
}

static void
ids_only_grow(void **state)
{
	uint64_t first = new_object(10, 'a'), second = new_object(10, 'b');
	assert_true(second > first);
	assert_int_equal(refer(second, -1), OK);
	bare_close(&b);
	assert_int_equal(bare_open(&b), OK);
	uint64_t third = new_object(10, 'c');
	assert_true(third > second);
	struct object o;
	char c;
	assert_int_equal(look(first, &o), OK);
	assert_int_equal(object_read(&b.s, &o, 9, &c, 1), OK);
	assert_int_equal(c, 'a');
	assert_int_equal(alive(), 2 * segment_record_bytes(10));
}

struct reading {
	struct object o;
	char bytes[16];
	enum err result;
	bool done;
};

static void
read_it(void *arg)
{
	struct reading *r = arg;
	r->result = object_read(&b.s, &r->o, 0, r->bytes, sizeof r->bytes);
}

static void
read_done(void *arg)
{
	((struct reading *)arg)->done = true;
}

static bool
reading_done(void *arg)
{
	return ((struct reading *)arg)->done;
}

static void
reads_run_on_a_thread(void **state)
{
	static struct reading r[50];
	uint64_t id = new_object(16, 'r');
	for (size_t i = 0; i < COUNT_OF(r); i++) {
		assert_int_equal(look(id, &r[i].o), OK);
		store_read_later(&b.s, read_it, read_done, &r[i]);
	}
	for (size_t i = 0; i < COUNT_OF(r); i++) {
		assert_true(loop_run_until(reading_done, &r[i], 10000));
		assert_int_equal(r[i].result, OK);
		assert_memory_equal(r[i].bytes, "rrrrrrrrrrrrrrrr", 16);
	}
}

/* Fills more than one segment with objects of 1 MiB; returns how many stand in the first. */
#define MANY 70
static uint64_t ids[MANY];
static size_t
fill_segment(void)
{
	size_t in_first = 0;
	for (size_t i = 0; i < MANY; i++) {
		struct object o;
		ids[i] = new_object(1 << 20, (char)('0' + i % 70));
		assert_int_equal(look(ids[i], &o), OK);
		in_first += o.at.segment == 1;
	}
	assert_true(in_first < MANY);
	return in_first;
}

static bool
segment_is_gone(void *arg)
{
	return objects_segment(&b.s, *(uint32_t *)arg) == NULL;
}

static bool
file_exists(const char *name)
{
	return faccessat(b.s.data_dir, name, F_OK, 0) == 0;
}

static void
an_emptied_segment_gives_its_file_back(void **state)
{
	size_t in_first = fill_segment();
	for (size_t i = 0; i < in_first; i++)
		assert_int_equal(refer(ids[i], -1), OK);
	assert_null(objects_segment(&b.s, 1));
	for (int i = 0; i < MANY; i++) /* the next one takes the file over */
		new_object(1 << 20, 'n');
	assert_false(file_exists("segments/00000001.seg"));
	assert_true(file_exists("segments/00000003.seg"));
	assert_false(file_exists("segments/00000004.seg"));
}

static void
a_sparse_segment_is_swept(void **state)
{
	size_t in_first = fill_segment();
	uint32_t first = 1;
	for (size_t i = 0; i < in_first; i++)
		if (i % 4)
			assert_int_equal(refer(ids[i], -1), OK);
	assert_non_null(objects_segment(&b.s, 1));
	assert_true(loop_run_until(segment_is_gone, &first, 30000));
	for (size_t i = 0; i < in_first; i += 4) {
		struct object o;
		char c;
		assert_int_equal(look(ids[i], &o), OK);
		assert_true(o.at.segment > 1);
		assert_int_equal(segment_verify(b.s.segments, &o.at, ids[i]), OK);
		assert_int_equal(object_read(&b.s, &o, 1000, &c, 1), OK);
		assert_int_equal(c, '0' + i % 70);
	}
	uint64_t before = alive();
	bare_close(&b);
	assert_int_equal(bare_open(&b), OK);
	assert_int_equal(alive(), before);
}

static void
a_damaged_record_is_not_laundered(void **state)
{
	size_t in_first = fill_segment();
	struct object o;
	int fd;
	assert_int_equal(look(ids[0], &o), OK);
	assert_int_equal(segment_file(b.s.segments, 1, &fd), OK);
	assert_int_equal(pwrite(fd, "X", 1, (off_t)(o.at.offset + SEGMENT_HEADER_BYTES + 5)), 1);
	for (size_t i = 0; i < in_first; i++)
		if (i % 4)
			assert_int_equal(refer(ids[i], -1), OK);
	int64_t until = clock_mono_ms() + 5000;
	while (!objects_segment(&b.s, 1)->left && clock_mono_ms() < until)
		loop_turn(10);
	assert_true(objects_segment(&b.s, 1)->left);
	assert_int_equal(look(ids[0], &o), OK);
	assert_int_equal(o.at.segment, 1);
	assert_int_equal(segment_verify(b.s.segments, &o.at, ids[0]), ERR_DAMAGED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_last_reference_ends_an_object, begin, end),
		cmocka_unit_test_setup_teardown(a_failed_update_leaves_nothing, begin, end),
		cmocka_unit_test_setup_teardown(ids_only_grow, begin, end),
		cmocka_unit_test_setup_teardown(reads_run_on_a_thread, begin, end),
		cmocka_unit_test_setup_teardown(an_emptied_segment_gives_its_file_back, begin, end),
		cmocka_unit_test_setup_teardown(a_sparse_segment_is_swept, begin, end),
		cmocka_unit_test_setup_teardown(a_damaged_record_is_not_laundered, begin, end),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(body);
	return failed;
}
