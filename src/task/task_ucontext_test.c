/* SPDX-License-Identifier: Apache-2.0 */
/* task_ucontext_test.c - task_test.c once more, on the switch for processors without one of their own. The functions of
 * switch.c that are defined here take the place of those in the library. */
#define TASK_SWITCH_UCONTEXT
#include "task/switch.c"
#include "task/task_test.c"
