/* SPDX-License-Identifier: Apache-2.0 */
/* deflate_fuzz.c - a compressed stream that reads hostile bytes, in pieces, and answers each line; the first byte says
 * how they are cut and whether the stream rests in between. Whatever comes, what is read stays below its bound, and
 * what is answered inflates again to what was put. */
#include "base/arena.h"
#include "task/stream.h"
#include "task/task_testing.h"

#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_BYTES_MAX = 1000, ANSWERS_MAX = 200 };

struct run {
	struct stream s;
	bool rests;
	unsigned answers;
};

static void
answer_lines(void *arg)
{
	struct run *r = arg;
	if (await_deflate(&r->s))
		return;
	while (!r->s.error && r->answers < ANSWERS_MAX) {
		struct slice line;
		(void)await_line(&r->s, LINE_BYTES_MAX, false, &line);
		ASSERT(stream_input(&r->s).len <= 128 * 1024);
		if (r->s.error)
			break;
		r->answers++;
		stream_put(&r->s, S("an answer\r\n"));
		if (r->rests && await_flush(&r->s) == OK)
			stream_rest(&r->s);
	}
	stream_try_flush(&r->s);
}

/* The answers, as a client sees them. */
static void
check_answers(int fd, unsigned answers)
{
	char packed[65536], plain[16384];
	ssize_t n = recv(fd, packed, sizeof packed, MSG_DONTWAIT);
	z_stream z = { .next_in = (Bytef *)packed, .avail_in = (uInt)MAX(n, (ssize_t)0) };
	ASSERT(inflateInit2(&z, -15) == Z_OK);
	z.next_out = (Bytef *)plain;
	z.avail_out = sizeof plain;
	int result = inflate(&z, Z_SYNC_FLUSH);
	ASSERT(result == Z_OK || result == Z_BUF_ERROR);
	inflateEnd(&z);
	struct slice got = slice_of(plain, sizeof plain - z.avail_out), want = S("an answer\r\n");
	ASSERT(got.len % want.len == 0 && got.len / want.len <= answers);
	for (; got.len; got = slice_from(got, want.len))
		ASSERT(slice_starts(got, want));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];
	if (size < 1 || size > 100000)
		return 0;
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	struct run r = { .rests = data[0] & 1 };
	struct slice text = slice_of(data + 1, size - 1);
	size_t step = data[0] & 2 ? 1 + data[0] / 8u : 65536;
	stream_init(&r.s, fd[0]);
	ASSERT(task_start(answer_lines, &r));
	while (text.len > 0 && tasks_running() > 0) {
		ssize_t n = write(fd[1], text.at, MIN(step, text.len));
		if (n > 0)
			text = slice_from(text, (size_t)n);
		loop_turn(0);
	}
	shutdown(fd[1], SHUT_WR);
	test_run_tasks();
	if (r.s.error == OK || r.s.error == ERR_CLOSED)
		check_answers(fd[1], r.answers);
	stream_release(&r.s);
	close(fd[1]);
	return 0;
}
