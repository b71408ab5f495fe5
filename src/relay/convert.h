/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h - a message for a server that cannot take it as it is: without BINARYMIME or 8BITMIME. Scan says what has
 * to be done (mail/seven_bit.h), since relay does not look into mail; here it is done, piece by piece. */
#ifndef RELAY_CONVERT_H
#define RELAY_CONVERT_H

#include "mail/transfer_encode.h"
#include "relay/relay.h"

#define CONVERTING_MAX 4 /* messages that are in memory for scan at once */

struct conversion {
	struct job *job;
	struct store_queue_row row; /* as it is sent: without trace, other BODY=, as long as it becomes */
	const struct scan_step *steps;
	uint32_t nsteps;
	struct slice text;
	uint32_t step, at; /* what comes next */
	struct encoder encoder;
	struct buf out;
};

/* Asks scan. False: *why is what the recipients are answered. */
bool await_conversion_begin(struct conversion *c, struct job *j, bool eight_bit, struct remote_reply *why);
void conversion_end(struct conversion *c);
/* A piece of what comes out (await_piece_fn); pieces are asked for in their order, from 0 on. */
enum err await_converted_piece(void *conversion, uint64_t from, struct slice *piece);

#endif
