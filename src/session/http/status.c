/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - /api/v1/status, /api/v1/version and /metrics: how the server is. */
#include "session/http/api.h"
#include "session/http/metrics.h"

#define METRICS_BYTES_MAX (4u << 20)

static void
await_version(struct api_call *call)
{
	json_t *o = json_object();
	json_put(o, "version", S(POSTHOUSE_VERSION));
	api_answer(call, 200, o);
}

static void
put_counters(const struct session *s, json_t *o)
{
	json_t *sums = json_object();
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		json_put_number(sums, counter_name(c), metrics_sum(s, c));
	json_object_set_new(o, "counters", sums);
}

static void
await_status(struct api_call *call)
{
	struct store_store_status_out s;
	struct store_store_status_in in = { 0 };
	if (api_failed(call, await_store_store_status(&call->session->store, &in, call->arena, &s), "store", S("")))
		return;
	json_t *o = json_object();
	json_put(o, "version", S(POSTHOUSE_VERSION));
	json_put(o, "hostname", slice_text(call->session->conf->v.hostname));
	json_put_number(o, "domains", s.domains);
	json_put_number(o, "accounts", s.accounts);
	json_put_number(o, "messages", s.messages);
	json_put_number(o, "queued", s.queued);
	json_put_number(o, "body_bytes", s.body_bytes);
	json_put_number(o, "segment_bytes", s.segment_bytes);
	json_put_number(o, "free_bytes", s.free_bytes);
	json_put(o, "engine", s.engine);
	json_put_number(o, "connections", metrics_sum(call->session, COUNTER_CONNECTIONS_OPEN));
	put_counters(call->session, o);
	api_answer(call, 200, o);
}

/* The text format of Prometheus, version 0.0.4. */
static void
await_metrics(struct api_call *call)
{
	struct buf b;
	buf_init(&b, METRICS_BYTES_MAX);
	metrics_write(call->session, &b);
	call->text = slice_keep(call->arena, buf_slice(&b));
	call->text_type = "text/plain; version=0.0.4; charset=utf-8";
	call->status = 200;
	buf_release(&b);
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/status", await_status },
	{ "GET", "/api/v1/version", await_version },
	{ "GET", "/metrics", await_metrics },
};
const struct api_rows status_methods = { rows, COUNT_OF(rows) };
