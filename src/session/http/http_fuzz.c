/* SPDX-License-Identifier: Apache-2.0 */
/* http_fuzz.c - any bytes as the head of a request: understood with everything inside its limits, or refused with a
 * status and words. */
#include "session/http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(struct slice s, struct slice head)
{
	ASSERT(s.len == 0 || (s.at >= head.at && s.at + s.len <= head.at + head.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size), out;
	struct http_request r;
	const char *why = NULL;
	struct arena a;
	arena_init(&a, 0);
	struct slice head = slice_part(input, 0, http_head_bytes(input));
	unsigned status = http_request_parse(head.len ? head : input, &r, &why);
	ASSERT(status == 0 || (status >= 400 && status < 600 && why));
	if (status == 0) {
		ASSERT(r.method.len && r.path.len && r.path.at[0] == '/' && r.body_bytes <= HTTP_BODY_BYTES_MAX);
		ASSERT(r.path.len + r.query.len <= HTTP_TARGET_BYTES_MAX);
		inside(r.path, input);
		inside(r.content_type, input);
		struct slice query = r.query;
		while (http_query_next(&query, S("target"), &a, &out))
			ASSERT(!slice_has_control(out));
		if (http_decode(r.path, &a, &out))
			ASSERT(out.len <= r.path.len);
	}
	arena_release(&a);
	return 0;
}
