/* SPDX-License-Identifier: Apache-2.0 */
/* https.c - see https.h. One connection for one request; nothing is followed, nothing kept. Called for MTA-STS policies
 * and for TLS reports, in a task. */
#include "relay/https.h"

#include "relay/relay.h"
#include "relay/transport.h"

enum { HTTPS_PORT = 443 };

/* What comes drop by drop is not looked at from its beginning with each drop. */
static bool
worth_a_look(struct slice in, size_t looked, size_t max, const struct http_reply *r)
{
	bool sized = r->head_bytes && r->sized;
	if (sized)
		return in.len >= r->head_bytes + r->length || in.len >= max;
	return in.len >= looked + looked / 8 || in.len >= max || slice_ends(in, S("\r\n\r\n"));
}

static enum https_result
await_answer(struct stream *io, const struct https_request *q, struct arena *a, struct http_reply *out)
{
	bool post = q->type.len > 0;
	*out = (struct http_reply){ 0 };
	size_t max = HTTP_HEAD_BYTES_MAX + 2 * q->reply_bytes_max; /* chunks have sizes beside them */
	stream_printf(io, "%s %.*s HTTP/1.1\r\nHost: %s", post ? "POST" : "GET", SLICE_ARG(q->path), q->host);
	if (q->port != HTTPS_PORT) /* RFC 9110 7.2 */
		stream_printf(io, ":%u", q->port);
	stream_put(io, S("\r\nUser-Agent: Posthouse\r\nConnection: close\r\n"));
	if (post)
		stream_printf(io, "Content-Type: %.*s\r\nContent-Length: %zu\r\n", SLICE_ARG(q->type), q->body.len);
	stream_put(io, S("\r\n"));
	if (await_put(io, q->body) || await_flush(io))
		return HTTPS_BROKEN;
	struct arena scratch;
	enum http_state state = HTTP_MORE;
	arena_init(&scratch, 0);
	for (size_t looked = 0; state == HTTP_MORE && await_fill(io, max) == OK;) {
		struct slice in = stream_input(io);
		if (!worth_a_look(in, looked, max, out))
			continue;
		looked = in.len;
		arena_clear(&scratch);
		state = http_reply_take(in, q->reply_bytes_max, &scratch, out);
		if (state == HTTP_MORE && in.len >= max)
			break;
	}
	if (state == HTTP_WHOLE) {
		out->body = slice_keep(a, out->body);
		out->type = slice_keep(a, out->type);
	}
	arena_release(&scratch);
	return state == HTTP_WHOLE ? HTTPS_ANSWERED : HTTPS_BROKEN;
}

static enum https_result
await_one(struct relay *r, const struct https_request *q, const struct route_address *to, int64_t deadline_ms,
          struct arena *a, struct http_reply *out)
{
	int fd;
	struct stream io;
	struct tls_check check = { .names = { q->host }, .nnames = 1 };
	if (await_connect((const struct sockaddr *)&to->to, to->len, NULL, 0, MIN(deadline_ms, deadline_in_ms(10000)), &fd))
		return HTTPS_UNREACHABLE;
	stream_init(&io, fd);
	io.deadline_ms = deadline_ms;
	enum https_result result = HTTPS_CERTIFICATE;
	if (await_tls_connect_checked(&io, r->transport->trusting, q->host, &check) == OK)
		result = await_answer(&io, q, a, out);
	else if (tls_verdict(&io) == TLS_BROKEN || tls_verdict(&io) == TLS_UNCHECKED)
		result = HTTPS_UNREACHABLE;
	stream_release(&io);
	return result;
}

enum https_result
await_https(struct relay *r, const struct https_request *q, struct arena *a, struct http_reply *out)
{
	struct route_address addresses[4];
	struct route_host_dns dns;
	struct remote_reply why;
	struct route_host host = { .port = q->port };
	int64_t deadline = deadline_in_ms(q->wait_ms);
	enum https_result result = HTTPS_UNREACHABLE;
	struct conf *conf = conf_keep(r->conf);
	snprintf(host.name, sizeof host.name, "%s", q->host);
	size_t n = r->transport->trusting
	               ? await_route_addresses(&r->resolver, conf, &host, addresses, COUNT_OF(addresses), &dns, &why)
	               : 0;
	for (size_t i = 0; i < n && result == HTTPS_UNREACHABLE && clock_mono_ms() < deadline; i++)
		result = await_one(r, q, &addresses[i], deadline, a, out);
	conf_free(&conf);
	return result;
}
