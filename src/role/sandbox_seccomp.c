/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_seccomp.c - the system calls of each role, as rows. What no row allows ends the process, with one line that
 * names the call. Opening a file and making a socket are refused with an error instead where a role may not: libraries
 * try that on their own (a configuration file, a log socket) and live without it. */
#include "role/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAY_ANYTHING 0u

static const struct {
	int number;
	uint32_t needs; /* any of these MAY_ bits; 0: all roles have it */
} calls[] = {
#define CALL(name, needs)                                                                                              \
	{                                                                                                                  \
		SCMP_SYS(name), needs                                                                                          \
	}
	/* bytes through descriptors that are there */
	CALL(read, 0),
	CALL(write, 0),
	CALL(readv, 0),
	CALL(writev, 0),
	CALL(pread64, 0),
	CALL(pwrite64, 0),
	CALL(preadv, 0),
	CALL(pwritev, 0),
	CALL(preadv2, 0),
	CALL(pwritev2, 0),
	CALL(lseek, 0),
	CALL(close, 0),
	CALL(close_range, 0),
	CALL(dup, 0),
	CALL(fstat, 0),
	CALL(ftruncate, 0),
	CALL(sendfile, 0),
	CALL(recvmsg, 0),
	CALL(sendmsg, 0),
	CALL(recvfrom, 0),
	CALL(sendto, 0),
	CALL(shutdown, 0),
	CALL(getsockopt, 0),
	CALL(setsockopt, 0),
	CALL(getsockname, 0),
	CALL(getpeername, 0),
	CALL(memfd_create, 0),
	CALL(pipe2, 0),
	CALL(pipe, 0),
	/* waiting */
	CALL(epoll_wait, 0),
	CALL(epoll_pwait, 0),
	CALL(epoll_pwait2, 0),
	CALL(epoll_ctl, 0),
	CALL(epoll_create1, 0),
	CALL(eventfd2, 0),
	CALL(poll, 0),
	CALL(ppoll, 0),
	CALL(select, 0),
	CALL(pselect6, 0),
	CALL(nanosleep, 0),
	CALL(clock_nanosleep, 0),
	CALL(futex, 0),
	CALL(sched_yield, 0),
	CALL(restart_syscall, 0),
	/* memory */
	CALL(munmap, 0),
	CALL(mremap, 0),
	CALL(madvise, 0),
	CALL(brk, 0),
	CALL(mincore, 0),
	/* itself */
	CALL(clock_gettime, 0),
	CALL(clock_getres, 0),
	CALL(gettimeofday, 0),
	CALL(time, 0),
	CALL(getrandom, 0),
	CALL(getpid, 0),
	CALL(gettid, 0),
	CALL(getuid, 0),
	CALL(geteuid, 0),
	CALL(getgid, 0),
	CALL(getegid, 0),
	CALL(getrusage, 0),
	CALL(getrlimit, 0),
	CALL(sysinfo, 0),
	CALL(uname, 0),
	CALL(sched_getaffinity, 0),
	CALL(getcpu, 0),
	CALL(rt_sigaction, 0),
	CALL(rt_sigprocmask, 0),
	CALL(rt_sigreturn, 0),
	CALL(sigaltstack, 0),
	CALL(rseq, 0),
	CALL(set_robust_list, 0),
	CALL(membarrier, 0),
	CALL(exit, 0),
	CALL(exit_group, 0),
	/* clients, the network */
	CALL(accept4, MAY_ACCEPT),
	CALL(accept, MAY_ACCEPT),
	CALL(connect, MAY_CONNECT),
	CALL(bind, MAY_CONNECT),
	CALL(sendmmsg, MAY_CONNECT),
	CALL(recvmmsg, MAY_CONNECT),
	CALL(socketpair, MAY_CONNECT),
	/* files: which ones is Landlock's and chroot's to say */
	CALL(open, MAY_FILES),
	CALL(openat, MAY_FILES),
	CALL(creat, MAY_FILES),
	CALL(rename, MAY_FILES),
	CALL(renameat, MAY_FILES),
	CALL(renameat2, MAY_FILES),
	CALL(unlink, MAY_FILES),
	CALL(unlinkat, MAY_FILES),
	CALL(mkdir, MAY_FILES),
	CALL(mkdirat, MAY_FILES),
	CALL(rmdir, MAY_FILES),
	CALL(link, MAY_FILES),
	CALL(linkat, MAY_FILES),
	CALL(truncate, MAY_FILES),
	CALL(fallocate, MAY_FILES),
	CALL(fadvise64, MAY_FILES),
	CALL(readahead, MAY_FILES),
	CALL(flock, MAY_FILES),
	CALL(fchmod, MAY_FILES),
	CALL(fchmodat, MAY_FILES),
	CALL(chmod, MAY_FILES),
	CALL(utimensat, MAY_FILES),
	CALL(umask, MAY_FILES),
	CALL(copy_file_range, MAY_FILES),
	CALL(ioctl, MAY_FILES),
	CALL(getdents64, MAY_FILES | MAY_READ_FILES),
	CALL(getcwd, MAY_FILES | MAY_READ_FILES),
	CALL(stat, MAY_FILES | MAY_READ_FILES),
	CALL(lstat, MAY_FILES | MAY_READ_FILES),
	CALL(newfstatat, MAY_FILES | MAY_READ_FILES),
	CALL(statx, MAY_FILES | MAY_READ_FILES),
	CALL(statfs, MAY_FILES | MAY_READ_FILES),
	CALL(fstatfs, MAY_FILES | MAY_READ_FILES),
	CALL(access, MAY_FILES | MAY_READ_FILES),
	CALL(faccessat, MAY_FILES | MAY_READ_FILES),
	CALL(faccessat2, MAY_FILES | MAY_READ_FILES),
	CALL(readlink, MAY_FILES | MAY_READ_FILES),
	CALL(readlinkat, MAY_FILES | MAY_READ_FILES),
	/* the disk */
	CALL(fsync, MAY_SYNC),
	CALL(fdatasync, MAY_SYNC),
	CALL(sync_file_range, MAY_SYNC),
	CALL(msync, MAY_SYNC),
	/* threads that tidy up after themselves */
	CALL(sched_setaffinity, MAY_THREADS),
	CALL(sched_getscheduler, MAY_THREADS),
	CALL(sched_getparam, MAY_THREADS),
	CALL(getpriority, MAY_THREADS),
#undef CALL
};

/* Allowed with one argument of a certain value (masked). */
static const struct {
	int number;
	unsigned argument;
	uint64_t mask, value;
	uint32_t needs;
} narrow[] = {
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0, 0 },
	{ SCMP_SYS(prlimit64), 2, UINT64_MAX, 0, 0 }, /* to read a limit */
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD, 0 },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO, 0 },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, 0x5401 /* TCGETS: isatty */, 0 },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME, 0 },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_NAME, 0 },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, 0x53564d41 /* PR_SET_VMA */, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_DUPFD, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_DUPFD_CLOEXEC, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFD, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFD, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_ADD_SEALS, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GET_SEALS, 0 },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETLK, MAY_FILES },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETLK, MAY_FILES },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_OFD_SETLK, MAY_FILES },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SET_RW_HINT, MAY_FILES },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SET_FILE_RW_HINT, MAY_FILES },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET, MAY_CONNECT },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6, MAY_CONNECT },
	{ SCMP_SYS(clone), 0, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD,
	  MAY_THREADS },
	{ SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY, MAY_READ_FILES },
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY, MAY_READ_FILES },
};

/* Refused with an error that libraries expect, to a role that has none of these bits. */
static const struct {
	int number;
	int error;
	uint32_t unless;
} soft[] = {
	{ SCMP_SYS(open), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(openat), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(openat2), ENOENT, MAY_ANYTHING },
	{ SCMP_SYS(stat), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(lstat), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(statx), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(access), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(faccessat), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(faccessat2), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(readlink), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(readlinkat), ENOENT, MAY_FILES | MAY_READ_FILES },
	{ SCMP_SYS(socket), EACCES, MAY_CONNECT },
	{ SCMP_SYS(clone3), ENOSYS, MAY_ANYTHING }, /* its arguments cannot be looked at: libc goes on with clone */
	{ SCMP_SYS(sched_setscheduler), EPERM, MAY_ANYTHING },
	{ SCMP_SYS(setpriority), EPERM, MAY_ANYTHING },
	{ SCMP_SYS(ioprio_set), EPERM, MAY_ANYTHING },
};

static const char *box_name;

static void
violation(int number, siginfo_t *info, void *context)
{
	char line[300];
	char *call = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
	int n = snprintf(line, sizeof line, "level=fatal role=%s event=sandbox.violation syscall=%s number=%d\n", box_name,
	                 call ? call : "unknown", info->si_syscall);
	if (n > 0)
		(void)!write(STDERR_FILENO, line, MIN((size_t)n, sizeof line - 1));
	free(call);
	signal(SIGSYS, SIG_DFL);
	raise(SIGSYS); /* delivered when this handler returns */
}

static bool
may(const struct box *b, uint32_t needs)
{
	return needs == 0 || b->may & needs;
}

static int
rules_add(scmp_filter_ctx f, const struct box *b)
{
	int e = 0;
	for (size_t i = 0; i < COUNT_OF(calls) && e == 0; i++)
		if (may(b, calls[i].needs))
			e = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i].number, 0);
	for (size_t i = 0; i < COUNT_OF(narrow) && e == 0; i++) {
		struct scmp_arg_cmp value = SCMP_CMP64(narrow[i].argument, SCMP_CMP_MASKED_EQ, narrow[i].mask, narrow[i].value);
		if (may(b, narrow[i].needs) && !(narrow[i].number == SCMP_SYS(ioctl) && b->may & MAY_FILES))
			e = seccomp_rule_add(f, SCMP_ACT_ALLOW, narrow[i].number, 1, value);
	}
	for (size_t i = 0; i < COUNT_OF(soft) && e == 0; i++)
		if (soft[i].unless == 0 || !(b->may & soft[i].unless))
			e = seccomp_rule_add(f, SCMP_ACT_ERRNO((uint32_t)soft[i].error), soft[i].number, 0);
	return e;
}

/* Rules that are neither of the rows above. */
static int
rules_add_special(scmp_filter_ctx f, const struct box *b)
{
	/* abort(3) signals itself, nobody else */
	int e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (e == 0 && !(b->may & (MAY_FILES | MAY_READ_FILES))) { /* fstat(3) is newfstatat(fd, "", AT_EMPTY_PATH) */
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
		if (e == 0)
			e = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(newfstatat), 1,
			                     SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH));
	}
	if (e == 0 && b->may & MAY_CONNECT)
		e = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_LT, AF_INET));
	if (e == 0 && b->may & MAY_CONNECT)
		e = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6));
	return e;
}

enum err
seccomp_enter(const struct box *b)
{
	box_name = b->name;
	struct sigaction act = { .sa_sigaction = violation, .sa_flags = SA_SIGINFO };
	if (sigaction(SIGSYS, &act, NULL) != 0)
		return ERR_IO;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
	if (!f)
		return ERR_IO;
	int e = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree of numbers instead of a row */
	if (e == 0)
		e = rules_add(f, b);
	if (e == 0)
		e = rules_add_special(f, b);
	if (e == 0)
		e = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that run already too */
	if (e == 0)
		e = seccomp_load(f);
	seccomp_release(f);
	errno = -e;
	return e == 0 ? OK : ERR_DENIED;
}
