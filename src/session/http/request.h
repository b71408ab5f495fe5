/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - the head of an HTTP/1.1 request (RFC 9112), strictly: pure functions on slices. What is unusual and legal
 * but of no use here (transfer codings, other target forms) is refused with the status that says so. */
#ifndef SESSION_HTTP_REQUEST_H
#define SESSION_HTTP_REQUEST_H

#include "base/arena.h"

#define HTTP_HEAD_BYTES_MAX 16384
#define HTTP_TARGET_BYTES_MAX 4096
#define HTTP_FIELDS_MAX 64
#define HTTP_BODY_BYTES_MAX (1u << 20)
#define HTTP_PUBLIC_BODY_BYTES_MAX 8192 /* of a stranger */

struct http_request {
	struct slice method, path, query; /* as sent: still percent-encoded */
	struct slice content_type, accept_language;
	uint64_t body_bytes;
	bool keep_alive, expects_continue, http_1_0;
};

/* Bytes of the head at the start of input, its empty line included; 0: not all of it is there. */
size_t http_head_bytes(struct slice input);
/* 0, or the status of the refusal with *why (a literal). head: as http_head_bytes counted. */
unsigned http_request_parse(struct slice head, struct http_request *r, const char **why);
/* Percent-decoding (RFC 3986 2.1); false: malformed, or a control character inside. */
bool http_decode(struct slice text, struct arena *a, struct slice *out);
/* The next value of a name in a query ("after=x&target=y"); *query moves past it. False: no more. */
bool http_query_next(struct slice *query, struct slice name, struct arena *a, struct slice *value);

#endif
