/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - HTTP/1.1 for the admin API and the counters, and for the few pages that strangers see: one request, one
 * answer, kept connections. To the API only root and the user that the server runs as are let in, by the credentials of
 * the Unix socket. A request that is refused closes its
 * connection, so that nothing after it is misread. */
#include "base/random.h"
#include "session/http/api.h"

#include <unistd.h>

#define HTTP_IDLE_MS 60000
#define HTTP_READ_MS 30000
#define HTTP_WRITE_MS 60000
#define HTTP_DRAIN_MS 500
#define HTTP_DRAIN_BYTES_MAX (2u << 20)
#define HTTP_ARENA_BYTES_MAX (64u << 20)

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 204, "No Content" },
	{ 400, "Bad Request" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

static const char *
reason_of(unsigned status)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Answer";
}

/* Strangers see pages.c, and nothing else. */
static bool
is_public(const struct conn *c)
{
	return c->listener->kind != LISTEN_ADMIN;
}

static void
await_write(struct conn *c, const struct api_call *call, bool close, bool head_only)
{
	char *json = call->json ? json_dumps(call->json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	struct slice body = json ? slice_text(json) : call->text;
	c->io.deadline_ms = deadline_in_ms(HTTP_WRITE_MS);
	stream_printf(&c->io, "HTTP/1.1 %u %s\r\n", call->status, reason_of(call->status));
	if (call->status != 204)
		stream_printf(&c->io, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		              json              ? "application/json"
		              : call->text_type ? call->text_type
		                                : "text/plain",
		              body.len + (json ? 1 : 0));
	if (is_public(c))
		stream_put(&c->io,
		           S("Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
		             "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"));
	stream_printf(&c->io, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
	              close ? "Connection: close\r\n" : "");
	if (!head_only && call->status != 204) {
		await_put(&c->io, body);
		if (json)
			await_put(&c->io, S("\n"));
	}
	await_flush(&c->io);
	free(json);
}

/* What is still on its way in is read and dropped for a moment: closing on it would reset the connection, and the
 * client would lose the answer that says why. */
static void
await_drain(struct conn *c)
{
	c->io.deadline_ms = deadline_in_ms(HTTP_DRAIN_MS);
	for (size_t dropped = 0; dropped < HTTP_DRAIN_BYTES_MAX;) {
		size_t n = stream_input(&c->io).len;
		stream_consume(&c->io, n);
		dropped += n;
		if (await_fill(&c->io, HTTP_HEAD_BYTES_MAX))
			break;
	}
}

static enum next
await_refuse(struct conn *c, struct arena *a, unsigned status, const char *error, const char *hint)
{
	struct api_call call = { .conn = c, .arena = a };
	api_error(&call, status, error, hint);
	await_write(c, &call, true, false);
	json_decref(call.json);
	await_drain(c);
	return NEXT_CLOSE;
}

static bool
may_ask(const struct conn *c)
{
	return c->unix_uid != UINT32_MAX && (c->unix_uid == 0 || c->unix_uid == geteuid());
}

/* Until the unread input holds n bytes (n 0: a whole head). 0, or the status of the refusal; 1: the connection ended.
 */
static unsigned
await_input(struct conn *c, size_t n)
{
	for (;;) {
		struct slice have = stream_input(&c->io);
		if (n ? have.len >= n : http_head_bytes(have) > 0)
			return 0;
		if (n == 0 && have.len >= HTTP_HEAD_BYTES_MAX)
			return 431;
		enum err e = await_fill(&c->io, HTTP_HEAD_BYTES_MAX + HTTP_BODY_BYTES_MAX);
		if (e)
			return e == ERR_TIMEOUT ? 408 : 1;
	}
}

static enum next
await_request(struct conn *c, struct arena *a, size_t *used)
{
	struct http_request r;
	const char *why;
	size_t head_bytes = http_head_bytes(stream_input(&c->io));
	struct slice head = slice_keep(a, slice_part(stream_input(&c->io), 0, head_bytes));
	unsigned status = http_request_parse(head, &r, &why);
	if (status)
		return await_refuse(c, a, status, why, NULL);
	if (is_public(c) && r.body_bytes > HTTP_PUBLIC_BODY_BYTES_MAX)
		return await_refuse(c, a, 413, "the body is too large", NULL);
	if (!is_public(c) && !may_ask(c))
		return await_refuse(c, a, 403, "only root and the user that the server runs as are let in",
		                    "run the command as one of them, for instance with sudo");
	if (r.expects_continue && r.body_bytes && stream_input(&c->io).len == head_bytes) {
		stream_put(&c->io, S("HTTP/1.1 100 Continue\r\n\r\n"));
		await_flush(&c->io);
	}
	*used = head_bytes + (size_t)r.body_bytes;
	status = r.body_bytes ? await_input(c, *used) : 0;
	if (status == 1)
		return NEXT_CLOSE;
	if (status)
		return await_refuse(c, a, status, "the body did not come in time", NULL);
	struct api_call call = { .conn = c, .session = c->session, .arena = a, .request = &r };
	struct slice body = slice_part(stream_input(&c->io), head_bytes, (size_t)r.body_bytes);
	if (is_public(c))
		await_public(&call, body);
	else
		await_api(&call, body);
	bool close = !r.keep_alive || c->session->stopping;
	await_write(c, &call, close, slice_equal(r.method, S("HEAD")));
	json_decref(call.json);
	return close || c->io.error ? NEXT_CLOSE : NEXT_COMMAND;
}

static enum next
http_command(struct conn *c)
{
	struct arena a;
	c->idle_ms = HTTP_IDLE_MS;
	c->io.deadline_ms = deadline_in_ms(HTTP_READ_MS);
	unsigned status = await_input(c, 0);
	if (status == 1)
		return NEXT_CLOSE;
	arena_init(&a, HTTP_ARENA_BYTES_MAX);
	size_t used = 0;
	enum next next = status
	                     ? await_refuse(c, &a, status, "the head of the request is too large or came too slowly", NULL)
	                     : await_request(c, &a, &used);
	/* There may have been a password in it. */
	struct slice seen = stream_input(&c->io);
	if (used && seen.len >= used) {
		secret_wipe((char *)seen.at, used);
		stream_consume(&c->io, used);
	}
	arena_release(&a);
	return next;
}

const struct protocol http_protocol = {
	.name = "http",
	.client_first = true,
	.await_command = http_command,
};
