/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - what is different in the copies of bulk mail whose recipients have return paths of their own (VERP): the
 * envelope sender, and a header field by which a complaint can be told. The body in the queue is one for all. */
#ifndef RELAY_COPY_H
#define RELAY_COPY_H

#include "store_msg.h"

struct copy {
	struct slice reverse_path;
	struct slice head; /* goes before the message; with its line end, or empty */
};
/* Slices in the arena. */
struct copy copy_for(const struct store_queue_row *row, struct slice recipient, struct arena *a);

#endif
