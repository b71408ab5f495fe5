/* SPDX-License-Identifier: Apache-2.0 */
/* running.h - a role at work in this process: role.c for main.c and, with --one-process, for the supervisor. */
#ifndef ROLE_RUNNING_H
#define ROLE_RUNNING_H

#include "role/role.h"

const struct role *role_find(struct slice name);
/* `posthouse role NAME INDEX`: serves the control socket on descriptor 3; ends with the supervisor. */
int role_main(int argc, char **argv);
/* The same in this process, with its control socket on fd, without a box. */
void role_run_here(const struct role *role, uint32_t index, int fd);
/* Gives memory back whenever the process has come to rest. */
void rest_watch(void);
/* Wrong lines of a configuration, one log line each. */
struct conf_error;
void conf_errors_log(const struct conf_error *errors, size_t shown, size_t all);

#endif
