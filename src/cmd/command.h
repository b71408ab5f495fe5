/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - the posthouse command: everything but `serve` and `role`, which are the server itself. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

/* Returns the exit code: 0 done, 1 failed, 2 not understood. */
int command_main(int argc, char **argv);

#endif
