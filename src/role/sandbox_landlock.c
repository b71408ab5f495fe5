/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_landlock.c - Landlock by its system calls: files and, where the kernel knows them, ports, signals and
 * abstract sockets. The kernel's version is asked for; what it does not know is left to seccomp and chroot. */
#include "role/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of newer kernels than the headers. */
struct ruleset {
	uint64_t fs, net, scoped;
};
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_TCP UINT64_C(1)         /* ABI 4 */
#define NET_CONNECT_TCP UINT64_C(2)
#define SCOPE_ABSTRACT_UNIX UINT64_C(1) /* ABI 6 */
#define SCOPE_SIGNAL UINT64_C(2)
#define FS_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_FOR_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

int
landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

static uint64_t
fs_rights(int abi)
{
	return FS_ABI_1 | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
	       (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static bool
allow_beneath(int ruleset, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

/* A folder, or a file; one that is not there cannot be read anyway. */
static bool
allow_reading(int ruleset, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return true;
	bool good = allow_beneath(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) ||
	            allow_beneath(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE);
	close(fd);
	return good;
}

static bool
rules_add(const struct box *b, int ruleset, uint64_t fs)
{
	uint64_t own = fs & (FS_FOR_FILES | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
	                     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
	                     LANDLOCK_ACCESS_FS_REFER);
	if (b->may & MAY_FILES && b->folder >= 0 && !allow_beneath(ruleset, b->folder, own))
		return false;
	for (const char *const *path = b->reads; b->may & MAY_READ_FILES && path && *path; path++)
		if (!allow_reading(ruleset, *path))
			return false;
	return true;
}

enum err
landlock_enter(const struct box *b)
{
	int abi = landlock_abi();
	if (abi == 0)
		return OK;
	struct ruleset r = { .fs = fs_rights(abi) };
	size_t size = sizeof r.fs;
	if (abi >= 4) {
		r.net = b->may & MAY_CONNECT ? 0 : NET_BIND_TCP | NET_CONNECT_TCP;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 6) {
		r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof r;
	}
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (ruleset < 0)
		return ERR_DENIED;
	bool good = rules_add(b, ruleset, r.fs) && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return good ? OK : ERR_DENIED;
}
