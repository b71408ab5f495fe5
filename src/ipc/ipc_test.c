/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_test.c - both ends in one process, over socket pairs: every type of field comes back as it went, a server that
 * ends, refuses, hangs or lies is answered as ipc.h says, and a peer that lies costs only itself. */
#include "ipc/ipc_conn.h"
#include "probe_msg.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a server that echoes, and keeps slow calls */

static struct {
	struct ipc_call *slow[8];
	size_t nslow;
	unsigned echoes, told, closed, heard, connected;
	uint64_t last;
} seen;

static void
serve_echo(struct ipc_call *call, const struct probe_echo_in *in)
{
	seen.echoes++;
	struct probe_echo_out out = { in->a, in->b, in->c, in->d,      in->e,       in->f,
		                          in->g, in->h, in->k, in->points, in->npoints, in->file };
	probe_echo_reply(call, &out);
	ipc_drop_fd(in->file);
}

static void
serve_slow(struct ipc_call *call, const struct probe_slow_in *in)
{
	seen.last = in->number;
	seen.slow[seen.nslow++] = call;
}

static void
serve_slow_retry(struct ipc_call *call, const struct probe_slow_retry_in *in)
{
	seen.last = in->number;
	seen.slow[seen.nslow++] = call;
}

static void
serve_large(struct ipc_call *call, const struct probe_large_in *in)
{
	struct probe_large_out out = { { arena_alloc(&call->arena, in->bytes), in->bytes } };
	probe_large_reply(call, &out);
}

static void
serve_tell(struct ipc_call *call, const struct probe_tell_server_in *in)
{
	seen.told++;
	seen.last = in->number;
	ipc_done(call);
}

static void
serve_closed(struct ipc_peer *peer)
{
	seen.closed++;
}

static const struct probe_server server = { .echo = serve_echo,
	                                        .slow = serve_slow,
	                                        .slow_retry = serve_slow_retry,
	                                        .large = serve_large,
	                                        .tell_server = serve_tell,
	                                        .closed = serve_closed };

static void
hear(struct ipc_client *c, const struct probe_tell_client_in *in)
{
	seen.heard++;
	seen.last = in->number;
}

static void
hear_connected(struct ipc_client *c)
{
	seen.connected++;
}

static const struct probe_listener listener = { .tell_client = hear, .connected = hear_connected };

/* ---- a client, its tasks */

static struct ipc_client client;
static struct ipc_peer *peer;
static unsigned lost;

static void
note_lost(struct ipc_client *c, int fd)
{
	lost++;
}

static void
pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void
connect_both(uint32_t class_bit)
{
	int fds[2];
	pair(fds);
	peer = ipc_peer_open(fds[1], &probe_protocol, &server, NULL, class_bit, 0);
	ipc_client_connect(&client, fds[0]);
}

static int
setup(void **state)
{
	memset(&seen, 0, sizeof seen);
	lost = 0;
	ipc_client_lost = note_lost;
	ipc_client_init(&client, &probe_protocol, &listener, NULL);
	connect_both(IPC_CLASS_MX);
	return 0;
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		loop_turn(0);
}

static int
teardown(void **state)
{
	ipc_client_release(&client);
	turns(5);
	shm_pool_free(&client.shm);
	assert_int_equal(tasks_running(), 0);
	loop_reset();
	return 0;
}

struct asked {
	uint64_t number;
	enum err result;
	bool retry, done;
	struct task *task;
	struct arena arena;
};

static void
ask_slow(void *arg)
{
	struct asked *a = arg;
	a->task = task_self();
	arena_init(&a->arena, 0);
	if (a->retry) {
		struct probe_slow_retry_out out;
		a->result = await_probe_slow_retry(&client, &(struct probe_slow_retry_in){ a->number }, &a->arena, &out);
		a->number = out.number;
	} else {
		struct probe_slow_out out;
		a->result = await_probe_slow(&client, &(struct probe_slow_in){ a->number }, &a->arena, &out);
		a->number = out.number;
	}
	a->done = true;
	arena_release(&a->arena);
}

static bool
is_true(void *flag)
{
	return *(bool *)flag;
}

static void
wait_for(bool *flag, int64_t ms)
{
	assert_true(loop_run_until(is_true, flag, ms));
}

static void
answer_slow(size_t i, uint64_t number)
{
	probe_slow_reply(seen.slow[i], &(struct probe_slow_out){ number });
}

/* ---- what must hold */

static void
ask_echo(void *arg)
{
	struct probe_point points[] = { { -1, S("one") }, { INT64_MIN, S("") }, { INT64_MAX, S("three") } };
	struct probe_echo_in in = { .a = 255,
		                        .b = 65535,
		                        .c = UINT32_MAX,
		                        .d = UINT64_MAX,
		                        .e = INT64_MIN,
		                        .f = true,
		                        .g = S("a\0b"),
		                        .h = S("t\xc3\xa4xt"),
		                        .k = { { 1, S("f") }, { 2, S("t") }, points, 2 },
		                        .points = points,
		                        .npoints = 3,
		                        .file = memfd_create("t", MFD_CLOEXEC) };
	struct probe_echo_out out;
	struct arena a;
	arena_init(&a, 0);
	assert_int_equal(await_probe_echo(&client, &in, &a, &out), OK);
	assert_true(out.a == in.a && out.b == in.b && out.c == in.c && out.d == in.d && out.e == in.e && out.f);
	assert_true(slice_equal(out.g, in.g) && slice_equal(out.h, in.h));
	assert_int_equal(out.npoints, 3);
	assert_true(out.points[1].x == INT64_MIN && slice_equal(out.points[2].name, S("three")));
	assert_true(out.k.from.x == 1 && out.k.nvia == 2 && slice_equal(out.k.via[0].name, S("one")));
	assert_true(out.file >= 0 && out.file != in.file);
	assert_int_equal(fcntl(out.file, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(in.file, "x", 1), 1);
	char c;
	assert_int_equal(pread(out.file, &c, 1, 0), 1);
	close(in.file);
	close(out.file);
	arena_release(&a);
	*(bool *)arg = true;
}

static void
every_type_comes_back(void **state)
{
	bool done = false;
	assert_true(task_start(ask_echo, &done));
	wait_for(&done, 1000);
}

static void
many_calls_with_descriptors_at_once(void **state)
{
	bool done[300] = { false };
	for (size_t i = 0; i < COUNT_OF(done); i++)
		assert_true(task_start(ask_echo, &done[i]));
	for (size_t i = 0; i < COUNT_OF(done); i++)
		wait_for(&done[i], 5000);
	assert_int_equal(seen.echoes, COUNT_OF(done));
}

static void
answers_come_in_any_order(void **state)
{
	struct asked a[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
	for (size_t i = 0; i < 3; i++)
		assert_true(task_start(ask_slow, &a[i]));
	turns(3);
	assert_int_equal(seen.nslow, 3);
	answer_slow(2, 30);
	answer_slow(0, 10);
	ipc_fail(seen.slow[1], ERR_QUOTA);
	for (size_t i = 0; i < 3; i++)
		wait_for(&a[i].done, 1000);
	assert_true(a[0].number == 10 && a[2].number == 30 && a[1].result == ERR_QUOTA);
}

static void
notices_go_both_ways(void **state)
{
	assert_int_equal(seen.connected, 1);
	probe_tell_server_notify(&client, &(struct probe_tell_server_in){ 5 });
	turns(3);
	assert_true(seen.told == 1 && seen.last == 5);
	probe_tell_client_notify(peer, &(struct probe_tell_client_in){ 6 });
	turns(3);
	assert_true(seen.heard == 1 && seen.last == 6);
}

static void
ask_denied(void *arg)
{
	struct arena a;
	arena_init(&a, 0);
	struct probe_admin_only_out out;
	assert_int_equal(await_probe_admin_only(&client, &(struct probe_admin_only_in){ 0 }, &a, &out), ERR_DENIED);
	arena_release(&a);
	*(bool *)arg = true;
}

static void
a_class_that_may_not_is_refused(void **state)
{
	bool done = false;
	assert_true(task_start(ask_denied, &done));
	wait_for(&done, 1000);
	done = false;
	assert_true(task_start(ask_echo, &done)); /* the connection goes on */
	wait_for(&done, 1000);
}

static void
ask_secret(void *arg)
{
	struct arena a;
	arena_init(&a, 0);
	static char secret[100];
	memset(secret, 's', sizeof secret);
	struct probe_echo_in in = { .g = slice_of(secret, sizeof secret), .file = -1 };
	struct probe_echo_out out;
	assert_int_equal(await_probe_echo(&client, &in, &a, &out), OK);
	assert_true(slice_equal(out.g, in.g));
	struct ipc_conn *ends[] = { client.conn, peer->conn };
	for (size_t i = 0; i < 2; i++) {
		assert_true(ends[i]->out.cap > 0);
		assert_null(memmem(ends[i]->out.at, ends[i]->out.cap, secret, sizeof secret));
	}
	arena_release(&a);
	*(bool *)arg = true;
}

static void
secrets_do_not_stay_in_buffers(void **state)
{
	bool done = false;
	client.conn->wipes = true;
	ipc_peer_wipes(peer);
	assert_true(task_start(ask_secret, &done));
	wait_for(&done, 1000);
}

static void
ask_too_much(void *arg)
{
	struct arena a;
	arena_init(&a, 0);
	char bytes[1000] = "";
	struct probe_large_in in = { 10, { bytes, sizeof bytes } };
	struct probe_large_out out;
	peer->bytes += IPC_PEER_BYTES_MAX - 500; /* as if much were under way */
	assert_int_equal(await_probe_large(&client, &in, &a, &out), ERR_AGAIN);
	in.payload.len = 100;
	assert_int_equal(await_probe_large(&client, &in, &a, &out), OK);
	peer->bytes -= IPC_PEER_BYTES_MAX - 500;
	assert_int_equal(peer->bytes, 0); /* what was answered is not counted any more */
	arena_release(&a);
	*(bool *)arg = true;
}

static void
what_one_peer_has_under_way_has_a_limit(void **state)
{
	bool done = false;
	assert_true(task_start(ask_too_much, &done));
	wait_for(&done, 1000);
	assert_int_equal(lost, 0);
}

static void
ask_large(void *arg)
{
	struct arena a;
	arena_init(&a, 0);
	struct probe_large_out out;
	char *bytes = must_calloc(1, 2000001);
	struct probe_large_in in = { 1900000, { bytes, 2000000 } };
	assert_int_equal(await_probe_large(&client, &in, &a, &out), OK);
	assert_int_equal(out.payload.len, 1900000);
	in.payload.len = 2000001; /* more than the table allows */
	assert_int_equal(await_probe_large(&client, &in, &a, &out), ERR_LIMIT);
	in = (struct probe_large_in){ 3000000, SLICE_NONE }; /* more than a frame holds */
	assert_int_equal(await_probe_large(&client, &in, &a, &out), ERR_LIMIT);
	in.bytes = 10;
	assert_int_equal(await_probe_large(&client, &in, &a, &out), OK);
	free(bytes);
	arena_release(&a);
	*(bool *)arg = true;
}

static void
sizes_have_limits(void **state)
{
	bool done = false;
	assert_true(task_start(ask_large, &done));
	wait_for(&done, 5000);
	assert_int_equal(lost, 0);
}

static void
after_a_restart_retry_calls_are_asked_again(void **state)
{
	struct asked once = { .number = 1 }, again = { .number = 2, .retry = true };
	assert_true(task_start(ask_slow, &once) && task_start(ask_slow, &again));
	turns(3);
	assert_int_equal(seen.nslow, 2);
	ipc_fail(seen.slow[0], ERR_IO); /* what a server that ends leaves behind: nothing is sent any more */
	struct ipc_call *left = seen.slow[1];
	seen.nslow = 0;
	turns(1);
	ipc_peer_close(peer);
	assert_int_equal(seen.closed, 1);
	ipc_fail(left, ERR_IO);
	wait_for(&once.done, 1000);
	turns(3);
	assert_int_equal(lost, 1);
	assert_false(again.done);
	connect_both(IPC_CLASS_USER);
	assert_int_equal(seen.connected, 2);
	turns(3);
	assert_int_equal(seen.nslow, 1);
	probe_slow_retry_reply(seen.slow[0], &(struct probe_slow_retry_out){ 20 });
	wait_for(&again.done, 1000);
	assert_true(again.result == OK && again.number == 20);
}

static void
answers_of_the_last_turn_still_go_out(void **state)
{
	struct asked a = { .number = 1 };
	assert_true(task_start(ask_slow, &a));
	turns(3);
	answer_slow(0, 10);
	ipc_peer_close(peer);
	wait_for(&a.done, 1000);
	assert_true(a.result == OK && a.number == 10);
}

static void
other_calls_fail_when_the_server_ends(void **state)
{
	struct asked a = { .number = 1 };
	assert_true(task_start(ask_slow, &a));
	turns(3);
	ipc_peer_close(peer);
	ipc_fail(seen.slow[0], ERR_IO);
	wait_for(&a.done, 1000);
	assert_int_equal(a.result, ERR_AGAIN);
}

static void
without_a_server_calls_wait_only_so_long(void **state)
{
	ipc_peer_close(peer);
	turns(5);
	struct asked a = { .number = 1 };
	int64_t begun = clock_mono_ms();
	assert_true(task_start(ask_slow, &a));
	wait_for(&a.done, IPC_RECONNECT_MS + 2000);
	assert_int_equal(a.result, ERR_AGAIN);
	assert_true(clock_mono_ms() - begun >= IPC_RECONNECT_MS - 1);
}

static void
a_cancelled_call_holds_back_freed_memory(void **state)
{
	client.shm = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	connect_both(IPC_CLASS_MX);
	turns(3);
	assert_non_null(shm_range(&peer->shm, 0, SHM_BLOCK_BYTES_MAX));
	assert_null(shm_range(&peer->shm, 1, SHM_BLOCK_BYTES_MAX));
	void *block = shm_alloc(client.shm, SHM_BLOCK_BYTES_MAX);
	struct asked a = { .number = 1 };
	assert_true(task_start(ask_slow, &a));
	turns(3);
	task_cancel(a.task);
	wait_for(&a.done, 1000);
	assert_int_equal(a.result, ERR_CLOSED);
	shm_free(client.shm, block);
	assert_null(shm_alloc(client.shm, 1));
	answer_slow(0, 1);
	turns(3);
	block = shm_alloc(client.shm, 1);
	assert_non_null(block);
	shm_free(client.shm, block);
}

static void
a_replaced_connection_holds_it_back_too(void **state)
{
	client.shm = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	connect_both(IPC_CLASS_MX);
	struct asked a = { .number = 1 };
	assert_true(task_start(ask_slow, &a));
	turns(3);
	void *block = shm_alloc(client.shm, SHM_BLOCK_BYTES_MAX);
	connect_both(IPC_CLASS_MX);
	turns(5);
	assert_true(a.done && a.result == ERR_AGAIN);
	shm_free(client.shm, block);
	assert_null(shm_alloc(client.shm, 1)); /* the old server may still write */
	answer_slow(0, 1);
	turns(5);
	assert_non_null(shm_alloc(client.shm, SHM_BLOCK_BYTES_MAX));
}

static void
a_server_that_hangs_is_left(void **state)
{
	loop_sim_start(1700000000);
	client.shm = shm_pool_new(SHM_BLOCK_BYTES_MAX);
	connect_both(IPC_CLASS_MX);
	struct asked a = { .number = 1, .retry = true };
	assert_true(task_start(ask_slow, &a));
	wait_for(&a.done, IPC_CALL_MS + 1000);
	assert_int_equal(a.result, ERR_TIMEOUT);
	assert_int_equal(lost, 1);
	assert_null(client.conn);
	ipc_fail(seen.slow[0], ERR_IO);
}

/* ---- peers that lie: raw bytes to a server */

struct raw {
	const char *what;
	struct slice bytes;
	unsigned extra_zeros; /* after the bytes */
	bool ends;            /* the connection */
};
#define HELLO                                                                                                          \
	"\x0e\0\0\0"                                                                                                       \
	"\xff\xff"                                                                                                         \
	"\0\0"                                                                                                             \
	"\0\0\0\0\0\0\0\0"                                                                                                 \
	"\1\0\0\0"                                                                                                         \
	"\5\0\0\0"                                                                                                         \
	"probe"                                                                                                            \
	"\0"
static const struct raw raws[] = {
	{ "a good greeting", S_ROW(HELLO), 0, false },
	{ "half a greeting", S_ROW("\x0e\0\0\0\xff"), 0, false },
	{ "a call before the greeting", S_ROW("\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0"), 0, true },
	{ "another version", S_ROW("\x0e\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\2\0\0\0\5\0\0\0probe\0"), 0, true },
	{ "another protocol", S_ROW("\x0e\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\1\0\0\0\5\0\0\0qrobe\0"), 0, true },
	{ "a descriptor that is not there", S_ROW("\x0e\0\0\0\xff\xff\2\0\0\0\0\0\0\0\0\0\1\0\0\0\5\0\0\0probe\1"), 0,
	  true },
	{ "a frame longer than allowed", S_ROW(HELLO "\1\0\x20\0\1\0\0\0\0\0\0\0\0\0\0\0"), 0, true },
	{ "an unknown message", S_ROW(HELLO "\0\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0"), 0, true },
	{ "a notice meant for clients", S_ROW(HELLO "\x08\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0"), 8, true },
	{ "a reply to a server", S_ROW(HELLO "\x08\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0"), 8, true },
	{ "a call that is too short", S_ROW(HELLO "\x07\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"), 7, true },
	{ "a call that is too long", S_ROW(HELLO "\x09\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"), 9, true },
	{ "a call of the right length", S_ROW(HELLO "\x08\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0"), 8, false },
	{ "a length of a field past the frame",
	  S_ROW(HELLO "\x0c\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\xff\xff\0\0"), 0, true },
	{ "a bool that is neither",
	  S_ROW(HELLO "\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"), 0, true },
	{ "a call of another class is refused", S_ROW(HELLO "\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0"), 0, false },
};

static void
lies_end_the_connection(void **state)
{
	for (size_t i = 0; i < COUNT_OF(raws); i++) {
		int fds[2];
		pair(fds);
		unsigned before = seen.closed;
		ipc_peer_open(fds[1], &probe_protocol, &server, NULL, IPC_CLASS_MX, 0);
		char zeros[32] = { 0 };
		assert_int_equal(write(fds[0], raws[i].bytes.at, raws[i].bytes.len), raws[i].bytes.len);
		if (raws[i].extra_zeros)
			assert_int_equal(write(fds[0], zeros, raws[i].extra_zeros), raws[i].extra_zeros);
		turns(3);
		if ((seen.closed > before) != raws[i].ends)
			fail_msg("%s", raws[i].what);
		close(fds[0]);
		turns(3);
		assert_int_equal(seen.closed, before + 1);
	}
}

/* What a process said before it died is heard, even when an answer to it finds nobody any more. */
static void
last_words_are_heard(void **state)
{
	enum { NOTICES = 10000 };
	static char last[NOTICES][24];
	int fds[2], room = 4 << 20;
	pair(fds);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
	ipc_peer_open(fds[1], &probe_protocol, &server, NULL, IPC_CLASS_MX, 0);
	struct slice begin = S(HELLO "\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0"); /* a call that is answered */
	for (size_t i = 0; i < NOTICES; i++)
		memcpy(last[i], "\x08\0\0\0\5", 5);
	assert_true(sizeof last > IPC_READ_BYTES);
	assert_int_equal(write(fds[0], begin.at, begin.len), begin.len);
	assert_int_equal(write(fds[0], last, sizeof last), sizeof last);
	close(fds[0]);
	turns(10);
	assert_int_equal(seen.told, NOTICES);
	assert_int_equal(seen.closed, 1);
}

static void
a_greeting_byte_by_byte(void **state)
{
	int fds[2];
	pair(fds);
	struct ipc_peer *p = ipc_peer_open(fds[1], &probe_protocol, &server, NULL, IPC_CLASS_MX, 0);
	struct slice all = S(HELLO "\x08\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0");
	for (size_t i = 0; i < all.len; i++) {
		assert_int_equal(write(fds[0], all.at + i, 1), 1);
		loop_turn(0);
	}
	assert_true(seen.told == 1 && seen.last == 7);
	ipc_peer_close(p);
	close(fds[0]);
	turns(3);
}

static void
memory_that_can_shrink_is_refused(void **state)
{
	int fds[2], fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 4096), 0);
	pair(fds);
	ipc_peer_open(fds[1], &probe_protocol, &server, NULL, IPC_CLASS_MX, 0);
	char bytes[] = "\x0e\0\0\0\xff\xff\2\0\0\0\0\0\0\0\0\0\1\0\0\0\5\0\0\0probe\1";
	struct iovec io = { bytes, sizeof bytes - 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	*h = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	assert_true(sendmsg(fds[0], &m, 0) > 0);
	turns(3);
	assert_int_equal(seen.closed, 1);
	close(fd);
	close(fds[0]);
}

static void
a_client_leaves_a_server_that_lies(void **state)
{
	int fds[2];
	pair(fds);
	ipc_client_connect(&client, fds[0]);
	struct asked a = { .number = 1 };
	assert_true(task_start(ask_slow, &a));
	static const char reply[] = "\3\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0xyz"; /* to call 1, too short */
	assert_int_equal(write(fds[1], reply, sizeof reply - 1), sizeof reply - 1);
	wait_for(&a.done, 1000);
	assert_true(a.result == ERR_AGAIN && lost == 1 && !client.conn);
	close(fds[1]);
}

static void
printed_messages_tell_no_bytes(void **state)
{
	struct buf b;
	buf_init(&b, 10000);
	struct probe_point at[] = { { 7, S("a\"\n") } };
	struct probe_echo_in in = { .a = 1, .g = S("secret"), .points = at, .npoints = 1, .file = -1 };
	probe_protocol.messages[0].print_in(&b, &in);
	buf_put_char(&b, 0);
	assert_non_null(strstr(b.at, "g=(6 bytes)"));
	assert_non_null(strstr(b.at, "x=7 name=\"a\\x22\\x0a\""));
	assert_null(strstr(b.at, "secret"));
	buf_release(&b);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_type_comes_back),
		TEST(many_calls_with_descriptors_at_once),
		TEST(answers_come_in_any_order),
		TEST(notices_go_both_ways),
		TEST(a_class_that_may_not_is_refused),
		TEST(sizes_have_limits),
		TEST(what_one_peer_has_under_way_has_a_limit),
		TEST(secrets_do_not_stay_in_buffers),
		TEST(after_a_restart_retry_calls_are_asked_again),
		TEST(answers_of_the_last_turn_still_go_out),
		TEST(other_calls_fail_when_the_server_ends),
		TEST(without_a_server_calls_wait_only_so_long),
		TEST(a_cancelled_call_holds_back_freed_memory),
		TEST(a_replaced_connection_holds_it_back_too),
		TEST(lies_end_the_connection),
		TEST(last_words_are_heard),
		TEST(a_greeting_byte_by_byte),
		TEST(memory_that_can_shrink_is_refused),
		TEST(a_client_leaves_a_server_that_lies),
		TEST(printed_messages_tell_no_bytes),
		TEST(a_server_that_hangs_is_left), /* the last: the clock stays simulated */
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
