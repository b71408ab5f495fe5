/* SPDX-License-Identifier: Apache-2.0 */
/* deflate_test.c - compressed streams: to and fro, at rest, with a peer that flushes in its own ways, and with one that
 * sends what is no DEFLATE. */
#include "task/stream.h"
#include "task/task_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

struct two {
	struct stream a, b;
};

static void
pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void
two_open(struct two *t)
{
	int fd[2];
	pair(fd);
	stream_init(&t->a, fd[0]);
	stream_init(&t->b, fd[1]);
}

static void
two_close(struct two *t)
{
	stream_release(&t->a);
	stream_release(&t->b);
}

/* ---- lines and bulk */

enum { BULK = 3000000, ROUNDS = 50 };

static char
bulk_byte(size_t i)
{
	return (char)(i * 2654435761u >> 13);
}

static void
ask(void *arg)
{
	struct two *t = arg;
	struct slice line;
	assert_int_equal(await_deflate(&t->a), OK);
	for (int i = 0; i < ROUNDS; i++) {
		stream_printf(&t->a, "question %d, much like the one before\r\n", i);
		assert_int_equal(await_line(&t->a, 100, false, &line), OK); /* what was put went out first */
		assert_true(slice_starts(line, S("answer ")));
		assert_false(stream_has_output(&t->a));
		stream_rest(&t->a);
	}
	char *bytes = must_calloc(1, BULK);
	for (size_t i = 0; i < BULK; i++)
		bytes[i] = bulk_byte(i);
	assert_int_equal(await_put(&t->a, slice_of(bytes, BULK)), OK);
	stream_put(&t->a, S("the end\r\n"));
	assert_true(stream_has_output(&t->a));
	assert_int_equal(await_flush(&t->a), OK);
	free(bytes);
}

static enum err
await_flushed(struct stream *s, uint32_t events)
{
	stream_try_flush(s);
	return await_fd(s->fd, events, s->deadline_ms);
}

static void
answer(void *arg)
{
	struct two *t = arg;
	struct slice line;
	assert_int_equal(await_deflate(&t->b), OK);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(await_line(&t->b, 100, false, &line), OK);
		char want[60];
		snprintf(want, sizeof want, "question %d, much like the one before", i);
		assert_true(slice_equal(line, slice_text(want)));
		stream_printf(&t->b, "answer %d\r\n", i);
		assert_int_equal(await_flush(&t->b), OK);
		stream_rest(&t->b);
	}
	char *bytes = must_calloc(1, BULK);
	assert_int_equal(await_read(&t->b, bytes, BULK), OK);
	for (size_t i = 0; i < BULK; i++)
		if (bytes[i] != bulk_byte(i))
			fail_msg("byte %zu", i);
	free(bytes);
	assert_int_equal(await_line(&t->b, 100, false, &line), OK);
	assert_true(slice_equal(line, S("the end")));
	assert_false(stream_has_input(&t->b));
}

static void
to_and_fro(void **state)
{
	struct two t;
	two_open(&t);
	t.a.await_ready = await_flushed;
	test_start(ask, &t);
	test_in_task(answer, &t);
	assert_true(t.a.bytes_in < ROUNDS * 40);
	two_close(&t);
}

/* ---- a peer with a zlib of its own */

/* Compresses and sends; flush as the peer likes. */
static void
peer_sends(int fd, z_stream *z, struct slice text, int flush)
{
	char packed[4096];
	z->next_in = (Bytef *)(uintptr_t)text.at;
	z->avail_in = (uInt)text.len;
	z->next_out = (Bytef *)packed;
	z->avail_out = sizeof packed;
	assert_true(deflate(z, flush) >= Z_OK);
	size_t n = sizeof packed - z->avail_out;
	assert_int_equal(write(fd, packed, n), n);
}

static void
begin_compressed(void *arg)
{
	assert_int_equal(await_deflate(arg), OK);
}

struct reading {
	struct stream *s;
	struct slice want;
	enum err answer;
};

static void
read_line(void *arg)
{
	struct reading *r = arg;
	struct slice line;
	r->answer = await_line(r->s, 100, false, &line);
	if (r->answer == OK)
		assert_true(slice_equal(line, r->want));
	stream_rest(r->s);
}

static void
other_ways_to_flush(void **state)
{
	static const int flushes[] = { Z_SYNC_FLUSH, Z_PARTIAL_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
	for (size_t k = 0; k < COUNT_OF(flushes); k++) {
		struct stream s;
		int fd[2];
		pair(fd);
		stream_init(&s, fd[0]);
		z_stream z = { 0 };
		assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
		test_in_task(begin_compressed, &s);
		for (int i = 0; i < 20; i++) { /* each refers to the ones before */
			struct reading r = { &s, S("tag UID FETCH 1:* (FLAGS)"), OK };
			peer_sends(fd[1], &z, S("tag UID FETCH 1:* (FLAGS)\r\n"), flushes[k]);
			if (flushes[k] == Z_BLOCK) /* some bits of it are still with the peer */
				peer_sends(fd[1], &z, SLICE_NONE, Z_SYNC_FLUSH);
			test_in_task(read_line, &r);
			assert_int_equal(r.answer, OK);
		}
		deflateEnd(&z);
		stream_release(&s);
		close(fd[1]);
	}
}

/* The bytes of a flush may come behind those of the line: then there is no command yet. */
static void
the_rest_of_a_flush_is_no_input(void **state)
{
	struct stream s;
	int fd[2];
	char packed[100];
	pair(fd);
	stream_init(&s, fd[0]);
	test_in_task(begin_compressed, &s);
	z_stream z = { .next_in = (Bytef *)(uintptr_t) "DONE\r\n",
		           .avail_in = 6,
		           .next_out = (Bytef *)packed,
		           .avail_out = sizeof packed };
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	size_t n = sizeof packed - z.avail_out;
	deflateEnd(&z);
	struct reading r = { &s, S("DONE"), OK };
	assert_int_equal(write(fd[1], packed, n - 4), n - 4);
	assert_true(stream_try_fill(&s));
	test_in_task(read_line, &r);
	assert_int_equal(r.answer, OK);
	assert_false(stream_has_input(&s));
	assert_int_equal(write(fd[1], packed + n - 4, 4), 4);
	assert_false(stream_try_fill(&s));
	assert_int_equal(s.error, OK);
	assert_false(stream_has_input(&s));
	stream_rest(&s);
	assert_null(s.in.at);
	stream_release(&s);
	close(fd[1]);
}

static const struct garbage_row {
	const char *what;
	struct slice sent;
	enum err answer;
} garbage_rows[] = {
	{ "a plain command", S_ROW("a NOOP\r\nb NOOP\r\n"), ERR_SYNTAX },
	{ "a block type that is none", S_ROW("\x07"), ERR_SYNTAX },
	{ "a stored block whose lengths differ", S_ROW("\0\1\0\1\0x"), ERR_SYNTAX },
	{ "a distance before the beginning", S_ROW("\x03\x02\xff\xff\xff"), ERR_SYNTAX },
	{ "a last block", S_ROW("\x01\x00\x00\xff\xff"), ERR_CLOSED },
	{ "the end in a block",
	  S_ROW("\0\5\0\xfa\xff"
	        "ab"),
	  ERR_CLOSED },
};

static void
garbage(void **state)
{
	for (size_t i = 0; i < COUNT_OF(garbage_rows); i++) {
		struct stream s;
		int fd[2];
		pair(fd);
		stream_init(&s, fd[0]);
		test_in_task(begin_compressed, &s);
		assert_int_equal(write(fd[1], garbage_rows[i].sent.at, garbage_rows[i].sent.len), garbage_rows[i].sent.len);
		close(fd[1]);
		struct reading r = { &s, SLICE_NONE, OK };
		test_in_task(read_line, &r);
		if (r.answer != garbage_rows[i].answer || s.error != garbage_rows[i].answer)
			fail_msg("%s: %s", garbage_rows[i].what, err_word(r.answer));
		stream_release(&s);
	}
}

/* 100 MB of nothing in 100 KB: only as much of it stands in memory as the line may have. */
static void
a_bomb_is_bounded(void **state)
{
	struct stream s;
	int fd[2];
	static char zeros[1000000], packed[100000];
	pair(fd);
	stream_init(&s, fd[0]);
	test_in_task(begin_compressed, &s);
	z_stream z = { .next_out = (Bytef *)packed, .avail_out = sizeof packed };
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	for (int i = 0; i < 90; i++) {
		z.next_in = (Bytef *)zeros;
		z.avail_in = sizeof zeros;
		assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
		assert_int_equal(z.avail_in, 0);
	}
	assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_true(write(fd[1], packed, sizeof packed - z.avail_out) > 0);
	deflateEnd(&z);
	struct reading r = { &s, SLICE_NONE, OK };
	test_in_task(read_line, &r);
	assert_int_equal(s.error, ERR_LINE_TOO_LONG);
	assert_true(s.in.cap <= 256 * 1024);
	stream_release(&s);
	close(fd[1]);
}

/* ---- the end of it (RFC 8437 4) */

static void
end_compressed(void *arg)
{
	struct stream *s = arg;
	stream_put(s, S("packed\r\n"));
	assert_int_equal(await_deflate_end(s), OK);
	stream_put(s, S("plain\r\n"));
	assert_int_equal(await_flush(s), OK);
}

static void
compression_ends(void **state)
{
	struct stream s;
	int fd[2];
	char got[200], plain[100];
	pair(fd);
	stream_init(&s, fd[0]);
	test_in_task(begin_compressed, &s);
	test_in_task(end_compressed, &s);
	ssize_t n = read(fd[1], got, sizeof got);
	assert_true(n > 7 && memcmp(got + n - 7, "plain\r\n", 7) == 0);
	z_stream z = { .next_in = (Bytef *)got, .avail_in = (uInt)n - 7, .next_out = (Bytef *)plain, .avail_out = 100 };
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_true(slice_equal(slice_of(plain, 100 - z.avail_out), S("packed\r\n")));
	inflateEnd(&z);
	struct reading r = { &s, S("hello"), OK };
	assert_int_equal(write(fd[1], "hello\r\n", 7), 7);
	test_in_task(read_line, &r);
	assert_int_equal(r.answer, OK);
	stream_release(&s);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_and_fro),        cmocka_unit_test(other_ways_to_flush),
		cmocka_unit_test(garbage),           cmocka_unit_test(the_rest_of_a_flush_is_no_input),
		cmocka_unit_test(a_bomb_is_bounded), cmocka_unit_test(compression_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
