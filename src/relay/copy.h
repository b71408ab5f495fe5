/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - what is different in the copies of bulk mail whose recipients have return paths of their own (VERP): the
 * envelope sender, header fields by which a complaint can be told, and the link to unsubscribe (RFC 8058). The body in
 * the queue is one for all. */
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
