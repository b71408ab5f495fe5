/* SPDX-License-Identifier: Apache-2.0 */
/* ground.c - what must be there before any role starts: the data folder and its lock, the user to run as, an empty
 * folder to lock roles into, enough descriptors. Called by supervisor.c at start. Fails: with a line that says what to
 * do. */
#include "role/supervisor.h"

#include "base/counter.h"
#include "role/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_WAIT_MS 1000 /* a store that was left without its supervisor is about to end */

static bool
refuse(const char *event, const char *what, const char *with, const char *advice)
{
	struct log l;
	log_begin(&l, LOG_ERROR, event);
	log_text(&l, "why", what);
	log_text(&l, "with", with);
	log_text(&l, "advice", advice);
	log_end(&l);
	return false;
}

static bool
data_open(struct supervisor *h)
{
	const char *path = h->conf->v.data;
	h->data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->data >= 0)
		return true;
	return refuse("data.missing", strerror(errno), path,
	              errno == ENOENT ? "posthouse init makes a data folder; option data names it"
	                              : "option data names the folder; it must be readable");
}

static bool
lock_wait(int fd)
{
	int64_t end = deadline_in_ms(LOCK_WAIT_MS);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= end)
			return false;
		usleep(20000);
	}
	return true;
}

/* The lock belongs to the open file, which the store holds too: it ends with the last of both. */
static bool
data_lock(struct supervisor *h)
{
	char pid[32] = "";
	h->lock = openat(h->data, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock < 0)
		return refuse("data.lock", strerror(errno), h->conf->v.data, "the data folder must be writable");
	if (!lock_wait(h->lock)) {
		char what[100];
		ssize_t n = pread(h->lock, pid, sizeof pid - 1, 0);
		snprintf(what, sizeof what, "another server (process %.*s) has this data folder", n > 0 ? (int)n : 1,
		         n > 0 ? pid : "?");
		return refuse("data.locked", what, h->conf->v.data, "stop it first, or give this one a folder of its own");
	}
	int n = snprintf(pid, sizeof pid, "%d", (int)getpid());
	if (ftruncate(h->lock, 0) != 0 || pwrite(h->lock, pid, (size_t)n, 0) != n)
		log_event(LOG_WARN, "data.lock", "why", strerror(errno)); /* for people only: the lock holds */
	return true;
}

static bool
user_choose(struct supervisor *h)
{
	const char *name = h->conf->v.user;
	h->uid = h->gid = BOX_STAY;
	if (geteuid() != 0)
		return true;
	struct stat st;
	if (fstat(h->data, &st) != 0)
		return refuse("user.choose", strerror(errno), h->conf->v.data, "the data folder must be there");
	h->uid = st.st_uid;
	h->gid = st.st_gid;
	if (!name[0])
		return true;
	errno = 0;
	const struct passwd *who = getpwnam(name);
	if (!who)
		return refuse("user.choose", errno ? strerror(errno) : "there is no such account", name,
		              "option user names the account to run as; useradd --system makes one");
	if (who->pw_uid != st.st_uid)
		return refuse("user.choose", "the data folder belongs to another account", h->conf->v.data,
		              "chown -R it to the account that option user names");
	h->uid = who->pw_uid;
	h->gid = who->pw_gid;
	return true;
}

/* Next to the admin socket: the root directory of roles that need no files. */
static bool
root_make(struct supervisor *h)
{
	if (h->uid == BOX_STAY)
		return true;
	const char *socket = h->conf->v.admin_socket, *slash = strrchr(socket, '/');
	char path[PATH_MAX];
	ASSERT(slash);
	snprintf(path, sizeof path, "%.*s", (int)(slash - socket), socket);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return refuse("run.folder", strerror(errno), path,
		              "option admin-socket names a path in a folder that is there");
	size_t n = strlen(path);
	snprintf(path + n, sizeof path - n, "/empty");
	if (mkdir(path, 0555) != 0 && errno != EEXIST)
		return refuse("run.folder", strerror(errno), path, "the folder of the admin socket must be writable");
	h->root = slice_dup(slice_text(path));
	return true;
}

static bool
descriptors_raise(struct supervisor *h)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	return true;
}

static bool
kernel_look(struct supervisor *h)
{
	int abi = landlock_abi();
	if (abi == 0 && !h->here)
		log_event(LOG_WARN, "sandbox.landlock", "missing",
		          "this kernel has no Landlock: seccomp and, as root, chroot keep the roles apart");
	else if (abi < 4 && !h->here)
		log_event(LOG_INFO, "sandbox.landlock", "partial", "this kernel's Landlock knows files but no ports");
	return true;
}

int
page_new(void)
{
	int fd = memfd_create("posthouse-counters", MFD_CLOEXEC);
	ASSERT(fd >= 0 && ftruncate(fd, COUNTER_PAGE_BYTES) == 0);
	return fd;
}

static bool
counters_own(struct supervisor *h)
{
	h->page = page_new();
	void *at = mmap(NULL, COUNTER_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, h->page, 0);
	ASSERT(at != MAP_FAILED);
	if (!h->here)
		counter_use_page(at);
	return true;
}

bool
ground_prepare(struct supervisor *h)
{
	static bool (*const steps[])(struct supervisor *) = { descriptors_raise, data_open,   data_lock,   user_choose,
		                                                  root_make,         kernel_look, counters_own };
	for (size_t i = 0; i < COUNT_OF(steps); i++)
		if (!steps[i](h))
			return false;
	return true;
}

void
service_notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || len >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
