/* SPDX-License-Identifier: Apache-2.0 */
/* stream_test.c - lines, counted bytes, output, deadlines and sticky errors of plain streams; connecting. */
#include "task/stream.h"
#include "task/task_testing.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void
pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

/* ---- await_line */

enum { LINE_MAX_BYTES = 20 };

/* got: what await_line returned, in order: each line, or the error's word in <>; the last one is sticky. */
static const struct line_row {
	const char *what;
	struct slice sent;
	bool lf_ok;
	const char *got;
} line_rows[] = {
	{ "lines end with CRLF", S_ROW("a\r\nbc\r\n\r\n"), false, "[a][bc][]<closed>" },
	{ "a line without its end is none", S_ROW("a\r\nbc"), false, "[a]<closed>" },
	{ "as long as allowed", S_ROW("12345678901234567890\r\nx\r\n"), false, "[12345678901234567890][x]<closed>" },
	{ "one byte too long", S_ROW("123456789012345678901\r\nx\r\n"), false, "<line_too_long>[x]<closed>" },
	{ "much too long", S_ROW("1234567890123456789012345678901234567890\r\nx\r\n"), false,
	  "<line_too_long>[x]<closed>" },
	{ "bare LF is refused", S_ROW("a\nb\r\n"), false, "<bare_eol>[b]<closed>" },
	{ "bare CR is refused", S_ROW("a\rb\r\nc\r\n"), false, "<bare_eol>[c]<closed>" },
	{ "CR CR LF is a bare CR", S_ROW("a\r\r\nc\r\n"), false, "<bare_eol>[c]<closed>" },
	{ "LF alone", S_ROW("\n\r\n"), false, "<bare_eol>[]<closed>" },
	{ "LF CR", S_ROW("a\n\rb\r\n"), false, "<bare_eol><bare_eol><closed>" },
	{ "NUL is refused", S_ROW("a\0b\r\nc\r\n"), false, "<nul>[c]<closed>" },
	{ "NUL before a bare LF: one error for one line", S_ROW("a\0\nc\r\n"), false, "<nul>[c]<closed>" },
	{ "LF alone ends a line where that is allowed", S_ROW("a\nb\r\n\nc\n"), true, "[a][b][][c]<closed>" },
	{ "a bare CR is not", S_ROW("a\rb\nc\n"), true, "<bare_eol>[c]<closed>" },
	{ "too long with LF alone", S_ROW("123456789012345678901\nx\n"), true, "<line_too_long>[x]<closed>" },
	{ "bytes above 127 are data", S_ROW("\xff\xc3\x28\r\n"), false, "[\xff\xc3\x28]<closed>" },
};

struct line_test {
	struct stream s;
	const struct line_row *row;
	struct buf got;
};

static void
read_lines(void *arg)
{
	struct line_test *t = arg;
	while (!t->s.error && !t->got.over) {
		struct slice line;
		enum err e = await_line(&t->s, LINE_MAX_BYTES, t->row->lf_ok, &line);
		if (e)
			buf_printf(&t->got, "<%s>", err_word(e));
		else
			buf_printf(&t->got, "[%.*s]", SLICE_ARG(line));
	}
}

/* In pieces of step bytes, each in a turn of its own. */
static void
lines_in_pieces(const struct line_row *row, size_t step)
{
	struct line_test t = { .row = row };
	int fd[2];
	pair(fd);
	stream_init(&t.s, fd[0]);
	buf_init(&t.got, 1000);
	test_start(read_lines, &t);
	for (struct slice left = row->sent; left.len > 0; left = slice_from(left, step)) {
		assert_true(write(fd[1], left.at, MIN(step, left.len)) > 0);
		loop_turn(0);
	}
	close(fd[1]);
	test_run_tasks();
	if (!slice_equal(buf_slice(&t.got), slice_text(row->got)))
		fail_msg("%s (by %zu): %.*s", row->what, step, SLICE_ARG(buf_slice(&t.got)));
	stream_release(&t.s);
	buf_release(&t.got);
}

static void
lines(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 1000 };
	for (size_t i = 0; i < COUNT_OF(line_rows); i++)
		for (size_t k = 0; k < COUNT_OF(steps); k++)
			lines_in_pieces(&line_rows[i], steps[k]);
}

static void
write_endless_line(void *arg)
{
	struct stream *s = arg;
	static const char x[10000] = "xxx";
	for (int i = 0; i < 20 && !s->error; i++)
		if (await_put(s, slice_of(x, sizeof x)) == OK)
			(void)await_flush(s);
	stream_release(s);
}

static void
read_endless_line(void *arg)
{
	struct stream *s = arg;
	struct slice line;
	assert_int_equal(await_line(s, LINE_MAX_BYTES, false, &line), ERR_LINE_TOO_LONG);
	assert_int_equal(s->error, ERR_LINE_TOO_LONG);
	assert_true(s->bytes_in < 64 * 1024 + 2 * 64 * 1024);
	stream_release(s);
}

static void
an_endless_line_ends_the_stream(void **state)
{
	struct stream a, b;
	int fd[2];
	pair(fd);
	stream_init(&a, fd[0]);
	stream_init(&b, fd[1]);
	test_start(write_endless_line, &a);
	test_in_task(read_endless_line, &b);
}

/* ---- counted bytes and long lines, to and fro */

enum { BULK = 700001 };

static char
bulk_byte(size_t i)
{
	return (char)('a' + i * 31 / 7 % 26);
}

static void
send_bulk(void *arg)
{
	struct stream *s = arg;
	char *bytes = must_calloc(1, BULK);
	for (size_t i = 0; i < BULK; i++)
		bytes[i] = bulk_byte(i);
	stream_printf(s, "%u bytes\r\n", (unsigned)BULK);
	assert_int_equal(await_put(s, slice_of(bytes, BULK)), OK);
	stream_put(s, slice_of(bytes, 50000));
	stream_printf(s, "%.*s\r\n", 600, bytes);
	assert_int_equal(await_flush(s), OK);
	stream_rest(s);
	assert_null(s->out.at);
	free(bytes);
	stream_release(s);
}

static void
take_bulk(void *arg)
{
	struct stream *s = arg;
	struct slice line;
	assert_int_equal(await_line(s, 100, false, &line), OK);
	assert_true(slice_equal(line, S("700001 bytes")));
	char *bytes = must_calloc(1, BULK);
	assert_int_equal(await_read(s, bytes, 10), OK);
	assert_int_equal(await_read(s, bytes + 10, 300000), OK);
	for (size_t at = 300010; at < BULK;) {
		if (stream_input(s).len == 0)
			assert_int_equal(await_fill(s, 200000), OK);
		struct slice in = slice_part(stream_input(s), 0, BULK - at);
		memcpy(bytes + at, in.at, in.len);
		at += in.len;
		stream_consume(s, in.len);
	}
	for (size_t i = 0; i < BULK; i++)
		if (bytes[i] != bulk_byte(i))
			fail_msg("byte %zu", i);
	assert_int_equal(await_line(s, 60000, false, &line), OK);
	assert_int_equal(line.len, 50600);
	assert_memory_equal(line.at, bytes, 50000);
	free(bytes);
	assert_false(stream_has_input(s));
	stream_rest(s);
	assert_null(s->in.at);
	assert_int_equal(await_read(s, &(char){ 0 }, 1), ERR_CLOSED);
	assert_int_equal(s->bytes_in, BULK + strlen("700001 bytes\r\n") + 50602);
	stream_release(s);
}

static void
bulk(void **state)
{
	struct stream a, b;
	int fd[2];
	pair(fd);
	stream_init(&a, fd[0]);
	stream_init(&b, fd[1]);
	test_start(send_bulk, &a);
	test_in_task(take_bulk, &b);
}

/* ---- errors */

static void
errors_stay(void *arg)
{
	struct stream *s = arg;
	struct slice line;
	char byte;
	s->deadline_ms = deadline_in_ms(5);
	assert_int_equal(await_line(s, 100, false, &line), ERR_TIMEOUT);
	assert_int_equal(await_line(s, 100, false, &line), ERR_TIMEOUT);
	assert_int_equal(await_fill(s, 100), ERR_TIMEOUT);
	assert_int_equal(await_read(s, &byte, 1), ERR_TIMEOUT);
	stream_put(s, S("x"));
	assert_int_equal(await_put(s, S("x")), ERR_TIMEOUT);
	assert_int_equal(await_flush(s), ERR_TIMEOUT);
	stream_try_flush(s);
	assert_int_equal(s->out.len, 0);
	assert_int_equal(stream_fail(s, ERR_IO), ERR_TIMEOUT);
}

static void
errors_are_sticky(void **state)
{
	struct stream s;
	int fd[2];
	pair(fd);
	stream_init(&s, fd[0]);
	test_in_task(errors_stay, &s);
	stream_release(&s);
	close(fd[1]);
}

static void
too_much_unread(void *arg)
{
	struct stream *s = arg;
	assert_int_equal(await_fill(s, 4), OK);
	assert_true(slice_equal(stream_input(s), S("1234")));
	assert_int_equal(await_fill(s, 4), ERR_LIMIT);
}

static void
write_to_the_closed(void *arg)
{
	struct stream *s = arg;
	static const char zeros[STREAM_OUT_BYTES];
	enum err e = OK;
	for (int i = 0; i < 10 && !e; i++)
		e = await_put(s, slice_of(zeros, sizeof zeros));
	assert_int_equal(e, ERR_CLOSED);
}

static void
limits_and_closed_peers(void **state)
{
	struct stream s;
	int fd[2];
	pair(fd);
	stream_init(&s, fd[0]);
	assert_int_equal(write(fd[1], "123456", 6), 6);
	test_in_task(too_much_unread, &s);
	stream_release(&s);
	assert_int_equal(s.error, ERR_LIMIT);
	close(fd[1]);

	pair(fd);
	stream_init(&s, fd[0]);
	close(fd[1]);
	test_in_task(write_to_the_closed, &s);
	stream_release(&s);

	pair(fd);
	stream_init(&s, fd[0]);
	static const char zeros[100000];
	for (int i = 0; i < 11; i++)
		stream_put(&s, slice_of(zeros, sizeof zeros));
	assert_int_equal(s.error, ERR_LIMIT); /* STREAM_OUT_MAX */
	stream_release(&s);
	close(fd[1]);
}

static void
cancelled_reader(void *arg)
{
	struct stream *s = arg;
	struct slice line;
	assert_int_equal(await_line(s, 100, false, &line), ERR_CLOSED);
	assert_int_equal(s->error, ERR_CLOSED);
}

static struct task *started;

static void
start_and_tell(void *arg)
{
	started = task_self();
	cancelled_reader(arg);
}

static void
cancelling_ends_a_read(void **state)
{
	struct stream s;
	int fd[2];
	pair(fd);
	stream_init(&s, fd[0]);
	test_start(start_and_tell, &s);
	task_cancel(started);
	test_run_tasks();
	stream_release(&s);
	close(fd[1]);
}

static void
what_needs_no_waiting_is_sent_from_the_loop(void **state)
{
	struct stream s;
	int fd[2], small = 4096;
	char got[8];
	pair(fd);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	stream_init(&s, fd[0]);
	stream_put(&s, S("* BYE\r\n"));
	stream_try_flush(&s);
	assert_int_equal(read(fd[1], got, sizeof got), 7);
	static const char zeros[200000];
	stream_put(&s, slice_of(zeros, sizeof zeros));
	stream_try_flush(&s);
	assert_int_equal(s.error, OK);
	assert_true(s.out.len > 0 && s.out.len < sizeof zeros);
	stream_rest(&s); /* what is unsent stays */
	assert_true(s.out.len > 0);
	stream_release(&s);
	close(fd[1]);
}

/* ---- the owner's way of waiting */

static unsigned owner_waits;

static enum err
await_owner_ready(struct stream *s, uint32_t events)
{
	owner_waits++;
	return await_fd(s->fd, events, s->deadline_ms);
}

static void
read_one_line(void *arg)
{
	struct slice line;
	assert_int_equal(await_line(arg, 100, false, &line), OK);
}

static void
the_owner_waits_for_the_stream(void **state)
{
	struct stream s;
	int fd[2];
	pair(fd);
	stream_init(&s, fd[0]);
	s.await_ready = await_owner_ready;
	test_start(read_one_line, &s);
	assert_int_equal(owner_waits, 1);
	assert_int_equal(write(fd[1], "x\r\n", 3), 3);
	test_run_tasks();
	stream_release(&s);
	close(fd[1]);
}

/* A peer that always has more does not keep others from running. */
static void
read_for_ever(void *arg)
{
	struct stream *s = arg;
	while (await_fill(s, 100) == OK)
		stream_consume(s, stream_input(s).len);
}

static void
a_fast_peer_leaves_turns_to_others(void **state)
{
	struct stream s;
	int fd[2];
	pair(fd);
	static const char zeros[50000];
	assert_true(write(fd[1], zeros, sizeof zeros) == sizeof zeros);
	stream_init(&s, fd[0]);
	test_start(read_for_ever, &s);
	assert_true(s.bytes_in < sizeof zeros / 2); /* it came back before it had read all */
	close(fd[1]);
	test_run_tasks();
	assert_int_equal(s.bytes_in, sizeof zeros);
	stream_release(&s);
}

/* ---- await_connect */

struct connecting {
	struct sockaddr_in to, from;
	bool with_from;
	enum err answer;
	int fd;
};

static void
do_connect(void *arg)
{
	struct connecting *c = arg;
	c->answer =
	    await_connect((struct sockaddr *)&c->to, sizeof c->to, c->with_from ? (struct sockaddr *)&c->from : NULL,
	                  sizeof c->from, deadline_in_ms(2000), &c->fd);
}

static void
connecting(void **state)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof here;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&here, sizeof here), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&here, &len), 0);
	struct connecting c = { .to = here };
	test_in_task(do_connect, &c);
	assert_int_equal(c.answer, ERR_CLOSED); /* refused: nobody listens yet */
	assert_int_equal(c.fd, -1);

	assert_int_equal(listen(listener, 5), 0);
	c.with_from = true;
	c.from = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
	test_in_task(do_connect, &c);
	assert_int_equal(c.answer, OK);
	struct sockaddr_in peer;
	len = sizeof peer;
	int accepted = accept(listener, (struct sockaddr *)&peer, &len);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK + 1);
	close(accepted);
	close(c.fd);

	c.from.sin_addr.s_addr = htonl(0xc0000201); /* not ours */
	test_in_task(do_connect, &c);
	assert_int_not_equal(c.answer, OK);
	assert_int_equal(c.fd, -1);
	close(listener);
}

struct wipe_test {
	struct stream s;
	bool gone, next;
};

static void
read_and_wipe(void *arg)
{
	struct wipe_test *t = arg;
	struct slice line;
	char eight[8];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(await_line(&t->s, 100, false, &line), OK);
		assert_int_equal(await_read(&t->s, eight, sizeof eight), OK);
		stream_wipe_consumed(&t->s);
		struct slice unread = stream_input(&t->s); /* which stays */
		t->gone = memmem(t->s.in.at, t->s.in_at, "password", 8) == NULL &&
		          memmem(t->s.in.at + t->s.in.len, t->s.in.cap - t->s.in.len, "password", 8) == NULL;
		assert_int_equal(unread.len, i ? 0 : 26);
		assert_true(t->gone);
	}
	t->next = slice_equal(stream_input(&t->s), S(""));
}

static void
what_was_consumed_can_be_wiped(void **state)
{
	int fd[2];
	struct wipe_test t = { .gone = false };
	pair(fd);
	stream_init(&t.s, fd[0]);
	static const char sent[] = "a password in a line\r\npassword"
	                           "another password\r\npassword";
	assert_int_equal(write(fd[1], sent, sizeof sent - 1), sizeof sent - 1);
	test_in_task(read_and_wipe, &t);
	assert_true(t.gone && t.next);
	stream_release(&t.s);
	close(fd[1]);
}

static int
reset(void **state)
{
	loop_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(an_endless_line_ends_the_stream),
		cmocka_unit_test(bulk),
		cmocka_unit_test(errors_are_sticky),
		cmocka_unit_test(what_was_consumed_can_be_wiped),
		cmocka_unit_test(limits_and_closed_peers),
		cmocka_unit_test(cancelling_ends_a_read),
		cmocka_unit_test(what_needs_no_waiting_is_sent_from_the_loop),
		cmocka_unit_test(the_owner_waits_for_the_stream),
		cmocka_unit_test(a_fast_peer_leaves_turns_to_others),
		cmocka_unit_test(connecting),
	};
	return cmocka_run_group_tests(tests, NULL, reset);
}
