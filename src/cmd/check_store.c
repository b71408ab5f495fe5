/* SPDX-License-Identifier: Apache-2.0 */
/* check_store.c - posthouse check --store: everything that is stored is read and judged (store/fsck.h), with the lock
 * of the data folder held, so that no server has it meanwhile. Done in a child that runs as the owner of the folder:
 * what opening the store writes must not belong to root afterwards. */
#include "cmd/cmd.h"
#include "store/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_GOOD, CHILD_PROBLEMS, CHILD_UNREADABLE };
#define LINE_BYTES_MAX 2000

static bool
become_owner(const char *data)
{
	struct stat st;
	if (stat(data, &st) != 0)
		return false;
	return geteuid() != 0 || st.st_uid == 0 ||
	       (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0);
}

static bool
lock_folder(const char *data)
{
	int folder = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int lock = folder >= 0 ? openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (folder >= 0)
		close(folder);
	return lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0; /* held until the child ends */
}

static int
child(const char *data, FILE *out)
{
	int problems = -1;
	if (!lock_folder(data)) /* as root still: the server made the lock file as root, too */
		fprintf(out,
		        errno == EWOULDBLOCK ? "a server has the data folder %s: stop it first\n"
		                             : "the data folder %s cannot be locked; run the check as its owner\n",
		        data);
	else if (!become_owner(data))
		fprintf(out, "%s cannot be entered as its owner: %s\n", data, strerror(errno));
	else
		problems = store_check(data, out);
	fclose(out);
	return problems < 0 ? CHILD_UNREADABLE : problems ? CHILD_PROBLEMS : CHILD_GOOD;
}

/* Each line that the child says; the last of a sound store is its summary. */
static int
listen_to(int from, pid_t pid, void (*say)(void *arg, bool good, const char *line), void *arg)
{
	char line[LINE_BYTES_MAX], last[LINE_BYTES_MAX] = "";
	FILE *in = fdopen(from, "r");
	while (in && fgets(line, sizeof line, in)) {
		line[strcspn(line, "\n")] = '\0';
		if (last[0])
			say(arg, false, last);
		memcpy(last, line, sizeof last);
	}
	if (in)
		fclose(in);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_UNREADABLE;
	if (last[0] || code != CHILD_GOOD)
		say(arg, code == CHILD_GOOD, last[0] ? last : "the check ended without a word");
	return code;
}

bool
cmd_check_store(const char *data, void (*say)(void *arg, bool good, const char *line), void *arg)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		FILE *out = fdopen(ends[1], "w");
		_exit(out ? child(data, out) : CHILD_UNREADABLE);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	return listen_to(ends[0], pid, say, arg) == CHILD_GOOD;
}
