/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_test.c - for each role of the table: a child steps into that role's box and tries what roles may and may not.
 * What its row allows works, everything else fails or ends the child. */
#include "role/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64]; /* what a role with MAY_FILES has */
static int folder_fd;
static int accepting;           /* a listener with a connection waiting */
static struct sockaddr_in here; /* its address */
static pid_t bystander;         /* another process of ours */

/* ---- acts: true when it worked. They run in the box. */

static bool
act_read_and_write(void)
{
	int fd = memfd_create("t", MFD_CLOEXEC);
	char c;
	return fd >= 0 && write(fd, "x", 1) == 1 && pread(fd, &c, 1, 0) == 1 && close(fd) == 0;
}

static bool
act_use_memory(void)
{
	char *at = malloc(10u << 20);
	if (!at)
		return false;
	memset(at, 1, 10u << 20);
	free(at);
	return clock_mono_ms() > 0;
}

static bool
act_open_outside(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool
act_create_outside(void)
{
	return open("/tmp/posthouse-sandbox-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool
act_use_own_folder(void)
{
	int fd = open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && close(fd) == 0 && rename("a", "b") == 0 && mkdir("c", 0700) == 0 && rmdir("c") == 0 &&
	       openat(folder_fd, "b", O_RDONLY | O_CLOEXEC) >= 0 && unlink("b") == 0;
}

static bool
act_sync(void)
{
	int fd = memfd_create("t", MFD_CLOEXEC);
	return fd >= 0 && fdatasync(fd) == 0;
}

static bool
act_make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static int given_socket; /* made before the box */

static bool
act_connect(void)
{
	return connect(given_socket, (struct sockaddr *)&here, sizeof here) == 0;
}

static bool
act_bind(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return bind(given_socket, (struct sockaddr *)&any, sizeof any) == 0;
}

static bool
act_listen(void)
{
	return listen(given_socket, 1) == 0;
}

static bool
act_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static bool
act_accept(void)
{
	return accept4(accepting, NULL, NULL, SOCK_CLOEXEC) >= 0;
}

static void *
nothing(void *arg)
{
	return arg;
}

static bool
act_thread(void)
{
	pthread_t t;
	return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static bool
act_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool
act_execve(void)
{
	char *const argv[] = { (char[]){ "true" }, NULL };
	execve("/bin/true", argv, NULL); /* when it works the child ends well: status 0 */
	return false;
}

static bool
act_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, bystander, NULL, NULL) == 0;
}

static bool
act_kill_another(void)
{
	return kill(bystander, 0) == 0;
}

static bool
act_run_written_memory(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at != MAP_FAILED && mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool
act_chroot(void)
{
	return chroot("/") == 0;
}

static bool
act_become_root(void)
{
	return setresuid(0, 0, 0) == 0;
}

static bool
act_raise_a_limit(void)
{
	struct {
		uint64_t now, max;
	} limit = { 10, 10 };
	return syscall(302 /* prlimit64 */, 0, 7, &limit, NULL) == 0;
}

enum { ALWAYS = -1 };
static const struct {
	const char *what;
	bool (*act)(void);
	int allowed_by; /* MAY_ bits; 0: nobody may */
} acts[] = {
	{ "read and write what is open", act_read_and_write, ALWAYS },
	{ "use memory and the clock", act_use_memory, ALWAYS },
	{ "open a file outside", act_open_outside, 0 },
	{ "create a file outside", act_create_outside, 0 },
	{ "use its own folder", act_use_own_folder, MAY_FILES },
	{ "sync", act_sync, MAY_SYNC },
	{ "make a socket", act_make_socket, MAY_CONNECT },
	{ "connect", act_connect, MAY_CONNECT },
	{ "bind", act_bind, MAY_CONNECT },
	{ "listen", act_listen, 0 },
	{ "talk to netlink", act_netlink, 0 },
	{ "accept", act_accept, MAY_ACCEPT },
	{ "start a thread", act_thread, MAY_THREADS },
	{ "fork", act_fork, 0 },
	{ "execve", act_execve, 0 },
	{ "ptrace", act_ptrace, 0 },
	{ "kill another process", act_kill_another, 0 },
	{ "run memory that it wrote", act_run_written_memory, 0 },
	{ "chroot", act_chroot, 0 },
	{ "become root", act_become_root, 0 },
#ifdef __x86_64__
	{ "set a limit", act_raise_a_limit, 0 },
#endif
};

enum { WORKED = 0, FAILED = 1, NO_BOX = 2 };

_Noreturn static void
child(const struct role *role, bool (*act)(void), bool as_root)
{
	struct box b = { .name = role->name, .may = role->may, .uid = BOX_STAY, .gid = BOX_STAY, .folder = -1 };
	const char *why = NULL;
	if (as_root) {
		b.root = folder;
		b.uid = b.gid = 65534;
	}
	if (role->may & MAY_FILES)
		b.folder = folder_fd;
	int silent = open("/dev/null", O_WRONLY | O_CLOEXEC); /* the line about the violation */
	dup2(silent, 2);
	if (sandbox_enter(&b, &why) != OK)
		_exit(NO_BOX);
	_exit(act() ? WORKED : FAILED);
}

static int
outcome(const struct role *role, bool (*act)(void), bool as_root)
{
	int status;
	given_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid = fork();
	if (pid == 0)
		child(role, act, as_root);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(given_socket);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return FAILED;
	}
	return WEXITSTATUS(status);
}

static void
every_role_may_what_its_row_says(bool as_root)
{
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		const struct role *role = roles[r];
		for (size_t i = 0; role && i < COUNT_OF(acts); i++) {
			bool allowed = acts[i].allowed_by == ALWAYS || role->may & (uint32_t)acts[i].allowed_by;
			int got = outcome(role, acts[i].act, as_root);
			if (got != (allowed ? WORKED : FAILED))
				fail_msg("%s, %s: %s", role->name, acts[i].what,
				         got == NO_BOX ? "no box"
				         : allowed     ? "should work"
				                       : "should fail");
		}
	}
}

static void
in_the_box(void **state)
{
	every_role_may_what_its_row_says(false);
}

static void
in_the_box_as_another_user(void **state)
{
	if (geteuid() != 0)
		skip();
	every_role_may_what_its_row_says(true);
}

static void
the_line_names_the_call(void **state)
{
	int fds[2], status;
	char line[400] = "";
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct box b = { .name = "probe", .uid = BOX_STAY, .gid = BOX_STAY, .folder = -1 };
		const char *why;
		dup2(fds[1], 2);
		if (sandbox_enter(&b, &why) == OK)
			(void)act_kill_another();
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	assert_true(read(fds[0], line, sizeof line - 1) > 0);
	assert_non_null(strstr(line, "role=probe event=sandbox.violation syscall=kill"));
	close(fds[0]);
}

static void
the_table_gives_no_more_than_the_design(void **state)
{
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		const struct role *role = roles[r];
		if (!role)
			continue;
		assert_int_equal(role->id, r);
		assert_false(role->may & MAY_SYNC && r != ROLE_STORE); /* the only caller of fdatasync */
		assert_false(role->may & MAY_FILES && r != ROLE_STORE);
		assert_false(role->may & MAY_CONNECT && r != ROLE_RELAY && r != ROLE_RESOLVER);
		assert_false(role->may & MAY_ACCEPT && !(role->class_bit & (IPC_CLASS_MX | IPC_CLASS_USER | IPC_CLASS_ADMIN)));
	}
}

static int
setup(void **state)
{
	socklen_t n = sizeof here;
	snprintf(folder, sizeof folder, "/tmp/posthouse-box-XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0777) != 0)
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	accepting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	here = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(accepting, (struct sockaddr *)&here, n) != 0 || listen(accepting, 1000) != 0 ||
	    getsockname(accepting, (struct sockaddr *)&here, &n) != 0)
		return -1;
	for (int i = 0; i < 20; i++) { /* one for each child that may accept */
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&here, sizeof here) != 0)
			return -1;
	}
	bystander = fork();
	if (bystander == 0)
		for (;;)
			pause();
	return 0;
}

static int
teardown(void **state)
{
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_box),
		cmocka_unit_test(in_the_box_as_another_user),
		cmocka_unit_test(the_line_names_the_call),
		cmocka_unit_test(the_table_gives_no_more_than_the_design),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
