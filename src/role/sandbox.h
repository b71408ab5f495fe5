/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - the box around a role: what the kernel takes away from this process for good. Called once by role.c,
 * after the role has read what it needs and before it meets a byte of anybody else. */
#ifndef ROLE_SANDBOX_H
#define ROLE_SANDBOX_H

#include "role/role.h"

#define BOX_STAY UINT32_MAX

struct box {
	const char *name;         /* of the role, for the log; stays */
	uint32_t may;             /* MAY_* of role.h */
	uint32_t uid, gid;        /* to change to; BOX_STAY */
	const char *root;         /* to chroot to; NULL: stay. A role with MAY_FILES gets its folder as root instead */
	int folder;               /* MAY_FILES: all that it may reach, and its working directory; -1: none */
	const char *const *reads; /* MAY_READ_FILES: folders and files, ended by NULL */
};
/* ERR_DENIED, ERR_IO: the box is not complete and the process must end; *why says at what. */
enum err sandbox_enter(const struct box *b, const char **why);

/* sandbox_landlock.c: 0 where the kernel has none. */
int landlock_abi(void);
enum err landlock_enter(const struct box *b);
/* sandbox_seccomp.c */
enum err seccomp_enter(const struct box *b);

#endif
