/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.h - the answer of an HTTP/1.1 server (RFC 9112 4, 6, 7), as far as a fetch of one short text needs it.
 * Pure; a stranger wrote it. */
#ifndef RELAY_HTTP_REPLY_H
#define RELAY_HTTP_REPLY_H

#include "base/arena.h"

#define HTTP_HEAD_BYTES_MAX 16384

enum http_state { HTTP_MORE, HTTP_WHOLE, HTTP_BAD };

struct http_reply {
	unsigned status;
	struct slice type; /* Content-Type */
	bool chunked, sized;
	uint64_t length;
	size_t head_bytes; /* 0: the end of the head has not come yet */
	struct slice body; /* HTTP_WHOLE: in the input, or in the arena */
};

/* Looks at all that came so far. A body without a length is HTTP_BAD: nobody could tell that it was cut short. */
enum http_state http_reply_take(struct slice in, size_t body_max, struct arena *a, struct http_reply *r);

#endif
