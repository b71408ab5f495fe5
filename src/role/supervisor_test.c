/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor_test.c - the supervisor with two small roles of this file's own: a "store" that tells its pid, and
 * sessions that answer each connection with their pid and the store's. The program starts itself as server and as role.
 * Proves: ready, restart of either side, reload, one server per data folder, stop, and what a wrong start says. */
#include "probe_msg.h"
#include "role/running.h"
#include "role/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the store: echo, with its pid as d */

static void
serve_echo(struct ipc_call *call, const struct probe_echo_in *in)
{
	struct probe_echo_out out = { .d = (uint64_t)getpid(), .file = -1 };
	struct ipc_peer *peer = call->peer;
	bool leave = in->f;
	ipc_drop_fd(in->file);
	probe_echo_reply(call, &out);
	if (leave)
		ipc_peer_close(peer);
}

static const struct probe_server server = { .echo = serve_echo };

static void
store_serve(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	ipc_peer_open(fd, &probe_protocol, &server, self, class_bit, index);
}

static void
store_handle(void *self, const char *name, uint32_t index, const char *label, int fd)
{
	close(fd);
}

static enum err
await_store_go(void *self, const char **why)
{
	int fd = open("mark", O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* the data folder is where we are */
	if (fd < 0) {
		*why = strerror(errno);
		return ERR_IO;
	}
	close(fd);
	return OK;
}

/* ---- the sessions */

enum { LISTENERS_MAX = 8 };
struct session {
	struct ipc_client store;
	bool ready;
	struct session_listener { /* LMTP: the store is asked to end the connection after its answer */
		struct watch watch;
		struct session *session;
		char address[200];
		bool lmtp;
	} listeners[LISTENERS_MAX];
};

struct talk {
	struct session *session;
	int fd;
	bool lmtp;
};

static void
talk_task(void *arg)
{
	struct talk t = *(struct talk *)arg;
	free(arg);
	struct arena a;
	struct probe_echo_out out;
	char line[80];
	arena_init(&a, 0);
	enum err e = await_probe_echo(&t.session->store, &(struct probe_echo_in){ .f = t.lmtp, .file = -1 }, &a, &out);
	snprintf(line, sizeof line, "%s %d %d\n", err_word(e), (int)getpid(), (int)out.d);
	(void)!write(t.fd, line, strlen(line));
	close(t.fd);
	arena_release(&a);
}

static void
accept_ready(struct watch *w, uint32_t events)
{
	struct session_listener *l = CONTAINER_OF(w, struct session_listener, watch);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct talk *t = must_calloc(1, sizeof *t);
	*t = (struct talk){ l->session, fd, l->lmtp };
	ASSERT(task_start(talk_task, t));
}

static enum err
session_configure(void *self, const struct conf *conf, const char **why)
{
	struct session *s = self;
	if (!s->ready)
		ipc_client_init(&s->store, &probe_protocol, NULL, s);
	s->ready = true;
	return OK;
}

static void
session_peer(void *self, enum role_id role, uint32_t index, int fd)
{
	ipc_client_connect(&((struct session *)self)->store, fd);
}

static void
session_unlisten(void *self, const struct conf_listener *conf)
{
	struct session *s = self;
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		struct session_listener *l = &s->listeners[i];
		if (!l->session || strcmp(l->address, conf->address) != 0)
			continue;
		watch_remove(&l->watch);
		close(l->watch.fd);
		l->session = NULL;
	}
}

static void
session_listen(void *self, const struct conf_listener *conf, int fd)
{
	struct session *s = self;
	session_unlisten(self, conf);
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		struct session_listener *l = &s->listeners[i];
		if (l->session)
			continue;
		*l = (struct session_listener){ .session = s, .watch = { .fd = fd, .ready = accept_ready, .exclusive = true } };
		snprintf(l->address, sizeof l->address, "%s", conf->address);
		l->lmtp = conf->kind == LISTEN_LMTP;
		ASSERT(watch_add(&l->watch, LOOP_READ) == OK);
		return;
	}
}

static const struct role probe_store = { .name = "store",
	                                     .id = ROLE_STORE,
	                                     .class_bit = IPC_CLASS_STORE,
	                                     .may = MAY_FILES,
	                                     .state_bytes = 8,
	                                     .handle = store_handle,
	                                     .serve = store_serve,
	                                     .await_go = await_store_go };
static const struct role probe_session = { .name = "session-mx",
	                                       .id = ROLE_SESSION_MX,
	                                       .class_bit = IPC_CLASS_MX,
	                                       .may = MAY_ACCEPT,
	                                       .asks = 1u << ROLE_STORE,
	                                       .one_per_cpu = true,
	                                       .state_bytes = sizeof(struct session),
	                                       .configure = session_configure,
	                                       .peer = session_peer,
	                                       .listen = session_listen,
	                                       .unlisten = session_unlisten };
const struct role *const roles[ROLE_COUNT] = { [ROLE_STORE] = &probe_store, [ROLE_SESSION_MX] = &probe_session };

/* ---- the test's side: a server in a folder */

static char folder[64];
static uint16_t ports[2];
static pid_t served;
static int server_out; /* its stdout and stderr */
static char said[65536];
static size_t nsaid;

static uint16_t
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static const char *
in_folder(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void
conf_write(const char *more)
{
	FILE *f = fopen(in_folder("posthouse.conf"), "we");
	assert_non_null(f);
	fprintf(f, "data = data\nadmin-socket = run/admin.sock\nsessions = 2\n%s\n", more);
	fclose(f);
}

static void
conf_listen(uint16_t port, const char *more)
{
	char text[400];
	snprintf(text, sizeof text, "listen = smtp 127.0.0.1:%u\nlisten = lmtp run/l.sock\n%s", port, more);
	conf_write(text);
}

static pid_t
serve(const char *flag, int *out)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execl("/proc/self/exe", "test", "serve", "-c", in_folder("posthouse.conf"), flag, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	*out = fds[0];
	nsaid = 0;
	said[0] = 0;
	return pid;
}

/* Reads what the server says until it says text, at most ms. */
static bool
says(int fd, const char *text, int ms)
{
	int64_t end = clock_mono_ms() + ms;
	while (!strstr(said, text)) {
		struct pollfd p = { fd, POLLIN, 0 };
		int left = (int)(end - clock_mono_ms());
		if (left <= 0 || poll(&p, 1, left) != 1)
			return false;
		ssize_t n = read(fd, said + nsaid, sizeof said - 1 - nsaid);
		if (n <= 0)
			return false;
		nsaid += (size_t)n;
		said[nsaid] = 0;
	}
	return true;
}

static void
must_say(int fd, const char *text)
{
	if (!says(fd, text, 20000))
		fail_msg("it does not say \"%s\" but:\n%s", text, said);
}

static int
status_of(pid_t pid)
{
	int status = -1;
	for (int i = 0; i < 1000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static int
setup(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/posthouse-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(mkdir(in_folder("data"), 0700), 0);
	ports[0] = free_port();
	ports[1] = free_port();
	conf_listen(ports[0], "");
	return 0;
}

static int
teardown(void **state)
{
	static const char *const files[] = { "data/mark",  "data/lock", "data", "run/admin.sock",
		                                 "run/l.sock", "run/empty", "run",  "posthouse.conf" };
	if (served > 0) { /* a test that failed left it */
		kill(served, SIGKILL);
		waitpid(served, NULL, 0);
		served = 0;
	}
	for (size_t i = 0; i < COUNT_OF(files); i++)
		if (unlink(in_folder(files[i])) != 0)
			(void)rmdir(in_folder(files[i]));
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static void
start(const char *flag)
{
	served = serve(flag, &server_out);
	must_say(server_out, "\nready\n");
}

static void
stop(int expected)
{
	pid_t pid = served;
	served = 0;
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), expected);
	close(server_out);
}

struct answer {
	char word[20];
	int session, store;
};

static bool
answer_at(const struct sockaddr *to, socklen_t len, struct answer *a)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = { 2, 0 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	char line[80] = "";
	ssize_t n = connect(fd, to, len) == 0 ? recv(fd, line, sizeof line - 1, 0) : -1;
	close(fd);
	return n > 0 && sscanf(line, "%19s %d %d", a->word, &a->session, &a->store) == 3 && strcmp(a->word, "ok") == 0;
}

/* Asks until it is answered, at most limit_ms. */
static bool
answer_of(uint16_t port, struct answer *a, int limit_ms)
{
	int64_t end = clock_mono_ms() + limit_ms;
	struct sockaddr_in to = { .sin_family = AF_INET,
		                      .sin_port = htons(port),
		                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (; clock_mono_ms() < end; usleep(5000))
		if (answer_at((struct sockaddr *)&to, sizeof to, a))
			return true;
	return false;
}

static struct answer
must_answer(uint16_t port)
{
	struct answer a = { "", 0, 0 };
	if (!answer_of(port, &a, 3000))
		fail_msg("port %u does not answer: %s", port, said);
	return a;
}

/* ---- what must hold */

static void
it_serves_and_stops(void **state)
{
	struct stat st;
	start(NULL);
	struct answer a = must_answer(ports[0]);
	assert_true(a.session != a.store && a.session != served && a.store != served);
	assert_int_equal(stat(in_folder("run/admin.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_folder("data/mark"), &st), 0); /* the store works inside its folder */
	stop(0);
	assert_int_not_equal(stat(in_folder("run/admin.sock"), &st), 0);
	assert_int_not_equal(kill(a.session, 0), 0);
	assert_int_not_equal(kill(a.store, 0), 0);
}

static void
all_in_one_process(void **state)
{
	start("--one-process");
	struct answer a = must_answer(ports[0]);
	assert_true(a.session == served && a.store == served);
	stop(0);
}

static void
a_store_that_is_killed_comes_back(void **state)
{
	start(NULL);
	struct answer a = must_answer(ports[0]), b;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kill(a.store, SIGKILL), 0);
		int64_t begun = clock_mono_ms();
		do
			b = must_answer(ports[0]);
		while (b.store == a.store);
		assert_true(clock_mono_ms() - begun < 1000 + 400 * i);
		a = b;
	}
	stop(0);
}

static void
a_session_that_is_killed_comes_back(void **state)
{
	start(NULL);
	struct answer a = must_answer(ports[0]);
	assert_int_equal(kill(a.session, SIGKILL), 0);
	struct answer b = must_answer(ports[0]);
	assert_true(b.store == a.store && b.session != a.session);
	must_say(server_out, "role.ended");
	stop(0);
}

static void
a_connection_between_roles_that_broke_is_made_again(void **state)
{
	struct sockaddr_un lmtp = { .sun_family = AF_UNIX };
	struct answer before, after;
	start(NULL);
	snprintf(lmtp.sun_path, sizeof lmtp.sun_path, "%.60s/run/l.sock", folder);
	for (int i = 0; i < 5; i++) {
		assert_true(answer_at((struct sockaddr *)&lmtp, sizeof lmtp, &before));
		after = must_answer(ports[0]);
		assert_int_equal(before.store, after.store);
	}
	stop(0);
}

static void
reload_opens_and_closes_listeners(void **state)
{
	start(NULL);
	struct answer a = must_answer(ports[0]), b;
	conf_listen(ports[1], "");
	kill(served, SIGHUP);
	must_say(server_out, "conf.reloaded");
	b = must_answer(ports[1]);
	assert_int_equal(a.store, b.store); /* nobody was started again */
	assert_false(answer_of(ports[0], &b, 100));
	conf_listen(ports[0], "listn = smtp 127.0.0.1:1\n");
	kill(served, SIGHUP);
	must_say(server_out, "conf.kept");
	assert_non_null(strstr(said, "is 'listen' meant?"));
	must_answer(ports[1]);
	stop(0);
}

static void
one_server_per_data_folder(void **state)
{
	int out;
	start(NULL);
	pid_t other = serve(NULL, &out);
	must_say(out, "another server (process");
	assert_int_equal(status_of(other), 1);
	close(out);
	must_answer(ports[0]);
	stop(0);
}

static void
roles_end_with_the_supervisor(void **state)
{
	start(NULL);
	struct answer a = must_answer(ports[0]);
	kill(served, SIGKILL);
	assert_int_equal(status_of(served), 1000 + SIGKILL);
	served = 0;
	for (int i = 0; i < 200 && (kill(a.store, 0) == 0 || kill(a.session, 0) == 0); i++)
		usleep(10000);
	assert_int_not_equal(kill(a.store, 0), 0);
	assert_int_not_equal(kill(a.session, 0), 0);
	close(server_out);
	start(NULL); /* the lock and the socket files of the dead one are no hindrance */
	must_answer(ports[0]);
	stop(0);
}

static void
wrong_starts_say_why(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                      .sin_port = htons(ports[0]),
		                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int out, taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(taken, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(listen(taken, 1), 0);
	pid_t pid = serve(NULL, &out);
	must_say(out, "another program listens there");
	assert_int_equal(status_of(pid), 1);
	close(out);
	close(taken);
	conf_write("data = nowhere\n");
	pid = serve(NULL, &out);
	must_say(out, "comes twice");
	assert_int_equal(status_of(pid), 1);
	close(out);
	FILE *f = fopen(in_folder("posthouse.conf"), "we");
	fputs("data = nowhere\n", f);
	fclose(f);
	pid = serve(NULL, &out);
	must_say(out, "posthouse init makes a data folder");
	assert_int_equal(status_of(pid), 1);
	close(out);
}

static void
a_role_that_cannot_start_ends_the_server(void **state)
{
	int out;
	assert_int_equal(mkdir(in_folder("data/mark"), 0700), 0); /* where the store wants a file */
	pid_t pid = serve(NULL, &out);
	must_say(out, "role.start");
	assert_int_equal(status_of(pid), 1);
	close(out);
}

static void
service_managers_are_told(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char text[40] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%.50s/notify", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	start(NULL);
	unsetenv("NOTIFY_SOCKET");
	assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, "READY=1");
	stop(0);
	memset(text, 0, sizeof text);
	assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, "STOPPING=1");
	close(fd);
	unlink(a.sun_path);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "role") == 0)
		return role_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return serve_main(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_serves_and_stops),
		TEST(all_in_one_process),
		TEST(a_store_that_is_killed_comes_back),
		TEST(a_session_that_is_killed_comes_back),
		TEST(a_connection_between_roles_that_broke_is_made_again),
		TEST(reload_opens_and_closes_listeners),
		TEST(one_server_per_data_folder),
		TEST(roles_end_with_the_supervisor),
		TEST(wrong_starts_say_why),
		TEST(a_role_that_cannot_start_ends_the_server),
		TEST(service_managers_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
