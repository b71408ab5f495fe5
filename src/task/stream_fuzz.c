/* SPDX-License-Identifier: Apache-2.0 */
/* stream_fuzz.c - await_line over a socket pair: the first bytes of the input choose the limits and the sizes of the
 * pieces in which the rest arrives. What comes out is compared with a plain reading of the whole text. */
#include "base/cursor.h"
#include "task/stream.h"
#include "task/task_testing.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 8 };

struct run {
	struct stream s;
	struct cursor text; /* what was not yet accounted for */
	size_t max;
	bool lf_ok;
};

/* The same rules as await_line, on the whole text. */
static enum err
plain_line(struct cursor *c, size_t max, bool lf_ok, struct slice *line)
{
	if (!take_until_char(c, '\n', line))
		return cursor_left(c) > max + 1 + 64 * 1024 ? ERR_LINE_TOO_LONG : ERR_CLOSED;
	ASSERT(take_char(c, '\n'));
	bool crlf = slice_ends(*line, S("\r"));
	line->len -= crlf;
	if (line->len > max)
		return ERR_LINE_TOO_LONG;
	if (slice_find_char(*line, '\r') >= 0)
		return ERR_BARE_EOL;
	if (slice_find_char(*line, '\0') >= 0)
		return ERR_NUL;
	return crlf || lf_ok ? OK : ERR_BARE_EOL;
}

static void
read_lines(void *arg)
{
	struct run *r = arg;
	while (!r->s.error) {
		struct slice line = SLICE_NONE, wanted = SLICE_NONE;
		enum err e = await_line(&r->s, r->max, r->lf_ok, &line);
		if (r->s.error)
			break; /* the end, or a line without one: where exactly depends on the pieces */
		ASSERT(e == plain_line(&r->text, r->max, r->lf_ok, &wanted));
		ASSERT(e || slice_equal(line, wanted));
	}
	ASSERT(r->s.error == ERR_CLOSED || r->s.error == ERR_LINE_TOO_LONG);
	if (r->s.error == ERR_CLOSED)
		ASSERT(slice_find_char(cursor_rest(&r->text), '\n') < 0);
	else
		ASSERT(cursor_left(&r->text) > 64 * 1024);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];
	if (size < HEAD_BYTES || size > 200000)
		return 0;
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	struct slice text = slice_of(data + HEAD_BYTES, size - HEAD_BYTES);
	struct run r = { .text = cursor_of(text), .max = (size_t)data[0] * (data[1] & 1 ? 300 : 1), .lf_ok = data[1] & 2 };
	stream_init(&r.s, fd[0]);
	ASSERT(task_start(read_lines, &r));
	for (size_t i = 2; text.len > 0 && tasks_running() > 0; i = i + 1 < HEAD_BYTES ? i + 1 : 2) {
		size_t step = (size_t)data[i] * (data[1] & 4 ? 256 : 1) + 1;
		ssize_t n = write(fd[1], text.at, MIN(step, text.len));
		if (n > 0)
			text = slice_from(text, (size_t)n);
		loop_turn(0);
	}
	close(fd[1]);
	test_run_tasks();
	stream_release(&r.s);
	return 0;
}
