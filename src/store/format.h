/* SPDX-License-Identifier: Apache-2.0 */
/* format.h - the number of the layout of rows (keys.h, record.h): it grows with every change after which older rows
 * read differently. */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "store/engine.h"

#define STORE_FORMAT 3u /* 0 stands for what was there before the number was written */

/* OK: the rows are of this program's format, or there are none (then the number is written when `write` is set).
 * ERR_DAMAGED: *why says which format they have; it lives in a. */
enum err format_check(struct engine *engine, bool write, struct arena *a, const char **why);

#endif
