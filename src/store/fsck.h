/* SPDX-License-Identifier: Apache-2.0 */
/* fsck.h - "posthouse check --store": reads everything that is stored and says what does not fit together. */
#ifndef STORE_FSCK_H
#define STORE_FSCK_H

#include <stdio.h>

/* The data folder of a server that does not run. Each problem is a line in plain words on out, then a summary. Returns
 * how many problems there are; -1: it could not be read at all (out says why). Changes nothing but what opening after a
 * crash changes. */
int store_check(const char *data_folder, FILE *out);

#endif
