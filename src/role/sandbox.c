/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c - the steps into the box, in the order in which each is still allowed: limits, root directory, user,
 * capabilities, no new privileges, Landlock, seccomp. Called by role.c. Fails: a step that the kernel refuses; then the
 * role does not go on. A kernel without Landlock is no failure (the supervisor says so once). */
#include "role/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
limits_set(const struct box *b)
{
	const struct rlimit none = { 0, 0 };
	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0;
}

static bool
root_change(const struct box *b)
{
	if (b->may & MAY_FILES && b->folder >= 0 && fchdir(b->folder) != 0)
		return false;
	if (geteuid() != 0 || !b->root || b->may & MAY_READ_FILES)
		return true;
	if (!(b->may & MAY_FILES) && chdir(b->root) != 0)
		return false;
	return chroot(".") == 0 && chdir("/") == 0;
}

static bool
user_change(const struct box *b)
{
	if (geteuid() != 0 || b->uid == BOX_STAY)
		return true;
	return setgroups(0, NULL) == 0 && setresgid(b->gid, b->gid, b->gid) == 0 && setresuid(b->uid, b->uid, b->uid) == 0;
}

/* Nothing that is ever started here could get one back. Needs root, so it comes first. */
static bool
capabilities_bound(const struct box *b)
{
	for (int cap = 0; cap <= CAP_LAST_CAP && geteuid() == 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) != 0 && errno != EINVAL && errno != EPERM)
			return false;
	return true;
}

/* Also for root that stays root: it then owns files like anybody else, and no more. */
static bool
capabilities_drop(const struct box *b)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	return syscall(SYS_capset, &head, none) == 0;
}

static bool
privileges_fix(const struct box *b)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0; /* setuid changed it */
}

static bool
landlock(const struct box *b)
{
	return landlock_enter(b) == OK;
}

static bool
seccomp(const struct box *b)
{
	return seccomp_enter(b) == OK;
}

enum err
sandbox_enter(const struct box *b, const char **why)
{
	static const struct {
		const char *what;
		bool (*step)(const struct box *b);
	} steps[] = {
		{ "the limits of the process cannot be set", limits_set },
		{ "the root directory cannot be changed", root_change },
		{ "the capabilities cannot be bounded", capabilities_bound },
		{ "the user cannot be changed", user_change },
		{ "the capabilities cannot be dropped", capabilities_drop },
		{ "new privileges cannot be ruled out", privileges_fix },
		{ "Landlock refuses its rules", landlock },
		{ "seccomp refuses its filter", seccomp },
	};
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		if (steps[i].step(b))
			continue;
		*why = steps[i].what;
		return errno == EPERM || errno == EACCES ? ERR_DENIED : ERR_IO;
	}
	return OK;
}
